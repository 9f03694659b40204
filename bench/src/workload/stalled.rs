//! W4: what stalled readers cost the healthy ones: rounds with and without them, in turn.

use eyre::{Result, ensure};

use crate::load::{self, Shape, Slow};
use crate::measure::median;
use crate::outcome::Outcome;
use crate::servers::Site;

/// The load, and who stalls.
#[derive(Debug, Clone)]
pub struct Params {
    /// The load of the healthy readers, the same in every round.
    pub shape: Shape,
    /// Share of all subscribers that never read, above 0 and below 1: they come beside the healthy
    /// ones, whose number stays.
    pub stalled_share: f64,
    /// Rounds of each kind.
    pub rounds: usize,
}

/// Runs the rounds. The outcome is that of the stalled round with the middle p99.9; `extra` has
/// `ns_p999_none_stalled` and `ns_p999_stalled`, medians over the rounds, `p999_ratio`, the median
/// of what each round with stalled readers is to its neighbour without, and `stalled_connections`.
///
/// # Errors
/// As [`load::run`].
pub fn run(site: &Site, params: &Params) -> Result<Outcome> {
    let Params { shape, stalled_share, rounds } = params;
    ensure!(
        (0.0..1.0).contains(stalled_share) && *stalled_share > 0.0,
        "a share is between 0 and 1"
    );
    ensure!(*rounds > 0, "there is at least one round");
    let all = shape.subscribers as f64 / (1.0 - stalled_share);
    let stalled = ((all * stalled_share).round() as usize).max(1);
    let with = Shape { slow: Slow { stalled, ..shape.slow }, ..shape.clone() };
    let without = Shape { slow: Slow { stalled: 0, ..shape.slow }, ..shape.clone() };
    let (mut healthy, mut harmed) = (Vec::new(), Vec::new());
    for round in 0..*rounds {
        eprintln!("round {} of {rounds}: none and {stalled} stalled", round + 1);
        // The order changes each time, so that drift does not favour one of them.
        if round % 2 == 0 {
            healthy.push(load::run(site, &without)?);
            harmed.push(load::run(site, &with)?);
        } else {
            harmed.push(load::run(site, &with)?);
            healthy.push(load::run(site, &without)?);
        }
    }
    let p999 = |outcomes: &[Outcome]| {
        Vec::from_iter(outcomes.iter().map(|outcome| outcome.latency.ns_p999 as f64))
    };
    let (healthy, with_stalled) = (p999(&healthy), p999(&harmed));
    let ratios = with_stalled.iter().zip(&healthy).map(|(with, without)| with / without.max(1.0));
    let ratio = median(&Vec::from_iter(ratios));
    harmed.sort_by_key(|outcome| outcome.latency.ns_p999);
    let mut outcome = harmed.swap_remove(harmed.len() / 2);
    outcome.workload = format!("stalled {with}");
    for (name, value) in [
        ("ns_p999_none_stalled", median(&healthy)),
        ("ns_p999_stalled", median(&with_stalled)),
        ("p999_ratio", ratio),
        ("stalled_connections", stalled as f64),
    ] {
        outcome.extra.insert(name.to_owned(), value);
    }
    Ok(outcome)
}
