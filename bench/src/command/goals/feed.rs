//! T9 and T10: the feed, and what plain fan-out makes of the same.

use std::process::Command;

use eyre::{Result, WrapErr, ensure, eyre};
use serde_json::Value;

use super::{Judged, Run, median, remarks};
use crate::command::replay::{Contender, ShapeOptions, Topic, round};
use crate::report::rounds::interleave;
use crate::report::summary::{Figure, Section};
use crate::servers::Server;

/// T9: records a second, and the interval of the variant.
const RECORDS: f64 = 400_000.0;
const INTERVAL_MS: f64 = 100.0;
/// T10: data age at 99 %.
const AGE_NS_P99_MAX: f64 = 50e6;

impl Run<'_> {
    /// T9, by the command `ingest`.
    pub(super) fn ingest(&mut self) {
        if self.wants("T9") {
            let seconds = self.seconds(8.0);
            self.expect(seconds + 5.0);
            self.progress.step("T9 ingest, 400,000 records a second");
            let judged = self.run_ingest(seconds).and_then(|rounds| judge_ingest(&rounds));
            self.judge("T9", judged);
        }
    }

    fn run_ingest(&self, seconds: f64) -> Result<Value> {
        let server = &self.server;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["ingest", "--json", "--clients", "1000"]);
        command.arg(format!("--rate={RECORDS}")).arg(format!("--seconds={seconds}"));
        command.arg(format!("--interval-ms={INTERVAL_MS}"));
        command.arg(format!("--server-cpu={}", server.server_cpu));
        command.arg(format!("--client-cpu={}", server.client_cpu));
        if let Some(program) = &server.program {
            command.arg("--program").arg(program);
        }
        for argument in &server.server_args {
            command.arg(format!("--server-arg={argument}"));
        }
        let output = command.output().wrap_err("cannot run this program")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ingest: {}", said.trim());
        serde_json::from_slice(&output.stdout).wrap_err("ingest printed no JSON")
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

fn judge_ingest(rounds: &Value) -> Result<Judged> {
    let round = &rounds[0];
    let figure = |value: &Value, name: &str| {
        value.as_f64().ok_or_else(|| eyre!("ingest printed no {name}: {round}"))
    };
    let accepted = figure(&round["accepted_per_second"], "accepted_per_second")?;
    let age_ms = figure(&round["age"]["p99"], "age.p99")? / 1e6;
    let cpu = figure(&round["server_cpu_share"], "server_cpu_share")? * 100.0;
    let client = figure(&round["client_cpu_share"], "client_cpu_share")?;
    let bound = client >= crate::measure::CLIENT_BUSY_SHARE;
    let remark = "the load client was the bottleneck: the age is its own".to_owned();
    Ok(Judged {
        measured: format!("{accepted:.0}/s taken, age p99 {age_ms:.0} ms, CPU {cpu:.0} %"),
        reached: accepted >= RECORDS * 0.99 && age_ms <= INTERVAL_MS + 20.0,
        remarks: Vec::from_iter(bound.then_some(remark)),
    })
}

fn judge_recorded(section: &Section) -> Result<Judged> {
    let extra = |server: &str, name: &'static str| {
        section.median(server, &Figure::Extra(name.into())).unwrap_or(0.0)
    };
    let ours = Contender::Feed.to_string();
    let age_ns = median(section, &ours, &Figure::P99)?;
    let lost = section.lost(&ours).sum() as f64 + extra(&ours, "holes") + extra(&ours, "wrong");
    let behind = |server: &&String| {
        let failed = section.outcomes(server).next().is_none();
        let late = section.median(server, &Figure::P99).is_none_or(|age| age > AGE_NS_P99_MAX);
        failed || late || section.lost(server).missing > 0
    };
    let others = Vec::from_iter(section.servers.iter().filter(|server| **server != ours));
    let up = Vec::from_iter(others.iter().filter(|server| !behind(server)).map(|one| one.as_str()));
    let peers = match up.as_slice() {
        [] => "all plain fan-out falls behind".to_owned(),
        up => format!("{} did not fall behind", up.join(", ")),
    };
    let mut remarks = remarks(section);
    remarks.push(
        "books are `latest`, too: as lossless streams they would be 7 GB/s for 1,000 clients"
            .to_owned(),
    );
    Ok(Judged {
        measured: format!("{lost:.0} missing, age p99 {:.0} ms; {peers}", age_ns / 1e6),
        reached: lost == 0.0 && age_ns <= AGE_NS_P99_MAX && up.is_empty(),
        remarks,
    })
}
