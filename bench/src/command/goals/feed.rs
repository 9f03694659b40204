//! T9 and T10: the feed, and what plain fan-out makes of the same.

use std::time::Duration;

use eyre::Result;

use super::{Judged, Run, median, remarks};
use crate::command::replay::{Contender, ShapeOptions, round};
use crate::outcome::Outcome;
use crate::recording::Kind;
use crate::report::rounds::interleave;
use crate::report::summary::{Figure, Section};
use crate::servers::Server;
use crate::workload::ingest;
use crate::workload::replay::Shape;

/// The share of all intervals that must have brought each client a message.
const INTERVALS_SHARE: f64 = 0.95;

/// T9: records a second, and the interval of the variant.
const RECORDS: f64 = 400_000.0;
const INTERVAL_MS: u32 = 100;
/// T10: data age at 99 %.
const AGE_NS_P99_MAX: f64 = 50e6;

impl Run<'_> {
    /// T9.
    pub(super) fn ingest(&mut self) {
        if self.wants("T9") {
            let seconds = self.seconds(8.0);
            self.expect(seconds + 5.0);
            self.progress.step("T9 ingest, 400,000 records a second");
            let params = ingest::Params {
                clients: 1_000,
                topics: 1,
                keys: 100,
                rate: RECORDS,
                payload_bytes: 64,
                interval_ms: INTERVAL_MS,
                tcp: false,
                wake_every: Duration::from_millis(1),
                warm_up: Duration::from_millis(1_500),
                measured: Duration::from_secs_f64(seconds),
            };
            let outcome = ingest::run(&self.server, &params);
            self.judge("T9", outcome.map(|outcome| judge_ingest(&outcome)));
        }
    }

    /// T10.
    pub(super) fn recorded(&mut self) {
        if self.wants("T10") {
            let measured = self.play();
            let judged = measured.and_then(|section| {
                let judged = judge_recorded(&section);
                self.sections.push(("T10", section));
                judged
            });
            self.judge("T10", judged);
        }
    }

    /// The recorded ticks at this speed.
    pub(super) fn replayed(&self, speed: f64, seconds: f64, latest: &[Kind]) -> Result<Shape> {
        let options = ShapeOptions {
            data: self.options.data.clone(),
            clients: 1_000,
            stalled: 0,
            speed,
            seconds,
            interval_ms: 20,
            latest: Vec::new(),
            drain: if self.options.quick { 2.0 } else { 5.0 },
            memory_max: 4_096,
        };
        Ok(Shape { latest: latest.to_vec(), ..options.shape()? })
    }

    fn play(&mut self) -> Result<Section> {
        let seconds = if self.options.quick { 3.0 } else { 7.0 };
        let shape = self.replayed(50.0, seconds, &[Kind::Quote, Kind::Book])?;
        self.expect(seconds + shape.drain.as_secs_f64() + 3.0);
        let plain = Server::ALL.into_iter().filter(|server| *server != Server::Floor);
        let contenders =
            Vec::from_iter(std::iter::once(Contender::Feed).chain(plain.map(Contender::Plain)));
        let (rounds, server) = (self.rounds(2), self.server.clone());
        let mut turn = |one: &Contender| round(*one, &server, &shape);
        let what = "T10 recorded ticks at 50x";
        let turns = interleave(&contenders, rounds, what, &mut self.progress, &mut turn);
        let servers = Vec::from_iter(contenders.iter().map(Contender::to_string));
        let name = "recorded ticks at 50x to 1,000 clients".to_owned();
        Ok(Section { name, base: servers[0].clone(), servers, turns })
    }
}

fn judge_ingest(outcome: &Outcome) -> Judged {
    let extra = |name: &str| outcome.extra.get(name).copied().unwrap_or(f64::NAN);
    let accepted = extra(ingest::extra::ACCEPTED_PER_SECOND);
    // Of what a client shows, until the next message comes: what arrives is fresh also from a
    // server that sends but now and then.
    let shown_ms = extra(ingest::extra::SHOWN_NS_P99) / 1e6;
    let came = outcome.delivered as f64 / outcome.expected.max(1) as f64;
    let cpu = outcome.cost.map_or(f64::NAN, |cost| cost.cpu_share) * 100.0;
    let bound = outcome.client.cpu_share >= crate::measure::CLIENT_BUSY_SHARE;
    let remark = "the load client was the bottleneck: the age is its own".to_owned();
    let holds = accepted >= RECORDS * 0.99 && outcome.missing == 0 && came >= INTERVALS_SHARE;
    let came = came * 100.0;
    Judged {
        measured: format!(
            "{accepted:.0}/s taken, shown age p99 {shown_ms:.0} ms, {came:.0} % of the intervals, \
             CPU {cpu:.0} %"
        ),
        reached: Some(holds && shown_ms <= f64::from(INTERVAL_MS) + 20.0),
        remarks: Vec::from_iter(bound.then_some(remark)),
    }
}

