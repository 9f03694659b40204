//! `compare`: servers side by side, round by round, as tables and plots.

pub mod saturation;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use eyre::{Result, WrapErr, ensure};
use serde::Serialize;

use super::Timing;
use super::cost::Row;
use super::place::Place;
use crate::load::{self, Shape, Slow};
use crate::outcome::Outcome;
use crate::report::figures::{self, Sweep};
use crate::report::machine::Machine;
use crate::report::rounds::{Progress, interleave};
use crate::report::summary::{Figure, Section};
use crate::report::text::markdown_table;
use crate::report::{File, write};
use crate::schedule::{Pace, Schedule};
use crate::servers::{Server, ServerOptions};
use crate::target::Target;
use saturation::{LATENCY_NS_P99_MAX, Saturation, search};

/// `corecast-bench compare`.
#[derive(Debug, Clone, Args)]
#[command(after_help = super::WORDS)]
pub struct Options {
    #[command(flatten)]
    place: Place,
    /// Servers: corecast, corecast:sendmsg, corecast:shards=N, bun, ws, tokio-tungstenite,
    /// fastwebsockets, tokio-websockets, floor
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "corecast,bun,ws,tokio-tungstenite,fastwebsockets,tokio-websockets,floor"
    )]
    servers: Vec<Server>,
    /// The server that the others are compared with: bun, or the last one where there is no bun
    #[arg(long, value_name = "SERVER")]
    base: Option<Server>,
    /// What to measure, as SUBSCRIBERSxBYTES@RATE (may be given several times); sweeps begin with
    /// the last one
    #[arg(
        long = "row",
        value_name = "ROW",
        value_delimiter = ',',
        default_value = "1000x1024@200,10x64@1000,1000x128@50"
    )]
    rows: Vec<Row>,
    /// Measure a curve besides (may be given several times)
    #[arg(long = "sweep", value_name = "WHAT", value_delimiter = ',')]
    sweeps: Vec<Swept>,
    /// Rounds of each row
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    timing: Timing,
    /// Write everything that was measured to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write report.md, report.json, machine.md and plots into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What differs along a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Swept {
    /// 10 to 5,000 subscribers, with as many deliveries a second
    Subscribers,
    /// Payloads of 64 bytes to 16 KiB, with as many messages a second
    Bytes,
    /// The highest rate that each server holds, exact to 8 %
    Rate,
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    rows: Vec<Section>,
    by_subscribers: Vec<(f64, Section)>,
    by_bytes: Vec<(f64, Section)>,
    by_rate: Vec<Saturation>,
}

/// Measures, prints, and writes what was asked for.
///
/// # Errors
/// When the options make no sense, no server can be measured at all, or a file cannot be written.
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.rounds > 0, "--rounds must be at least 1");
    ensure!(!options.servers.is_empty() && !options.rows.is_empty(), "nothing to measure");
    let server = options.place.options();
    let machine = Machine::describe(versions(&options.servers, &server)?, &server.corecast()?);
    server.prepare_client()?;
    let measured = measure(options, &server, machine);
    let any = measured.rows.iter().flat_map(|section| &section.turns);
    ensure!(any.clone().any(|turn| turn.outcome.is_some()), "no server could be measured");
    print!("{}", text(&measured));
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&measured)?;
        std::fs::write(file, json).wrap_err_with(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(folder) = &options.out {
        write(folder, &files(&measured)?)?;
    }
    Ok(())
}

/// One round of W0 on a fresh server.
///
/// # Errors
/// When the server does not start, fails, or cannot be stopped.
pub fn round(
    server: Server,
    options: &ServerOptions,
    row: Row,
    seconds: f64,
    warm_up: f64,
) -> Result<Outcome> {
    let shape = Shape {
        target: Target::plain("/ws/bench"),
        subscribers: row.subscribers,
        publishers: 1,
        payload_bytes: row.payload_bytes,
        pace: Pace::Open(Schedule::Constant { rate: row.rate }),
        slow: Slow::default(),
        warm_up: Duration::from_secs_f64(warm_up),
        measured: Duration::from_secs_f64(seconds),
        seed: 1,
        busy: false,
    };
    server.measure(options, |site| load::run(site, &shape))
}

