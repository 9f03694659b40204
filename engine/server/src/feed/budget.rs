//! How often something may happen: so many in a period, and so many at once.

use corecast::Timestamp;

/// The bound: a leaky bucket. One for all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Nanoseconds in which one is earned. 0: there is no bound.
    each_ns: u64,
    /// How far ahead of its time a connection may be.
    ahead_ns: u64,
}

/// What a connection has used up: the instant at which it will have earned all that it spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent(u64);

impl Budget {
    /// `count` in `period_ns` on average, `burst` at once. A count of 0 is no bound.
    pub(crate) fn new(count: u32, period_ns: u64, burst: u32) -> Self {
        let each_ns = period_ns.checked_div(u64::from(count)).unwrap_or(0);
        Self { each_ns, ahead_ns: each_ns.saturating_mul(u64::from(burst)) }
    }

    /// At most `count` at once, and as many again in the course of `period_ns`. A count of 0 allows
    /// none.
    pub(crate) fn strict(count: u32, period_ns: u64) -> Self {
        let each_ns = period_ns / u64::from(count.max(1));
        Self { each_ns, ahead_ns: each_ns.saturating_mul(u64::from(count)) }
    }

    /// Spends one. False: there is none left, and nothing was spent.
    pub(crate) fn spend(&self, spent: &mut Spent, now: Timestamp) -> bool {
        let earned_at = spent.0.max(now.0).saturating_add(self.each_ns);
        if earned_at - now.0 > self.ahead_ns {
            return self.each_ns == 0;
        }
        spent.0 = earned_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn taken(budget: Budget, spent: &mut Spent, at: u64, tries: u32) -> u32 {
        (0..tries).map(|_| u32::from(budget.spend(spent, Timestamp(at)))).sum()
    }

    #[test]
    fn a_burst_is_taken_at_once_and_the_rest_at_its_rate() {
        let budget = Budget::new(10, SECOND, 5);
        let mut spent = Spent::default();
        assert_eq!(taken(budget, &mut spent, 3 * SECOND, 20), 5);
        assert_eq!(taken(budget, &mut spent, 3 * SECOND + SECOND / 10, 20), 1);
        assert_eq!(taken(budget, &mut spent, 4 * SECOND, 20), 5, "silence earns a burst at most");
        assert_eq!(taken(budget, &mut spent, 100 * SECOND, 20), 5);
    }

    #[test]
    fn no_count_is_no_bound_or_none_at_all() {
        let mut spent = Spent::default();
        assert_eq!(taken(Budget::new(0, SECOND, 0), &mut spent, 0, 1_000), 1_000);
        assert_eq!(taken(Budget::strict(0, SECOND), &mut spent, 5, 10), 0);
        assert_eq!(taken(Budget::strict(3, 60 * SECOND), &mut spent, 5, 10), 3);
        assert_eq!(taken(Budget::strict(3, 60 * SECOND), &mut spent, 5 + 20 * SECOND, 10), 1);
    }
}
