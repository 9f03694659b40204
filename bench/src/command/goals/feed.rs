//! T9 and T10: the feed, and what plain fan-out makes of the same.

use std::time::Duration;

use eyre::Result;

use super::{Judged, Run, median, remarks};
use crate::command::replay::{Contender, ShapeOptions, Topic, round};
use crate::outcome::Outcome;
use crate::report::rounds::interleave;
use crate::report::summary::{Figure, Section};
use crate::servers::Server;
use crate::workload::ingest;

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

    fn play(&mut self) -> Result<Section> {
        let quick = self.options.quick;
        let shape = ShapeOptions {
            data: self.options.data.clone(),
            clients: 1_000,
            speed: 50.0,
            seconds: if quick { 3.0 } else { 7.0 },
            interval_ms: 20,
            latest: vec![Topic::Quote, Topic::Book],
            drain: if quick { 2.0 } else { 5.0 },
            memory_max: 4_096,
        };
        self.expect(shape.seconds + shape.drain + 3.0);
        let shape = shape.shape()?;
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
        reached: holds && shown_ms <= f64::from(INTERVAL_MS) + 20.0,
        remarks: Vec::from_iter(bound.then_some(remark)),
    }
}

fn judge_recorded(section: &Section) -> Result<Judged> {
    let extra = |server: &str, name: &'static str| {
        section.median(server, &Figure::Extra(name.into())).unwrap_or(0.0)
    };
    let ours = Contender::Feed.to_string();
    let age_ns = median(section, &ours, &Figure::P99)?;
    let lost = section.lost(&ours).sum() as f64 + extra(&ours, "holes") + extra(&ours, "wrong");
    let behind = |server: &&String| {
        let late = section.median(server, &Figure::P99).is_none_or(|age| age > AGE_NS_P99_MAX);
        late || section.lost(server).missing > 0
    };
    let others = section.servers.iter().filter(|server| **server != ours);
    // What was not measured is no evidence.
    let measured = |server: &&String| section.outcomes(server).next().is_some();
    let (others, unmeasured): (Vec<_>, Vec<_>) = others.partition(measured);
    let up = Vec::from_iter(others.iter().filter(|server| !behind(server)).map(|one| one.as_str()));
    let peers = match up.as_slice() {
        [] => format!("{} of plain fan-out fall behind", others.len()),
        up => format!("{} did not fall behind", up.join(", ")),
    };
    let mut remarks = remarks(section);
    remarks.extend(unmeasured.iter().map(|server| format!("{server} was not measured")));
    remarks.push(
        "books are `latest`, too: as lossless streams they would be 7 GB/s for 1,000 clients"
            .to_owned(),
    );
    Ok(Judged {
        measured: format!("{lost:.0} missing, age p99 {:.0} ms; {peers}", age_ns / 1e6),
        reached: lost == 0.0 && age_ns <= AGE_NS_P99_MAX && up.is_empty() && unmeasured.is_empty(),
        remarks,
    })
}
