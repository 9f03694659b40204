//! Opening handshakes.

use clap::Args;
use eyre::Result;

use super::aim::Aim;
use super::load::FAN_OUT;
use super::{show, tell};
use crate::workload::connect::{self, Params};

/// `corecast-bench connect`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    aim: Aim,
    /// Connections to open; each takes one open file here and one in the server
    #[arg(long, default_value_t = 5_000)]
    connections: usize,
    /// Handshakes under way at once
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// Connections opened and closed before
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 500)]
    warm_up: usize,
}

const EXAMPLES: &str = "\
Examples:
  corecast-bench connect --connections 5000 --concurrency 64
  corecast-bench connect --server bun
  corecast-bench connect --target ws://127.0.0.1:9001/ws/a --pid 4711 --header 'Origin: http://a'";

/// Measures and prints.
///
/// # Errors
/// When the server or the client fails.
pub fn run(options: &Options) -> Result<()> {
    let (site, target) = options.aim.take(FAN_OUT, &[])?;
    let Options { connections, concurrency, warm_up, .. } = *options;
    let outcome = connect::run(&site, &Params { target, connections, concurrency, warm_up })?;
    site.stop()?;
    show(options.aim.json(), &outcome, tell::describe)
}
