//! Random runs that come again: each prints its seed, `CORECAST_SEED=n` replays it, and
//! `CORECAST_CASES=n` sets how many cases there are.

use std::hash::{BuildHasher, RandomState};

use proptest::test_runner::{Config, RngSeed};

/// The seed of this run, and how proptest is to go on with it.
pub(crate) fn config(cases: u32) -> (u64, Config) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("CORECAST_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("replay with CORECAST_SEED={seed}");
    let config = Config {
        cases: number("CORECAST_CASES").map_or(cases, |cases| cases as u32),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    (seed, config)
}
