//! Attackers beside subscribers: one kind of attack at a time, in peace and under attack in turn.

use std::time::Duration;

use clap::{Args, ValueEnum};
use eyre::{Result, ensure};
use serde::Serialize;

use super::{ServerOptions, Timing, kib, show};
use crate::flood::{Gang, Kind, Orders, Origin, Tally, Targets};
use crate::load::{Shape, Slow};
use crate::measure::{median, table};
use crate::outcome::Outcome;
use crate::schedule::{Pace, Schedule};
use crate::servers::Server;
use crate::workload::feed_site::FeedSite;
use crate::workload::flood::{self, Finish, Round};

/// `corecast-bench flood`.
#[derive(Debug, Clone, Args)]
#[command(after_help = WORDS)]
pub struct Options {
    #[command(flatten)]
    server: ServerOptions,
    /// Kinds of attack, one after the other
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "handshakes,connects")]
    kinds: Vec<Kind>,
    /// What the server allows: its defaults, or any number of everything
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "on")]
    limits: Vec<Limits>,
    /// Address or network that attackers come from: 127.1.0.1, 127.1.0.0/16
    #[arg(long, value_name = "NETWORK", default_value = "127.1.0.1")]
    from: Origin,
    /// Attacking connections at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 512)]
    parallel: usize,
    /// Attacking connections begun in a second, at most; as many as possible without it
    #[arg(long, value_name = "RATE")]
    attack_rate: Option<f64>,
    /// Clients of the feed that must lose nothing
    #[arg(long, default_value_t = 50)]
    subscribers: usize,
    /// Messages a second that each of them gets
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    /// Rounds of each case
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    timing: Timing,
}

const WORDS: &str = "\
Examples:
  corecast-bench flood --kinds handshakes,hellos,connects --seconds 4
  corecast-bench flood --kinds connects --limits on,off --from 127.1.0.0/16
  corecast-bench flood --kinds slowloris --parallel 10000

Attackers run on the load client's CPU, in a process of their own that gets what the subscribers
leave: so that CPU bounds the attack, and the report says how many attackers came.
How it is measured: bench/README.md";

/// Whether the server's bounds hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Limits {
    /// Its defaults, of which only the subscribers' addresses are exempt
    On,
    /// None of an address
    Off,
}

/// All rounds of one kind.
#[derive(Debug, Clone, Serialize)]
struct Case {
    kind: Kind,
    limits: Limits,
    rounds: Vec<Round>,
    /// The median of the ratios within rounds: p99 beside attackers over p99 in peace.
    p99_ratio: f64,
    lost: u64,
    attack: Tally,
}

/// Measures and prints.
///
/// # Errors
/// When the server or the load client fails, subscribers lose something, or the server keeps what
/// attackers opened.
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.rounds > 0, "--rounds must be at least 1");
    options.server.prepare_client()?;
    let mut cases = Vec::new();
    for &kind in &options.kinds {
        let mut rounds = vec![Vec::new(); options.limits.len()];
        for round in 0..options.rounds {
            for (place, &limits) in options.limits.iter().enumerate() {
                eprintln!("{kind}, limits {limits:?}, round {} of {}", round + 1, options.rounds);
                rounds[place].push(measure(options, kind, limits, round % 2 == 1)?);
            }
        }
        let done = options.limits.iter().zip(rounds);
        cases.extend(done.map(|(&limits, rounds)| case(kind, limits, rounds)));
    }
    show(options.server.json, &cases, |cases| describe(cases))?;
    cases.iter().try_for_each(check)
}

fn measure(options: &Options, kind: Kind, limits: Limits, flooded_first: bool) -> Result<Round> {
    let settings = [flood::SETTINGS, limits.settings()].concat();
    let feed = match kind {
        Kind::Hellos => FeedSite::start_tls(Server::CORECAST, &options.server, &settings)?,
        _ => FeedSite::start(Server::CORECAST, &options.server, &settings)?,
    };
    let site = feed.site();
    let tls = if kind == Kind::Hellos { Some(feed.tls_address()?) } else { None };
    let targets = Targets { plain: site.address, tls, path: "/feed".to_owned() };
    let orders = Orders {
        targets,
        kind,
        origin: options.from,
        parallel: options.parallel,
        rate: options.attack_rate,
    };
    let attack = || -> Result<Finish> {
        let gang = Gang::start(&orders)?;
        Ok(Box::new(|| gang.finish()))
    };
    let round = flood::run(site, &shape(options), &attack, flooded_first)?;
    feed.stop()?;
    Ok(round)
}

