//! What a shard counts of the feed.

use corecast_hub::home::HomeTotals;

use super::Count;

/// The counters of the feed, summed over the shards: the first two as they are now, the rest since
/// the engine's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedStats {
    /// Topics there are.
    pub topics: u64,
    /// Conflated variants there are.
    pub variants: u64,
    /// Messages published.
    pub updates: u64,
    /// Messages encoded: one for each message, or tick of a variant, and encoding in use.
    pub encodes: u64,
    /// Snapshots encoded: shared until the value changes.
    pub snapshots_encoded: u64,
    /// Messages of conflated variants.
    pub variant_messages: u64,
    /// Subscriptions that the homes answered.
    pub attaches: u64,
    /// Those of them that went on where they had been.
    pub resumed: u64,
    /// Times that a topic's publisher fell silent.
    pub stale: u64,
}

/// The same, of one shard.
#[derive(Debug, Default)]
pub(crate) struct FeedCounts {
    topics: Count,
    variants: Count,
    updates: Count,
    encodes: Count,
    snapshots_encoded: Count,
    variant_messages: Count,
    attaches: Count,
    resumed: Count,
    stale: Count,
}

impl FeedCounts {
    /// Takes over what the home of the shard has counted.
    pub(crate) fn set(&self, totals: &HomeTotals) {
        self.topics.set(totals.topics);
        self.variants.set(totals.variants);
        self.updates.set(totals.publishes);
        self.encodes.set(totals.encodes);
        self.snapshots_encoded.set(totals.snapshots_encoded);
        self.variant_messages.set(totals.variant_emissions);
        self.attaches.set(totals.attaches);
        self.resumed.set(totals.resumed);
        self.stale.set(totals.stale);
    }

    /// Adds what is counted here.
    pub(super) fn add_to(&self, stats: &mut FeedStats) {
        stats.topics += self.topics.read();
        stats.variants += self.variants.read();
        stats.updates += self.updates.read();
        stats.encodes += self.encodes.read();
        stats.snapshots_encoded += self.snapshots_encoded.read();
        stats.variant_messages += self.variant_messages.read();
        stats.attaches += self.attaches.read();
        stats.resumed += self.resumed.read();
        stats.stale += self.stale.read();
    }
}
