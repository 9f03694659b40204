//! The one place that reads the clocks: the rest is told the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use corecast_hub::Timestamp;

/// Nanoseconds since the engine's start, the same count on all its shards and publishers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that others are told by")]
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// A clock that says `now` now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that others are told by")]
    pub(crate) fn going_on(now: Timestamp) -> Self {
        let current = Instant::now();
        Self { origin: current.checked_sub(Duration::from_nanos(now.0)).unwrap_or(current) }
    }

    #[inline]
    pub(crate) fn now(self) -> Timestamp {
        let nanos = self.origin.elapsed().as_nanos();
        Timestamp(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The wall clock in nanoseconds since 1970: what people and clients are told. The one thing
    /// that is decided by it is when something ends that others have dated by it.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that others are told by")]
    pub(crate) fn wall_ns(self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall_ns = since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
        #[cfg(feature = "fault-injection")]
        let wall_ns = wall_ns + WALL_SET_BY_NS.load(std::sync::atomic::Ordering::SeqCst);
        wall_ns
    }
}

/// By how much somebody has set the wall clock of this process, for tests.
#[cfg(feature = "fault-injection")]
pub(crate) static WALL_SET_BY_NS: std::sync::atomic::AtomicI64 =
    std::sync::atomic::AtomicI64::new(0);
