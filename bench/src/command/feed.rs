//! What a conflated variant costs: 1,000 subscribers of `quote.bench@100ms`, fed with 1,000
//! messages a second, beside as many of a raw topic that says 10 a second.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use corecast_wire::InflatePool;
use corecast_wire::frame::Opcode;
use eyre::{OptionExt, Result, ensure};
use serde::Serialize;

use super::{ServerOptions, Timing, show};
use crate::clock;
use crate::load::Meter;
use crate::measure::{CLIENT_BUSY_SHARE, median, table};
use crate::process::sockets_bytes;
use crate::servers::Server;
use crate::swarm::{Delivery, Plan, Publishing, Swarm};
use crate::workload::feed_site::FeedSite;
use crate::workload::gateway::{Gateway, Rhythm, Way};
use crate::workload::ingest::records::Records;
use crate::workload::quotes::Quotes;

/// `corecast-bench feed`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    server: ServerOptions,
    /// Connections that receive each message
    #[arg(long, default_value_t = 1_000)]
    subscribers: usize,
    /// Messages a second that are published to the topic of the variant
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    /// Interval of the variant; the raw topic gets one message in each
    #[arg(long, value_name = "MS", default_value_t = 100)]
    interval_ms: u32,
    /// Payload bytes of a message
    #[arg(long, value_name = "BYTES", default_value_t = 256)]
    payload_bytes: usize,
    /// Compare the variant with itself compressed (permessage-deflate), on quotes with some of the
    /// book behind them, instead of with a raw topic
    #[arg(long)]
    deflate: bool,
    /// Rounds of each case
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[command(flatten)]
    timing: Timing,
}

/// What is measured, in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Case {
    /// A raw topic, one message in each interval.
    Raw,
    /// The feed's topic is fed, nobody is subscribed: what taking the messages in costs.
    Fed,
    /// The feed's topic is fed, all are subscribed to the variant.
    Variant,
    /// The same, and what is sent is compressed.
    Deflated,
}

const CASES: [Case; 3] = [Case::Raw, Case::Fed, Case::Variant];
const DEFLATE_CASES: [Case; 3] = [Case::Fed, Case::Variant, Case::Deflated];

/// What one round of one case gave.
#[derive(Debug, Clone, Serialize)]
struct Round {
    case: Case,
    delivered: u64,
    cpu_ms_per_second: f64,
    /// 0 where nothing was delivered.
    cpu_ns_per_delivery: f64,
    /// Bytes that the clients read from their sockets, over deliveries; 0 where there were none.
    bytes_per_delivery: f64,
    client_cpu_share: f64,
}

/// All rounds, and CPU per second beside the raw topic's: medians over the rounds.
#[derive(Debug, Clone, Serialize)]
struct Report {
    rounds: Vec<Round>,
    /// Of the variant, everything included.
    variant_to_raw: f64,
    /// Of the variant without what taking the messages in costs.
    variant_without_intake_to_raw: f64,
    /// The same two for each delivery, which leaves out that one had more of them.
    variant_to_raw_per_delivery: f64,
    /// Of the compressed variant beside the variant.
    deflated_to_variant_per_delivery: f64,
    /// The same of the bytes of a delivery.
    deflated_to_variant_bytes: f64,
}

/// Measures and prints.
///
/// # Errors
/// When a server or the load client fails, or hardly anything is delivered.
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.subscribers > 0 && options.rate > 0.0, "subscribers and rate must be above 0");
    ensure!(options.payload_bytes >= 64, "a payload has at least 64 bytes");
    options.server.prepare_client()?;
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        // The order changes each time, so that drift does not favour one of them.
        let mut cases = if options.deflate { DEFLATE_CASES } else { CASES };
        if round % 2 == 1 {
            cases.reverse();
        }
        for case in cases {
            eprintln!("round {} of {}, {case:?}", round + 1, options.rounds);
            rounds.push(measure(options, case)?);
        }
    }
    show(options.server.json, &report(rounds), describe)
}

