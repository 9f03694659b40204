//! `[auth.hook]`: a service of the operator's that says who may connect, subscribe and publish.
//!
//! Shards put questions into a bounded queue and go on; the control thread asks, and wakes the
//! connection when there is an answer. Whatever goes wrong is a no: no answer in time, another
//! status than 200, what is no answer, a full queue.

mod answer;
mod ask;
mod cache;
pub(crate) mod limits;
mod question;

pub(crate) use answer::{Allowed, Verdict};
pub(crate) use question::{Question, Request};

use crate::clock;
use crate::config::hook::{HookConfig, HookEvent};
use ask::Job;
use cache::Cache;
use corecast::{Timestamp, Waker};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The hook, for whoever asks it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    config: Arc<HookConfig>,
    queue: mpsc::Sender<Job>,
}

/// What the control thread does for it.
#[derive(Debug)]
pub(crate) struct Asker {
    config: Arc<HookConfig>,
    queue: mpsc::Receiver<Job>,
}

/// One shard's part: it remembers answers for a while.
#[derive(Debug)]
pub(crate) struct Clerk {
    hook: Hook,
    cache: Cache,
}

/// An answer that is to come.
#[derive(Clone)]
pub(crate) struct Ticket {
    body: Arc<str>,
    verdict: Arc<OnceLock<Verdict>>,
}

/// What a question came to.
#[derive(Debug)]
pub(crate) enum Asked {
    /// It was answered already.
    Known(Verdict),
    /// It will be.
    Pending(Ticket),
}

/// The question may have secrets in it.
impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("verdict", &self.verdict).finish_non_exhaustive()
    }
}

impl Hook {
    /// The two sides of a hook.
    pub(crate) fn new(config: &HookConfig) -> (Self, Asker) {
        let config = Arc::new(config.clone());
        let (sender, receiver) = mpsc::channel(config.queue_max.max(1));
        let asker = Asker { config: Arc::clone(&config), queue: receiver };
        (Self { config, queue: sender }, asker)
    }

    /// What one shard asks; none where the hook is off.
    pub(crate) fn clerk(&self) -> Option<Clerk> {
        let cache_time = Duration::from_millis(self.config.cache_ms);
        let cache = Cache::new(cache_time, self.config.cache_max);
        (!self.config.url.is_empty()).then(|| Clerk { hook: self.clone(), cache })
    }
}

impl Asker {
    /// Asks, until the program ends.
    pub(crate) async fn run(self, stopping: watch::Receiver<bool>) {
        ask::run(self.config, self.queue, stopping).await;
    }
}

impl Clerk {
    /// Whether it is to be asked about this.
    pub(crate) fn is_for(&self, event: HookEvent) -> bool {
        self.hook.config.on.contains(&event)
    }

    /// The names of headers of a request that the hook is told.
    pub(crate) fn headers(&self) -> &[String] {
        &self.hook.config.headers
    }

    /// Asks a [`Question`]. The waker is used when the answer is there.
    pub(crate) fn ask(&mut self, question: String, now: Timestamp, waker: Waker) -> Asked {
        let body: Arc<str> = question.into();
        // A yes that has ended is asked for anew.
        let remembered = self.cache.find(&body, now);
        if let Some(verdict) = remembered.filter(|verdict| !verdict.has_ended(clock::wall_s())) {
            return Asked::Known(verdict);
        }
        let verdict = Arc::new(OnceLock::new());
        let ticket = Ticket { body: Arc::clone(&body), verdict: Arc::clone(&verdict) };
        let job = Job::new(body, verdict, waker);
        match self.hook.queue.try_send(job) {
            Ok(()) => Asked::Pending(ticket),
            // The job says so as it is dropped, and wakes nobody who waits.
            Err(_) => Asked::Known(Verdict::Unavailable("too many questions wait for an answer")),
        }
    }

    /// The answer, if it is there. It is remembered.
    pub(crate) fn take(&mut self, ticket: &Ticket, now: Timestamp) -> Option<Verdict> {
        let verdict = ticket.verdict.get()?;
        self.cache.keep(&ticket.body, verdict, now);
        Some(verdict.clone())
    }
}
