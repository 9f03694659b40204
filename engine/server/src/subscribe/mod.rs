//! `corecast subscribe`: a client of the feed, for people and scripts. It reconnects, and resumes
//! where it was.

pub(crate) mod backoff;
mod client;
mod limits;
mod output;
mod plan;
mod stats;
mod tls;
mod track;
mod url;

use crate::cli::exit::{Exit, Failure};
use crate::control::{Signals, runtime};
use crate::credential::TokenPlace;
use clap::Args;
use client::Client;
use corecast_feed::command::DeliveryPolicy;
use corecast_feed::value::{Delivery, Rate};
use output::{Mode, Output};
use plan::Wish;
use rustls::ClientConfig;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::Instant;
use track::Tracks;
use url::FeedUrl;

/// Subscribe to topics of a running server
///
/// Prints a line for each message: topic, number, age, data. Reconnects when the connection is
/// lost, and resumes where it was; what is missing nevertheless is told. Ctrl-C ends.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  corecast subscribe quote.BTCUSD
  corecast subscribe 'trade.*' book.BTCUSD@100ms --json
  corecast subscribe quote.BTCUSD --raw --count 1 | jq .bid
  corecast subscribe '>' --max-hz 1 --stats
  corecast subscribe chat.room1 --token-file ./token
  corecast subscribe '>' --url wss://localhost:9443/feed --ca authority.pem")]
pub(crate) struct SubscribeArgs {
    /// Topics, variants such as book.X@100ms, and patterns: * is one token, > the rest
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// Print each event but heartbeats as it came, one JSON object to a line
    #[arg(long, group = "mode")]
    json: bool,

    /// Print the payloads alone, one to a line
    #[arg(long, group = "mode")]
    raw: bool,

    /// Print a table each second: rates, conflated and lost messages, latencies
    #[arg(long, group = "mode")]
    stats: bool,

    /// End after so many messages, snapshots included
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// What a backlog does, such as latest; the server says when it does not grant it
    #[arg(long, value_name = "NAME")]
    policy: Option<Delivery>,

    /// Messages of a topic in a second at most: the server conflates them
    #[arg(long, value_name = "HZ", value_parser = rate)]
    max_hz: Option<Rate>,

    /// The feed of the server
    #[arg(long, env = "CORECAST_FEED_URL", value_name = "URL")]
    #[arg(default_value = "ws://127.0.0.1:9001/feed")]
    url: FeedUrl,

    /// Trust the authorities in this PEM file, and no others, for wss://
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// The user to be; the server must allow ?user=
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// File with the token that says who this is; read again for each connection
    #[arg(long, value_name = "PATH", conflicts_with = "token_env")]
    token_file: Option<PathBuf>,

    /// Environment variable with that token
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,
}

/// Subscribes until a signal comes, or as many messages as were wanted.
///
/// # Errors
///
/// When the server cannot be reached at first, or wants nothing of this client.
pub(crate) fn run(args: &SubscribeArgs) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Software, format!("cannot start: {error}"));
    let trust = args.ca.as_deref().map(tls::trusting).transpose()?;
    let runtime = runtime().map_err(failed)?;
    runtime.block_on(async {
        let mut signals = Signals::new().map_err(failed)?;
        client(args, trust).run(&mut signals).await
    })
}

fn client(args: &SubscribeArgs, trust: Option<Arc<ClientConfig>>) -> Client {
    let mode = match (args.json, args.raw, args.stats) {
        (true, ..) => Mode::Json,
        (_, true, _) => Mode::Raw,
        (.., true) => Mode::Stats,
        _ => Mode::Lines,
    };
    let policy = DeliveryPolicy { delivery: args.policy, max_hz: args.max_hz };
    let wish = Wish { topics: args.topics.clone(), policy: Some(policy) };
    Client {
        url: args.url.clone(),
        trust,
        user: args.user.clone(),
        token: TokenPlace::of(args.token_file.as_ref(), args.token_env.as_ref()),
        sent: None,
        wish,
        mode,
        left: args.count,
        output: Output::new(mode),
        tracks: Tracks::default(),
        epoch: None,
        granted: 0,
        shown_at: Instant::now(),
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    let rate = text.parse().ok().and_then(Rate::new);
    rate.ok_or_else(|| "expected messages a second, from 1/3600 to 1000".to_owned())
}
