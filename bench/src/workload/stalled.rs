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

/// The names of figures in [`Outcome::extra`].
pub mod extra {
    /// The median, over the rounds, of p99.9 with stalled readers over that without.
    pub const RATIO: &str = "p999_ratio";
    /// p99.9 of the healthy readers without stalled ones, in nanoseconds: the median of the rounds.
    pub const NS_NONE_STALLED: &str = "ns_p999_none_stalled";
    /// The same beside stalled ones.
    pub const NS_STALLED: &str = "ns_p999_stalled";
    /// Readers that stalled.
    pub const STALLED: &str = "stalled_connections";
    /// What healthy readers lacked, over all rounds of both kinds: deliveries that were missing,
    /// came twice, out of order or wrong.
    pub const LOST: &str = "healthy_lost";
    /// Healthy readers whose connections ended, over all rounds.
    pub const ENDED: &str = "healthy_ended";
    /// Messages that were due and not sent, as the server did not read, over all rounds.
    pub const HELD_BACK: &str = "held_back_in_all_rounds";
    /// Rounds in which the load client was the bottleneck.
    pub const CLIENT_BOUND: &str = "client_bound_rounds";
}

/// A steady load (W0) beside stalled readers, all rounds on one server; see [`alternate`].
///
/// # Errors
/// As [`load::run`].
pub fn run(site: &Site, params: &Params) -> Result<Outcome> {
    let Params { shape, stalled_share, rounds } = params;
    let stalled = beside(shape.subscribers, *stalled_share)?;
    let with = Shape { slow: Slow { stalled, ..shape.slow }, ..shape.clone() };
    let without = Shape { slow: Slow { stalled: 0, ..shape.slow }, ..shape.clone() };
    alternate(*rounds, stalled, &P999S, &mut |is_beside| {
        load::run(site, if is_beside { &with } else { &without })
    })
}

/// So many stalled readers beside the healthy ones are this share of all.
///
/// # Errors
/// When the share is not between 0 and 1.
pub fn beside(healthy: usize, share: f64) -> Result<usize> {
    ensure!((0.0..1.0).contains(&share) && share > 0.0, "a share is between 0 and 1");
    let all = healthy as f64 / (1.0 - share);
    Ok(((all * share).round() as usize).max(1))
}

/// A figure at 99.9 %, in nanoseconds, that stalled readers must not make worse.
pub type P999 = fn(&Outcome) -> f64;

const P999S: [P999; 1] = [|outcome| outcome.latency.ns_p999 as f64];

/// Measures rounds without and with `stalled` readers, in turn: `measure` is told which. The
/// outcome is that of the stalled round with the middle p99.9; [`extra`] says what else is known.
/// Of several figures the one counts that stalled readers made worst.
///
/// # Errors
/// Those of `measure`.
pub fn alternate(
    rounds: usize,
    stalled: usize,
    figures: &[P999],
    measure: &mut dyn FnMut(bool) -> Result<Outcome>,
) -> Result<Outcome> {
    ensure!(rounds > 0, "there is at least one round");
    let (mut healthy, mut harmed) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // The order changes each time, so that drift does not favour one of them.
        for is_beside in if round % 2 == 0 { [false, true] } else { [true, false] } {
            let beside = if is_beside { stalled } else { 0 };
            eprintln!("  round {} of {rounds}: {beside} stalled", round + 1);
            let into = if is_beside { &mut harmed } else { &mut healthy };
            into.push(measure(is_beside)?);
        }
    }
    let mut worst = worst(figures, &healthy, &harmed);
    let all = || healthy.iter().chain(&harmed);
    let sum = |of: &dyn Fn(&Outcome) -> f64| all().map(of).sum::<f64>();
    worst.extend([
        (extra::STALLED, stalled as f64),
        (extra::LOST, sum(&lost)),
        (extra::ENDED, sum(&|one| of(one, "connections_ended") + of(one, "clients_closed"))),
        (extra::HELD_BACK, sum(&|one| of(one, "held_back_messages"))),
        (extra::CLIENT_BOUND, sum(&|one| f64::from(u8::from(one.client.bottleneck)))),
    ]);
    harmed.sort_by_key(|outcome| outcome.latency.ns_p999);
    let mut outcome = harmed.swap_remove(harmed.len() / 2);
    outcome.workload = format!("stalled {}", outcome.workload);
    outcome.extra.extend(worst.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Ok(outcome)
}

/// The figure that became worst: its ratio, and its medians without and with stalled readers.
fn worst(figures: &[P999], healthy: &[Outcome], harmed: &[Outcome]) -> Vec<(&'static str, f64)> {
    let medians = figures.iter().map(|figure| {
        let values = |outcomes: &[Outcome]| Vec::from_iter(outcomes.iter().map(figure));
        let (without, with) = (values(healthy), values(harmed));
        let ratios = with.iter().zip(&without).map(|(with, without)| with / without.max(1.0));
        (median(&Vec::from_iter(ratios)), median(&without), median(&with))
    });
    let worst = medians.max_by(|one, other| one.0.total_cmp(&other.0));
    let (ratio, without, with) = worst.unwrap_or_default();
    vec![(extra::RATIO, ratio), (extra::NS_NONE_STALLED, without), (extra::NS_STALLED, with)]
}

fn lost(outcome: &Outcome) -> f64 {
    let counted = outcome.missing + outcome.duplicated + outcome.reordered;
    counted as f64 + of(outcome, "holes") + of(outcome, "wrong")
}

fn of(outcome: &Outcome, name: &str) -> f64 {
    outcome.extra.get(name).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::outcome::Latency;

    #[test]
    fn losses_of_every_round_count_and_the_worst_figure_does() {
        let mut measured = Vec::new();
        let mut measure = |is_beside: bool| {
            measured.push(is_beside);
            let ns_p999 = if is_beside { 30 } else { 20 };
            let extra = BTreeMap::from([
                ("trade".to_owned(), if is_beside { 80.0 } else { 40.0 }),
                ("held_back_messages".to_owned(), 3.0),
                ("clients_closed".to_owned(), 1.0),
                ("holes".to_owned(), 2.0),
            ]);
            let latency = Latency { ns_p999, ..Latency::default() };
            Ok(Outcome { missing: 5, latency, extra, ..Outcome::default() })
        };
        let figures: [P999; 2] = [P999S[0], |outcome| of(outcome, "trade")];
        let outcome = alternate(2, 7, &figures, &mut measure).unwrap();
        assert_eq!(measured, [false, true, true, false]);
        let names = [
            (extra::RATIO, 2.0),
            (extra::NS_NONE_STALLED, 40.0),
            (extra::NS_STALLED, 80.0),
            (extra::STALLED, 7.0),
            (extra::LOST, 28.0),
            (extra::ENDED, 4.0),
            (extra::HELD_BACK, 12.0),
        ];
        for (name, value) in names {
            assert_eq!(of(&outcome, name), value, "{name}");
        }
    }

    #[test]
    fn a_share_is_one_of_all() {
        assert_eq!(beside(950, 0.05).unwrap(), 50);
        assert_eq!(beside(1, 0.01).unwrap(), 1);
        assert!(beside(10, 0.0).is_err() && beside(10, 1.0).is_err());
    }
}