/// The servers' names and versions, for the machine's description.
///
/// # Errors
/// When one is not installed; the message says how to do that.
pub fn versions(servers: &[Server], options: &ServerOptions) -> Result<Vec<(String, String)>> {
    let version = |server: &Server| Ok((server.to_string(), server.version(options)?));
    servers.iter().map(version).collect()
}

fn measure(options: &Options, server: &ServerOptions, machine: Machine) -> Report {
    let last = options.rows[options.rows.len() - 1];
    let swept = |what: Swept, rows: Vec<(f64, Row)>| {
        if options.sweeps.contains(&what) { rows } else { Vec::new() }
    };
    let by_subscribers = swept(Swept::Subscribers, subscribers(last));
    let by_bytes = swept(Swept::Bytes, payloads(last));
    let rate = options.sweeps.contains(&Swept::Rate);
    let timing = &options.timing;
    let step = Duration::from_secs_f64(timing.seconds + timing.warm_up + OVERHEAD_SECONDS);
    let rows = options.rows.len() + by_subscribers.len() + by_bytes.len();
    let steps = options.servers.len() * (rows * options.rounds + if rate { 9 } else { 0 });
    let mut progress = Progress::new(step * steps as u32);
    progress.expect(step);
    let base = options.base.or_else(|| options.servers.iter().copied().find(|s| *s == Server::Bun));
    let base = base.unwrap_or(options.servers[options.servers.len() - 1]).to_string();
    let mut section = |row: Row| {
        let name = name(row);
        let mut turn = |one: &Server| round(*one, server, row, timing.seconds, timing.warm_up);
        let turns = interleave(&options.servers, options.rounds, &name, &mut progress, &mut turn);
        let servers = options.servers.iter().map(Server::to_string).collect();
        Section { name, servers, base: base.clone(), turns }
    };
    let rows = options.rows.iter().map(|row| section(*row)).collect();
    let mut curve = |rows: Vec<(f64, Row)>| -> Vec<(f64, Section)> {
        rows.into_iter().map(|(x, row)| (x, section(row))).collect()
    };
    let (by_subscribers, by_bytes) = (curve(by_subscribers), curve(by_bytes));
    let by_rate = if rate {
        let mut at = |one: &Server, rate: f64| {
            round(*one, server, Row { rate, ..last }, timing.seconds / 2.0, timing.warm_up)
        };
        let within = SEARCH_WITHIN * options.servers.len() as u32;
        search(&options.servers, last.rate, within, &mut progress, &mut at)
    } else {
        Vec::new()
    };
    Report { machine, rows, by_subscribers, by_bytes, by_rate }
}

/// As many deliveries a second each, as far as the rate stays one that a publisher can keep.
fn subscribers(row: Row) -> Vec<(f64, Row)> {
    let deliveries = row.subscribers as f64 * row.rate;
    let with = |subscribers: usize| {
        let rate = (deliveries / subscribers as f64).clamp(1.0, 2_000.0);
        (subscribers as f64, Row { subscribers, rate, ..row })
    };
    [10, 100, 1_000, 5_000].map(with).to_vec()
}

fn payloads(row: Row) -> Vec<(f64, Row)> {
    let with = |payload_bytes: usize| (payload_bytes as f64, Row { payload_bytes, ..row });
    [64, 256, 1_024, 4_096, 16_384].map(with).to_vec()
}

/// A row as it is given on the command line.
#[must_use]
pub fn name(row: Row) -> String {
    format!("{}x{}@{}", row.subscribers, row.payload_bytes, row.rate)
}

fn text(report: &Report) -> String {
    let sweeps = report.by_subscribers.iter().chain(&report.by_bytes).map(|(_, section)| section);
    let sections = Vec::from_iter(report.rows.iter().chain(sweeps).map(Section::text));
    let mut text = sections.join("\n");
    if !report.by_rate.is_empty() {
        let _ = writeln!(text, "\nHighest rate. {}", HELD.replace('\n', " "));
        text += &crate::measure::table(&rates(&report.by_rate));
    }
    text
}

/// What it means that a server holds a rate, for a report.
pub const HELD: &str = "A rate is held when p99 stays within 20 ms, every delivery comes once and \
in order, and the server reads all that is sent. The search ends when the rate that failed is at \
most 8 % above the one that was held; `known to` is what was reached.";

