//! W0: plain load on one topic of any server.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use eyre::{Result, WrapErr};
use flate2::read::MultiGzDecoder;

use super::aim::Aim;
use super::{Timing, show, tell};
use crate::load::{self, Shape, Slow};
use crate::schedule::{Pace, Schedule, gaps};
use crate::target::Target;

/// `corecast-bench load`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    aim: Aim,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    slow: SlowOptions,
}

/// How much load, and when.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct Load {
    /// Connections that receive every message
    #[arg(long, default_value_t = 1_000)]
    pub(super) subscribers: usize,
    /// Connections that publish, in turn
    #[arg(long, default_value_t = 1)]
    publishers: usize,
    /// Bytes of a message's payload
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    payload_bytes: usize,
    /// When messages are sent: RATE, poisson:RATE or bursty:RATE/BURST in messages a second, or
    /// window:MESSAGES for as many as are delivered
    #[arg(long, default_value = "50")]
    pace: Pace,
    /// Take the times between messages from a recording (.gz, too): lines that begin with ns
    #[arg(long, value_name = "FILE", conflicts_with = "pace")]
    recording: Option<PathBuf>,
    /// Play the recording this many times faster
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, requires = "recording")]
    speed: f64,
    #[command(flatten)]
    timing: Timing,
    /// Seed of the schedule
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Ask for events again and again instead of sleeping: nearer to the wire, a whole CPU
    #[arg(long)]
    pub(super) busy: bool,
}

/// Slow subscribers beside the others.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Slow subscribers, beside the others")]
struct SlowOptions {
    /// Subscribers that never read
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    stalled: usize,
    /// Subscribers that read a trickle
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    trickling: usize,
    /// Bytes a second of a trickle
    #[arg(long, value_name = "BYTES", default_value_t = 10_000)]
    trickle_rate: usize,
}

const EXAMPLES: &str = "\
Examples:
  corecast-bench load --subscribers 1000 --payload-bytes 1024 --pace 200
  corecast-bench load --server bun --pace poisson:200
  corecast-bench load --pace window:16 --seconds 4 --json
  corecast-bench load --target ws://127.0.0.1:9001/ws/a --pid 4711 --stalled 50
  corecast-bench load --target ws://127.0.0.1:8080/socket --topic news \\
      --subscribe '{\"type\":\"subscribe\",\"channel\":\"{topic}\"}' --subscribed subscribed \\
      --publish '{\"type\":\"publish\",\"channel\":\"{topic}\",\"data\":\"{payload}\"}'

Without --subscribe and --publish it is plain fan-out: what one connection sends on the path goes to
all others there, as a binary message. Latency counts from the moment a message is due.";

/// Measures and prints.
///
/// # Errors
/// When the server or the client fails.
pub fn run(options: &Options) -> Result<()> {
    let pace = options.load.pace()?;
    let (site, target) = options.aim.take(FAN_OUT, &[])?;
    let SlowOptions { stalled, trickling, trickle_rate } = options.slow;
    let trickle_bytes = (trickle_rate / 100).max(1);
    let slow = Slow { stalled, trickling, trickle_bytes, ..Slow::default() };
    let shape = options.load.shape(target, pace, slow);
    eprintln!("{shape}: {:?} of warm-up, {:?} measured", shape.warm_up, shape.measured);
    let outcome = load::run(&site, &shape)?;
    site.stop()?;
    show(options.aim.json(), &outcome, tell::describe)
}

impl Load {
    /// What decides when messages are sent.
    pub(super) fn pace(&self) -> Result<Pace> {
        let Some(path) = &self.recording else { return Ok(self.pace.clone()) };
        let file = File::open(path).wrap_err_with(|| format!("cannot open {}", path.display()))?;
        let gaps_ns = gaps(unpacked(path, file)).wrap_err_with(|| path.display().to_string())?;
        let pace = Pace::Open(Schedule::Recorded { gaps_ns, speed: self.speed });
        pace.check()?;
        Ok(pace)
    }

    /// One round.
    pub(super) fn shape(&self, target: Target, pace: Pace, slow: Slow) -> Shape {
        Shape {
            target,
            subscribers: self.subscribers,
            publishers: self.publishers,
            payload_bytes: self.payload_bytes,
            pace,
            slow,
            warm_up: Duration::from_secs_f64(self.timing.warm_up),
            measured: Duration::from_secs_f64(self.timing.seconds),
            seed: self.seed,
            busy: self.busy,
        }
    }
}

fn unpacked(path: &Path, file: File) -> Box<dyn BufRead> {
    match path.extension() {
        Some(extension) if extension == "gz" => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        _ => Box::new(BufReader::new(file)),
    }
}

/// The topic of all fan-outs, on servers that are started here.
pub(super) const FAN_OUT: &str = "/ws/{topic}";
