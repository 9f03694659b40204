//! How many inflaters the connections of a shard may keep, and what they did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Bounds the inflaters that all connections of a shard keep from one read to the next. What lies
/// whole in the input needs none: its inflater lives for as long as that takes.
#[derive(Debug)]
pub struct InflatePool {
    seats_left: AtomicU32,
    inflates: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// What was inflated since a pool was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InflateTotals {
    /// Messages.
    pub inflates: u64,
    /// Their bytes on the wire, those of messages that failed included.
    pub bytes_in: u64,
    /// Their bytes inflated, the same.
    pub bytes_out: u64,
}

impl InflatePool {
    /// A pool for `seats` connections that keep an inflater, for good or between two reads: each
    /// about 42 KiB, allocated when it is needed. With none, fragments are kept compressed until
    /// the last is there.
    #[must_use]
    pub fn new(seats: u32) -> Arc<Self> {
        Arc::new(Self {
            seats_left: AtomicU32::new(seats),
            inflates: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        })
    }

    /// What was inflated so far.
    #[must_use]
    pub fn totals(&self) -> InflateTotals {
        InflateTotals {
            inflates: self.inflates.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
        }
    }

    /// The right to keep an inflater, given back when it is dropped.
    pub(super) fn seat(self: &Arc<Self>) -> Option<Seat> {
        let one_less = |left: u32| left.checked_sub(1);
        let taken = self.seats_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        taken.ok().map(|_| Seat(Arc::clone(self)))
    }

    pub(super) fn count(&self, bytes_in: usize, bytes_out: usize) {
        self.bytes_in.fetch_add(bytes_in as u64, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes_out as u64, Ordering::Relaxed);
    }

    pub(super) fn count_message(&self) {
        self.inflates.fetch_add(1, Ordering::Relaxed);
    }
}

/// One inflater that may be kept.
#[derive(Debug)]
pub(super) struct Seat(Arc<InflatePool>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.seats_left.fetch_add(1, Ordering::Relaxed);
    }
}
