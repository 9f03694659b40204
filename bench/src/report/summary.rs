//! Rounds brought together: medians, and ratios of what was measured in the same round.

use std::borrow::Cow;

use serde::Serialize;

use crate::measure::median;
use crate::outcome::Outcome;
use crate::servers::softirq;

/// One server's turn in one round.
#[derive(Debug, Clone, Serialize)]
pub struct Turn {
    /// The server's name.
    pub server: String,
    /// From 0.
    pub round: usize,
    /// What it gave; absent when it failed.
    pub outcome: Option<Outcome>,
    /// Why there is no outcome.
    pub failure: Option<String>,
}

/// All rounds of one workload.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    /// The workload and its shape, such as `1000x128@50`.
    pub name: String,
    /// The servers in the order in which they are shown.
    pub servers: Vec<String>,
    /// The server that others are compared with.
    pub base: String,
    /// In the order in which they were measured.
    pub turns: Vec<Turn>,
}

/// A figure of an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Figure {
    /// CPU of the server for each delivery, in ns.
    CpuPerDelivery,
    /// The same, and the time of ksoftirqd on its CPU besides, which is measured over the whole
    /// round with its handshakes.
    CpuWithSoftirq,
    /// CPU of the server as a share of one CPU.
    ServerCpu,
    /// CPU of the load client as a share of one CPU.
    ClientCpu,
    /// Latency in ns: half of the deliveries.
    P50,
    /// Latency in ns: 99 %.
    P99,
    /// Latency in ns: 99.9 %.
    P999,
    /// Latency in ns: the slowest.
    Max,
    /// Deliveries a second.
    DeliveriesPerSecond,
    /// Resident memory in bytes.
    Rss,
    /// Context switches of the server a second.
    Switches,
    /// A figure of the workload alone.
    Extra(Cow<'static, str>),
}

impl Figure {
    /// Its value, where it was measured.
    #[must_use]
    pub fn of(&self, outcome: &Outcome) -> Option<f64> {
        let cost = outcome.cost.as_ref();
        let latency = |ns: u64| (outcome.latency.count > 0).then_some(ns as f64);
        match self {
            Self::CpuPerDelivery => {
                cost.filter(|_| outcome.delivered > 0).map(|cost| cost.cpu_ns_per_delivery)
            }
            Self::CpuWithSoftirq => {
                let share = outcome.extra.get(softirq::SHARE)?;
                Some(Self::CpuPerDelivery.of(outcome)? * (1.0 + share))
            }
            Self::ServerCpu => cost.map(|cost| cost.cpu_share),
            Self::ClientCpu => Some(outcome.client.cpu_share),
            Self::P50 => latency(outcome.latency.ns_p50),
            Self::P99 => latency(outcome.latency.ns_p99),
            Self::P999 => latency(outcome.latency.ns_p999),
            Self::Max => latency(outcome.latency.ns_max),
            Self::DeliveriesPerSecond => (outcome.delivered > 0 || outcome.expected > 0)
                .then(|| outcome.deliveries_per_second()),
            Self::Rss => cost.map(|cost| cost.rss_bytes as f64),
            Self::Switches => cost.map(|cost| {
                let seconds = if cost.seconds > 0.0 { cost.seconds } else { outcome.seconds };
                (cost.switches_voluntary + cost.switches_forced) as f64 / seconds
            }),
            Self::Extra(name) => outcome.extra.get(name.as_ref()).copied(),
        }
        .filter(|value| value.is_finite())
    }
}

/// One server's figure over another's, from rounds in which both were measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// The median over the rounds.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

impl Section {
    /// What a server gave, round by round, without the rounds that failed.
    pub fn outcomes<'s>(&'s self, server: &'s str) -> impl Iterator<Item = &'s Outcome> {
        self.turns_of(server).filter_map(|turn| turn.outcome.as_ref())
    }

    /// The median over the rounds; nothing where the figure was never measured.
    #[must_use]
    pub fn median(&self, server: &str, figure: &Figure) -> Option<f64> {
        let values = Vec::from_iter(self.outcomes(server).filter_map(|one| figure.of(one)));
        (!values.is_empty()).then(|| median(&values))
    }

