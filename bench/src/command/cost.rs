//! CPU per delivery: the server on one CPU, the load on another, backends in turn.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use eyre::{Result, eyre};
use serde::Serialize;

use super::{ServerOptions, Timing, show};
use crate::load::{self, Shape, Slow};
use crate::measure::{median, table};
use crate::outcome::{Cost, Outcome};
use crate::schedule::{Pace, Schedule};
use crate::servers::Server;
use crate::stamp::STAMP_BYTES;
use crate::target::Target;

/// `corecast-bench cost`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    server: ServerOptions,
    /// What to measure, as SUBSCRIBERSxBYTES@RATE (may be given several times)
    #[arg(long = "row", value_name = "ROW", default_value = "1000x1024@200")]
    rows: Vec<Row>,
    /// Backends to compare, in turn
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "ring,sendmsg")]
    backends: Vec<String>,
    /// Rounds per row and backend
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[command(flatten)]
    timing: Timing,
}

/// One shape of load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Row {
    /// Connections that receive each message.
    pub subscribers: usize,
    /// Payload bytes of a message.
    pub payload_bytes: usize,
    /// Messages a second, from one publisher.
    pub rate: f64,
}

/// What one round of one backend gave.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    backend: String,
    outcome: Outcome,
}

/// All rounds of one row.
#[derive(Debug, Clone, Serialize)]
pub struct RowReport {
    row: Row,
    rounds: Vec<Round>,
    /// CPU per delivery of each backend, as a share of the last one's, medians over the rounds.
    ratios: Vec<Ratio>,
}

/// One backend's CPU per delivery compared with another's in the same round.
#[derive(Debug, Clone, Serialize)]
pub struct Ratio {
    backend: String,
    to: String,
    median: f64,
    least: f64,
    greatest: f64,
}

impl FromStr for Row {
    type Err = eyre::Report;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || eyre!("{text:?} is not like 1000x1024@200: SUBSCRIBERSxBYTES@RATE");
        let (subscribers, rest) = text.split_once('x').ok_or_else(wrong)?;
        let (payload_bytes, rate) = rest.split_once('@').ok_or_else(wrong)?;
        let row = Self {
            subscribers: subscribers.parse().map_err(|_| wrong())?,
            payload_bytes: payload_bytes.parse().map_err(|_| wrong())?,
            rate: rate.parse().map_err(|_| wrong())?,
        };
        if row.subscribers == 0 || !row.rate.is_finite() || row.rate <= 0.0 {
            return Err(eyre!("{text:?}: subscribers and rate must be above 0"));
        }
        if row.payload_bytes < STAMP_BYTES {
            return Err(eyre!("{text:?}: a payload has at least {STAMP_BYTES} bytes"));
        }
        Ok(row)
    }
}

/// Measures and prints.
///
/// # Errors
/// When a server or the load client fails, or deliveries are missing.
pub fn run(options: &Options) -> Result<()> {
    options.server.prepare_client()?;
    let mut reports = Vec::new();
    for &row in &options.rows {
        let mut rounds = Vec::new();
        for round in 0..options.rounds {
            // The order changes each time, so that drift does not favour one of them.
            let mut backends = options.backends.clone();
            if round % 2 == 1 {
                backends.reverse();
            }
            for backend in &backends {
                eprintln!("round {} of {}, {backend}", round + 1, options.rounds);
                rounds.push(measure(options, row, backend)?);
            }
        }
        let ratios = compare(&options.backends, &rounds);
        reports.push(RowReport { row, rounds, ratios });
    }
    show(options.server.json, &reports, |reports| {
        reports.iter().map(|report| describe(report, &options.backends)).collect()
    })?;
    let rounds = reports.iter().flat_map(|report| &report.rounds);
    match rounds.map(Round::lost).sum() {
        0 => Ok(()),
        lost => Err(eyre!("{lost} deliveries are missing, doubled or out of order")),
    }
}

fn measure(options: &Options, row: Row, backend: &str) -> Result<Round> {
    let server: Server = format!("corecast:{backend}").parse()?;
    let site = server.start(&options.server)?;
    let shape = Shape {
        target: Target::plain(TARGET),
        subscribers: row.subscribers,
        publishers: 1,
        payload_bytes: row.payload_bytes,
        pace: Pace::Open(Schedule::Constant { rate: row.rate }),
        slow: Slow::default(),
        warm_up: Duration::from_secs_f64(options.timing.warm_up),
        measured: Duration::from_secs_f64(options.timing.seconds),
        seed: 0,
        busy: false,
    };
    let outcome = load::run(&site, &shape)?;
    site.stop()?;
    Ok(Round { backend: backend.to_owned(), outcome })
}

