//! One shard's inbox: a bounded crossbeam channel, and a wake only when the shard may be asleep.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use corecast_hub::ConnId;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use rustix::event::{EventfdFlags, eventfd};

use super::Job;

/// The sending side; cloned to every publisher and shard.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    sender: Sender<Job>,
    /// To empty the channel when its shard has ended: a bounded channel keeps what is in it for as
    /// long as there are senders, and with it places in the mesh and reports that somebody awaits.
    leftover: Receiver<Job>,
    /// Connections to be woken, beside the jobs, so that a wake finds room at any time. Each is in
    /// there once at most, which its waker sees to.
    wakes: (Sender<ConnId>, Receiver<ConnId>),
    bell: Arc<Bell>,
}

/// The receiving side, owned by the shard's mesh task.
#[derive(Debug)]
pub(crate) struct Mailbox {
    inbox: Inbox,
}

/// Whether the shard sleeps, and how to wake it.
#[derive(Debug)]
struct Bell {
    asleep: AtomicBool,
    closed: AtomicBool,
    rope: OwnedFd,
}

/// An inbox for `capacity` jobs.
///
/// # Errors
/// When there is no descriptor left to wake its shard with.
pub(crate) fn mailbox(capacity: usize) -> io::Result<(Inbox, Mailbox)> {
    let (sender, leftover) = bounded(capacity);
    let rope = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let (asleep, closed) = (AtomicBool::new(false), AtomicBool::new(false));
    let bell = Arc::new(Bell { asleep, closed, rope });
    let inbox = Inbox { sender, leftover, wakes: unbounded(), bell };
    Ok((inbox.clone(), Mailbox { inbox }))
}

impl Inbox {
    /// Puts a job in. False when the inbox is full or the shard is gone.
    pub(crate) fn post(&self, job: Job) -> bool {
        if self.bell.closed.load(Ordering::SeqCst) || self.sender.try_send(job).is_err() {
            return false;
        }
        // One that came in while it was being closed is taken out by one of the two.
        if self.bell.closed.load(Ordering::SeqCst) {
            self.close();
            return false;
        }
        self.bell.ring();
        true
    }

    /// Asks for a connection to be told that it was woken. Its waker asks once until it is taken
    /// out.
    pub(crate) fn wake(&self, conn: ConnId) {
        if !self.bell.closed.load(Ordering::SeqCst) && self.wakes.0.send(conn).is_ok() {
            self.bell.ring();
        }
    }

    /// The next connection that was woken.
    #[inline]
    pub(crate) fn take_woken(&self) -> Option<ConnId> {
        self.wakes.1.try_recv().ok()
    }

    /// The shard has ended: nothing is taken in any more, and what is in there is dropped.
    pub(crate) fn close(&self) {
        self.bell.closed.store(true, Ordering::SeqCst);
        while self.leftover.try_recv().is_ok() {}
    }

    /// Whether there is anything to take out.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.leftover.is_empty() && self.wakes.1.is_empty()
    }

    /// The shard is about to sleep: from now on the next job wakes it. False when there is one
    /// already.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.bell.asleep.store(true, Ordering::SeqCst);
        // A job that comes between the two sees it asleep, or is seen here.
        fence(Ordering::SeqCst);
        self.is_empty()
    }

    /// The shard is awake: it looks at its inbox without being told to.
    pub(crate) fn wake_up(&self) {
        self.bell.asleep.store(false, Ordering::Relaxed);
    }

    /// Becomes readable when a job comes for a shard that sleeps.
    pub(crate) fn rope(&self) -> BorrowedFd<'_> {
        self.bell.rope.as_fd()
    }
}

impl Mailbox {
    /// The next job.
    #[inline]
    pub(crate) fn take(&self) -> Option<Job> {
        self.inbox.leftover.try_recv().ok()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl Bell {
    fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::SeqCst) {
            // Fails only where it has been rung 2^64 times without anybody reading it.
            let _ = rustix::io::write(&self.rope, &1u64.to_ne_bytes());
        }
    }
}
