//! Round trips.

use std::time::Duration;

use clap::Args;
use eyre::Result;

use super::aim::Aim;
use super::{Timing, show, tell};
use crate::workload::echo::{self, Params};

/// `corecast-bench echo`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    aim: Aim,
    /// Connections, each with one message on its way
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Bytes of a message's payload
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    payload_bytes: usize,
    #[command(flatten)]
    timing: Timing,
    /// Ask for events again and again instead of sleeping: nearer to the wire, a whole CPU
    #[arg(long)]
    busy: bool,
}

const EXAMPLES: &str = "\
Examples:
  corecast-bench echo --connections 100
  corecast-bench echo --server bun --payload-bytes 1024 --busy
  corecast-bench echo --target ws://127.0.0.1:9001/echo --pid 4711";

/// Measures and prints.
///
/// # Errors
/// When the server or the client fails.
pub fn run(options: &Options) -> Result<()> {
    let (site, target) = options.aim.take("/echo", &["--echo"])?;
    let params = Params {
        target,
        connections: options.connections,
        payload_bytes: options.payload_bytes,
        warm_up: Duration::from_secs_f64(options.timing.warm_up),
        measured: Duration::from_secs_f64(options.timing.seconds),
        busy: options.busy,
    };
    let outcome = echo::run(&site, &params)?;
    site.stop()?;
    show(options.aim.json(), &outcome, tell::describe)
}
