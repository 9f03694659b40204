//! When to come back: after a pause that doubles, with a random part, so that not all clients come
//! at once.

use super::limits::{PAUSE_MAX, PAUSE_MIN};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// Pauses between attempts.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    /// The longest next pause.
    bound: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { bound: PAUSE_MIN }
    }

    /// The next pause: anything up to a bound that doubles each time, but half of the first one at
    /// least.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let pause = (PAUSE_MIN / 2).max(self.bound.mul_f64(random));
        self.bound = (self.bound * 2).min(PAUSE_MAX);
        pause
    }

    /// The connection was a good one.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

/// A random part of the time between two numbers of milliseconds.
pub(crate) fn within([from, to]: [u32; 2], random: f64) -> Duration {
    let spread = to.saturating_sub(from);
    Duration::from_millis(from.into()) + Duration::from_millis(spread.into()).mul_f64(random)
}

/// A random number from 0 to 1. The hasher's seed comes from the system; nothing here needs better
/// ones.
pub(crate) fn random() -> f64 {
    (RandomState::new().hash_one(0) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..10).map(|_| backoff.next(1.0)).collect();
        assert_eq!(pauses[..3], [PAUSE_MIN, PAUSE_MIN * 2, PAUSE_MIN * 4]);
        assert_eq!(pauses[9], PAUSE_MAX);
        assert_eq!(backoff.next(0.0), PAUSE_MIN / 2, "never at once");
        backoff.reset();
        assert_eq!(backoff.next(1.0), PAUSE_MIN);
    }

    #[test]
    fn random_parts_spread() {
        let numbers: Vec<_> = (0..1_000).map(|_| random()).collect();
        let mean = numbers.iter().sum::<f64>() / 1_000.0;
        assert!((mean - 0.5).abs() < 0.1, "{mean}");
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        assert_eq!(within([100, 300], 0.5), Duration::from_millis(200));
        assert_eq!(within([300, 100], 0.5), Duration::from_millis(300));
    }
}
