//! The one place that reads the monotonic clock: the rest is told the time.

use std::time::Instant;

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

    #[inline]
    pub(crate) fn now(self) -> Timestamp {
        let nanos = self.origin.elapsed().as_nanos();
        Timestamp(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
