//! The whole hub against a naive reference: random publications, policies, partial sends at any
//! byte, blocking, sweeps, closes. Each run prints its seed; `CORECAST_SEED=n` replays it, and
//! `CORECAST_CASES=n` sets how many runs there are.

mod connection;
mod feed;
mod operation;
mod reference;
#[path = "../common/seeded.rs"]
mod seeded;
mod slow;
mod wire;
mod world;

use std::cell::Cell;

use corecast_hub::Totals;
use operation::runs;
use proptest::test_runner::TestRunner;
use world::{Seen, World};

#[test]
fn the_hub_does_what_the_naive_reference_does() {
    let (seed, config) = seeded::config(400);
    let cases = config.cases;
    let seen = Cell::new((Totals::default(), Seen::default()));
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&runs(), |run| {
        let (totals, more) = World::new(&run).play(&run.operations);
        let (before, seen_before) = seen.get();
        seen.set((add(before, totals), seen_before.add(more)));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("CORECAST_SEED={seed}: {error}");
    }
    // The runs must have come to every corner, else they prove nothing.
    let (totals, Seen { announced, paused, resumed, refused, begun_paused }) = seen.get();
    let Totals { conflated, dropped, sent, abandoned, slow_closed, gaps, .. } = totals;
    for (name, count) in [
        ("conflated", conflated),
        ("dropped", dropped),
        ("sent", sent),
        ("abandoned", abandoned),
        ("slow_closed", slow_closed),
        ("gaps", gaps),
        ("announced", announced),
        ("paused", paused),
        ("resumed", resumed),
        ("refused to resume", refused),
        ("begun paused", begun_paused),
    ] {
        assert!(count > 0 || cases < 16, "CORECAST_SEED={seed}: nothing {name}");
    }
}

fn add(a: Totals, b: Totals) -> Totals {
    Totals {
        offered: a.offered + b.offered,
        delivered: a.delivered + b.delivered,
        conflated: a.conflated + b.conflated,
        dropped: a.dropped + b.dropped,
        sent: a.sent + b.sent,
        abandoned: a.abandoned + b.abandoned,
        slow_closed: a.slow_closed + b.slow_closed,
        gaps: a.gaps + b.gaps,
    }
}
