//! W5: a reconnect storm.

use std::time::Duration;

use clap::Args;
use eyre::Result;

use super::aim::Aim;
use super::load::FAN_OUT;
use super::{show, tell};
use crate::workload::storm::{self, Params};

/// `corecast-bench storm`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    aim: Aim,
    /// Clients that drop at once and return
    #[arg(long, default_value_t = 5_000)]
    clients: usize,
    /// Seconds within which they return, at random moments
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    within: f64,
    /// Messages a second that are published; with 0 a client waits for the answer to --subscribe
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Bytes of a message's payload
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    payload_bytes: usize,
    /// Seed of the moments
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  corecast-bench storm --clients 10000 --within 10
  corecast-bench storm --server bun --clients 2000 --within 1
  corecast-bench storm --path /feed --rate 0 --topic quote.a \\
      --subscribe '{\"type\":\"subscribe\",\"topics\":[\"{topic}\"]}'";

/// Measures and prints.
///
/// # Errors
/// When the server or the client fails.
pub fn run(options: &Options) -> Result<()> {
    let (site, target) = options.aim.take(FAN_OUT, &[])?;
    let Options { clients, rate, payload_bytes, seed, .. } = *options;
    let within = Duration::from_secs_f64(options.within);
    let params = Params { target, clients, within, rate, payload_bytes, seed };
    let outcome = storm::run(&site, &params)?;
    site.stop()?;
    show(options.aim.json(), &outcome, tell::describe)
}
