//! The commands of `corecast-bench`.

mod aim;
pub mod churn;
pub mod compare;
pub mod connect;
pub mod cost;
pub mod echo;
pub mod feed;
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
