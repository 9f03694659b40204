//! What a shard counts. One thread writes, any thread reads: plain relaxed loads and stores, no
//! locked instruction.

mod compression;
mod feed;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use compression::CompressionCounts;
pub use compression::CompressionStats;
use feed::FeedCounts;
pub use feed::FeedStats;

/// A counter or gauge with one writing thread.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn subtract(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one shard.
#[derive(Debug, Default)]
pub(crate) struct ShardStats {
    pub(crate) connections: Count,
    pub(crate) accepted: Count,
    pub(crate) refused: Count,
    pub(crate) refused_by_address: Count,
    pub(crate) refused_by_rate: Count,
    pub(crate) refused_by_user: Count,
    pub(crate) proxy_errors: Count,
    pub(crate) over_budget: Count,
    pub(crate) messages_in: Count,
    pub(crate) bytes_in: Count,
    pub(crate) publishes: Count,
    pub(crate) deliveries: Count,
    pub(crate) bytes_out: Count,
    pub(crate) writes: Count,
    pub(crate) queued_bytes: Count,
    pub(crate) conflated: Count,
    pub(crate) dropped: Count,
    pub(crate) slow_closed: Count,
    pub(crate) violations: Count,
    pub(crate) handler_panics: Count,
    pub(crate) accept_errors: Count,
    /// Rounds of its loop: at least one a second while it lives.
    pub(crate) rounds: Count,
    pub(crate) tls_handshakes: Count,
    pub(crate) tls_resumed: Count,
    pub(crate) tls_failed: Count,
    pub(crate) feed: FeedCounts,
    pub(crate) compression: CompressionCounts,
    pub(crate) latency: Histogram,
}

/// Counters summed over the shards, since the engine's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Open WebSocket connections, now.
    pub connections: u64,
    /// TCP connections accepted and given a place.
    pub accepted: u64,
    /// Requests that were not upgraded: pages, rejections, malformed and slow ones, and those for
    /// which a shard had no place.
    pub refused: u64,
    /// Of them, those whose address had as many connections as it may have.
    pub refused_by_address: u64,
    /// Of them, those whose address connected too often.
    pub refused_by_rate: u64,
    /// Connections refused, or closed, because their user had as many as he may have.
    pub refused_by_user: u64,
    /// Connections of trusted proxies that ended because what these said was not understood.
    pub proxy_errors: u64,
    /// Times that a connection had sent more messages or bytes than it may, and was closed or not
    /// read for a while.
    pub over_budget: u64,
    /// Messages that came in.
    pub messages_in: u64,
    /// Bytes that came in, all of them.
    pub bytes_in: u64,
    /// Publications, each counted once.
    pub publishes: u64,
    /// Frames handed to the kernel whole, control frames included.
    pub deliveries: u64,
    /// Bytes handed to the kernel.
    pub bytes_out: u64,
    /// Writes: `deliveries / writes` is how many frames left together.
    pub writes: u64,
    /// Bytes in the outboxes now, by reference: shared frames count once for each socket.
    pub queued_bytes: u64,
    /// Unsent values that a newer one replaced.
    pub conflated: u64,
    /// Frames that a policy discarded.
    pub dropped: u64,
    /// Connections closed because they read too slowly.
    pub slow_closed: u64,
    /// Connections closed because the peer broke the protocol or a limit.
    pub violations: u64,
    /// Calls of the handler that panicked.
    pub handler_panics: u64,
    /// Failures to accept: out of descriptors or memory.
    pub accept_errors: u64,
    /// Of TLS.
    pub tls: TlsStats,
    /// Of the feed.
    pub feed: FeedStats,
    /// Of compression.
    pub compression: CompressionStats,
    /// From publish to the kernel, of the oldest frame in each write, since the last reading.
    pub latency: LatencySummary,
}

/// Handshakes of TLS, since the engine's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsStats {
    /// Those that were done.
    pub handshakes: u64,
    /// Of them, those that resumed an earlier session by its ticket.
    pub resumed: u64,
    /// Those that failed: what came was no TLS, or nothing that both sides speak.
    pub failed: u64,
}

/// Percentiles in nanoseconds, within 6 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencySummary {
    /// Values that the percentiles are of.
    pub count: u64,
    /// Median.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// Largest.
    pub max_ns: u64,
}

const SUB_BITS: u32 = 4;
const SUB: usize = 1 << SUB_BITS;
const BUCKETS: usize = SUB * 40;

/// A log-linear histogram: 16 buckets for each power of two, up to about nine minutes.
pub(crate) struct Histogram([Count; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Count::default()))
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram").finish_non_exhaustive()
    }
}

