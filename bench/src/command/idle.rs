//! What an idle connection costs in user memory, and all of them in CPU.

use std::time::Duration;

use clap::Args;
use eyre::{Result, bail};

use super::aim::Aim;
use super::load::FAN_OUT;
use super::{show, tell};
use crate::workload::idle::{self, Params};

/// `corecast-bench idle`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    aim: Aim,
    /// Connections to hold; each takes one open file here and one in the server
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Connections made and closed before, so that what is allocated once is not counted
    #[arg(long, default_value_t = 50)]
    warm_up: usize,
    /// Seconds that the connections are left alone
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Fail when a connection takes more bytes than this
    #[arg(long, value_name = "BYTES")]
    bytes_max: Option<u64>,
}

const EXAMPLES: &str = "\
Examples:
  corecast-bench idle --connections 10000 --bytes-max 1024
  corecast-bench idle --server ws --connections 1000
  corecast-bench idle --target ws://127.0.0.1:9001/ws/a --pid 4711";

/// Measures and prints.
///
/// # Errors
/// When the server or the load client fails, connections are lost, or cost more than allowed.
pub fn run(options: &Options) -> Result<()> {
    let (site, target) = options.aim.take(FAN_OUT, &[])?;
    let Options { connections, warm_up, .. } = *options;
    let quiet = Duration::from_secs_f64(options.seconds);
    let outcome = idle::run(&site, &Params { target, connections, warm_up, quiet })?;
    site.stop()?;
    show(options.aim.json(), &outcome, tell::describe)?;
    let bytes = outcome.extra.get(idle::BYTES_PER_CONNECTION).copied().unwrap_or(f64::NAN);
    match options.bytes_max {
        Some(max) if bytes.is_nan() || bytes > max as f64 => {
            bail!("a connection takes {bytes:.0} bytes, more than {max}")
        }
        _ => Ok(()),
    }
}
