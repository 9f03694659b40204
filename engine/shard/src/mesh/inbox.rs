//! One shard's inbox: a bounded crossbeam channel, and a wake only when the shard may be asleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};

use super::Job;
use crate::lock::Lock;

/// The sending side; cloned to every publisher and shard.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    sender: Sender<Job>,
    signal: Arc<Signal>,
}

/// The receiving side, owned by the shard's mesh task.
#[derive(Debug)]
pub(crate) struct Mailbox {
    receiver: Receiver<Job>,
    signal: Arc<Signal>,
}

/// Whether the receiver waits, and how to wake it.
#[derive(Debug, Default)]
struct Signal {
    waiting: AtomicBool,
    waker: Lock<Option<Waker>>,
}

/// An inbox for `capacity` jobs.
pub(crate) fn mailbox(capacity: usize) -> (Inbox, Mailbox) {
    let (sender, receiver) = bounded(capacity);
    let signal = Arc::new(Signal::default());
    (Inbox { sender, signal: Arc::clone(&signal) }, Mailbox { receiver, signal })
}

impl Inbox {
    /// Puts a job in. False when the inbox is full or the shard is gone.
    pub(crate) fn post(&self, job: Job) -> bool {
        let posted = match self.sender.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        };
        self.signal.wake();
        posted
    }
}

impl Mailbox {
    /// The next job, or `None` when there is none: then `waker` is woken by the next one.
    pub(crate) fn take(&self, waker: &Waker) -> Option<Job> {
        if let Ok(job) = self.receiver.try_recv() {
            return Some(job);
        }
        self.signal.wait(waker);
        // A job that came between the two looks did not see us waiting.
        match self.receiver.try_recv() {
            Ok(job) => {
                self.signal.waiting.store(false, Ordering::SeqCst);
                Some(job)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // The waker belongs to this thread's executor: it must not be the other threads that drop
        // it.
        self.signal.waker.lock().take();
    }
}

impl Signal {
    fn wait(&self, waker: &Waker) {
        let mut slot = self.waker.lock();
        if !slot.as_ref().is_some_and(|present| present.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
        drop(slot);
        self.waiting.store(true, Ordering::SeqCst);
    }

    fn wake(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) && self.waiting.swap(false, Ordering::SeqCst) {
            let slot = self.waker.lock();
            if let Some(waker) = slot.as_ref() {
                waker.wake_by_ref();
            }
        }
    }
}
