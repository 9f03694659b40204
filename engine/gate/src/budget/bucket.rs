//! A token bucket in whole numbers: so many in a second on average, so many at once.

/// Parts of a token: a nanosecond earns a whole number of them at any rate.
const PARTS: u64 = 1_000_000_000;

/// How often something may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    per_second: u32,
    burst: u32,
}

/// What was spent of one bucket, and when. A new one is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// In parts of a token. Zero: the bucket is full.
    pub(super) spent: u64,
    /// When that was so, in nanoseconds.
    pub(super) at: u64,
}

impl Rate {
    /// `per_second` on average, `burst` at once, which is at least 1. A rate of 0 is no bound.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst: if burst == 0 { 1 } else { burst } }
    }

    /// So many in a second on average; 0: any number.
    #[must_use]
    pub const fn per_second(&self) -> u32 {
        self.per_second
    }

    /// So many at once.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// Whether there is a bound at all.
    #[must_use]
    pub const fn is_bounded(&self) -> bool {
        self.per_second > 0
    }

    /// Takes `count` tokens, all or none.
    ///
    /// # Errors
    /// Where there are not so many: the nanoseconds until there are. More than the burst there
    /// never are.
    #[inline]
    pub fn take(&self, level: &mut Level, count: u64, now_ns: u64) -> Result<(), u64> {
        if !self.is_bounded() {
            return Ok(());
        }
        self.refresh(level, now_ns);
        let spent = level.spent.saturating_add(count.saturating_mul(PARTS));
        match self.excess_ns(spent) {
            0 => {
                level.spent = spent;
                Ok(())
            }
            wait_ns => Err(wait_ns),
        }
    }

    /// Whether nothing is left of what was spent: such a bucket need not be remembered.
    #[must_use]
    pub fn is_full(&self, level: &Level, now_ns: u64) -> bool {
        level.spent <= self.earned(now_ns.saturating_sub(level.at)) || !self.is_bounded()
    }

    /// Parts that are earned in so many nanoseconds.
    #[inline]
    pub(super) const fn earned(&self, elapsed_ns: u64) -> u64 {
        elapsed_ns.saturating_mul(self.per_second as u64)
    }

    /// Adds to what was spent, whatever there is. Gives the nanoseconds until the bucket has made
    /// up for it; 0 where it had enough.
    #[inline]
    pub(super) fn spend(&self, spent: &mut u64, count: u64) -> u64 {
        if !self.is_bounded() {
            return 0;
        }
        *spent = spent.saturating_add(count.saturating_mul(PARTS));
        self.excess_ns(*spent)
    }

    #[inline]
    fn refresh(&self, level: &mut Level, now_ns: u64) {
        level.spent = level.spent.saturating_sub(self.earned(now_ns.saturating_sub(level.at)));
        // A caller that goes back in time earns nothing twice.
        level.at = level.at.max(now_ns);
    }

    /// Nanoseconds until no more than the burst is spent.
    #[inline]
    fn excess_ns(&self, spent: u64) -> u64 {
        let excess = spent.saturating_sub(u64::from(self.burst) * PARTS);
        excess.div_ceil(u64::from(self.per_second.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn taken(rate: Rate, level: &mut Level, now_ns: u64, tries: u32) -> u32 {
        (0..tries).map(|_| u32::from(rate.take(level, 1, now_ns).is_ok())).sum()
    }

    #[test]
    fn a_burst_is_taken_at_once_and_the_rest_at_its_rate() {
        // The example of the documents: 50 in 10 s.
        let rate = Rate::new(5, 50);
        let mut level = Level::default();
        assert_eq!(taken(rate, &mut level, 0, 100), 50);
        assert_eq!(rate.take(&mut level, 1, 0), Err(SECOND / 5));
        assert_eq!(taken(rate, &mut level, SECOND, 100), 5);
        assert_eq!(taken(rate, &mut level, 3_600 * SECOND, 100), 50, "silence earns a burst");
    }

    #[test]
    fn no_rate_drifts_over_days() {
        // Three in a second do not divide one: whoever rounds loses a token each few hours.
        let rate = Rate::new(3, 2);
        let (mut level, mut count) = (Level::default(), 0_u64);
        let mut now = 0;
        while count < 1_000_000 {
            match rate.take(&mut level, 1, now) {
                Ok(()) => count += 1,
                Err(wait_ns) => now += wait_ns,
            }
        }
        // The first two are free; each wait ends on the nanosecond at which the token is there.
        let exact = 999_998 * SECOND / 3;
        assert!(now.abs_diff(exact) <= 1, "{now} instead of {exact}");
    }

    #[test]
    fn a_refusal_spends_nothing_and_names_its_end() {
        let rate = Rate::new(10, 5);
        let mut level = Level::default();
        assert_eq!(rate.take(&mut level, 6, 0), Err(SECOND / 10));
        assert_eq!(rate.take(&mut level, 5, 0), Ok(()));
        let wait = rate.take(&mut level, 2, 0).expect_err("empty");
        assert_eq!(rate.take(&mut level, 2, wait - 1), Err(1));
        assert_eq!(rate.take(&mut level, 2, wait), Ok(()));
    }

    #[test]
    fn going_back_in_time_earns_nothing_twice() {
        let rate = Rate::new(1, 1);
        let mut level = Level::default();
        assert!(rate.take(&mut level, 1, 10 * SECOND).is_ok());
        assert!(rate.take(&mut level, 1, 0).is_err());
        assert!(rate.take(&mut level, 1, 10 * SECOND + 1).is_err());
        assert!(rate.is_full(&level, 11 * SECOND) && !rate.is_full(&level, 11 * SECOND - 1));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let rate = Rate::new(u32::MAX, u32::MAX);
        let mut level = Level::default();
        assert!(rate.take(&mut level, u64::from(u32::MAX), 0).is_ok());
        assert!(rate.take(&mut level, u64::MAX, u64::MAX).is_err());
        assert!(rate.is_full(&level, u64::MAX));
        let none = Rate::new(0, 0);
        assert_eq!(taken(none, &mut level, 0, 1_000), 1_000);
    }
}
