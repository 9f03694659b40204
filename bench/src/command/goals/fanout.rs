//! T1 to T4, T7 and T12: one topic, many subscribers.

use std::fmt;
use std::time::Duration;

use eyre::{Result, ensure, eyre};

use super::{CORECAST, Judged, Run, beside, median, whole};
use crate::command::compare::saturation::{EXACT_TO, Saturation, search};
use crate::command::compare::{name, round};
use crate::command::cost::Row;
use crate::report::rounds::interleave;
use crate::report::summary::{Figure, Section};
use crate::servers::{Backend, Server, ServerOptions};

const T1: Row = Row { subscribers: 1_000, payload_bytes: 1_024, rate: 200.0 };
const T2: Row = Row { subscribers: 1_000, payload_bytes: 128, rate: 50.0 };
const T3: Row = Row { subscribers: 10, payload_bytes: 64, rate: 1_000.0 };

impl Run<'_> {
    /// T1 and T7 in the same rounds, T2, T3.
    pub(super) fn fan_out(&mut self) {
        let mut first = vec![Server::CORECAST];
        first.extend(self.wants("T1").then_some(Server::Bun));
        first.extend(self.wants("T7").then_some(Server::Floor));
        if first.len() > 1 {
            let section = self.section("T1", T1, &first);
            if self.wants("T1") {
                let most = [("CPU", Figure::CpuPerDelivery, 0.75), ("p99", Figure::P99, 0.9)];
                self.judge("T1", beside(&section, "bun", &most));
            }
            if self.wants("T7") {
                let most = [("CPU", Figure::CpuPerDelivery, 1.15)];
                self.judge("T7", beside(&section, "floor", &most));
            }
        }
        let both = [Server::CORECAST, Server::Bun];
        if self.wants("T2") {
            let section = self.section("T2", T2, &both);
            let most = [
                ("CPU", Figure::CpuPerDelivery, 0.75),
                ("p50", Figure::P50, 0.9),
                ("p99", Figure::P99, 0.9),
            ];
            self.judge("T2", beside(&section, "bun", &most));
        }
        if self.wants("T3") {
            let section = self.section("T3", T3, &both);
            let most = [("p50", Figure::P50, 1.0), ("p99", Figure::P99, 1.0)];
            self.judge("T3", beside(&section, "bun", &most));
        }
    }

    /// T4.
    pub(super) fn highest_rate(&mut self) {
        if !self.wants("T4") {
            return;
        }
        let peers = |server: &Server| *server != Server::Floor;
        let servers = Vec::from_iter(Server::ALL.into_iter().filter(peers));
        let seconds = if self.options.quick { 1.0 } else { 2.0 };
        let server = self.server.clone();
        let within = Duration::from_secs(if self.options.quick { 100 } else { 350 });
        self.expect(seconds + 1.5);
        let mut at =
            |one: &Server, rate: f64| round(*one, &server, Row { rate, ..T2 }, seconds, 0.5);
        self.rates = search(&servers, 600.0, within, &mut self.progress, &mut at);
        self.judge("T4", highest(&self.rates));
    }

    /// T12: two shards, the second of them on the load's CPU, beside one shard on either CPU.
    pub(super) fn shards(&mut self) {
        if !self.wants("T12") {
            return;
        }
        let own = self.server.clone();
        let shared = ServerOptions { server_cpu: own.client_cpu, ..own.clone() };
        let two = Server::Corecast { backend: Backend::Ring, shards: 2 };
        let placed = [
            Placed { server: two, options: own.clone(), name: TWO },
            Placed { server: Server::CORECAST, options: own, name: CORECAST },
            Placed { server: Server::CORECAST, options: shared, name: BESIDE },
        ];
        let section = self.section_of("T12", T1, &placed, CORECAST);
        self.judge("T12", flat(&section));
    }

    fn section(&mut self, goal: &'static str, row: Row, servers: &[Server]) -> Section {
        let options = &self.server;
        let placed = servers.iter().map(|&server| {
            let name = if server == Server::CORECAST { CORECAST } else { "" };
            Placed { server, options: options.clone(), name }
        });
        let placed = Vec::from_iter(placed);
        let base = placed[1].to_string();
        self.section_of(goal, row, &placed, &base)
    }

    fn section_of(
        &mut self,
        goal: &'static str,
        row: Row,
        servers: &[Placed],
        base: &str,
    ) -> Section {
        let (rounds, seconds) = (self.rounds(5), self.seconds(6.0));
        let warm_up = self.seconds(1.5).min(1.5);
        self.expect(seconds + warm_up + 1.5);
        let what = format!("{goal} {}", name(row));
        let mut turn = |one: &Placed| round(one.server, &one.options, row, seconds, warm_up);
        let turns = interleave(servers, rounds, &what, &mut self.progress, &mut turn);
        let names = Vec::from_iter(servers.iter().map(Placed::to_string));
        let section = Section { name: name(row), servers: names, base: base.to_owned(), turns };
        self.sections.push((goal, section.clone()));
        section
    }
}

/// A server on a CPU.
struct Placed {
    server: Server,
    options: ServerOptions,
    /// What reports call it; the server's own name when empty.
    name: &'static str,
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() { self.server.fmt(f) } else { f.write_str(self.name) }
    }
}

