//! How much may be pending between the publishers and the sockets, and who waits for room.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::config::MeshConfig;

/// The engine-wide account of publications that are accepted and not yet queued on every shard.
///
/// Publishers only add and subtract; the lock is taken by those who wait, and by whoever wakes
/// them.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: MeshConfig,
    pending: AtomicUsize,
    pending_bytes: AtomicUsize,
    congested: AtomicI64,
    stopped: AtomicBool,
    waiting: AtomicBool,
    waiters: Mutex<Vec<Waker>>,
}

/// A place for one publication; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Ticket {
    admission: Arc<Admission>,
    bytes: usize,
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// The mesh is at most half full.
    Room,
    /// And every lossless outbox is below half its bound.
    Ready,
}

impl Admission {
    pub(crate) fn new(limits: MeshConfig) -> Arc<Self> {
        Arc::new(Self {
            limits,
            pending: AtomicUsize::new(0),
            pending_bytes: AtomicUsize::new(0),
            congested: AtomicI64::new(0),
            stopped: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            waiters: Mutex::new(Vec::new()),
        })
    }

    /// A place for `bytes`, or `None` when the mesh is full.
    pub(crate) fn admit(self: &Arc<Self>, bytes: usize) -> Option<Ticket> {
        let ticket = Ticket { admission: Arc::clone(self), bytes };
        let before = self.pending.fetch_add(1, Ordering::AcqRel);
        let bytes_before = self.pending_bytes.fetch_add(bytes, Ordering::AcqRel);
        let fits = before < self.limits.pending_publishes_max
            && bytes_before.saturating_add(bytes) <= self.limits.pending_bytes_max;
        fits.then_some(ticket)
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::Acquire)
    }

    /// A shard's number of congested outboxes changed by `delta`.
    pub(crate) fn congestion_changed(&self, delta: i64) {
        if delta != 0 && self.congested.fetch_add(delta, Ordering::AcqRel) + delta <= 0 {
            self.wake();
        }
    }

    /// The engine is gone: nobody waits any longer.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn wait(self: &Arc<Self>, want: Want) -> Waiting {
        Waiting { admission: Arc::clone(self), want }
    }

    fn holds(&self, want: Want) -> bool {
        let half_empty = self.pending() <= self.limits.pending_publishes_max / 2
            && self.pending_bytes.load(Ordering::Acquire) <= self.limits.pending_bytes_max / 2;
        let flowing = want == Want::Room || self.congested.load(Ordering::Acquire) <= 0;
        (half_empty && flowing) || self.is_stopped()
    }

    fn wake(&self) {
        // SeqCst pairs with the store in `poll`: either the waiter sees the new state, or we see
        // the waiter.
        if self.waiting.swap(false, Ordering::SeqCst) {
            let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
            for waiter in waiters.drain(..) {
                waiter.wake();
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let admission = &self.admission;
        admission.pending_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        admission.pending.fetch_sub(1, Ordering::SeqCst);
        if admission.waiting.load(Ordering::SeqCst) && admission.holds(Want::Room) {
            admission.wake();
        }
    }
}

/// Waits until the mesh has room, and where asked every lossless outbox too.
#[derive(Debug)]
pub(crate) struct Waiting {
    admission: Arc<Admission>,
    want: Want,
}

impl Future for Waiting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.admission.holds(self.want) {
            return Poll::Ready(());
        }
        let mut waiters = self.admission.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiters.iter().any(|waiter| waiter.will_wake(cx.waker())) {
            waiters.push(cx.waker().clone());
        }
        self.admission.waiting.store(true, Ordering::SeqCst);
        drop(waiters);
        if self.admission.holds(self.want) { Poll::Ready(()) } else { Poll::Pending }
    }
}
