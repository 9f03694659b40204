//! W4: what stalled readers cost the healthy ones.

use clap::Args;
use eyre::Result;

use super::aim::Aim;
use super::load::{FAN_OUT, Load};
use super::{show, tell};
use crate::load::Slow;
use crate::workload::stalled::{self, Params};

/// `corecast-bench stalled`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    aim: Aim,
    #[command(flatten)]
    load: Load,
    /// Share of all subscribers that never read; they come beside --subscribers
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    share: f64,
    /// Rounds with and without them
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

const EXAMPLES: &str = "\
Examples:
  corecast-bench stalled --subscribers 950 --payload-bytes 1024 --pace 200
  corecast-bench stalled --server ws --share 0.01 --rounds 5";

/// Measures and prints.
///
/// # Errors
/// When the server or the client fails.
pub fn run(options: &Options) -> Result<()> {
    let pace = options.load.pace()?;
    let (site, target) = options.aim.take(FAN_OUT, &[])?;
    let shape = options.load.shape(target, pace, Slow::default());
    let params = Params { shape, stalled_share: options.share, rounds: options.rounds };
    let outcome = stalled::run(&site, &params)?;
    site.stop()?;
    show(options.aim.json(), &outcome, tell::describe)
}
