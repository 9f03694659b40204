//! W3: many small records in over the framed ingest, conflated to many clients.

use std::time::Duration;

use clap::Args;
use eyre::Result;

use super::{ServerOptions, Timing, show};
use crate::measure::{CLIENT_BUSY_SHARE, table};
use crate::outcome::{Latency, Outcome};
use crate::workload::ingest::{self, Params, extra};

/// `corecast-bench ingest`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    server: ServerOptions,
    /// Clients, each subscribed to the conflated variant of every topic
    #[arg(long, default_value_t = 1_000)]
    clients: usize,
    /// Records a second, over all topics; several make a round each
    #[arg(long, value_delimiter = ',', default_value = "400000")]
    rate: Vec<f64>,
    /// Topics
    #[arg(long, default_value_t = 1)]
    topics: usize,
    /// Keys of each topic
    #[arg(long, default_value_t = 100)]
    keys: usize,
    /// Interval of the variant
    #[arg(long, value_name = "MS", default_value_t = 100)]
    interval_ms: u32,
    /// Payload bytes of a record
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    payload_bytes: usize,
    /// Publish over TCP instead of the Unix socket
    #[arg(long)]
    tcp: bool,
    /// Microseconds that the publisher sleeps between two writes
    #[arg(long, value_name = "US", default_value_t = 1_000)]
    wake_us: u64,
    #[command(flatten)]
    timing: Timing,
}

/// Measures and prints.
///
/// # Errors
/// When the server or the load client fails, or a record is refused.
pub fn run(options: &Options) -> Result<()> {
    options.server.prepare_client()?;
    let mut outcomes = Vec::new();
    for &rate in &options.rate {
        eprintln!("{rate:.0} records a second");
        let params = Params {
            clients: options.clients,
            topics: options.topics,
            keys: options.keys,
            rate,
            payload_bytes: options.payload_bytes,
            interval_ms: options.interval_ms,
            tcp: options.tcp,
            wake_every: Duration::from_micros(options.wake_us),
            warm_up: Duration::from_secs_f64(options.timing.warm_up),
            measured: Duration::from_secs_f64(options.timing.seconds),
        };
        outcomes.push(ingest::run(&options.server, &params)?);
    }
    show(options.server.json, &outcomes, |outcomes| describe(outcomes))
}

fn describe(outcomes: &[Outcome]) -> String {
    let head = [
        "",
        "accepted/s",
        "behind max",
        "deliveries",
        "expected",
        "age p50",
        "age p99",
        "age max",
        "shown p99",
        "shown max",
        "server CPU",
        "client CPU",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for outcome in outcomes {
        let extra = |name: &str| outcome.extra.get(name).copied().unwrap_or(f64::NAN);
        let Latency { ns_p50, ns_p99, ns_max, .. } = outcome.latency;
        let server = outcome.cost.map_or(f64::NAN, |cost| cost.cpu_share);
        rows.push(vec![
            outcome.workload.clone(),
            format!("{:.0}", extra(extra::ACCEPTED_PER_SECOND)),
            ms(extra(extra::BEHIND_NS_MAX)),
            outcome.delivered.to_string(),
            outcome.expected.to_string(),
            ms(ns_p50 as f64),
            ms(ns_p99 as f64),
            ms(ns_max as f64),
            ms(extra(extra::SHOWN_NS_P99)),
            ms(extra(extra::SHOWN_NS_MAX)),
            format!("{:.0} %", server * 100.0),
            format!("{:.0} %", outcome.client.cpu_share * 100.0),
        ]);
    }
    let mut text = table(&rows);
    for outcome in outcomes {
        if outcome.missing > 0 {
            let Outcome { workload, missing, .. } = outcome;
            text += &format!("{workload}: {missing} clients have not got the newest value.\n");
        }
    }
    if outcomes.iter().any(|outcome| outcome.client.cpu_share >= CLIENT_BUSY_SHARE) {
        text += "The load client was the bottleneck in some rounds (CPU of 95 % and more).\n";
    }
    text
}

fn ms(ns: f64) -> String {
    format!("{:.1} ms", ns / 1e6)
}