/// The highest rates as a table.
#[must_use]
pub fn rates(found: &[Saturation]) -> Vec<Vec<String>> {
    let heading = ["", "messages/s", "fails at", "known to", "load client"];
    let heading = heading.map(str::to_owned).to_vec();
    let row = |one: &Saturation| {
        let said = |said: Option<String>| said.unwrap_or_else(|| "–".to_owned());
        let client = match one.is_measured() {
            false => "not measured",
            true if one.client_bound => "was the bottleneck there",
            true => "had room",
        };
        vec![
            one.server.clone(),
            said(one.is_measured().then(|| format!("{:.0}", one.rate))),
            said(one.failed_rate.map(|rate| format!("{rate:.0}"))),
            said(one.resolution().map(|share| format!("{:.0} %", share * 100.0))),
            client.to_owned(),
        ]
    };
    std::iter::once(heading).chain(found.iter().map(row)).collect()
}

fn files(report: &Report) -> Result<Vec<File>> {
    let mut files = plots(report)?;
    let machine = &report.machine;
    let mut page = format!(
        "# Servers beside each other\n\n{}, commit {}, {}. The machine: [machine.md](machine.md). \
         How it was measured and how to read it: `bench/README.md`.\n",
        machine.date, machine.commit, machine.cpu
    );
    let mut show = |heading: &str, sections: &[&Section]| {
        for section in sections {
            // Writing to a string does not fail.
            let _ = write!(page, "\n## {heading}{}\n\n{}", section.name, section.markdown());
        }
    };
    let of = |curve: &'_ [(f64, Section)]| -> Vec<Section> {
        curve.iter().map(|(_, section)| section.clone()).collect()
    };
    let (by_subscribers, by_bytes) = (of(&report.by_subscribers), of(&report.by_bytes));
    show("", &report.rows.iter().collect::<Vec<_>>());
    show("By subscribers: ", &by_subscribers.iter().collect::<Vec<_>>());
    show("By size: ", &by_bytes.iter().collect::<Vec<_>>());
    if !report.by_rate.is_empty() {
        let _ = write!(page, "\n## Highest rate\n\n{HELD}\n\n");
        page += &markdown_table(&rates(&report.by_rate));
    }
    page += "\n## Plots\n\n";
    for (name, _) in &files {
        let _ = writeln!(page, "![{}]({name})\n", name.trim_end_matches(".svg"));
    }
    files.push(("report.md".to_owned(), page));
    files.push(("report.json".to_owned(), serde_json::to_string_pretty(report)?));
    files.push(("machine.md".to_owned(), report.machine.markdown()));
    Ok(files)
}

fn plots(report: &Report) -> Result<Vec<File>> {
    let mut plots = figures::ratios(&report.rows)?;
    for section in &report.rows {
        plots.push(figures::latency(&section.name, section)?);
    }
    let cost = ("CPU per delivery, µs", Figure::CpuPerDelivery);
    let tail = ("latency p99, µs", Figure::P99);
    for (curve, name, x) in [
        (&report.by_subscribers, "subscribers", "subscribers"),
        (&report.by_bytes, "bytes", "payload, bytes"),
    ] {
        for (file, (label, figure)) in [("cost-by", &cost), ("p99-by", &tail)] {
            if !curve.is_empty() {
                let sections = curve.iter().map(|(x, section)| (*x, section)).collect();
                let (file, title) = (format!("{file}-{name}"), format!("{label}, by {name}"));
                plots.push(Sweep { file: &file, title, x, sections }.plot(figure, 1e3, label)?);
            }
        }
    }
    if !report.by_rate.is_empty() {
        let most = LATENCY_NS_P99_MAX / 1_000_000;
        let note = format!("up to the first rate with p99 above {most} ms");
        for (file, (label, figure)) in [("cost-by-rate", cost), ("p99-by-rate", tail)] {
            plots.push(figures::by_rate(file, &note, &report.by_rate, &figure, label)?);
        }
    }
    Ok(plots)
}

/// For the search of the highest rate of one server.
pub const SEARCH_WITHIN: Duration = Duration::from_secs(120);
/// To start and stop a server, connect, and wait for what is on its way.
const OVERHEAD_SECONDS: f64 = 1.5;
