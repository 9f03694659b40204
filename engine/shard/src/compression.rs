//! permessage-deflate on a shard: what is agreed to, and what it took.

use std::sync::Arc;

use corecast_hub::{Compress, ConnId, Hub, Press, PressConfig};
use corecast_wire::deflate::{Agreed, InflateTotals, negotiate};
use corecast_wire::{InflatePool, Inflation, Upgrade};

use crate::config::{CompressWhat, CompressionConfig};
use crate::handler::Handler;
use crate::meter;
use crate::shard::{Shard, Slots, slot_mut};
use crate::stats::CompressionCounts;

/// What a shard needs to compress and to inflate; none of its memory is taken before the first
/// message.
pub(crate) struct Compression {
    is_enabled: bool,
    /// Whether clients may keep a context.
    client_context: bool,
    pool: Arc<InflatePool>,
    /// The shard's own; the home has the same.
    pub(crate) press: Press,
}

impl Compression {
    pub(crate) fn new(config: &CompressionConfig) -> Self {
        let press = PressConfig {
            what: match config.what {
                CompressWhat::Batches => Compress::Batches,
                CompressWhat::All => Compress::All,
            },
            level: config.level,
            threshold_bytes: config.threshold_bytes,
        };
        Self {
            is_enabled: config.enabled,
            client_context: config.client_context,
            pool: InflatePool::new(config.inflaters_max),
            press: if config.enabled { Press::new(press) } else { Press::default() },
        }
    }

    /// Agrees to what a client offers, as far as that is allowed. From then on it may send
    /// compressed messages, and gets those that are compressed for all.
    pub(crate) fn agree<D>(
        &self,
        upgrade: &Upgrade<'_>,
        slots: &mut Slots<D>,
        hub: &mut Hub,
        conn: ConnId,
    ) -> Option<Agreed> {
        if !self.is_enabled {
            return None;
        }
        let slot = slot_mut(slots, conn)?;
        let mut agreed = negotiate(upgrade.extensions(), self.client_context)?;
        let mut inflation = None;
        if agreed.is_client_takeover() {
            inflation = Inflation::with_takeover(&self.pool);
            agreed = if inflation.is_some() { agreed } else { agreed.without_client_takeover() };
        }
        slot.session.inflate(inflation.unwrap_or_else(|| Inflation::new(&self.pool)));
        if agreed.takes_shared() {
            hub.take_twins(conn);
        }
        Some(agreed)
    }

    /// The bound of a turn that may inflate `bytes` from here on, and the message in which it
    /// passes them.
    #[inline]
    pub(crate) fn bound(&self, bytes: u64) -> InflateBound {
        InflateBound(self.inflated_bytes() + bytes)
    }

    /// Whether a turn has inflated what it may: never where nothing is.
    #[inline]
    pub(crate) fn is_past(&self, bound: InflateBound) -> bool {
        self.inflated_bytes() >= bound.0
    }

    /// Watches what is inflated from here on, to charge it.
    #[inline]
    pub(crate) fn watch(&self) -> Inflating {
        let seen = if self.is_enabled { self.pool.totals() } else { InflateTotals::default() };
        Inflating { seen }
    }

    #[inline]
    fn inflated_bytes(&self) -> u64 {
        if self.is_enabled { self.pool.totals().bytes_out } else { 0 }
    }

    /// Tells what was done so far.
    #[inline]
    pub(crate) fn count(&self, counts: &CompressionCounts) {
        if self.is_enabled {
            counts.set(self.press.totals(), self.pool.totals());
        }
    }
}

/// How much a shard may have inflated when a turn ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InflateBound(u64);

/// What one connection inflates in its turn.
#[derive(Debug)]
pub(crate) struct Inflating {
    seen: InflateTotals,
}

impl Inflating {
    /// Counts what was inflated since the last look as bytes that the connection has sent, beyond
    /// those that were counted when they were read: a message costs what it stands for.
    #[inline]
    pub(crate) fn charge<H: Handler>(&mut self, shard: &Shard<H>, conn: ConnId) {
        if !shard.compression.is_enabled {
            return;
        }
        let now = shard.compression.pool.totals();
        let packed = now.bytes_in - self.seen.bytes_in;
        let beyond = (now.bytes_out - self.seen.bytes_out).saturating_sub(packed);
        self.seen = now;
        if beyond > 0 {
            meter::bytes(shard, conn, beyond as usize);
        }
    }
}