impl Histogram {
    #[inline]
    pub(crate) fn record(&self, nanos: u64) {
        self.0[bucket(nanos)].add(1);
    }
}

fn bucket(nanos: u64) -> usize {
    let bits = 64 - (nanos | SUB as u64).leading_zeros();
    let shift = bits - SUB_BITS - 1;
    let sub = (nanos >> shift) as usize & (SUB - 1);
    (((shift as usize) + usize::from(nanos >= SUB as u64)) * SUB + sub).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn bucket_max(index: usize) -> u64 {
    let (row, sub) = (index / SUB, (index % SUB) as u64);
    if row == 0 {
        return sub;
    }
    ((SUB as u64 + sub + 1) << (row - 1)) - 1
}

/// Reads all shards, and keeps what the latency was read from so that the next reading starts
/// there.
#[derive(Debug)]
pub(crate) struct Reader {
    seen: Vec<u64>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { seen: vec![0; BUCKETS] }
    }

    pub(crate) fn read<'a>(&mut self, shards: impl Iterator<Item = &'a ShardStats>) -> Stats {
        let mut stats = Stats::default();
        let mut buckets = vec![0_u64; BUCKETS];
        for shard in shards {
            stats.connections += shard.connections.read();
            stats.accepted += shard.accepted.read();
            stats.refused += shard.refused.read();
            stats.refused_by_address += shard.refused_by_address.read();
            stats.refused_by_rate += shard.refused_by_rate.read();
            stats.refused_by_user += shard.refused_by_user.read();
            stats.proxy_errors += shard.proxy_errors.read();
            stats.over_budget += shard.over_budget.read();
            stats.messages_in += shard.messages_in.read();
            stats.bytes_in += shard.bytes_in.read();
            stats.publishes += shard.publishes.read();
            stats.deliveries += shard.deliveries.read();
            stats.bytes_out += shard.bytes_out.read();
            stats.writes += shard.writes.read();
            stats.queued_bytes += shard.queued_bytes.read();
            stats.conflated += shard.conflated.read();
            stats.dropped += shard.dropped.read();
            stats.slow_closed += shard.slow_closed.read();
            stats.violations += shard.violations.read();
            stats.handler_panics += shard.handler_panics.read();
            stats.accept_errors += shard.accept_errors.read();
            stats.tls.handshakes += shard.tls_handshakes.read();
            stats.tls.resumed += shard.tls_resumed.read();
            stats.tls.failed += shard.tls_failed.read();
            shard.feed.add_to(&mut stats.feed);
            shard.compression.add_to(&mut stats.compression);
            for (sum, count) in buckets.iter_mut().zip(&shard.latency.0) {
                *sum += count.read();
            }
        }
        for (sum, seen) in buckets.iter_mut().zip(&mut self.seen) {
            let total = *sum;
            *sum = total.wrapping_sub(*seen);
            *seen = total;
        }
        stats.latency = summarise(&buckets);
        stats
    }
}

fn summarise(buckets: &[u64]) -> LatencySummary {
    let count: u64 = buckets.iter().sum();
    let at = |rank: u64| {
        let mut below = 0;
        for (index, n) in buckets.iter().enumerate() {
            below += n;
            if below >= rank.max(1) {
                return bucket_max(index);
            }
        }
        0
    };
    if count == 0 {
        return LatencySummary::default();
    }
    LatencySummary {
        count,
        p50_ns: at(count.div_ceil(2)),
        p99_ns: at((count * 99).div_ceil(100)),
        max_ns: at(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_its_bucket() {
        for nanos in (0..4_096).chain((12..39).flat_map(|bit| [(1 << bit) - 1, 1 << bit, 3 << bit]))
        {
            let index = bucket(nanos);
            assert!(nanos <= bucket_max(index), "{nanos} is above bucket {index}");
            assert!(index == 0 || nanos > bucket_max(index - 1), "{nanos} is below bucket {index}");
        }
    }

    #[test]
    fn a_reading_starts_where_the_last_one_ended() {
        let shard = ShardStats::default();
        let mut reader = Reader::new();
        (1..=100).for_each(|n| shard.latency.record(n * 1_000));
        let first = reader.read([&shard].into_iter()).latency;
        assert_eq!(first.count, 100);
        assert!((50_000..54_000).contains(&first.p50_ns), "{first:?}");
        assert!((99_000..106_000).contains(&first.p99_ns), "{first:?}");
        assert_eq!(reader.read([&shard].into_iter()).latency, LatencySummary::default());
    }
}
