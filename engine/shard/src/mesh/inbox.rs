//! One shard's inbox: a bounded crossbeam channel, and a wake only when the shard may be asleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Job;
use crate::lock::Lock;

/// The sending side; cloned to every publisher and shard.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    sender: Sender<Job>,
    /// To empty the channel when its shard has ended: a bounded channel keeps what is in it for as
    /// long as there are senders, and with it places in the mesh and reports that somebody awaits.
    leftover: Receiver<Job>,
    signal: Arc<Signal>,
}

/// The receiving side, owned by the shard's mesh task.
#[derive(Debug)]
pub(crate) struct Mailbox {
    inbox: Inbox,
}

/// Whether the receiver waits, and how to wake it.
#[derive(Debug, Default)]
struct Signal {
    waiting: AtomicBool,
    closed: AtomicBool,
    waker: Lock<Option<Waker>>,
}

/// An inbox for `capacity` jobs.
pub(crate) fn mailbox(capacity: usize) -> (Inbox, Mailbox) {
    let (sender, leftover) = bounded(capacity);
    let inbox = Inbox { sender, leftover, signal: Arc::default() };
    (inbox.clone(), Mailbox { inbox })
}

impl Inbox {
    /// Puts a job in. False when the inbox is full or the shard is gone.
    pub(crate) fn post(&self, job: Job) -> bool {
        if self.signal.closed.load(Ordering::SeqCst) || self.sender.try_send(job).is_err() {
            return false;
        }
        // One that came in while it was being closed is taken out by one of the two.
        if self.signal.closed.load(Ordering::SeqCst) {
            self.close();
            return false;
        }
        self.signal.wake();
        true
    }

    /// The shard has ended: nothing is taken in any more, and what is in there is dropped.
    pub(crate) fn close(&self) {
        self.signal.closed.store(true, Ordering::SeqCst);
        while self.leftover.try_recv().is_ok() {}
    }
}

impl Mailbox {
    /// The next job, or `None` when there is none: then `waker` is woken by the next one.
    pub(crate) fn take(&self, waker: &Waker) -> Option<Job> {
        let Inbox { leftover, signal, .. } = &self.inbox;
        if let Ok(job) = leftover.try_recv() {
            return Some(job);
        }
        signal.wait(waker);
        // A job that came between the two looks did not see us waiting.
        let job = leftover.try_recv().ok();
        if job.is_some() {
            signal.waiting.store(false, Ordering::SeqCst);
        }
        job
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.inbox.close();
        // The waker belongs to this thread's executor: others must not be those that drop it.
        self.inbox.signal.waker.lock().take();
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
