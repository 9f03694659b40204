//! W2: a thousand symbols of which few are busy, by Zipf's law, and clients that are each
//! subscribed to fifty of them, chosen by chance.
//!
//! A client of the feed has one connection for all its symbols. A plain fan-out server has a topic
//! for each path, so there a client has a connection for each.

mod draws;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use corecast_feed::binary::{Record, Records};
use eyre::{Result, ensure};
use hdrhistogram::Histogram;

use super::clients::Subscriptions;
use super::gateway::{Gateway, Rhythm, Way};
use super::play::{Bounds, Observer, Watched, play};
use crate::clock;
use crate::outcome::{Latency, Outcome, histogram};
use crate::stamp::Stamp;
use crate::swarm::{Delivery, Plan, Swarm};
use draws::{Draws, choose};

/// A round of W2.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Symbols, each a topic.
    pub symbols: usize,
    /// Symbols of each client, all different.
    pub symbols_each: usize,
    /// Clients.
    pub clients: usize,
    /// Messages a second over all symbols.
    pub rate: f64,
    /// The symbol of rank k has a share of 1 / k to the power of this.
    pub exponent: f64,
    /// Bytes of a message, without what a server puts around it.
    pub payload_bytes: usize,
    /// How long it is published.
    pub measured: Duration,
    /// How long the server may take to catch up at the end.
    pub drain: Duration,
    /// The server's resident memory at most.
    pub memory_bytes_max: u64,
    /// Decides who is subscribed to what, and the order of the messages.
    pub seed: u64,
}

/// How the server is spoken to.
#[derive(Debug, Clone)]
pub enum Speech {
    /// A path for each symbol, `/ws/quote.S0001`.
    Plain,
    /// The feed, published to over this ingest socket; see [`CONFIGURATION`].
    Feed(PathBuf),
}

/// The feed's configuration for a round: nothing may be lost, so that what is missing shows.
pub const CONFIGURATION: &str = "[feed]\nheartbeat_ms = 0\n\
    [[namespaces]]\nname = \"quote\"\npolicy = \"lossless\"\n";

/// Publishes and listens.
///
/// # Errors
/// When the shape makes no sense, or the server cannot be reached, ends, or refuses messages.
pub fn run(watched: Watched<'_>, speech: &Speech, shape: &Shape) -> Result<Outcome> {
    shape.check()?;
    let choices = Vec::from_iter((0..shape.clients).map(|client| choose(shape, client)));
    let mut listeners = vec![0; shape.symbols];
    choices.iter().flatten().for_each(|symbol| listeners[*symbol] += 1);
    let topics = (1..=shape.symbols).map(|symbol| format!("quote.S{symbol:04}"));
    let topics = Vec::from_iter(topics);
    let mut swarm = Swarm::new(watched.address)?;
    let (subscriptions, names, way) = match speech {
        Speech::Plain => {
            let targets = Vec::from_iter(topics.iter().map(|topic| format!("/ws/{topic}")));
            for (target, count) in targets.iter().zip(&listeners) {
                let count = *count as usize;
                swarm.open_all(&Plan::reader(target), count, OPEN_WITHIN, &mut |_| {})?;
            }
            (None, targets, Way::Sockets(watched.address))
        }
        Speech::Feed(socket) => {
            let of_client = |client: usize| choices[client].clone();
            let opened = Subscriptions::open(&mut swarm, shape.clients, &topics, &of_client)?;
            (Some(opened), topics, Way::Ingest(socket.clone()))
        }
    };
    let connections = swarm.live();
    let draws = Draws::new(shape);
    let mut seen = Seen {
        subscriptions,
        next: vec![0; connections],
        expected: RefCell::new(Expected { draws: draws.clone(), listeners, sent: 0, sum: 0 }),
        delivered: 0,
        reordered: 0,
        latency: histogram()?,
    };
    let bounds = Bounds {
        play: START_AFTER + shape.measured,
        drain: shape.drain,
        memory_bytes_max: shape.memory_bytes_max,
        healthy: connections,
    };
    let starts_ns = clock::now_ns() + START_AFTER.as_nanos() as u64;
    let rhythm = Rhythm::prompt(starts_ns);
    let gateway = Gateway::start(&way, names, Box::new(draws), rhythm)?;
    let played = play(&mut swarm, gateway, watched, bounds, &mut seen)?;

    let expected = seen.expected.get_mut().of(played.sent);
    let mut extra = played.extra(seen.delivered);
    extra.insert("connections".to_owned(), connections as f64);
    Ok(Outcome {
        server: watched.name.to_owned(),
        workload: format!("symbols {shape}"),
        seconds: played.seconds,
        delivering_seconds: played.seconds,
        published: played.sent,
        expected,
        delivered: seen.delivered,
        missing: expected.saturating_sub(seen.delivered),
        duplicated: 0,
        reordered: seen.reordered,
        latency: Latency::from_histogram(&seen.latency),
        cost: Some(played.cost),
        client: played.client,
        extra,
    })
}

