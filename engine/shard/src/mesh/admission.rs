//! How much may be pending between the publishers and the sockets, and who waits for room.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use crate::PublishError;
use crate::config::{MeshConfig, OutboxConfig};
use crate::limits::MESH_OWN_JOBS_MAX;
use crate::waiters::Waiters;

/// The engine-wide account of publications that are accepted and not yet queued on every shard.
///
/// Publishers only add and subtract; a lock is taken by those who wait, and by whoever wakes them.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: MeshConfig,
    /// What may be pending for a publisher to be called ready. A shard says that an outbox is more
    /// than half full before it gives the places of what filled it back: so a quarter on its way
    /// fits into the other half.
    ready: MeshConfig,
    pending: AtomicUsize,
    pending_bytes: AtomicUsize,
    congested: AtomicI64,
    stopped: AtomicBool,
    room_waiters: Waiters,
    ready_waiters: Waiters,
}

/// A place for one publication, or for many that come in one job; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Ticket {
    admission: Arc<Admission>,
    publications: usize,
    bytes: usize,
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// At most half of what may be pending is.
    Room,
    /// Little is pending, and every lossless outbox is below half its bound.
    Ready,
}

impl Admission {
    pub(crate) fn new(limits: MeshConfig, outbox: &OutboxConfig) -> Arc<Self> {
        let ready = MeshConfig {
            pending_publishes_max: (limits.pending_publishes_max / 2)
                .min(outbox.frames_max as usize / 4),
            pending_bytes_max: (limits.pending_bytes_max / 2).min(outbox.bytes_max / 4),
        };
        Arc::new(Self {
            limits,
            ready,
            pending: AtomicUsize::new(0),
            pending_bytes: AtomicUsize::new(0),
            congested: AtomicI64::new(0),
            stopped: AtomicBool::new(false),
            room_waiters: Waiters::default(),
            ready_waiters: Waiters::default(),
        })
    }

    /// A place for `bytes`.
    ///
    /// # Errors
    /// When the mesh is full, for now or for a frame of that size.
    pub(crate) fn admit(self: &Arc<Self>, bytes: usize) -> Result<Ticket, PublishError> {
        self.admit_many(1, bytes)
    }

    /// A place for so many publications in one job, of `bytes` together.
    ///
    /// # Errors
    /// As [`admit`](Self::admit); [`PublishError::Full`] for ever where they are more than
    /// [`batch_max`](Self::batch_max).
    pub(crate) fn admit_many(
        self: &Arc<Self>,
        publications: usize,
        bytes: usize,
    ) -> Result<Ticket, PublishError> {
        if publications == 0 {
            // Of a batch of which each update was refused by itself.
            return Ok(self.ticket(0, 0));
        }
        let bytes_max = self.limits.pending_bytes_max;
        if bytes > bytes_max {
            return Err(PublishError::TooLarge { bytes, bytes_max });
        }
        // Neither count is beyond its bound for a moment: others would be refused for what was not
        // taken. Where the places were lost to another meanwhile, the bytes are given back.
        let publications_max = self.limits.pending_publishes_max;
        if self.pending() > publications_max.saturating_sub(publications) {
            return Err(PublishError::Full);
        }
        take(&self.pending_bytes, bytes, bytes_max)?;
        let mut ticket = self.ticket(0, bytes);
        take(&self.pending, publications, publications_max)?;
        ticket.publications = publications;
        Ok(ticket)
    }

    /// Publications and bytes that one batch may have: those that fit wherever there is
    /// [room](Want::Room), so that who waits for it does not wait in vain.
    pub(crate) fn batch_max(&self) -> (usize, usize) {
        let MeshConfig { pending_publishes_max, pending_bytes_max } = self.limits;
        (pending_publishes_max / 2, pending_bytes_max / 2)
    }

    /// The same for who waits until it is [ready](Want::Ready): with an outbox that is half full
    /// and a quarter of it on its way, half of the last quarter. The other half is for what is put
    /// around each update, which is not counted.
    pub(crate) fn paced_batch_max(&self) -> (usize, usize) {
        let MeshConfig { pending_publishes_max, pending_bytes_max } = self.ready;
        (pending_publishes_max / 2, pending_bytes_max / 2)
    }

    /// Bytes that one publication may have.
    pub(crate) fn bytes_max(&self) -> usize {
        self.limits.pending_bytes_max
    }

    fn ticket(self: &Arc<Self>, publications: usize, bytes: usize) -> Ticket {
        Ticket { admission: Arc::clone(self), publications, bytes }
    }

    /// A place for a job of the shards' own: there are some that no publisher can take.
    pub(crate) fn admit_own(self: &Arc<Self>, bytes: usize) -> Option<Ticket> {
        let ticket = self.ticket(1, bytes);
        let before = self.pending.fetch_add(1, Ordering::SeqCst);
        self.pending_bytes.fetch_add(bytes, Ordering::SeqCst);
        let fits = before < self.limits.pending_publishes_max + MESH_OWN_JOBS_MAX;
        fits.then_some(ticket)
    }

