//! T5, T11 and T13: quiet connections, round trips, handshakes.

use std::time::Duration;

use eyre::Result;

use super::{CORECAST, Judged, Run, beside, median, remarks};
use crate::outcome::Outcome;
use crate::report::rounds::interleave;
use crate::report::summary::{Figure, Section};
use crate::servers::{Server, Site};
use crate::target::Target;
use crate::workload::{connect, echo, idle};

impl Run<'_> {
    /// T5.
    pub(super) fn idle(&mut self) {
        if !self.wants("T5") {
            return;
        }
        let params = idle::Params {
            target: Target::plain("/ws/idle"),
            connections: 10_000,
            warm_up: 50,
            quiet: Duration::from_secs_f64(if self.options.quick { 3.0 } else { 30.0 }),
        };
        self.expect(params.quiet.as_secs_f64() + 10.0);
        let run = |site: &Site| idle::run(site, &params);
        let section = self.beside("T5", "10,000 idle connections", &[Server::CORECAST], 1, &run);
        let judged = || -> Result<Judged> {
            let bytes = Figure::Extra("rss_anon_bytes_per_connection".into());
            let bytes = median(&section, CORECAST, &bytes)?;
            let cpu = median(&section, CORECAST, &Figure::ServerCpu)? * 100.0;
            Ok(Judged {
                measured: format!("{bytes:.0} B each, CPU {cpu:.2} %"),
                reached: Some(bytes <= 1024.0 && cpu <= 0.1),
                remarks: remarks(&section),
            })
        };
        self.judge("T5", judged());
    }

    /// T11.
    pub(super) fn echo(&mut self) {
        if !self.wants("T11") {
            return;
        }
        let (seconds, rounds) = (self.seconds(4.0), self.rounds(5));
        let mut both = Vec::new();
        for connections in [1, 100] {
            let params = echo::Params {
                target: Target::plain("/echo"),
                connections,
                payload_bytes: 64,
                warm_up: Duration::from_millis(500),
                measured: Duration::from_secs_f64(seconds),
                busy: false,
            };
            self.expect(seconds + 2.0);
            let run = |site: &Site| echo::run(site, &params);
            let name = format!("echo, {connections} × 64 B");
            let section = self.beside("T11", &name, &BOTH, rounds, &run);
            both.push(beside(&section, "bun", &[("p50", Figure::P50, 1.0)]));
        }
        let judged = || -> Result<Judged> {
            let both = both.into_iter().collect::<Result<Vec<_>>>()?;
            let said = Vec::from_iter(both.iter().map(|one| one.measured.as_str()));
            Ok(Judged {
                measured: said.join("; with 100: "),
                reached: Some(both.iter().all(|one| one.reached == Some(true))),
                remarks: both.into_iter().flat_map(|one| one.remarks).collect(),
            })
        };
        self.judge("T11", judged());
    }

    /// T13.
    pub(super) fn connect(&mut self) {
        if !self.wants("T13") {
            return;
        }
        let params = connect::Params {
            target: Target::plain("/ws/bench"),
            connections: 5_000,
            concurrency: 64,
            // After 500, Bun's compiler is still at work on its handshake.
            warm_up: 5_000,
        };
        let rounds = self.rounds(5);
        self.expect(5.0);
        let run = |site: &Site| connect::run(site, &params);
        let section = self.beside("T13", "5,000 handshakes, 64 at once", &BOTH, rounds, &run);
        self.judge("T13", beside(&section, "bun", &[("CPU", Figure::CpuPerDelivery, 1.25)]));
    }

    pub(super) fn beside(
        &mut self,
        goal: &'static str,
        name: &str,
        servers: &[Server],
        rounds: usize,
        run: &dyn Fn(&Site) -> Result<Outcome>,
    ) -> Section {
        let server = self.server.clone();
        let what = format!("{goal} {name}");
        let mut turn = |one: &Server| one.measure(&server, run);
        let turns = interleave(servers, rounds, &what, &mut self.progress, &mut turn);
        let servers = Vec::from_iter(servers.iter().map(Server::to_string));
        let base = servers[servers.len() - 1].clone();
        let section = Section { name: name.to_owned(), servers, base, turns };
        self.sections.push((goal, section.clone()));
        section
    }
}

const BOTH: [Server; 2] = [Server::CORECAST, Server::Bun];