impl Shape {
    fn check(&self) -> Result<()> {
        let Self { symbols, symbols_each, clients, rate, exponent, payload_bytes, .. } = self;
        ensure!((1..=SYMBOLS_MAX).contains(symbols), "there are 1 to {SYMBOLS_MAX} symbols");
        ensure!((1..=*symbols).contains(symbols_each), "a client has 1 to {symbols} symbols");
        ensure!(*clients > 0 && *rate > 0.0, "clients and rate must be above 0");
        ensure!(exponent.is_finite() && *exponent >= 0.0, "the exponent is 0 or more");
        let least = PAYLOAD_BYTES_MIN;
        ensure!(*payload_bytes >= least, "a message has {least} bytes or more");
        Ok(())
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { symbols, symbols_each, clients, rate, payload_bytes, .. } = self;
        write!(f, "{clients} clients, {symbols_each} of {symbols}, {payload_bytes} B @{rate}")
    }
}

/// Deliveries that the first messages should have caused.
struct Expected {
    draws: Draws,
    listeners: Vec<u64>,
    sent: u64,
    sum: u64,
}

impl Expected {
    fn of(&mut self, sent: u64) -> u64 {
        while self.sent < sent {
            self.sum += self.listeners[self.draws.draw()];
            self.sent += 1;
        }
        self.sum
    }
}

/// What the clients saw.
struct Seen {
    /// Absent for a plain fan-out server.
    subscriptions: Option<Subscriptions>,
    /// The stamp that a plain connection is to get at the earliest.
    next: Vec<u64>,
    expected: RefCell<Expected>,
    delivered: u64,
    reordered: u64,
    latency: Histogram<u64>,
}

impl Observer for Seen {
    fn take(&mut self, delivery: &Delivery<'_>) {
        let Some(subscriptions) = &mut self.subscriptions else {
            let Some(stamp) = Stamp::read(delivery.payload) else { return };
            let next = &mut self.next[delivery.connection];
            self.reordered += u64::from(stamp.sequence < *next);
            *next = stamp.sequence.max(*next) + 1;
            self.delivered += 1;
            self.latency.saturating_record(delivery.received_ns.saturating_sub(stamp.due_ns));
            return;
        };
        if delivery.is_text {
            return;
        }
        for record in Records::new(delivery.payload).flatten() {
            let Record::Message { sid, seq, ts_ns, .. } = record else { continue };
            let Some(subscription) = subscriptions.find(delivery.connection, sid) else { continue };
            self.reordered += u64::from(seq <= subscription.seq);
            subscription.seq = seq.max(subscription.seq);
            self.delivered += 1;
            self.latency.saturating_record(delivery.received_ns.saturating_sub(ts_ns as u64));
        }
    }

    fn delivered(&self) -> u64 {
        self.delivered
    }

    fn is_complete(&self, sent: u64) -> bool {
        self.delivered >= self.expected.borrow_mut().of(sent)
    }
}

/// The least bytes of a message.
pub const PAYLOAD_BYTES_MIN: usize = 16;
/// A plain server's publisher has a connection for each.
const SYMBOLS_MAX: usize = 10_000;
const OPEN_WITHIN: Duration = Duration::from_secs(60);
/// From the last handshake to the first message.
const START_AFTER: Duration = Duration::from_millis(300);
