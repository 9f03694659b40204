//! The names of things inside one hub: instants, connections, topics.

use core::fmt;
use core::time::Duration;

/// An instant in nanoseconds of a monotonic clock whose zero the caller chooses.
///
/// The hub never reads a clock. It takes the largest instant it was ever given as the present,
/// so a caller that goes back in time does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time from `earlier` to this instant, zero when `earlier` is later.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant and `duration` more, at most the end of time.
    #[inline]
    #[must_use]
    pub const fn after(self, duration: Duration) -> Self {
        let nanos = duration.as_nanos();
        let nanos = if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 };
        Self(self.0.saturating_add(nanos))
    }

    /// Milliseconds, wrapping after 49 days: enough to compare ages of a few days.
    #[inline]
    pub(crate) const fn wrapping_millis(self) -> u32 {
        (self.0 / 1_000_000) as u32
    }
}

/// One connection of one hub. The index is reused after a disconnect, the generation is not,
/// so that a late event for a connection that is gone is recognised and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// Place among the connections: dense, reused.
    pub index: u32,
    /// How often this place was reused.
    pub generation: u32,
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}v{}", self.index, self.generation)
    }
}

/// One topic of one hub, as long as it has subscribers. Reused after the last one left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub(crate) u32);

impl TopicId {
    /// No topic: what an entry belongs to that was sent to one connection, or whose
    /// subscription has ended.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// Place among the topics: dense, reused.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_saturates_at_both_ends() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(9).since(Timestamp(5)), Duration::from_nanos(4));
        assert_eq!(Timestamp(u64::MAX - 1).after(Duration::from_secs(1)), Timestamp(u64::MAX));
        assert_eq!(Timestamp(1).after(Duration::MAX), Timestamp(u64::MAX));
    }
}
