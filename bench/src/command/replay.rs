//! `replay`: W1, recorded ticks to clients that want everything.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use eyre::{Result, ensure};

use super::{ServerOptions, show};
use crate::measure::table;
use crate::outcome::Outcome;
use crate::recording::{Kind, Recording, find};
use crate::report::rounds::{Progress, interleave};
use crate::report::summary::{Figure, Section};
use crate::servers::Server;
use crate::workload::feed_site::{FeedSite, watch};
use crate::workload::play::Watched;
use crate::workload::replay::{self, Shape, Speech, configuration};

/// `corecast-bench replay`.
#[derive(Debug, Clone, Args)]
#[command(after_help = super::WORDS)]
pub struct Options {
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    shape: ShapeOptions,
    /// Servers: `feed` is corecast's feed with a policy for each topic; all others get one topic
    /// of plain fan-out, corecast too
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "feed,corecast,bun")]
    servers: Vec<Contender>,
    /// Rounds
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

/// What is played, and how.
#[derive(Debug, Clone, Args)]
pub struct ShapeOptions {
    /// Folder with binance-2024-08-08/*.gz: CORECAST_DATA, or ../shared/data beside the project,
    /// when not given
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Clients, each subscribed to everything
    #[arg(long, default_value_t = 1_000)]
    pub clients: usize,
    /// Further clients that are subscribed as the others are and never read (W4)
    #[arg(long, default_value_t = 0)]
    pub stalled: usize,
    /// How many times faster than it was recorded
    #[arg(long, default_value_t = 10.0)]
    pub speed: f64,
    /// Seconds of playing, at most; the recording has 346 s, divided by the speed
    #[arg(long, default_value_t = 8.0)]
    pub seconds: f64,
    /// Interval of the variants that clients of the feed ask for; 0: every message by itself
    #[arg(long, value_name = "MS", default_value_t = 20)]
    pub interval_ms: u32,
    /// Topics of the feed of which the newest message is enough; all others are lossless. A book's
    /// changes under `latest` load the server as a book does, but make no book
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "quote,book")]
    pub latest: Vec<Topic>,
    /// Seconds that a server may take to catch up at the end
    #[arg(long, default_value_t = 5.0)]
    pub drain: f64,
    /// A server that takes more memory is stopped, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 4_096)]
    pub memory_max: u64,
}

/// A kind of topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Topic {
    /// Best bid and ask.
    Quote,
    /// Trades.
    Trade,
    /// Changes of order books.
    Book,
    /// None: everything is lossless.
    None,
}

/// A server, spoken to in one of two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// corecast's feed.
    Feed,
    /// Plain fan-out.
    Plain(Server),
}

/// Plays, and prints.
///
/// # Errors
/// When there is no recording, or no server could be measured.
pub fn run(options: &Options) -> Result<()> {
    let shape = options.shape.shape()?;
    options.server.prepare_client()?;
    let step = Duration::from_secs_f64(options.shape.seconds + options.shape.drain / 2.0 + 2.0);
    let steps = options.servers.len() * options.rounds;
    let mut progress = Progress::new(step * steps as u32);
    progress.expect(step);
    let name = shape.to_string();
    let mut turn = |one: &Contender| round(*one, &options.server, &shape);
    let turns = interleave(&options.servers, options.rounds, &name, &mut progress, &mut turn);
    let servers = Vec::from_iter(options.servers.iter().map(Contender::to_string));
    let base = servers.last().cloned().unwrap_or_default();
    let section = Section { name, servers, base, turns };
    ensure!(section.turns.iter().any(|turn| turn.outcome.is_some()), "no server was measured");
    show(options.server.json, &section, |section| format!("{}\n{}", section.name, text(section)))
}

/// One round on a fresh server.
///
/// # Errors
/// When it does not start, ends, or refuses what is published.
pub fn round(one: Contender, options: &ServerOptions, shape: &Shape) -> Result<Outcome> {
    match one {
        Contender::Feed => {
            let configuration = configuration(&shape.latest);
            let feed = FeedSite::start(Server::CORECAST, options, &configuration)?;
            let speech = Speech::Feed(feed.ingest());
            let outcome =
                watch("feed", feed.site(), |watched| replay::run(watched, &speech, shape))?;
            feed.stop()?;
            Ok(outcome)
        }
        Contender::Plain(server) => {
            let site = server.start(options)?;
            let name = server.to_string();
            let run = |watched: Watched<'_>| replay::run(watched, &Speech::Plain, shape);
            let outcome = watch(&name, &site, run)?;
            // A server that is far behind takes long to end in order; it need not.
            drop(site);
            Ok(outcome)
        }
    }
}

