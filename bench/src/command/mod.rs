//! The commands of `corecast-bench`.

mod aim;
pub mod attack;
pub mod churn;
pub mod compare;
pub mod connect;
pub mod cost;
pub mod echo;
pub mod feed;
pub mod flood;
pub mod goals;
pub mod idle;
pub mod ingest;
pub mod load;
pub mod micro;
pub mod place;
pub mod replay;
pub mod stalled;
pub mod storm;
pub mod symbols;
mod tell;
pub mod tls;

use clap::Args;
use eyre::Result;
use serde::Serialize;

use crate::servers::stop;
pub use crate::servers::{ServerOptions, raise_nofile};

/// How long each round takes.
#[derive(Debug, Clone, Args)]
pub struct Timing {
    /// Seconds measured per round
    #[arg(long, default_value_t = 8.0)]
    pub seconds: f64,
    /// Seconds of load before each measurement
    #[arg(long, default_value_t = 1.5)]
    pub warm_up: f64,
}

/// What the words of the tables mean, for `--help`; `bench/README.md` says more.
pub(crate) const WORDS: &str = "\
What the words mean:
  missing      a delivery to a healthy reader that was due and has not come when the round ends
  held back    a message that was due and not sent, as the server did not read: missing for each
               reader
  stalled      a reader that never reads; nothing is expected of it. All others are healthy
  bottleneck   the load client had no CPU left (95 %) or sent late by its own doing: latency and
               rate are its own, and no evidence about the server
  latency      from the moment at which a message was due to its arrival
  shown age    of each quote that was due: the time until the client had it or a newer one
  held (rate)  p99 within 20 ms, each delivery once and in order, nothing held back
How it is measured: bench/README.md";

/// Prints a report: JSON when asked for, otherwise as `describe` words it.
fn show<R: Serialize>(json: bool, report: &R, describe: impl Fn(&R) -> String) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{}", describe(report));
    }
    Ok(())
}

fn kib(bytes: u64) -> String {
    format!("{:.0} KiB", bytes as f64 / 1024.0)
}
