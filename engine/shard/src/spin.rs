//! Asking the kernel again instead of sleeping, where the next event is near: to fall asleep and to
//! be woken takes longer than most answers of a peer that is awake.

use std::time::Duration;

use crate::config::PollConfig;

/// How long to stay awake in front of a sleep: as long as is configured, where the waits before
/// have been short.
#[derive(Debug)]
pub(crate) struct Spin {
    longest: Duration,
    always: bool,
    /// Short waits of late, at most [`FULL`]; each long one halves it.
    confidence: u32,
}

/// What a sleep and its end take by themselves: a wait that was slept through counts so much less.
const WAKING: Duration = Duration::from_micros(40);

/// From here on it is likely that the next wait is short: nearly all of late were.
const ENOUGH: u32 = 8;
const FULL: u32 = 16;

impl Spin {
    pub(crate) fn new(config: &PollConfig) -> Self {
        let longest = Duration::from_micros(config.spin_us);
        Self { longest, always: config.spin_always, confidence: 0 }
    }

    /// How long to stay awake in the next wait.
    #[inline]
    pub(crate) fn longest(&self) -> Duration {
        if self.always || self.confidence >= ENOUGH { self.longest } else { Duration::ZERO }
    }

    /// Takes note of a wait: how long it was, whether something happened, and whether it was slept
    /// through.
    #[inline]
    pub(crate) fn waited(&mut self, time: Duration, happened: bool, slept: bool) {
        let short = if slept { self.longest + WAKING } else { self.longest };
        if happened && time <= short {
            self.confidence = (self.confidence + 1).min(FULL);
        } else {
            self.confidence /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spin(always: bool) -> Spin {
        Spin::new(&PollConfig { spin_us: 25, spin_always: always })
    }

    fn wait(spin: &mut Spin, count: u32, us: u64, happened: bool) {
        for _ in 0..count {
            let slept = spin.longest().is_zero();
            spin.waited(Duration::from_micros(us), happened, slept);
        }
    }

    #[test]
    fn it_stays_awake_where_waits_are_short_and_sleeps_where_they_are_not() {
        let mut spin = spin(false);
        assert_eq!(spin.longest(), Duration::ZERO);
        wait(&mut spin, ENOUGH, 60, true);
        wait(&mut spin, 100, 15, true);
        assert_eq!(spin.longest(), Duration::from_micros(25), "short, but for the waking");
        wait(&mut spin, 2, 2_000, true);
        assert_eq!(spin.longest(), Duration::ZERO);
    }

    #[test]
    fn a_few_short_waits_among_long_ones_keep_nobody_awake() {
        let mut spin = spin(false);
        for _ in 0..100 {
            wait(&mut spin, 5, 10, true);
            wait(&mut spin, 1, 5_000, true);
            assert_eq!(spin.longest(), Duration::ZERO);
        }
        wait(&mut spin, 100, 10, false);
        assert_eq!(spin.longest(), Duration::ZERO, "a timer is no answer");
    }

    #[test]
    fn asked_for_always_it_is_always_awake() {
        let mut spin = spin(true);
        wait(&mut spin, 10, 5_000, true);
        assert_eq!(spin.longest(), Duration::from_micros(25));
    }
}
