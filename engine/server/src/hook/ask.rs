//! Asks the hook, on the control thread: so many at once, each within its time.

use super::answer::Verdict;
use super::limits::ANSWER_BYTES_MAX;
use crate::clock;
use crate::config::hook::HookConfig;
use crate::control::stopped;
use corecast::Waker;
use reqwest::{Client, StatusCode, redirect};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// A question on its way. Dropped without an answer, it is answered that nobody knows.
pub(super) struct Job {
    body: Arc<str>,
    verdict: Arc<OnceLock<Verdict>>,
    waker: Waker,
    asked_at: Instant,
}

impl Job {
    pub(super) fn new(body: Arc<str>, verdict: Arc<OnceLock<Verdict>>, waker: Waker) -> Self {
        Self { body, verdict, waker, asked_at: clock::now().into() }
    }
}

/// The question may have secrets in it.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("asked_at", &self.asked_at).finish_non_exhaustive()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Where it was answered, this changes nothing.
        let _ = self.verdict.set(Verdict::Unavailable("the hook was not asked"));
        self.waker.wake();
    }
}

/// Asks until the program ends.
pub(super) async fn run(
    config: Arc<HookConfig>,
    mut queue: mpsc::Receiver<Job>,
    mut stopping: watch::Receiver<bool>,
) {
    let client = match client() {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "the hook cannot be asked: nobody is let in");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(config.concurrency_max.max(1)));
    let mut asking = JoinSet::new();
    loop {
        let job = tokio::select! {
            job = queue.recv() => job,
            () = stopped(&mut stopping) => return,
        };
        let Some(job) = job else { return };
        while asking.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (client, config) = (client.clone(), Arc::clone(&config));
        asking.spawn(async move {
            let until = job.asked_at + Duration::from_millis(config.timeout_ms);
            let answer = timeout_at(until, ask(&client, &config.url, &job.body)).await;
            let verdict = answer.unwrap_or(Verdict::Unavailable("the hook is too slow"));
            if let Verdict::Unavailable(why) = verdict {
                tracing::warn!(why, "the hook gave no answer: refused");
            }
            let _ = job.verdict.set(verdict);
            drop((job, place));
        });
    }
}

fn client() -> reqwest::Result<Client> {
    // What is asked has secrets in it: it goes to the one address that is configured.
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent(concat!("corecast/", env!("CARGO_PKG_VERSION")))
        .build()
}

async fn ask(client: &Client, url: &str, body: &Arc<str>) -> Verdict {
    let request = client.post(url).header("content-type", "application/json");
    let mut response = match request.body(body.to_string()).send().await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(error = %error.without_url(), "the hook cannot be asked");
            return Verdict::Unavailable("the hook cannot be reached");
        }
    };
    if response.status() != StatusCode::OK {
        return Verdict::Unavailable("the hook answers another status than 200");
    }
    let mut answer = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if answer.len() + chunk.len() > ANSWER_BYTES_MAX => {
                return Verdict::Unavailable("the hook's answer is too long");
            }
            Ok(Some(chunk)) => answer.extend_from_slice(&chunk),
            Ok(None) => return Verdict::read(&answer, clock::wall_s()),
            Err(_) => return Verdict::Unavailable("the hook's answer was cut"),
        }
    }
}
