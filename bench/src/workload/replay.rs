//! W1: a recording of a market, merged by time, at its own speed or many times faster, to clients
//! of which each is subscribed to everything. Is a trade missing, and how old is a quote?
//!
//! A plain fan-out server gets one topic with all messages: it has no way to say that a newer quote
//! replaces an older one. The feed gets the recording's topics, each with its policy, and its
//! clients may ask for variants (`@20ms`): then trades come as arrays, none missing, and of quotes
//! the newest.

mod feed;
mod never;
mod plain;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use eyre::{Result, ensure};
use hdrhistogram::Histogram;

use super::gateway::{Gateway, Rhythm, Source, Way};
use super::play::{Bounds, Played, Watched, play};
use crate::clock;
use crate::outcome::{Latency, Outcome};
use crate::recording::{Entry, Kind, Recording};
use crate::swarm::{Plan, Swarm};

/// A round of W1.
#[derive(Debug, Clone)]
pub struct Shape {
    /// What is played.
    pub recording: Arc<Recording>,
    /// Clients, each subscribed to everything.
    pub clients: usize,
    /// Further clients, subscribed as the others are, that never read. Nothing is expected of them.
    pub stalled: usize,
    /// How many times faster than it was recorded.
    pub speed: f64,
    /// Interval of the variants that clients of the feed ask for, in milliseconds; 0: they ask for
    /// every message.
    pub interval_ms: u32,
    /// Kinds of which the newest message is enough in the feed; all others are lossless.
    pub latest: Vec<Kind>,
    /// How long the server may take to catch up at the end.
    pub drain: Duration,
    /// The server's resident memory at most.
    pub memory_bytes_max: u64,
}

/// How the server is spoken to.
#[derive(Debug, Clone)]
pub enum Speech {
    /// One topic of plain fan-out, `/ws/replay`.
    Plain,
    /// The feed, published to over this ingest socket; see [`configuration`].
    Feed(PathBuf),
}

/// The feed's configuration for a round: `latest` for these kinds, `lossless` for all others.
#[must_use]
pub fn configuration(latest: &[Kind]) -> String {
    let namespace = |(kind, word): (Kind, &str)| {
        let policy = if latest.contains(&kind) { "latest" } else { "lossless" };
        format!("[[namespaces]]\nname = \"{word}\"\npolicy = \"{policy}\"\n")
    };
    let kinds = [(Kind::Quote, "quote"), (Kind::Trade, "trade"), (Kind::Book, "book")];
    // Heartbeats would be further deliveries, which others have not.
    format!("[feed]\nheartbeat_ms = 0\n{}", kinds.map(namespace).concat())
}

/// Plays the recording to the server. The outcome's latency is how long quotes were out of date
/// (see [`super::shown`]); what the server did not take in time counts as held back and as missing.
///
/// # Errors
/// When the server cannot be reached, ends, or refuses what is published.
pub fn run(watched: Watched<'_>, speech: &Speech, shape: &Shape) -> Result<Outcome> {
    ensure!(shape.clients > 0 && shape.speed > 0.0, "clients and speed must be above 0");
    let recording = &shape.recording;
    let last = recording.entries.last().map_or(0, |entry| entry.at_ns);
    let bounds = Bounds {
        play: START_AFTER + Duration::from_nanos((last as f64 / shape.speed) as u64),
        drain: shape.drain,
        memory_bytes_max: shape.memory_bytes_max,
        healthy: shape.clients,
    };
    let mut swarm = Swarm::new(watched.address)?;
    let tape = |is_one_topic: bool| {
        let (recording, speed) = (Arc::clone(recording), shape.speed);
        Box::new(Tape { recording, speed, next: 0, is_one_topic })
    };
    let starts_ns = || clock::now_ns() + START_AFTER.as_nanos() as u64;
    let (played, figures) = match speech {
        Speech::Plain => {
            let reader = Plan::reader(TARGET);
            swarm.open_all(&reader, shape.clients, OPEN_WITHIN, &mut |_| {})?;
            never::open_plain(&mut swarm, TARGET, shape.stalled)?;
            let way = Way::Sockets(watched.address);
            let starts_ns = starts_ns();
            let mut seen = plain::Seen::new(shape, starts_ns)?;
            let rhythm = Rhythm::prompt(starts_ns);
            let gateway = Gateway::start(&way, vec![TARGET.to_owned()], tape(true), rhythm)?;
            let played = play(&mut swarm, gateway, watched, bounds, &mut seen)?;
            let figures = seen.figures(shape.due(starts_ns, &played), played.until_ns);
            (played, figures)
        }
        Speech::Feed(socket) => {
            let mut seen = feed::Seen::open(&mut swarm, shape)?;
            let names = recording.topics.iter().map(|(name, _)| name.clone()).collect();
            let way = Way::Ingest(socket.clone());
            let starts_ns = starts_ns();
            seen.begin(starts_ns);
            let gateway = Gateway::start(&way, names, tape(false), Rhythm::prompt(starts_ns))?;
            let played = play(&mut swarm, gateway, watched, bounds, &mut seen)?;
            let figures = seen.figures(shape.due(starts_ns, &played), played.until_ns);
            (played, figures)
        }
    };
    let mut outcome = outcome(watched.name, shape, &played, figures);
    let stalled = shape.clients..shape.clients + shape.stalled;
    let ended = stalled.filter(|client| swarm.end(*client).is_some()).count();
    outcome.extra.insert("slow_connections_ended".to_owned(), ended as f64);
    Ok(outcome)
}

