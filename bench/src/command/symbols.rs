//! `symbols`: W2, many symbols by Zipf's law, fifty of them for each client.

use std::time::Duration;

use clap::Args;
use eyre::{Result, ensure};

use super::replay::Contender;
use super::{ServerOptions, show};
use crate::outcome::Outcome;
use crate::report::rounds::{Progress, interleave};
use crate::report::summary::Section;
use crate::servers::Server;
use crate::workload::feed_site::{FeedSite, watch};
use crate::workload::play::Watched;
use crate::workload::symbols::{self, CONFIGURATION, Shape, Speech};

/// `corecast-bench symbols`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    server: ServerOptions,
    /// Servers: `feed` is corecast's feed, a connection for each client; all others have a
    /// connection for each symbol of each client, corecast too
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "feed,corecast,bun")]
    servers: Vec<Contender>,
    /// Clients
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// Symbols
    #[arg(long, default_value_t = 1_000)]
    symbols: usize,
    /// Symbols of each client, chosen by chance
    #[arg(long, default_value_t = 50)]
    each: usize,
    /// Messages a second over all symbols
    #[arg(long, default_value_t = 5_000.0)]
    rate: f64,
    /// The symbol of rank k has a share of 1 / k to the power of this
    #[arg(long, default_value_t = 1.0)]
    exponent: f64,
    /// Bytes of a message
    #[arg(long, value_name = "BYTES", default_value_t = 146)]
    payload_bytes: usize,
    /// Seconds of each round
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
    /// Rounds
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Decides who is subscribed to what, and the order of the messages
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A server that takes more memory is stopped, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 4_096)]
    memory_max: u64,
}

/// Measures, and prints.
///
/// # Errors
/// When the options make no sense, or no server could be measured.
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.seconds > 0.0 && options.seconds < 3_600.0, "--seconds must be 0 to 3,600");
    let shape = Shape {
        symbols: options.symbols,
        symbols_each: options.each,
        clients: options.clients,
        rate: options.rate,
        exponent: options.exponent,
        payload_bytes: options.payload_bytes,
        measured: Duration::from_secs_f64(options.seconds),
        drain: Duration::from_secs(5),
        memory_bytes_max: options.memory_max << 20,
        seed: options.seed,
    };
    options.server.prepare_client()?;
    let step = Duration::from_secs_f64(options.seconds + 4.0);
    let steps = options.servers.len() * options.rounds;
    let mut progress = Progress::new(step * steps as u32);
    progress.expect(step);
    let mut turn = |one: &Contender| round(*one, &options.server, &shape);
    let turns = interleave(&options.servers, options.rounds, "symbols", &mut progress, &mut turn);
    let servers = Vec::from_iter(options.servers.iter().map(Contender::to_string));
    let base = servers.last().cloned().unwrap_or_default();
    let section = Section { name: format!("symbols: {shape}"), servers, base, turns };
    ensure!(section.turns.iter().any(|turn| turn.outcome.is_some()), "no server was measured");
    show(options.server.json, &section, Section::text)
}

fn round(one: Contender, options: &ServerOptions, shape: &Shape) -> Result<Outcome> {
    match one {
        Contender::Feed => {
            let feed = FeedSite::start(Server::CORECAST, options, CONFIGURATION)?;
            let speech = Speech::Feed(feed.ingest());
            let run = |watched: Watched<'_>| symbols::run(watched, &speech, shape);
            let outcome = watch("feed", feed.site(), run)?;
            feed.stop()?;
            Ok(outcome)
        }
        Contender::Plain(server) => {
            let site = server.start(options)?;
            let run = |watched: Watched<'_>| symbols::run(watched, &Speech::Plain, shape);
            let outcome = watch(&server.to_string(), &site, run)?;
            site.stop()?;
            Ok(outcome)
        }
    }
}