fn measure(options: &Options, case: Case) -> Result<Round> {
    let compressed = if case == Case::Deflated { COMPRESSION } else { "" };
    let config = [CONFIG, compressed].concat();
    let feed = FeedSite::start(Server::CORECAST, &options.server, &config)?;
    let (site, sockets_before) = (feed.site(), sockets_bytes()?);
    let mut swarm = site.swarm()?;
    let publisher = open(options, case, &mut swarm)?;
    let fed = (case != Case::Raw).then(|| publish(options, feed.ingest())).transpose()?;
    if case == Case::Raw {
        let rate = 1e3 / f64::from(options.interval_ms);
        let count = ((options.timing.warm_up + options.timing.seconds + 1.0) * rate).ceil() as u64;
        let payload_bytes = options.payload_bytes;
        swarm.publish(Publishing { connection: publisher, rate, payload_bytes, count });
    }
    swarm.poll_for(Duration::from_secs_f64(options.timing.warm_up), &mut |_| {})?;

    let meter = Meter::start(site, &swarm, sockets_before)?;
    let read = |swarm: &Swarm| -> u64 {
        (0..options.subscribers).map(|client| swarm.counts(client).bytes).sum()
    };
    let (mut delivered, read_before) = (0_u64, read(&swarm));
    swarm.poll_for(Duration::from_secs_f64(options.timing.seconds), &mut |delivery| {
        delivered += u64::from(is_message(case, &delivery));
    })?;
    let bill = meter.read(&swarm, delivered)?;
    let bytes = (read(&swarm) - read_before) as f64;
    if let Some(fed) = fed {
        fed.finish()?;
    }
    drop(swarm);
    feed.stop()?;

    let due = options.timing.seconds * 1e3 / f64::from(options.interval_ms);
    let due = due * options.subscribers as f64;
    let least = if case == Case::Fed { 0.0 } else { due * 0.8 };
    ensure!(delivered as f64 >= least, "{case:?}: {delivered} of {due:.0} deliveries");
    let cost = bill.cost.ok_or_eyre("the server's process is not known")?;
    Ok(Round {
        case,
        delivered,
        cpu_ms_per_second: cost.cpu_share * 1e3,
        cpu_ns_per_delivery: if delivered == 0 { 0.0 } else { cost.cpu_ns_per_delivery },
        bytes_per_delivery: if delivered == 0 { 0.0 } else { bytes / delivered as f64 },
        client_cpu_share: bill.client_share,
    })
}

/// Feeds the topic over the server's ingest socket, each message when it is due.
fn publish(options: &Options, ingest: PathBuf) -> Result<Gateway> {
    let rhythm = Rhythm::prompt(clock::now_ns());
    let Options { rate, payload_bytes, .. } = *options;
    let (way, topics) = (Way::Ingest(ingest), vec![TOPIC.to_owned()]);
    if options.deflate {
        return Gateway::start(&way, topics, Box::new(Quotes::new(rate, payload_bytes, 1)), rhythm);
    }
    let records = Box::new(Records::new(1, 0, rate, payload_bytes, rhythm.starts_ns));
    Gateway::start(&way, topics, records, rhythm)
}

