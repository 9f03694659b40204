//! What a shard counts of compression.

use corecast_hub::PressTotals;
use corecast_wire::deflate::InflateTotals;

use super::Count;

/// The counters of compression, summed over the shards, since the engine's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompressionStats {
    /// Messages compressed: once for each message and encoding, however many get it.
    pub deflates: u64,
    /// Bytes of their frames.
    pub deflate_bytes_in: u64,
    /// Bytes of the frames that came of them.
    pub deflate_bytes_out: u64,
    /// Compressed messages that came in whole.
    pub inflates: u64,
    /// Their bytes on the wire, those of messages that failed included.
    pub inflate_bytes_in: u64,
    /// Their bytes inflated, the same.
    pub inflate_bytes_out: u64,
}

/// The same, of one shard.
#[derive(Debug, Default)]
pub(crate) struct CompressionCounts {
    deflates: Count,
    deflate_bytes_in: Count,
    deflate_bytes_out: Count,
    inflates: Count,
    inflate_bytes_in: Count,
    inflate_bytes_out: Count,
}

impl CompressionCounts {
    pub(crate) fn set(&self, out: PressTotals, inbound: InflateTotals) {
        self.deflates.set(out.deflates);
        self.deflate_bytes_in.set(out.bytes_in);
        self.deflate_bytes_out.set(out.bytes_out);
        self.inflates.set(inbound.inflates);
        self.inflate_bytes_in.set(inbound.bytes_in);
        self.inflate_bytes_out.set(inbound.bytes_out);
    }

    /// Adds what is counted here.
    pub(super) fn add_to(&self, stats: &mut CompressionStats) {
        stats.deflates += self.deflates.read();
        stats.deflate_bytes_in += self.deflate_bytes_in.read();
        stats.deflate_bytes_out += self.deflate_bytes_out.read();
        stats.inflates += self.inflates.read();
        stats.inflate_bytes_in += self.inflate_bytes_in.read();
        stats.inflate_bytes_out += self.inflate_bytes_out.read();
    }
}
