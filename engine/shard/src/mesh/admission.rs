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
        let bytes_max = self.limits.pending_bytes_max;
        if bytes > bytes_max {
            return Err(PublishError::TooLarge { bytes, bytes_max });
        }
        let ticket = self.ticket(publications, bytes);
        let pending = self.pending.fetch_add(publications, Ordering::SeqCst) + publications;
        let bytes_before = self.pending_bytes.fetch_add(bytes, Ordering::SeqCst);
        let fits = pending <= self.limits.pending_publishes_max
            && bytes_before.saturating_add(bytes) <= self.limits.pending_bytes_max;
        if fits { Ok(ticket) } else { Err(PublishError::Full) }
    }

    /// Publications and bytes that one batch may have: those that fit wherever there is
    /// [room](Want::Room), so that who waits for it does not wait in vain.
    pub(crate) fn batch_max(&self) -> (usize, usize) {
        let MeshConfig { pending_publishes_max, pending_bytes_max } = self.limits;
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