fn shape(options: &Options) -> Shape {
    Shape {
        target: flood::control(),
        subscribers: options.subscribers,
        publishers: flood::publishers(options.rate),
        payload_bytes: PAYLOAD_BYTES,
        pace: Pace::Open(Schedule::Constant { rate: options.rate }),
        slow: Slow::default(),
        warm_up: Duration::from_secs_f64(options.timing.warm_up),
        measured: Duration::from_secs_f64(options.timing.seconds),
        seed: 1,
        busy: false,
    }
}

impl Limits {
    fn settings(self) -> &'static str {
        match self {
            Self::On => flood::LIMITS,
            Self::Off => "[address]\nconnections_max = 0\nhandshakes_per_second_max = 0\n\n",
        }
    }
}

fn case(kind: Kind, limits: Limits, rounds: Vec<Round>) -> Case {
    let mut attack = Tally::default();
    rounds.iter().for_each(|round| attack.add(&round.attack));
    let p99_ratio = median(&Vec::from_iter(rounds.iter().map(Round::p99_ratio)));
    let lost = rounds.iter().map(Round::lost).sum();
    Case { kind, limits, rounds, p99_ratio, lost, attack }
}

fn check(case: &Case) -> Result<()> {
    let Case { kind, lost, .. } = case;
    ensure!(*lost == 0, "{kind}: subscribers lost {lost} messages or were cut off");
    for round in &case.rounds {
        let (before, after) = (round.before.fds, round.after.fds);
        ensure!(after <= before, "{kind}: {before} files were open before, {after} are after");
    }
    Ok(())
}

fn describe(cases: &[Case]) -> String {
    let mut text = String::new();
    for case in cases {
        text += &describe_case(case);
        text.push('\n');
    }
    text
}

fn describe_case(case: &Case) -> String {
    let Case { kind, limits, rounds, attack, .. } = case;
    let middle = |value: &dyn Fn(&Round) -> f64| median(&Vec::from_iter(rounds.iter().map(value)));
    let row = |name: &str, of: fn(&Round) -> &Outcome| {
        let us = |value: fn(&Outcome) -> u64| {
            format!("{:.0}", middle(&|round| value(of(round)) as f64) / 1e3)
        };
        let share = |round: &Round| of(round).cost.map_or(f64::NAN, |cost| cost.cpu_share);
        vec![
            name.to_owned(),
            us(|one| one.latency.ns_p50),
            us(|one| one.latency.ns_p99),
            us(|one| one.latency.ns_p999),
            us(|one| one.client.lag_ns_p99),
            us(|one| one.client.late_ns_p99),
            format!("{:.0} %", middle(&share) * 100.0),
        ]
    };
    let headings =
        ["", "p50 µs", "p99 µs", "p99.9 µs", "client lag p99", "client late p99", "server CPU"];
    let mut text = format!("{kind}, limits {limits:?}\n");
    text += &table(&[
        headings.map(str::to_owned).to_vec(),
        row("in peace", |round| &round.quiet),
        row("beside attackers", |round| &round.flooded),
    ]);
    let ratios = Vec::from_iter(rounds.iter().map(Round::p99_ratio));
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = ratios.iter().copied().fold(0.0, f64::max);
    let settled = rounds.iter().map(|round| round.settled.map_or(f64::NAN, |s| s.as_secs_f64()));
    text += &format!(
        "p99 beside attackers / in peace: {:.2} (rounds {least:.2} to {greatest:.2}); lost: {}\n\
         attackers: {} a second, {} in all; {}\n\
         afterwards: {:.0} files more than before, {} kept, after {:.2} s\n",
        case.p99_ratio,
        case.lost,
        attack.rate().round(),
        attack.begun,
        ends(attack),
        middle(&|round| round.after.fds as f64 - round.before.fds as f64),
        kib(middle(&|round| round.kept_bytes() as f64) as u64),
        median(&Vec::from_iter(settled)),
    );
    text
}

fn ends(attack: &Tally) -> String {
    let ends = attack.ends();
    Vec::from_iter(ends.iter().map(|(fate, count)| format!("{fate} {count}"))).join(", ")
}

const PAYLOAD_BYTES: usize = 128;