impl Round {
    fn lost(&self) -> u64 {
        self.outcome.missing + self.outcome.duplicated + self.outcome.reordered
    }

    fn cost(&self) -> Cost {
        self.outcome.cost.unwrap_or_default()
    }
}

fn compare(backends: &[String], rounds: &[Round]) -> Vec<Ratio> {
    let Some((to, others)) = backends.split_last() else { return Vec::new() };
    let costs = |backend: &str| {
        let rounds = rounds.iter().filter(|round| round.backend == backend);
        Vec::from_iter(rounds.map(|round| round.cost().cpu_ns_per_delivery))
    };
    let base = costs(to);
    let ratio = |backend: &String| {
        let pairs = costs(backend).into_iter().zip(&base).map(|(one, base)| one / base);
        let pairs = Vec::from_iter(pairs);
        Ratio {
            backend: backend.clone(),
            to: to.clone(),
            median: median(&pairs),
            least: pairs.iter().copied().fold(f64::INFINITY, f64::min),
            greatest: pairs.iter().copied().fold(0.0, f64::max),
        }
    };
    others.iter().map(ratio).collect()
}

fn describe(report: &RowReport, backends: &[String]) -> String {
    let Row { subscribers, payload_bytes, rate } = report.row;
    let mut rows = vec![HEADINGS.map(str::to_owned).to_vec()];
    for (number, round) in report.rounds.iter().enumerate() {
        let number = number / backends.len().max(1) + 1;
        rows.push(describe_round(&format!("{} #{number}", round.backend), &[round]));
    }
    for backend in backends {
        let rounds = report.rounds.iter().filter(|round| round.backend == *backend);
        rows.push(describe_round(&format!("{backend} median"), &Vec::from_iter(rounds)));
    }
    let mut text = format!("{subscribers} subscribers, {payload_bytes} B, {rate} messages/s\n");
    text += &table(&rows);
    for Ratio { backend, to, median, least, greatest } in &report.ratios {
        text += &format!(
            "CPU per delivery, {backend} / {to}: {median:.3} (rounds {least:.3} to {greatest:.3})\n"
        );
    }
    if report.rounds.iter().any(|round| round.outcome.client.bottleneck) {
        text += "The load client was the bottleneck in some rounds: \
                 their latencies are its own.\n";
    }
    text
}

const HEADINGS: [&str; 8] =
    ["", "µs/delivery", "p50 µs", "p99 µs", "max µs", "lost", "server CPU", "client CPU"];

fn describe_round(name: &str, rounds: &[&Round]) -> Vec<String> {
    let middle =
        |value: fn(&Round) -> f64| median(&Vec::from_iter(rounds.iter().map(|round| value(round))));
    vec![
        name.to_owned(),
        format!("{:.2}", middle(|round| round.cost().cpu_ns_per_delivery) / 1e3),
        format!("{:.0}", middle(|round| round.outcome.latency.ns_p50 as f64) / 1e3),
        format!("{:.0}", middle(|round| round.outcome.latency.ns_p99 as f64) / 1e3),
        format!("{:.0}", middle(|round| round.outcome.latency.ns_max as f64) / 1e3),
        rounds.iter().map(|round| round.lost()).sum::<u64>().to_string(),
        format!("{:.0} %", middle(|round| round.cost().cpu_share) * 100.0),
        format!("{:.0} %", middle(|round| round.outcome.client.cpu_share) * 100.0),
    ]
}

const TARGET: &str = "/ws/bench";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_wrong_ones_named() {
        let row: Row = "10x128@1000".parse().unwrap();
        assert_eq!(row, Row { subscribers: 10, payload_bytes: 128, rate: 1000.0 });
        for wrong in ["", "10", "10x128", "0x128@1", "10x8@1", "10x128@0", "10x128@inf", "ax1@1"] {
            assert!(wrong.parse::<Row>().unwrap_err().to_string().contains(wrong), "{wrong}");
        }
    }
}
