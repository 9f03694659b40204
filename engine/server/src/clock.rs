//! The one place of the program that reads clocks and sleeps. Nothing here runs on a shard.

#![expect(clippy::disallowed_methods, reason = "the program's own threads, not a shard's")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock, in nanoseconds since 1970. Only for what clients compare with their own clock.
pub(crate) fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The wall clock, in seconds since 1970. Only for the ends that tokens name.
pub(crate) fn wall_s() -> i64 {
    i64::try_from(wall_ns() / 1_000_000_000).unwrap_or(i64::MAX)
}

/// Stops the calling thread for `time`.
pub(crate) fn sleep(time: Duration) {
    std::thread::sleep(time);
}
