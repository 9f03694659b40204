//! How shards ask for a source to be looked at again, without waiting and not too often.

use crate::clock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// One source that is fetched. Whoever meets an unknown key may ask for it; only the first who does
/// so wakes the control thread, and for a while after an answer nobody can.
#[derive(Debug)]
pub(super) struct Refresh {
    source: Box<str>,
    state: AtomicU8,
    asked: Notify,
    /// When keys came last: the control thread's own.
    fetched: watch::Sender<Option<Instant>>,
}

/// It may be asked for.
const IDLE: u8 = 0;
/// Somebody has asked, and the answer is not there yet.
const ASKED: u8 = 1;
/// It was answered lately.
const RESTING: u8 = 2;

impl Refresh {
    pub(super) fn new(source: &str) -> Self {
        Self {
            source: source.into(),
            state: AtomicU8::new(IDLE),
            asked: Notify::new(),
            fetched: watch::Sender::new(None),
        }
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Asks, from any thread. Whether an answer is to be expected.
    pub(super) fn ask(&self) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        match self.state.compare_exchange(IDLE, ASKED, success, failure) {
            Ok(_) => {
                self.asked.notify_one();
                true
            }
            Err(state) => state == ASKED,
        }
    }

    /// Waits until somebody asks.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Its keys came just now.
    pub(super) fn fetched(&self) {
        self.fetched.send_replace(Some(clock::now()));
    }

    /// Its keys count no more.
    pub(super) fn forgotten(&self) {
        self.fetched.send_replace(None);
    }

    /// How long ago its keys came, if they count.
    pub(super) fn age(&self) -> Option<Duration> {
        self.fetched.borrow().map(|at| clock::now() - at)
    }

    /// It was fetched, or could not be: for now nobody can ask.
    pub(super) fn rest(&self) {
        self.state.store(RESTING, Ordering::Release);
    }

    /// It may be asked for again.
    pub(super) fn wake(&self) {
        self.state.store(IDLE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_who_ask_are_one_question() {
        let refresh = Refresh::new("idp");
        assert!(refresh.ask() && refresh.ask() && refresh.ask());
        refresh.rest();
        assert!(!refresh.ask(), "it was answered just now");
        refresh.wake();
        assert!(refresh.ask());
    }
}
