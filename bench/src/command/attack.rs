//! Attackers alone, until the input ends.

use std::io::Read;
use std::net::SocketAddr;

use clap::Args;
use eyre::Result;

use crate::command::raise_nofile;
use crate::flood::{Attack, Attackers, Kind, Origin, Targets};

/// `corecast-bench attack`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// What they do
    kind: Kind,
    /// Where your server speaks ws://
    #[arg(long, value_name = "ADDRESS")]
    plain: SocketAddr,
    /// Where it speaks wss://
    #[arg(long, value_name = "ADDRESS")]
    tls: Option<SocketAddr>,
    /// A path on which it accepts connections
    #[arg(long, default_value = "/feed")]
    path: String,
    /// Address or network that attackers come from: 127.1.0.1, 127.1.0.0/16, 2001:db8:1::/64
    #[arg(long, value_name = "NETWORK", default_value = "127.1.0.1")]
    from: Origin,
    /// Connections at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 512)]
    parallel: usize,
    /// Connections begun in a second, at most; as many as possible without it
    #[arg(long)]
    rate: Option<f64>,
}

const EXAMPLES: &str = "\
Examples:
  sleep 5 | corecast-bench attack handshakes --plain 127.0.0.1:9001
  sleep 5 | corecast-bench attack hellos --plain 127.0.0.1:9001 --tls 127.0.0.1:9443

It attacks until its input ends, and prints what became of the attackers as JSON.";

/// Attacks and prints.
///
/// # Errors
/// When the kernel has no descriptor for the attackers.
pub fn run(options: &Options) -> Result<()> {
    raise_nofile();
    let Options { plain, tls, parallel, rate, .. } = *options;
    let targets = Targets { plain, tls, path: options.path.clone() };
    let scripts = options.kind.scripts(&targets)?;
    let attackers = Attackers::start(Attack { scripts, origin: options.from, parallel, rate })?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{}", serde_json::to_string_pretty(&attackers.finish()?)?);
    Ok(())
}
