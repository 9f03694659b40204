//! When messages come: a self-exciting (Hawkes) process, because a market's messages beget
//! messages.
//!
//! Every message raises the rate for a moment, with a fast and a slow decay; now and then a shock
//! (news, a large order) raises it by a heavy-tailed amount. Simulated exactly by thinning (Ogata
//! 1981): between messages the rate only falls, so that its value now bounds it.
//!
//! The constants were fitted to a recording of six instruments over 346 s: the busiest second had
//! 6.0 times the mean, the busiest 100 ms 20.7 times.

use super::random::Random;

/// Messages that one message begets through the fast decay, on average.
const FAST_BRANCHING: f64 = 0.35;
/// Messages that one message begets through the slow decay, on average.
const SLOW_BRANCHING: f64 = 0.25;
/// Time constant of the fast decay, in seconds.
const FAST_DECAY: f64 = 0.030;
/// Time constant of the slow decay, in seconds.
const SLOW_DECAY: f64 = 0.900;
/// Shocks in a second.
const SHOCK_RATE: f64 = 0.2;
/// A shock begets at least so many messages, as seconds of the mean rate.
const SHOCK_SIZE_MIN: f64 = 0.1;
/// ... and at most so many: there is no shock that the recording has not seen.
const SHOCK_SIZE_MAX: f64 = 3.3;
/// Tail exponent of the shocks' sizes.
const SHOCK_EXPONENT: f64 = 1.1;
/// The share of a shock that decays fast.
const SHOCK_FAST_SHARE: f64 = 0.45;

/// An endless sequence of waiting times.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    random: Random,
    mean_rate: f64,
    base: f64,
    fast: f64,
    slow: f64,
    until_shock: f64,
}

impl Arrivals {
    /// A process with `mean_rate` messages a second in the long run.
    pub(crate) fn new(mean_rate: f64, mut random: Random) -> Self {
        let until_shock = random.exponential() / SHOCK_RATE;
        let branching = FAST_BRANCHING + SLOW_BRANCHING;
        // Mean = (base + shocks) / (1 - branching): what is left for the base.
        let base = mean_rate * (1.0 - branching - SHOCK_RATE * shock_size_mean());
        // Begin in the long-run state, not with a quiet minute.
        let fast = mean_rate * FAST_BRANCHING;
        let slow = mean_rate * SLOW_BRANCHING;
        Self { random, mean_rate, base, fast, slow, until_shock }
    }

    /// Seconds to the next message.
    pub(crate) fn next(&mut self) -> f64 {
        let mut waited = 0.0;
        loop {
            let bound = self.rate();
            let wait = self.random.exponential() / bound;
            if wait >= self.until_shock {
                waited += self.until_shock;
                self.decay(self.until_shock);
                self.shock();
                continue;
            }
            waited += wait;
            self.until_shock -= wait;
            self.decay(wait);
            if self.random.uniform() * bound <= self.rate() {
                self.fast += FAST_BRANCHING / FAST_DECAY;
                self.slow += SLOW_BRANCHING / SLOW_DECAY;
                return waited;
            }
        }
    }

    /// How many times as busy as on average it is now.
    pub(crate) fn activity(&self) -> f64 {
        self.rate() / self.mean_rate
    }

    fn rate(&self) -> f64 {
        self.base + self.fast + self.slow
    }

    fn decay(&mut self, seconds: f64) {
        self.fast *= (-seconds / FAST_DECAY).exp();
        self.slow *= (-seconds / SLOW_DECAY).exp();
    }

    fn shock(&mut self) {
        let size = SHOCK_SIZE_MIN * self.random.pareto(SHOCK_EXPONENT);
        let messages = size.min(SHOCK_SIZE_MAX) * self.mean_rate;
        self.fast += messages * SHOCK_FAST_SHARE / FAST_DECAY;
        self.slow += messages * (1.0 - SHOCK_FAST_SHARE) / SLOW_DECAY;
        self.until_shock = self.random.exponential() / SHOCK_RATE;
    }
}

/// Mean of a Pareto value that is cut off at the maximum.
fn shock_size_mean() -> f64 {
    let (a, low, high) = (SHOCK_EXPONENT, SHOCK_SIZE_MIN, SHOCK_SIZE_MAX);
    let tail = (low / high).powf(a);
    let below = a * low / (a - 1.0) * (1.0 - (low / high).powf(a - 1.0));
    below + high * tail
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean rate, and the busiest window of `window` seconds as a multiple of it.
    fn bursts(rate: f64, seed: u64, seconds: f64) -> (f64, f64, f64) {
        let mut arrivals = Arrivals::new(rate, Random::new(seed));
        let mut times = Vec::new();
        let mut now = 0.0;
        while now < seconds {
            now += arrivals.next();
            times.push(now);
        }
        let mean = times.len() as f64 / seconds;
        let busiest = |window: f64| {
            let mut counts = vec![0_u32; (seconds / window) as usize + 2];
            for time in &times {
                counts[(time / window) as usize] += 1;
            }
            f64::from(counts.into_iter().max().unwrap_or(0)) / window / mean
        };
        (mean, busiest(1.0), busiest(0.1))
    }

    #[test]
    fn bursts_are_as_strong_as_recorded_ones() {
        let (mut seconds, mut tenths) = (0.0, 0.0);
        for seed in 1..=8 {
            let (mean, second, tenth) = bursts(960.0, seed, 346.0);
            println!("seed {seed}: mean {mean:.0}/s, 1 s x{second:.1}, 100 ms x{tenth:.1}");
            assert!((860.0..1060.0).contains(&mean), "seed {seed}: mean {mean}");
            assert!((3.0..9.0).contains(&second), "seed {seed}: 1 s x{second}");
            assert!((13.0..29.0).contains(&tenth), "seed {seed}: 100 ms x{tenth}");
            seconds += second / 8.0;
            tenths += tenth / 8.0;
        }
        // The recording: x6.0 and x20.7.
        assert!((4.5..7.5).contains(&seconds), "1 s x{seconds} on average");
        assert!((17.0..25.0).contains(&tenths), "100 ms x{tenths} on average");
    }

    #[test]
    fn bursts_scale_with_the_rate() {
        let (mean, second, tenth) = bursts(20_000.0, 3, 60.0);
        assert!((16_000.0..24_000.0).contains(&mean), "mean {mean}");
        assert!((2.0..9.0).contains(&second) && (6.0..29.0).contains(&tenth), "{second} {tenth}");
    }

    #[test]
    fn a_seed_gives_the_same_sequence_again() {
        let sequence = |seed| {
            let mut arrivals = Arrivals::new(1_000.0, Random::new(seed));
            (0..1_000).map(|_| arrivals.next().to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(sequence(5), sequence(5));
        assert_ne!(sequence(5), sequence(6));
    }
}
