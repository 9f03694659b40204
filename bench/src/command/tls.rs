//! What TLS costs: `wss://` beside `ws://`, in turn.

mod report;

use std::time::Duration;

use clap::{Args, ValueEnum};
use eyre::{Result, ensure};
use serde::Serialize;

use super::cost::Row;
use super::{ServerOptions, Timing, show};
use crate::flood::{Gang, Kind, Orders, Targets};
use crate::load::{self, Shape, Slow};
use crate::outcome::Outcome;
use crate::report::rounds::order;
use crate::schedule::{Pace, Schedule};
use crate::servers::{Server, Site, TlsOptions};
use crate::target::Target;
use crate::workload::connect;
use crate::workload::flood::{self, Finish};
use crate::workload::idle;
use report::{Report, describe};

/// `corecast-bench tls`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    server: ServerOptions,
    /// What to measure
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "delivery,handshake,idle,storm"
    )]
    parts: Vec<Part>,
    /// The load, as SUBSCRIBERSxBYTES@RATE
    #[arg(long, value_name = "ROW", default_value = "1000x128@50")]
    row: Row,
    /// Opening handshakes of each kind in a round
    #[arg(long, value_name = "COUNT", default_value_t = 3_000)]
    handshakes: usize,
    /// Idle connections
    #[arg(long, value_name = "COUNT", default_value_t = 5_000)]
    idle: usize,
    /// Handshakes that are begun in a second beside the subscribers
    #[arg(long, value_name = "RATE", default_value_t = 500.0)]
    storm: f64,
    /// Rounds of each part; idle connections are measured once
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    timing: Timing,
}

const EXAMPLES: &str = "\
Examples:
  corecast-bench tls
  corecast-bench tls --parts delivery --row 1000x1024@200 --rounds 5
  corecast-bench tls --parts storm --storm 2000";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A fan-out: CPU of a delivery, latency
    Delivery,
    /// Opening handshakes: plain, with a full TLS handshake, with a resumed one
    Handshake,
    /// Memory of idle connections
    Idle,
    /// Subscribers while others begin TLS handshakes, and while none does
    Storm,
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    /// `ws://`
    Plain,
    /// `wss://`, each connection with a TLS handshake of its own
    Full,
    /// `wss://`, connections resume sessions where they have a ticket
    Resumed,
}

/// Measures and prints.
///
/// # Errors
/// When the server or the load client fails.
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.rounds > 0, "--rounds must be at least 1");
    options.server.prepare_client()?;
    let mut report = Report::default();
    let has = |part| options.parts.contains(&part);
    if has(Part::Delivery) {
        let shape = shape(options);
        report.delivery =
            in_turn(options, &[Way::Plain, Way::Full], |site, _| load::run(site, &shape))?;
    }
    if has(Part::Handshake) {
        let ways = [Way::Plain, Way::Full, Way::Resumed];
        report.handshake = in_turn(options, &ways, |site, _| {
            let target = Target::plain("/ws/bench");
            let (connections, concurrency, warm_up) = (options.handshakes, 64, 500);
            connect::run(site, &connect::Params { target, connections, concurrency, warm_up })
        })?;
    }
    if has(Part::Idle) {
        let once = Options { rounds: 1, ..options.clone() };
        report.idle = in_turn(&once, &[Way::Plain, Way::Full], |site, _| {
            let (target, connections) = (Target::plain("/ws/bench"), options.idle);
            let quiet = Duration::from_secs(2);
            idle::run(site, &idle::Params { target, connections, warm_up: 50, quiet })
        })?;
    }
    if has(Part::Storm) {
        for round in 0..options.rounds {
            eprintln!("storm, round {} of {}", round + 1, options.rounds);
            report.storm.push(storm(options, round % 2 == 1)?);
        }
    }
    show(options.server.json, &report, describe)
}

/// Measures each way in each round, on a fresh server.
fn in_turn(
    options: &Options,
    ways: &[Way],
    measure: impl Fn(&Site, Way) -> Result<Outcome>,
) -> Result<Vec<(Way, Outcome)>> {
    let mut outcomes = Vec::new();
    for round in 0..options.rounds {
        for place in order(ways.len(), round) {
            let way = ways[place];
            eprintln!("round {} of {}, {way:?}", round + 1, options.rounds);
            let outcome =
                Server::CORECAST.measure(&way.options(options), |site| measure(site, way))?;
            outcomes.push((way, outcome));
        }
    }
    Ok(outcomes)
}

/// The subscribers in peace, and while others begin handshakes.
fn storm(options: &Options, stormy_first: bool) -> Result<flood::Round> {
    let site = Server::CORECAST.start(&Way::Full.options(options))?;
    let targets =
        Targets { plain: site.address, tls: Some(site.address), path: "/ws/storm".to_owned() };
    let orders = Orders {
        targets,
        kind: Kind::Hellos,
        origin: "127.1.0.0/16".parse()?,
        parallel: STORM_PARALLEL,
        rate: Some(options.storm),
    };
    let attack = || -> Result<Finish> {
        let gang = Gang::start(&orders)?;
        Ok(Box::new(|| gang.finish()))
    };
    let round = flood::run(&site, &shape(options), &attack, stormy_first)?;
    site.stop()?;
    Ok(round)
}

fn shape(options: &Options) -> Shape {
    let Row { subscribers, payload_bytes, rate } = options.row;
    Shape {
        target: Target::plain("/ws/bench"),
        subscribers,
        publishers: 1,
        payload_bytes,
        pace: Pace::Open(Schedule::Constant { rate }),
        slow: Slow::default(),
        warm_up: Duration::from_secs_f64(options.timing.warm_up),
        measured: Duration::from_secs_f64(options.timing.seconds),
        seed: 1,
        busy: false,
    }
}

impl Way {
    fn options(self, options: &Options) -> ServerOptions {
        let resume = self == Self::Resumed;
        let tls = TlsOptions { tls: true, resume, ..TlsOptions::default() };
        ServerOptions { tls: (self != Self::Plain).then_some(tls), ..options.server.clone() }
    }
}

/// Enough for those who stay a second.
const STORM_PARALLEL: usize = 4_096;
