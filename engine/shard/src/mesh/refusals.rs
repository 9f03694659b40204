//! Says now and then that updates of batches were refused: who gives many at once may not look at
//! each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use corecast_hub::Timestamp;
use corecast_hub::home::UpdateError;

/// When the last refusal was logged, and how many have not been since. One for an engine.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    next_at: AtomicU64,
    untold: AtomicU64,
}

/// Between two lines of the log.
const LOG_EVERY: Duration = Duration::from_secs(1);

impl Refusals {
    /// An update was refused.
    pub(crate) fn note(&self, now: Timestamp, topic: &str, error: &UpdateError) {
        if let Some(untold) = self.turn(now) {
            tracing::warn!(?topic, %error, untold, "an update of a batch was refused");
        }
    }

    /// How many were not told before this one, if it is to be.
    fn turn(&self, now: Timestamp) -> Option<u64> {
        let next_at = self.next_at.load(Ordering::Relaxed);
        let next = now.after(LOG_EVERY).0;
        let is_due = now.0 >= next_at
            && self
                .next_at
                .compare_exchange(next_at, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !is_due {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.untold.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_second_is_told_with_the_number_of_the_others() {
        let refusals = Refusals::default();
        let turn = |ms: u64| refusals.turn(Timestamp(ms * 1_000_000));
        assert_eq!(turn(5), Some(0), "the first at once");
        assert_eq!((turn(5), turn(1_004)), (None, None));
        assert_eq!(turn(1_005), Some(2));
        assert_eq!(turn(9_000), Some(0));
    }
}
