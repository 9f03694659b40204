//! Random numbers from a seed: the same market on every machine and with every version of every
//! dependency, which general-purpose generators do not promise.

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and good enough for prices.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own, for another part of the market.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.bits())
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponential with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }

    /// Normal with mean 0 and standard deviation 1 (Box and Muller; the second value is not kept).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Pareto with the given tail exponent: 1 or more, most of the time little more.
    pub(crate) fn pareto(&mut self, exponent: f64) -> f64 {
        (1.0 - self.uniform()).powf(-1.0 / exponent)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_sequence_comes_out() {
        // The first values of the reference implementation for seed 1234567.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.bits(), 6_457_827_717_110_365_317);
        assert_eq!(random.bits(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = Random::new(7);
        let n = 200_000;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let uniform: Vec<_> = (0..n).map(|_| random.uniform()).collect();
        assert!((mean(&uniform) - 0.5).abs() < 0.01);
        assert!(uniform.iter().all(|u| (0.0..1.0).contains(u)));
        let exponential: Vec<_> = (0..n).map(|_| random.exponential()).collect();
        assert!((mean(&exponential) - 1.0).abs() < 0.01);
        let normal: Vec<_> = (0..n).map(|_| random.normal()).collect();
        assert!(mean(&normal).abs() < 0.01);
        let squares: Vec<_> = normal.iter().map(|z| z * z).collect();
        assert!((mean(&squares) - 1.0).abs() < 0.02);
        let pareto: Vec<_> = (0..n).map(|_| random.pareto(3.0)).collect();
        assert!((mean(&pareto) - 1.5).abs() < 0.05);
    }
}
