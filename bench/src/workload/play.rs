//! A round in which a [`Gateway`] publishes and a swarm listens, until everything has arrived or
//! the server has fallen behind for good.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use eyre::Result;
use hdrhistogram::Histogram;

use super::gateway::Gateway;
use super::spent::Spent;
use crate::clock;
use crate::measure::CLIENT_BUSY_SHARE;
use crate::outcome::{Client, Cost, histogram};
use crate::process::Usage;
use crate::swarm::{Delivery, Swarm};

/// A server under measurement.
#[derive(Clone, Copy)]
pub struct Watched<'a> {
    /// As the report calls it.
    pub name: &'a str,
    /// Where it listens.
    pub address: SocketAddr,
    /// What its process uses.
    pub usage: &'a dyn Fn() -> Result<Usage>,
    /// The resident memory of its process alone, in bytes: asked again and again.
    pub rss_bytes: &'a dyn Fn() -> Result<u64>,
}

/// What looks at what arrives.
pub trait Observer {
    /// A message has arrived.
    fn take(&mut self, delivery: &Delivery<'_>);
    /// Deliveries so far.
    fn delivered(&self) -> u64;
    /// Whether all has arrived that `sent` messages should have caused.
    fn is_complete(&self, sent: u64) -> bool;
}

/// When a round is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// What the publisher's messages take at their own pace.
    pub play: Duration,
    /// How long the server may take to catch up after that.
    pub drain: Duration,
    /// The server's resident memory: more, and the round ends.
    pub memory_bytes_max: u64,
    /// The swarm's first so many connections are to live until the end. Others, behind them, may be
    /// ended by the server.
    pub healthy: usize,
}

/// Why a round ended before everything had arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The server took more memory than allowed.
    Memory,
    /// It had not caught up in time.
    Behind,
    /// It closed connections of clients.
    Closed,
}

/// A round, as far as it does not depend on what was published.
#[derive(Debug)]
pub struct Played {
    /// Messages that the server's socket has taken.
    pub sent: u64,
    /// From the first message to the last delivery.
    pub seconds: f64,
    /// What the server spent.
    pub cost: Cost,
    /// What this process spent.
    pub client: Client,
    /// Why it ended early, if it did.
    pub stop: Option<Stop>,
    /// When it ended, in nanoseconds of [`crate::clock::now_ns`].
    pub until_ns: u64,
    /// Healthy clients whose connections had ended.
    pub ended: usize,
    /// The most memory that the server had.
    pub rss_bytes_max: u64,
}

/// Plays until all has arrived, or the bounds are reached.
///
/// # Errors
/// When the server has ended, or has refused what was published.
pub fn play(
    swarm: &mut Swarm,
    gateway: Gateway,
    watched: Watched<'_>,
    bounds: Bounds,
    observer: &mut dyn Observer,
) -> Result<Played> {
    let ended =
        |swarm: &Swarm| (0..bounds.healthy).filter(|client| swarm.end(*client).is_some()).count();
    let mut spent = Spent::begin(&watched)?;
    let (started_ns, mut looked_ns) = (spent.started_ns, 0);
    let (mut last_ns, mut delivered, mut rss_bytes_max) = (started_ns, 0, 0);
    swarm.forget_lag();
    let play_ns = bounds.play.as_nanos() as u64;
    let stop = loop {
        swarm.poll(Duration::from_millis(5), &mut |delivery| observer.take(&delivery))?;
        let now_ns = clock::now_ns();
        if observer.delivered() > delivered {
            (delivered, last_ns) = (observer.delivered(), now_ns);
            spent.goes_on();
        } else if gateway.is_finished() && now_ns - last_ns > LOOK_AFTER_NS {
            spent.read(&watched)?;
        }
        if now_ns - looked_ns > LOOK_EVERY_NS {
            looked_ns = now_ns;
            spent.sample()?;
            rss_bytes_max = rss_bytes_max.max((watched.rss_bytes)()?);
            if rss_bytes_max > bounds.memory_bytes_max {
                break Some(Stop::Memory);
            }
            if ended(swarm) > 0 {
                break Some(Stop::Closed);
            }
        }
        if gateway.is_finished() && observer.is_complete(gateway.sent()) {
            break None;
        }
        if gateway.is_finished() && now_ns - last_ns > QUIET_NS_MAX
            || now_ns - started_ns > play_ns + bounds.drain.as_nanos() as u64
        {
            break Some(Stop::Behind);
        }
    };
    let until_ns = clock::now_ns();
    let wall = Duration::from_nanos(last_ns - started_ns).max(Duration::from_millis(1));
    let (cost, cpu_share) = spent.over(&watched, wall, delivered)?;
    let ended = ended(swarm);
    let (sent, late) = finish(gateway)?;
    let client = Client {
        cpu_share,
        late_ns_p99: if late.is_empty() { 0 } else { late.value_at_quantile(0.99) },
        late_ns_max: late.max(),
        // Who publishes shares this CPU with who reads: that it is late follows from this.
        bottleneck: cpu_share >= CLIENT_BUSY_SHARE,
        ..Client::default()
    }
    .lagging(swarm.lag());
    let seconds = wall.as_secs_f64();
    Ok(Played { sent, seconds, cost, client, stop, until_ns, ended, rss_bytes_max })
}

/// A publisher that waits for the server is left alone: it ends with the server.
fn finish(gateway: Gateway) -> Result<(u64, Histogram<u64>)> {
    gateway.stop();
    for _ in 0..50 {
        if gateway.is_finished() {
            return gateway.join();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok((gateway.sent(), histogram()?))
}

impl Played {
    /// The figures that every such round has.
    #[must_use]
    pub fn extra(&self, deliveries: u64) -> BTreeMap<String, f64> {
        let stopped = |stop: Stop| f64::from(u8::from(self.stop == Some(stop)));
        BTreeMap::from(
            [
                ("deliveries_per_second", deliveries as f64 / self.seconds),
                ("stopped_for_memory", stopped(Stop::Memory)),
                ("stopped_behind", stopped(Stop::Behind)),
                ("clients_closed", self.ended as f64),
                ("rss_bytes_max", self.rss_bytes_max as f64),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        )
    }
}

impl std::fmt::Debug for Watched<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watched {{ name: {}, address: {} }}", self.name, self.address)
    }
}

/// Without a delivery for this long after the last message was sent, it is read what was spent.
const LOOK_AFTER_NS: u64 = 100_000_000;
const LOOK_EVERY_NS: u64 = 100_000_000;
/// Nothing for so long after the last message was sent: what is missing will not come.
const QUIET_NS_MAX: u64 = 2_000_000_000;