impl Shape {
    /// Messages that were due when the round ended. Those of them that were not sent were held
    /// back: the server did not read.
    fn due(&self, starts_ns: u64, played: &Played) -> u64 {
        let until_ns = played.until_ns.saturating_sub(starts_ns);
        let is_due = |entry: &Entry| due_ns(entry.at_ns, self.speed) <= until_ns;
        (self.recording.entries.partition_point(is_due) as u64).max(played.sent)
    }

    /// When the quotes of each topic are due, by the topic's place; other topics have none.
    fn quotes_due_ns(&self) -> Vec<Vec<u64>> {
        let topics = &self.recording.topics;
        let mut all = vec![Vec::new(); topics.len()];
        for entry in &self.recording.entries {
            if topics[entry.topic].1 == Kind::Quote {
                all[entry.topic].push(due_ns(entry.at_ns, self.speed));
            }
        }
        all
    }
}

/// The recording as what a gateway publishes.
struct Tape {
    recording: Arc<Recording>,
    speed: f64,
    next: usize,
    is_one_topic: bool,
}

impl Source for Tape {
    fn next(&mut self, data: &mut Vec<u8>) -> Option<(u64, usize)> {
        let entry = self.recording.entries.get(self.next)?;
        self.next += 1;
        data.clear();
        data.extend_from_slice(self.recording.data(entry));
        Some((due_ns(entry.at_ns, self.speed), if self.is_one_topic { 0 } else { entry.topic }))
    }
}

/// When a message is due, in nanoseconds from the start.
fn due_ns(at_ns: u64, speed: f64) -> u64 {
    (at_ns as f64 / speed) as u64
}

/// What the clients saw.
struct Figures {
    /// Deliveries that were due, also of messages that were held back: of the kinds that are
    /// lossless all, and what came of the others.
    expected: u64,
    delivered: u64,
    /// Lossless messages that did not come, over all clients.
    missing: u64,
    duplicated: u64,
    reordered: u64,
    /// Messages that were due.
    due: u64,
    /// Of quotes that came: from the moment at which each was due to its arrival.
    age: Histogram<u64>,
    /// Of all quotes that were due: until the client had it or a newer one; see
    /// [`super::shown`].
    shown: Histogram<u64>,
    /// Of trades: the same, for the oldest in each message.
    trade: Histogram<u64>,
    /// Further figures of the feed or of plain fan-out.
    extra: Vec<(&'static str, f64)>,
}

fn outcome(name: &str, shape: &Shape, played: &Played, figures: Figures) -> Outcome {
    let mut extra: BTreeMap<String, f64> = played.extra(figures.delivered);
    for (name, times) in
        [("age", &figures.age), ("shown_age", &figures.shown), ("trade", &figures.trade)]
    {
        for (point, value) in [
            ("p50", times.value_at_quantile(0.5)),
            ("p99", times.value_at_quantile(0.99)),
            ("p999", times.value_at_quantile(0.999)),
            ("max", times.max()),
        ] {
            extra.insert(format!("{name}_ns_{point}"), value as f64);
        }
    }
    extra.extend(figures.extra.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let held_back = figures.due.saturating_sub(played.sent);
    extra.insert("held_back_messages".to_owned(), held_back as f64);
    let mut cost = played.cost;
    cost.cpu_ns_per_delivery = cost.cpu_ns as f64 / figures.delivered.max(1) as f64;
    Outcome {
        server: name.to_owned(),
        workload: shape.to_string(),
        seconds: played.seconds,
        delivering_seconds: played.seconds,
        published: played.sent,
        expected: figures.expected,
        delivered: figures.delivered,
        missing: figures.missing,
        duplicated: figures.duplicated,
        reordered: figures.reordered,
        latency: Latency::from_histogram(&figures.shown),
        cost: Some(cost),
        client: played.client,
        extra,
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replay {}x to {}", self.speed, self.clients)?;
        match self.stalled {
            0 => Ok(()),
            stalled => write!(f, ", {stalled} stalled"),
        }
    }
}

const TARGET: &str = "/ws/replay";
const OPEN_WITHIN: Duration = Duration::from_secs(60);
/// From the last handshake to the first message.
const START_AFTER: Duration = Duration::from_millis(300);
