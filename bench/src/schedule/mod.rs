//! When messages are due. Pure: a schedule gives offsets from its start, the same for one seed.

mod pace;
mod recorded;

use std::sync::Arc;

use eyre::{Result, ensure};

use crate::random::SplitMix64;
pub use pace::{Pace, WINDOW_MAX};
pub use recorded::{GAPS_MAX, gaps};

/// An open loop: messages are due at their moments, whatever the server does.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// One message each `1 / rate` seconds.
    Constant {
        /// Messages a second.
        rate: f64,
    },
    /// Independent messages: the time between two is distributed exponentially.
    Poisson {
        /// Messages a second, in the mean.
        rate: f64,
    },
    /// Messages in bursts that are due at one moment, `burst / rate` seconds apart.
    Bursty {
        /// Messages a second, in the mean.
        rate: f64,
        /// Messages of one burst.
        burst: u32,
    },
    /// The times between messages of a recording, over and over.
    Recorded {
        /// Nanoseconds from each message to the next; the last one leads to the first again.
        gaps_ns: Arc<[u64]>,
        /// How many times faster than it was recorded.
        speed: f64,
    },
}

impl Schedule {
    /// # Errors
    /// When a rate or speed is not above 0, a burst or recording is empty, or the mean rate is
    /// above [`RATE_MAX`].
    pub fn check(&self) -> Result<()> {
        let positive = match self {
            Self::Constant { rate } | Self::Poisson { rate } => *rate,
            Self::Bursty { rate, burst } => {
                ensure!(*burst > 0, "a burst has at least one message");
                *rate
            }
            Self::Recorded { gaps_ns, speed } => {
                let total: u64 = gaps_ns.iter().sum();
                ensure!(total > 0, "the recording has no two moments to repeat");
                *speed
            }
        };
        ensure!(positive.is_finite() && positive > 0.0, "a rate or speed is above 0");
        let rate = self.rate();
        ensure!(rate <= RATE_MAX, "{rate:.0} messages a second are more than {RATE_MAX:.0}");
        Ok(())
    }

    /// Messages a second, in the mean.
    #[must_use]
    pub fn rate(&self) -> f64 {
        match self {
            Self::Constant { rate } | Self::Poisson { rate } | Self::Bursty { rate, .. } => *rate,
            Self::Recorded { gaps_ns, speed } => {
                let total: u64 = gaps_ns.iter().sum();
                gaps_ns.len() as f64 * speed * 1e9 / total as f64
            }
        }
    }

    /// The moments at which messages are due.
    #[must_use]
    pub fn moments(&self, seed: u64) -> Moments {
        let random = SplitMix64::new(seed);
        Moments { schedule: self.clone(), random, number: 0, at_ns: 0.0 }
    }
}

/// Nanoseconds from the schedule's start to each message; never falling, never ending.
#[derive(Debug, Clone)]
pub struct Moments {
    schedule: Schedule,
    random: SplitMix64,
    number: u64,
    /// Where moments depend on the ones before: exact to less than a nanosecond for months.
    at_ns: f64,
}

impl Iterator for Moments {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let number = self.number;
        self.number += 1;
        let at_ns = match &self.schedule {
            Schedule::Constant { rate } => number as f64 * 1e9 / rate,
            Schedule::Bursty { rate, burst } => {
                let burst = u64::from(*burst);
                (number / burst * burst) as f64 * 1e9 / rate
            }
            Schedule::Poisson { rate } => {
                self.at_ns -= self.random.next_unit().ln() * 1e9 / rate;
                self.at_ns
            }
            Schedule::Recorded { gaps_ns, speed } => {
                let due_ns = self.at_ns;
                let gap_ns = gaps_ns[(number % gaps_ns.len() as u64) as usize];
                self.at_ns += gap_ns as f64 / speed;
                due_ns
            }
        };
        Some(at_ns as u64)
    }
}

/// Messages a second that a schedule may have: more than one core can send.
pub const RATE_MAX: f64 = 10e6;

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(schedule: &Schedule, seed: u64, count: usize) -> Vec<u64> {
        schedule.check().unwrap();
        Vec::from_iter(schedule.moments(seed).take(count))
    }

    #[test]
    fn a_constant_schedule_does_not_drift() {
        let offsets = offsets(&Schedule::Constant { rate: 3.0 }, 0, 3_000_001);
        assert_eq!(offsets[..3], [0, 333_333_333, 666_666_666]);
        assert_eq!(offsets[3_000_000], 1_000_000 * 1_000_000_000);
    }

    #[test]
    fn a_burst_is_due_at_one_moment() {
        let offsets = offsets(&Schedule::Bursty { rate: 10.0, burst: 2 }, 0, 5);
        assert_eq!(offsets, [0, 0, 200_000_000, 200_000_000, 400_000_000]);
    }

    #[test]
    fn poisson_has_its_mean_its_spread_and_its_seed() {
        let schedule = Schedule::Poisson { rate: 1_000.0 };
        let one = offsets(&schedule, 42, 100_000);
        assert!(one.is_sorted());
        let gaps = Vec::from_iter(one.windows(2).map(|pair| (pair[1] - pair[0]) as f64));
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean / 1e6 - 1.0).abs() < 0.02, "{mean}");
        // An exponential distribution deviates by its mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.03, "{variance}");
        assert_eq!(one, offsets(&schedule, 42, 100_000));
        assert_ne!(one, offsets(&schedule, 43, 100_000));
    }

    #[test]
    fn a_recording_repeats_at_its_speed() {
        let gaps_ns = Arc::from([1_000, 3_000]);
        let schedule = Schedule::Recorded { gaps_ns, speed: 2.0 };
        assert_eq!(offsets(&schedule, 0, 5), [0, 500, 2_000, 2_500, 4_000]);
        assert_eq!(schedule.rate(), 1e6);
    }

    #[test]
    fn schedules_that_cannot_be_kept_are_refused() {
        for wrong in [
            Schedule::Constant { rate: 0.0 },
            Schedule::Constant { rate: f64::NAN },
            Schedule::Poisson { rate: 1e9 },
            Schedule::Bursty { rate: 1.0, burst: 0 },
            Schedule::Recorded { gaps_ns: Arc::from([]), speed: 1.0 },
            Schedule::Recorded { gaps_ns: Arc::from([0, 0]), speed: 1.0 },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