impl ShapeOptions {
    /// Reads the recording.
    ///
    /// # Errors
    /// When there is none, or the options make no sense.
    pub fn shape(&self) -> Result<Shape> {
        ensure!(self.speed > 0.0 && self.speed.is_finite(), "--speed must be above 0");
        ensure!(self.seconds > 0.0 && self.seconds < 3_600.0, "--seconds must be 0 to 3,600");
        ensure!((0.0..3_600.0).contains(&self.drain), "--drain must be 0 to 3,600");
        let (folder, exists) = find(self.data.as_deref());
        ensure!(exists, "no recorded ticks at {}: give --data", folder.display());
        let span = Duration::from_secs_f64(self.seconds * self.speed);
        let kind = |topic: &Topic| match topic {
            Topic::Quote => Some(Kind::Quote),
            Topic::Trade => Some(Kind::Trade),
            Topic::Book => Some(Kind::Book),
            Topic::None => None,
        };
        Ok(Shape {
            recording: Arc::new(Recording::read(&folder, span)?),
            clients: self.clients,
            stalled: self.stalled,
            speed: self.speed,
            interval_ms: self.interval_ms,
            latest: self.latest.iter().filter_map(kind).collect(),
            drain: Duration::from_secs_f64(self.drain),
            memory_bytes_max: self.memory_max << 20,
        })
    }
}

/// The figures of W1 as a table.
#[must_use]
pub fn rows(section: &Section) -> Vec<Vec<String>> {
    let heading = [
        "",
        "deliveries/s",
        "missing",
        "conflated",
        "held back",
        "shown age p50 ms",
        "p99 ms",
        "max ms",
        "trade p99 ms",
        "RSS MiB",
        "server CPU",
        "client CPU",
        "ended",
    ];
    let row = |server: &String| {
        let extra = |name: &'static str| section.median(server, &Figure::Extra(name.into()));
        let said = |value: Option<f64>, unit: f64, digits: usize| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{:.digits$}", value / unit))
        };
        let stopped = |name: &'static str| extra(name).is_some_and(|stopped| stopped > 0.0);
        let missing = section.outcomes(server).map(|outcome| outcome.missing).max();
        let ended = match () {
            () if section.outcomes(server).next().is_none() => "failed",
            () if stopped("stopped_for_memory") => "too much memory",
            () if stopped("clients_closed") => "closed clients",
            () if stopped("stopped_behind") => "fell behind",
            () => "caught up",
        };
        vec![
            server.clone(),
            said(extra("deliveries_per_second"), 1.0, 0),
            missing.map_or_else(|| "–".to_owned(), |missing| missing.to_string()),
            said(extra("conflated"), 1.0, 0),
            said(extra("held_back_messages"), 1.0, 0),
            said(extra("shown_age_ns_p50"), 1e6, 2),
            said(extra("shown_age_ns_p99"), 1e6, 2),
            said(extra("shown_age_ns_max"), 1e6, 2),
            said(extra("trade_ns_p99"), 1e6, 2),
            said(extra("rss_bytes_max"), 1024.0 * 1024.0, 0),
            said(section.median(server, &Figure::ServerCpu), 0.01, 0) + " %",
            said(section.median(server, &Figure::ClientCpu), 0.01, 0) + " %",
            ended.to_owned(),
        ]
    };
    let rows = section.servers.iter().map(row);
    std::iter::once(heading.map(str::to_owned).to_vec()).chain(rows).collect()
}

fn text(section: &Section) -> String {
    let mut text = table(&rows(section));
    for server in &section.servers {
        for (round, why) in section.failures(server) {
            text += &format!("{server}: round {} failed: {why}\n", round + 1);
        }
        if section.client_bound(server) > 0 {
            text += &format!("{server}: the load client was the bottleneck: ages are its own\n");
        }
    }
    text
}

impl FromStr for Contender {
    type Err = eyre::Report;

    fn from_str(text: &str) -> Result<Self> {
        if text == "feed" { Ok(Self::Feed) } else { text.parse().map(Self::Plain) }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feed => f.write_str("feed"),
            Self::Plain(server) => server.fmt(f),
        }
    }
}
