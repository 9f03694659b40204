//! permessage-deflate on a shard: what is agreed to, and what it took.

use std::sync::Arc;

use corecast_hub::{Compress, ConnId, Hub, Press, PressConfig};
use corecast_wire::deflate::{Agreed, negotiate};
use corecast_wire::{InflatePool, Inflation, Upgrade};

use crate::config::{CompressWhat, CompressionConfig};
use crate::shard::{Slots, slot_mut};
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

    /// Tells what was done so far.
    #[inline]
    pub(crate) fn count(&self, counts: &CompressionCounts) {
        if self.is_enabled {
            counts.set(self.press.totals(), self.pool.totals());
        }
    }
}