const TWO: &str = "corecast:shards=2";
const BESIDE: &str = "corecast on the load's CPU";

/// Whether a delivery costs the same with two shards. Where a reader is woken on the CPU of its
/// server, a delivery costs about half, and every second one of two shards is of that kind: the
/// yardstick is the mean of one shard on either CPU.
fn flat(section: &Section) -> Result<Judged> {
    let [two, own, shared] =
        [TWO, CORECAST, BESIDE].map(|server| median(section, server, &Figure::CpuPerDelivery));
    let (two, own, shared) = (two?, own?, shared?);
    let ratio = two / ((own + shared) / 2.0);
    let mut remarks = super::remarks(section);
    remarks.push(format!(
        "one shard takes {:.2} µs a delivery on a CPU of its own and {:.2} on the load's, where \
         nobody need be woken on another CPU; half of the deliveries of two shards are of that \
         kind, so they are compared with the mean of both. The latencies of a server that shares \
         the load's CPU mean nothing",
        own / 1e3,
        shared / 1e3
    ));
    let is_whole = [TWO, CORECAST, BESIDE].map(|server| whole(section, server, &mut remarks));
    let measured = format!(
        "2 shards {:.2} µs: {ratio:.2} × the mean of one on either CPU, {:.2} × one on its own",
        two / 1e3,
        two / own
    );
    let is_flat = (0.9..=1.1).contains(&ratio);
    Ok(Judged { measured, reached: Some(is_flat && is_whole == [true; 3]), remarks })
}

fn highest(found: &[Saturation]) -> Result<Judged> {
    let unmeasured = found.iter().filter(|one| !one.is_measured());
    let unmeasured = Vec::from_iter(unmeasured.map(|one| one.server.as_str()));
    // Who is best is not known without all of them.
    ensure!(unmeasured.is_empty(), "{} could not be measured at any rate", unmeasured.join(", "));
    let ours = found.iter().find(|one| one.server == CORECAST);
    let ours = ours.ok_or_else(|| eyre!("corecast was not measured"))?;
    let peers = found.iter().filter(|one| one.server != CORECAST);
    let best = peers.clone().max_by(|one, other| one.rate.total_cmp(&other.rate));
    let best = best.filter(|best| best.rate > 0.0);
    let best = best.ok_or_else(|| eyre!("no peer keeps up with any rate"))?;
    let bound = found.iter().filter(|one| one.client_bound);
    let mut remarks = Vec::from_iter(bound.map(|one| {
        format!(
            "{}: the load client was the bottleneck at the rate that failed: it may hold more",
            one.server
        )
    }));
    let is_inexact = |one: &Saturation| one.resolution().is_none_or(|to| to > EXACT_TO - 1.0);
    remarks.extend(found.iter().filter(|one| is_inexact(one)).map(|one| {
        let to = one.resolution().map_or_else(
            || "no rate that failed is known".to_owned(),
            |to| format!("its rate is known to {:.0} % only", to * 100.0),
        );
        format!("{}: the search ended early: {to}", one.server)
    }));
    remarks
        .push("rates are exact to 8 %; at each, all deliveries came, once and in order".to_owned());
    let ratio = ours.rate / best.rate;
    let is_enough = ratio >= 1.2;
    // Who may hold more leaves it open, where more would change the verdict.
    let may_hold_more = |one: &Saturation| one.client_bound || is_inexact(one);
    let is_open =
        if is_enough { peers.into_iter().any(may_hold_more) } else { may_hold_more(ours) };
    let (ours, best_rate) = (ours.rate, best.rate);
    Ok(Judged {
        measured: format!("{ours:.0}/s, {} {best_rate:.0}/s: {ratio:.2} ×", best.server),
        reached: (!is_open).then_some(is_enough),
        remarks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::report::rounds::turn;

    fn found(server: &str, rate: f64, client_bound: bool) -> Saturation {
        let steps = vec![(rate, turn(&server, 0, Ok(Outcome::default())))];
        let failed_rate = Some(rate * 1.05);
        Saturation { server: server.to_owned(), rate, failed_rate, client_bound, steps }
    }

    #[test]
    fn the_best_peer_is_known_only_when_all_were_measured() {
        let both = [found(CORECAST, 130.0, false), found("bun", 100.0, false)];
        assert_eq!(highest(&both).unwrap().reached, Some(true));
        let absent = Saturation { steps: Vec::new(), rate: 0.0, ..found("ws", 1.0, false) };
        let error = highest(&[&both[..], &[absent]].concat()).err().unwrap().to_string();
        assert!(error.contains("ws could not be measured"), "{error}");
    }

    #[test]
    fn a_rate_that_the_client_limited_decides_only_where_more_changes_nothing() {
        let reached = |ours: (f64, bool), peer: (f64, bool)| {
            highest(&[found(CORECAST, ours.0, ours.1), found("bun", peer.0, peer.1)])
                .unwrap()
                .reached
        };
        assert_eq!(reached((130.0, true), (100.0, false)), Some(true));
        assert_eq!(reached((130.0, false), (100.0, true)), None);
        assert_eq!(reached((110.0, true), (100.0, false)), None);
        assert_eq!(reached((110.0, false), (100.0, true)), Some(false));
    }
}