    /// Whether at most half of what may be pending is: with less, who reads is held back.
    pub(crate) fn has_room(&self) -> bool {
        self.holds(Want::Room)
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::SeqCst)
    }

    /// A shard's number of congested outboxes changed by `delta`.
    pub(crate) fn congestion_changed(&self, delta: i64) {
        if delta != 0 && self.congested.fetch_add(delta, Ordering::SeqCst) + delta <= 0 {
            self.ready_waiters.wake();
        }
    }

    /// The engine is gone: nobody waits any longer.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.room_waiters.wake();
        self.ready_waiters.wake();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Waits until the mesh has room, and where asked every lossless outbox too.
    pub(crate) fn wait(&self, want: Want) -> impl Future<Output = ()> + '_ {
        self.waiters(want).until(move || self.holds(want).then_some(()))
    }

    /// Waits until the mesh has room, and so much of it that this fits; what is more than all that
    /// may be pending is waited for in vain, so for that it waits until nothing is.
    pub(crate) fn wait_for(
        &self,
        publications: usize,
        bytes: usize,
    ) -> impl Future<Output = ()> + '_ {
        // Whoever waits here is woken each time that a place is given back and there is room.
        self.room_waiters.until(move || self.has_room_for(publications, bytes).then_some(()))
    }

    fn has_room_for(&self, publications: usize, bytes: usize) -> bool {
        let MeshConfig { pending_publishes_max, pending_bytes_max } = self.limits;
        let fits = self.pending() <= pending_publishes_max.saturating_sub(publications)
            && self.pending_bytes.load(Ordering::SeqCst) <= pending_bytes_max.saturating_sub(bytes);
        self.holds(Want::Room) && fits || self.is_stopped()
    }

    fn holds(&self, want: Want) -> bool {
        let pending = self.pending();
        let bytes = self.pending_bytes.load(Ordering::SeqCst);
        let holds = match want {
            Want::Room => {
                pending <= self.limits.pending_publishes_max / 2
                    && bytes <= self.limits.pending_bytes_max / 2
            }
            Want::Ready => {
                // With nothing pending, even one message larger than the quarter goes.
                let little = pending <= self.ready.pending_publishes_max
                    && bytes <= self.ready.pending_bytes_max;
                (little || pending == 0) && self.congested.load(Ordering::SeqCst) <= 0
            }
        };
        holds || self.is_stopped()
    }

    fn waiters(&self, want: Want) -> &Waiters {
        match want {
            Want::Room => &self.room_waiters,
            Want::Ready => &self.ready_waiters,
        }
    }
}

/// Adds to a count, unless that would go beyond its bound.
fn take(count: &AtomicUsize, more: usize, max: usize) -> Result<(), PublishError> {
    let add = |count: usize| count.checked_add(more).filter(|sum| *sum <= max);
    let taken = count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
    taken.map(drop).map_err(|_| PublishError::Full)
}

impl Ticket {
    /// Makes a part of it a ticket of its own.
    pub(crate) fn split(&mut self, publications: usize, bytes: usize) -> Self {
        self.publications -= publications;
        self.bytes -= bytes;
        self.admission.ticket(publications, bytes)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let admission = &self.admission;
        admission.pending_bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        admission.pending.fetch_sub(self.publications, Ordering::SeqCst);
        for want in [Want::Room, Want::Ready] {
            let waiters = admission.waiters(want);
            if waiters.is_present() && admission.holds(want) {
                waiters.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn admission(pending_publishes_max: usize, pending_bytes_max: usize) -> Arc<Admission> {
        let limits = MeshConfig { pending_publishes_max, pending_bytes_max };
        Admission::new(limits, &OutboxConfig::default())
    }

    #[test]
    fn what_is_refused_was_never_pending() {
        let admission = admission(100, 1_000);
        let _held = admission.admit_many(60, 600).expect("room");
        let (admission, is_over) = (&admission, &AtomicBool::new(false));
        std::thread::scope(|scope| {
            for (publications, bytes) in [(50, 1), (1, 500), (50, 500)] {
                scope.spawn(move || {
                    while !is_over.load(Ordering::SeqCst) {
                        let refused = admission.admit_many(publications, bytes).err();
                        assert_eq!(refused, Some(PublishError::Full));
                    }
                });
            }
            // One that fits must never be refused because of others that do not.
            let refused = (0..200_000).filter(|_| admission.admit_many(1, 1).is_err()).count();
            let seen = (0..200_000).map(|_| admission.pending()).max();
            is_over.store(true, Ordering::SeqCst);
            assert_eq!((refused, seen), (0, Some(60)));
        });
        assert_eq!(admission.pending(), 60);
        assert_eq!(admission.pending_bytes.load(Ordering::SeqCst), 600);
    }

    #[test]
    fn parts_of_a_ticket_give_back_what_it_held() {
        let admission = admission(100, 1_000);
        let mut whole = admission.admit_many(10, 500).expect("room");
        let part = whole.split(4, 300);
        assert_eq!(admission.pending(), 10);
        drop(whole);
        assert_eq!((admission.pending(), admission.pending_bytes.load(Ordering::SeqCst)), (4, 300));
        drop(part);
        assert_eq!((admission.pending(), admission.pending_bytes.load(Ordering::SeqCst)), (0, 0));
    }

    #[test]
    fn who_wants_more_than_half_waits_until_it_fits() {
        let admission = admission(100, 1_000);
        let held = admission.admit_many(1, 400).expect("room");
        assert!(admission.has_room(), "less than half is pending");
        assert_eq!(admission.admit(700).err(), Some(PublishError::Full));
        let mut wait = pin!(admission.wait_for(1, 700));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(wait.as_mut().poll(&mut cx).is_pending(), "it would be refused again");
        drop(held);
        assert!(wait.as_mut().poll(&mut cx).is_ready());
        assert!(admission.admit(700).is_ok());
        let mut never = pin!(admission.wait_for(1_000, usize::MAX));
        assert!(
            never.as_mut().poll(&mut cx).is_ready(),
            "nothing is pending: that is all there is"
        );
    }
}