/// Opens the connections of a case, and subscribes them; returns the one that publishes.
fn open(options: &Options, case: Case, swarm: &mut Swarm) -> Result<usize> {
    let plan = Plan {
        deflate: (case == Case::Deflated).then(|| InflatePool::new(0)),
        ..Plan::reader(if case == Case::Raw { "/ws/bench" } else { "/feed" })
    };
    let within = Duration::from_secs(30);
    let mut answers = 0;
    let mut count = |delivery: Delivery<'_>| {
        answers += usize::from(delivery.payload.starts_with(br#"{"type":"subscribed""#));
    };
    // The raw topic's publisher hears nothing of itself.
    let publishers = usize::from(case == Case::Raw);
    let all = swarm.open_all(&plan, options.subscribers + publishers, within, &mut count)?;
    if matches!(case, Case::Variant | Case::Deflated) {
        let name = format!("{TOPIC}@{}ms", options.interval_ms);
        let command = format!(r#"{{"type":"subscribe","topics":["{name}"]}}"#);
        for connection in all.clone() {
            swarm.send(connection, Opcode::Text, command.as_bytes());
        }
        swarm.poll_for(Duration::from_secs(2), &mut count)?;
        let subscribers = options.subscribers;
        ensure!(answers == subscribers, "{answers} of {subscribers} were answered");
    }
    Ok(all.start)
}

fn is_message(case: Case, delivery: &Delivery<'_>) -> bool {
    case == Case::Raw || delivery.payload.starts_with(br#"{"type":"message""#)
}

fn report(rounds: Vec<Round>) -> Report {
    let of = |case: Case, value: fn(&Round) -> f64| -> Vec<f64> {
        rounds.iter().filter(|round| round.case == case).map(value).collect()
    };
    let ratio = |over: &[f64], under: &[f64]| {
        median(&Vec::from_iter(over.iter().zip(under).map(|(over, under)| over / under)))
    };
    let [raw, fed, variant] = CASES.map(|case| of(case, |round| round.cpu_ms_per_second));
    let [raw_each, _, variant_each] = CASES.map(|case| of(case, |round| round.cpu_ns_per_delivery));
    let deflated_each = of(Case::Deflated, |round| round.cpu_ns_per_delivery);
    let [variant_bytes, deflated_bytes] =
        [Case::Variant, Case::Deflated].map(|case| of(case, |round| round.bytes_per_delivery));
    let without = Vec::from_iter(variant.iter().zip(&fed).map(|(variant, fed)| variant - fed));
    Report {
        variant_to_raw: ratio(&variant, &raw),
        variant_without_intake_to_raw: ratio(&without, &raw),
        variant_to_raw_per_delivery: ratio(&variant_each, &raw_each),
        deflated_to_variant_per_delivery: ratio(&deflated_each, &variant_each),
        deflated_to_variant_bytes: ratio(&deflated_bytes, &variant_bytes),
        rounds,
    }
}

fn describe(report: &Report) -> String {
    let headings = ["", "CPU ms/s", "µs/delivery", "deliveries", "bytes/delivery", "client CPU"];
    let mut rows = vec![headings.map(str::to_owned)];
    let is_there = |case: &Case| report.rounds.iter().any(|round| round.case == *case);
    for case in [Case::Raw, Case::Fed, Case::Variant, Case::Deflated].into_iter().filter(is_there) {
        let rounds = report.rounds.iter().filter(|round| round.case == case);
        let rounds = Vec::from_iter(rounds);
        let middle =
            |value: fn(&Round) -> f64| median(&Vec::from_iter(rounds.iter().map(|r| value(r))));
        rows.push([
            format!("{case:?} median"),
            format!("{:.1}", middle(|round| round.cpu_ms_per_second)),
            format!("{:.2}", middle(|round| round.cpu_ns_per_delivery) / 1e3),
            format!("{:.0}", middle(|round| round.delivered as f64)),
            format!("{:.0}", middle(|round| round.bytes_per_delivery)),
            format!("{:.0} %", middle(|round| round.client_cpu_share) * 100.0),
        ]);
    }
    let mut text = table(&Vec::from_iter(rows.into_iter().map(|row| row.to_vec())));
    if is_there(&Case::Deflated) {
        text += &format!(
            "CPU per delivery, compressed / as it is: {:.3}; bytes: {:.3}\n",
            report.deflated_to_variant_per_delivery, report.deflated_to_variant_bytes
        );
        return text;
    }
    text += &format!(
        "CPU per second, variant / raw: {:.3}; without what taking the messages in costs: {:.3}\n\
         CPU per delivery, variant / raw: {:.3}\n",
        report.variant_to_raw,
        report.variant_without_intake_to_raw,
        report.variant_to_raw_per_delivery
    );
    if report.rounds.iter().any(|round| round.client_cpu_share >= CLIENT_BUSY_SHARE) {
        text += "The load client was the bottleneck in some rounds (CPU of 95 % and more).\n";
    }
    text
}

const TOPIC: &str = "quote.bench";
const COMPRESSION: &str = "\n[compression]\nenabled = true\n";
/// Heartbeats would be further deliveries, which the raw topic has not.
const CONFIG: &str = r#"
[feed]
heartbeat_ms = 0

[[namespaces]]
name = "quote"
policy = "latest"
"#;