    /// One server's figure over another's; nothing where no round has both, or the other has 0.
    #[must_use]
    pub fn ratio(&self, server: &str, base: &str, figure: &Figure) -> Option<Ratio> {
        let value = |turn: &Turn| turn.outcome.as_ref().and_then(|outcome| figure.of(outcome));
        let pair = |turn: &Turn| {
            let other = self.turns_of(base).find(|other| other.round == turn.round)?;
            let ratio = value(turn)? / value(other)?;
            ratio.is_finite().then_some(ratio)
        };
        let ratios = Vec::from_iter(self.turns_of(server).filter_map(pair));
        (!ratios.is_empty()).then(|| Ratio {
            median: median(&ratios),
            least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            greatest: ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    /// Deliveries that never came, came twice, or came in the wrong order, over all rounds.
    #[must_use]
    pub fn lost(&self, server: &str) -> Lost {
        let mut lost = Lost::default();
        for outcome in self.outcomes(server) {
            lost.missing += outcome.missing;
            lost.duplicated += outcome.duplicated;
            lost.reordered += outcome.reordered;
        }
        lost
    }

    /// Rounds that gave no outcome, with the reason.
    pub fn failures<'s>(&'s self, server: &'s str) -> impl Iterator<Item = (usize, &'s str)> {
        self.turns_of(server).filter_map(|turn| Some((turn.round, turn.failure.as_deref()?)))
    }

    /// Rounds in which the load client limited what was measured.
    #[must_use]
    pub fn client_bound(&self, server: &str) -> usize {
        self.outcomes(server).filter(|outcome| outcome.client.bottleneck).count()
    }

    /// Rounds in which the latency at 99 % was the load client's as much as the server's.
    #[must_use]
    pub fn lagged(&self, server: &str) -> usize {
        self.outcomes(server).filter(|outcome| outcome.is_latency_the_clients()).count()
    }

    fn turns_of<'s>(&'s self, server: &'s str) -> impl Iterator<Item = &'s Turn> {
        self.turns.iter().filter(move |turn| turn.server == server)
    }
}

/// What is wrong with the deliveries of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Expected, and never come.
    pub missing: u64,
    /// Come again.
    pub duplicated: u64,
    /// Come behind a later one.
    pub reordered: u64,
}

impl Lost {
    /// All of them.
    #[must_use]
    pub fn sum(self) -> u64 {
        self.missing + self.duplicated + self.reordered
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::outcome::{Client, Cost, Latency};

    /// A section of `rounds` with the CPU per delivery of each server, as `None` where it failed.
    pub(in crate::report) fn section(costs: &[(&str, &[Option<f64>])]) -> Section {
        let turn = |server: &str, round: usize, cost: Option<f64>| Turn {
            server: server.into(),
            round,
            outcome: cost.map(|cpu_ns_per_delivery| Outcome {
                server: server.into(),
                seconds: 1.0,
                delivered: 1_000,
                missing: 1,
                latency: Latency {
                    count: 1_000,
                    ns_p50: 1_000,
                    ns_p99: 9_000,
                    curve: vec![(0.0, 500), (50.0, 1_000), (99.0, 9_000), (100.0, 20_000)],
                    ..Latency::default()
                },
                cost: Some(Cost { cpu_ns_per_delivery, ..Cost::default() }),
                client: Client { bottleneck: true, ..Client::default() },
                ..Outcome::default()
            }),
            failure: cost.is_none().then(|| "the server died".to_owned()),
        };
        let turns = costs.iter().flat_map(|(server, costs)| {
            costs.iter().enumerate().map(move |(round, cost)| turn(server, round, *cost))
        });
        Section {
            name: "1000x128@50".into(),
            servers: costs.iter().map(|(server, _)| (*server).to_owned()).collect(),
            base: costs[costs.len() - 1].0.into(),
            turns: turns.collect(),
        }
    }

    #[test]
    fn ratios_are_of_rounds_that_both_have() {
        let section = section(&[
            ("corecast", &[Some(1.0), None, Some(9.0)]),
            ("bun", &[Some(2.0), Some(4.0), Some(3.0)]),
        ]);
        let ratio = section.ratio("corecast", "bun", &Figure::CpuPerDelivery).unwrap();
        assert_eq!(ratio, Ratio { median: 1.75, least: 0.5, greatest: 3.0 });
        assert_eq!(section.median("bun", &Figure::CpuPerDelivery), Some(3.0));
        assert_eq!(section.lost("bun").sum(), 3);
        assert_eq!(section.client_bound("corecast"), 2);
        assert_eq!(section.lagged("corecast"), 0);
        assert_eq!(section.failures("corecast").collect::<Vec<_>>(), [(1, "the server died")]);
    }

    #[test]
    fn time_of_the_kernels_thread_comes_on_top() {
        let mut section = section(&[("corecast", &[Some(2.0)])]);
        let with = |section: &Section| section.median("corecast", &Figure::CpuWithSoftirq);
        assert_eq!(with(&section), None);
        let outcome = section.turns[0].outcome.as_mut().unwrap();
        outcome.extra.insert(softirq::SHARE.to_owned(), 0.25);
        assert_eq!(with(&section), Some(2.5));
    }

    #[test]
    fn a_figure_that_was_not_measured_is_absent_not_zero() {
        let mut section = section(&[("corecast", &[Some(1.0)]), ("bun", &[Some(2.0)])]);
        for turn in &mut section.turns {
            let outcome = turn.outcome.as_mut().unwrap();
            (outcome.cost, outcome.delivered) = (None, 0);
            outcome.latency = Latency::default();
        }
        for figure in [Figure::CpuPerDelivery, Figure::P99, Figure::Extra("x".into())] {
            assert_eq!(section.median("bun", &figure), None);
            assert_eq!(section.ratio("corecast", "bun", &figure), None);
        }
    }
}
