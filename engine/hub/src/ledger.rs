//! What all outboxes of a hub share: bounds, storage, lists and totals.

use core::time::Duration;
use std::sync::Arc;

use crate::codec::Codec;
use crate::config::OutboxLimits;
use crate::id::{ConnId, Timestamp};
use crate::limits::{
    CONFLATED_ALLOWANCE_PART, OUTBOX_BYTES_CEILING, OUTBOX_FRAMES_CEILING, OUTBOX_TIME_CEILING,
    SLOW_LIST_MAX,
};
use crate::outbox::ring::Pool;
use crate::report::Totals;
use crate::slow::SlowReason;

/// The part of the hub that an outbox operation may touch besides its own outbox.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) bounds: Bounds,
    pub(crate) pool: Pool,
    /// The latest instant that was passed in.
    pub(crate) now: Timestamp,
    /// Connections that have, or had, something to send. A connection stands here once, as
    /// long as its outbox has the dirty flag.
    pub(crate) dirty: Vec<ConnId>,
    pub(crate) slow: Vec<(ConnId, SlowReason)>,
    /// Outboxes that have too many holes after the operation that is going on.
    pub(crate) compact: Vec<u32>,
    pub(crate) totals: Totals,
    pub(crate) congested: u32,
    pub(crate) queued_bytes: u64,
    pub(crate) queued_frames: u64,
    pub(crate) codec: Arc<dyn Codec>,
    /// Connections with paused subscriptions that may go on. A connection stands here once.
    pub(crate) resync: Vec<ConnId>,
}

impl Ledger {
    pub(crate) fn new(limits: OutboxLimits, codec: Arc<dyn Codec>) -> Self {
        Self {
            bounds: Bounds::new(limits),
            pool: Pool::default(),
            now: Timestamp(0),
            dirty: Vec::new(),
            slow: Vec::new(),
            compact: Vec::new(),
            totals: Totals::default(),
            congested: 0,
            queued_bytes: 0,
            queued_frames: 0,
            codec,
            resync: Vec::new(),
        }
    }

    /// Moves the present to `now`, never back.
    #[inline]
    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    pub(crate) fn note_slow(&mut self, conn: ConnId, reason: SlowReason) {
        self.totals.slow_closed += 1;
        if self.slow.len() < SLOW_LIST_MAX {
            self.slow.push((conn, reason));
        }
    }
}

/// The outbox limits in the form in which they are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: u32,
    pub(crate) frames_max: u32,
    pub(crate) conflated_bytes_max: u32,
    pub(crate) conflated_frames_max: u32,
    pub(crate) age_max: Duration,
    pub(crate) stall_max: Duration,
}

impl Bounds {
    /// What is out of range is brought to its end.
    fn new(limits: OutboxLimits) -> Self {
        let bytes_max = limits.bytes_max.clamp(1, OUTBOX_BYTES_CEILING) as u32;
        let frames_max = limits.frames_max.clamp(1, OUTBOX_FRAMES_CEILING);
        let millisecond = Duration::from_millis(1);
        Self {
            bytes_max,
            frames_max,
            conflated_bytes_max: bytes_max + bytes_max / CONFLATED_ALLOWANCE_PART,
            conflated_frames_max: frames_max + frames_max / CONFLATED_ALLOWANCE_PART,
            age_max: limits.age_max.clamp(millisecond, OUTBOX_TIME_CEILING),
            stall_max: limits.stall_max.clamp(millisecond, OUTBOX_TIME_CEILING),
        }
    }
}