fn judge_recorded(section: &Section) -> Result<Judged> {
    let ours = FEED;
    let age_ns = median(section, ours, &Figure::P99)?;
    let sum = |name: &str| {
        let of = |outcome: &Outcome| outcome.extra.get(name).copied().unwrap_or(0.0);
        section.outcomes(ours).map(of).sum::<f64>()
    };
    let lost = section.lost(ours).sum() as f64 + sum("holes") + sum("wrong");
    let ended = sum("clients_closed") + sum("stopped_behind") + sum("stopped_for_memory");
    let is_whole = section.failures(ours).next().is_none() && ended == 0.0;
    let mut remarks = remarks(section);
    if ended > 0.0 {
        remarks.push("the feed itself fell behind or closed clients: see its row".to_owned());
    }
    let others = section.servers.iter().filter(|server| *server != ours);
    let (mut behind, mut up) = (0, Vec::new());
    let mut is_known = true;
    for server in others {
        match pace(section, server) {
            Pace::Behind => behind += 1,
            Pace::Up => up.push(server.as_str()),
            Pace::Unknown(why) => {
                is_known = false;
                remarks.push(format!("{server} is no evidence: {why}"));
            }
        }
    }
    let mut peers = format!("{behind} of plain fan-out fall behind");
    if !up.is_empty() {
        peers += &format!(", {} did not", up.join(", "));
    }
    remarks.push(
        "books are `latest`, too: as lossless streams they would be 7 GB/s for 1,000 clients"
            .to_owned(),
    );
    let ours_holds = lost == 0.0 && is_whole && age_ns <= AGE_NS_P99_MAX && up.is_empty();
    Ok(Judged {
        measured: format!("{lost:.0} missing, shown age p99 {:.0} ms; {peers}", age_ns / 1e6),
        reached: if ours_holds && !is_known { None } else { Some(ours_holds) },
        remarks,
    })
}

/// Whether a server kept up with the recording.
enum Pace {
    /// In no round that says something.
    Behind,
    /// In a round at least.
    Up,
    /// No round says anything.
    Unknown(&'static str),
}

fn pace(section: &Section, server: &str) -> Pace {
    let fell_behind = |outcome: &Outcome| {
        let stopped = ["stopped_behind", "stopped_for_memory", "clients_closed"];
        let stopped = stopped.iter().any(|name| outcome.extra.get(*name).is_some_and(|n| *n > 0.0));
        stopped || outcome.missing > 0 || outcome.latency.ns_p99 as f64 > AGE_NS_P99_MAX
    };
    let rounds = Vec::from_iter(section.outcomes(server));
    if rounds.iter().any(|outcome| !fell_behind(outcome)) {
        return Pace::Up;
    }
    if rounds.is_empty() {
        return Pace::Unknown("it was not measured");
    }
    // A client without CPU lets the fastest server wait.
    match rounds.iter().all(|outcome| outcome.client.bottleneck) {
        true => Pace::Unknown("the load client was the bottleneck in all its rounds"),
        false => Pace::Behind,
    }
}

const FEED: &str = "feed";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Client, Latency};
    use crate::report::rounds::turn;

    fn played(age_ms: u64, missing: u64, bottleneck: bool) -> Outcome {
        let latency = Latency { count: 1, ns_p99: age_ms * 1_000_000, ..Latency::default() };
        let client = Client { bottleneck, ..Client::default() };
        Outcome { latency, missing, client, ..Outcome::default() }
    }

    fn reached(ours: Outcome, peer: Result<Outcome>) -> Option<bool> {
        let servers = vec![FEED.to_owned(), "bun".to_owned()];
        let turns = vec![turn(&FEED, 0, Ok(ours)), turn(&"bun", 0, peer)];
        let section = Section { name: "x".into(), base: FEED.into(), servers, turns };
        judge_recorded(&section).unwrap().reached
    }

    #[test]
    fn what_could_not_be_seen_is_no_evidence_that_a_peer_falls_behind() {
        let behind = || Ok(played(900, 5, false));
        assert_eq!(reached(played(40, 0, false), behind()), Some(true));
        assert_eq!(reached(played(40, 0, false), Ok(played(900, 5, true))), None);
        assert_eq!(reached(played(40, 0, false), Err(eyre::eyre!("not there"))), None);
        assert_eq!(reached(played(40, 0, false), Ok(played(30, 0, true))), Some(false));
        assert_eq!(reached(played(60, 0, false), behind()), Some(false));
        assert_eq!(reached(played(40, 1, false), Ok(played(900, 5, true))), Some(false));
    }

    #[test]
    fn a_feed_that_fell_behind_has_not_reached_anything() {
        let mut ours = played(40, 0, false);
        ours.extra.insert("stopped_behind".to_owned(), 1.0);
        assert_eq!(reached(ours, Ok(played(900, 5, false))), Some(false));
    }
}
