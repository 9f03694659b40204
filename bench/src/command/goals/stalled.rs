//! T6: W4, the recorded ticks with 5 % of the clients stalled.

use std::time::Duration;

use eyre::Result;

use super::{CORECAST, Judged, Run, median, remarks};
use crate::command::replay::{Contender, round};
use crate::load::{Shape, Slow};
use crate::outcome::Outcome;
use crate::recording::Kind;
use crate::report::rounds::turn;
use crate::report::summary::{Figure, Section};
use crate::schedule::{Pace, Schedule};
use crate::servers::{Server, Site};
use crate::target::Target;
use crate::workload::replay;
use crate::workload::stalled::{self, P999, alternate, beside, extra};

/// Healthy clients, and the share of all that never read.
const HEALTHY: usize = 950;
const STALLED_SHARE: f64 = 0.05;
/// W1's speed: at 1x hardly anything piles up, at 50x all is piled up.
const SPEED: f64 = 10.0;

impl Run<'_> {
    /// T6.
    pub(super) fn stalled(&mut self) {
        if !self.wants("T6") {
            return;
        }
        let rounds = self.rounds(3);
        let (section, fallen_back) = match self.ticks() {
            Ok(shape) => (self.ticks_stalled(&shape, rounds), None),
            Err(why) => (self.steady_stalled(rounds), Some(format!("{why:#}"))),
        };
        let judged = judge(&section).map(|judged| match fallen_back {
            None => judged,
            Some(why) => of_steady_load(judged, &why),
        });
        self.judge("T6", judged);
    }

    fn ticks(&self) -> Result<replay::Shape> {
        self.replayed(SPEED, self.seconds(7.0), &[Kind::Quote, Kind::Book])
            .map(|shape| replay::Shape { clients: HEALTHY, ..shape })
    }

    /// The ticks, in each round on a fresh server.
    fn ticks_stalled(&mut self, shape: &replay::Shape, rounds: usize) -> Section {
        let seconds = self.seconds(7.0) + 2.0;
        self.expect(seconds * 2.0 * rounds as f64);
        let name = "recorded ticks at 10x to 950, 50 stalled";
        self.progress.step(&format!("T6 {name}"));
        let server = self.server.clone();
        let measured = beside(HEALTHY, STALLED_SHARE).and_then(|stalled| {
            alternate(rounds, stalled, &P999S, &mut |is_beside| {
                let stalled = if is_beside { stalled } else { 0 };
                let shape = replay::Shape { stalled, ..shape.clone() };
                round(Contender::Feed, &server, &shape)
            })
        });
        let servers = vec![CORECAST.to_owned()];
        let turns = vec![turn(&CORECAST, 0, measured)];
        let section = Section { name: name.to_owned(), base: servers[0].clone(), servers, turns };
        self.sections.push(("T6", section.clone()));
        section
    }

    /// A steady load, where there are no ticks.
    fn steady_stalled(&mut self, rounds: usize) -> Section {
        let shape = Shape {
            target: Target::plain("/ws/bench"),
            subscribers: HEALTHY,
            publishers: 1,
            payload_bytes: 256,
            pace: Pace::Open(Schedule::Constant { rate: 200.0 }),
            slow: Slow::default(),
            warm_up: Duration::from_secs(1),
            measured: Duration::from_secs_f64(self.seconds(6.0)),
            seed: 1,
            busy: false,
        };
        self.expect((shape.measured.as_secs_f64() + 3.0) * 2.0 * rounds as f64);
        let params = stalled::Params { shape, stalled_share: STALLED_SHARE, rounds };
        let run = |site: &Site| stalled::run(site, &params);
        self.beside("T6", "steady load to 950, 50 stalled", &[Server::CORECAST], 1, &run)
    }
}

/// What a steady load says of W4: a tail that it harms is bad there too, a good one proves nothing.
fn of_steady_load(judged: Judged, why: &str) -> Judged {
    let Judged { measured, reached, mut remarks } = judged;
    remarks.push(format!(
        "a steady load of {HEALTHY} × 256 B × 200/s beside stalled readers, not W4: {why}"
    ));
    let reached = reached.filter(|is_reached| !is_reached);
    Judged { measured: format!("steady load: {measured}"), reached, remarks }
}

/// How long quotes were out of date, and how late trades came.
const P999S: [P999; 2] = [
    |outcome: &Outcome| outcome.latency.ns_p999 as f64,
    |outcome: &Outcome| outcome.extra.get("trade_ns_p999").copied().unwrap_or(f64::NAN),
];

fn judge(section: &Section) -> Result<Judged> {
    let figure = |name: &'static str| median(section, CORECAST, &Figure::Extra(name.into()));
    let (ratio, with) = (figure(extra::RATIO)?, figure(extra::NS_STALLED)? / 1e3);
    let without = figure(extra::NS_NONE_STALLED)? / 1e3;
    let mut remarks = remarks(section);
    let mut is_whole = true;
    for (name, what) in [
        (extra::LOST, "deliveries to healthy readers were lost, doubled or wrong"),
        (extra::ENDED, "healthy readers were ended"),
        (extra::HELD_BACK, "messages were held back: the server did not read them in time"),
    ] {
        let count = figure(name)?;
        if count > 0.0 {
            is_whole = false;
            remarks.push(format!("{count:.0} {what}, over all rounds"));
        }
    }
    let bound = figure(extra::CLIENT_BOUND)?;
    if bound > 0.0 {
        remarks
            .push(format!("the load client was the bottleneck in {bound:.0} rounds of both kinds"));
    }
    Ok(Judged {
        measured: format!("{ratio:.2} ({with:.0} µs, none stalled {without:.0} µs)"),
        reached: Some(ratio <= 1.1 && is_whole),
        remarks,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn judged(changed: &'static str, value: f64) -> Judged {
        let figures = [
            (extra::RATIO, 1.05),
            (extra::NS_STALLED, 1e6),
            (extra::NS_NONE_STALLED, 1e6),
            (extra::LOST, 0.0),
            (extra::ENDED, 0.0),
            (extra::HELD_BACK, 0.0),
            (extra::CLIENT_BOUND, 0.0),
        ];
        let figures = figures.into_iter().chain([(changed, value)]);
        let figures = BTreeMap::from_iter(figures.map(|(name, value)| (name.to_owned(), value)));
        let outcome = Outcome { extra: figures, ..Outcome::default() };
        let servers = vec![CORECAST.to_owned()];
        let turns = vec![turn(&CORECAST, 0, Ok(outcome))];
        let section = Section { name: "x".into(), base: CORECAST.into(), servers, turns };
        judge(&section).unwrap()
    }

    #[test]
    fn a_good_tail_with_losses_is_not_reached() {
        assert_eq!(judged(extra::CLIENT_BOUND, 0.0).reached, Some(true));
        for (name, value) in
            [(extra::RATIO, 1.11), (extra::LOST, 1.0), (extra::ENDED, 1.0), (extra::HELD_BACK, 1.0)]
        {
            assert_eq!(judged(name, value).reached, Some(false), "{name}");
        }
    }

    #[test]
    fn a_steady_load_proves_nothing_good() {
        let good = of_steady_load(judged(extra::CLIENT_BOUND, 0.0), "no ticks");
        assert_eq!(good.reached, None);
        assert!(good.measured.starts_with("steady load") && good.remarks[0].contains("no ticks"));
        assert_eq!(of_steady_load(judged(extra::RATIO, 1.2), "no ticks").reached, Some(false));
    }
}
