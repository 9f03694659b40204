//! The commands of `corecast-bench`.

pub mod churn;
pub mod cost;
pub mod feed;
pub mod idle;
pub mod micro;

use std::num::NonZeroU64;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use eyre::{Result, WrapErr, bail};
use serde::Serialize;

use crate::process::{Launch, Process, corecast_program};

/// Which server to measure, and where it runs.
#[derive(Debug, Clone, Args)]
pub struct ServerOptions {
    /// The program to measure: CORECAST_BIN, or `corecast` beside this one, when not given
    #[arg(long, value_name = "PATH")]
    pub program: Option<PathBuf>,
    /// CPU that the server has to itself
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    pub server_cpu: usize,
    /// CPU that the load client runs on
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    pub client_cpu: usize,
    /// Further argument for `corecast serve` (may be given several times)
    #[arg(long = "server-arg", value_name = "ARG", allow_hyphen_values = true)]
    pub server_args: Vec<String>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

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

impl ServerOptions {
    /// Starts `corecast serve` with one shard on the server's CPU.
    fn start(&self, arguments: &[&str]) -> Result<Process> {
        let program = match &self.program {
            Some(program) => program.clone(),
            None => corecast_program()?,
        };
        let cpu = self.server_cpu.to_string();
        Launch::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--shards", "1", "--cpus", &cpu])
            .args(arguments)
            .args(&self.server_args)
            .cpus([self.server_cpu])
            .start()
    }

    /// Moves this process to its own CPU, and raises its limit of open files.
    fn prepare_client(&self) -> Result<()> {
        raise_nofile();
        let cpus = std::thread::available_parallelism()?.get();
        if self.client_cpu == self.server_cpu || cpus < 2 {
            eprintln!("server and client share CPU {}: the figures mix both", self.server_cpu);
        }
        // With the kernel's 50 µs each message would leave that late, and the server be blamed.
        crate::process::set_timer_slack(NonZeroU64::MIN)?;
        crate::process::pin_this_thread(&[self.client_cpu])
            .wrap_err("cannot pin the load client (--client-cpu)")
    }
}

/// Ends the server, which must obey SIGTERM: end with success, or by the signal as programs do
/// that have nothing to put in order.
fn stop(server: Process) -> Result<()> {
    let stopped = server.stop(STOP_WITHIN)?;
    let obeyed = stopped.status.success() || stopped.status.signal() == Some(SIGTERM);
    if stopped.killed || !obeyed {
        bail!("the server ended with {} (killed: {})", stopped.status, stopped.killed);
    }
    Ok(())
}

/// Raises the soft limit of open files to the hard one, for this process and its children.
pub fn raise_nofile() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Cannot fail: the hard limit stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
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

const SIGTERM: i32 = rustix::process::Signal::TERM.as_raw();
const STOP_WITHIN: Duration = Duration::from_secs(35);
