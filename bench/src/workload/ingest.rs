//! W3: many small records a second in, conflated to many clients. How old is what they get?

pub mod payload;
pub mod records;

use std::collections::BTreeMap;
use std::time::Duration;

use corecast_wire::frame::Opcode;
use eyre::{Result, ensure, eyre};
use hdrhistogram::Histogram;

use super::feed_site::FeedSite;
use super::gateway::{Gateway, Progress, Rhythm, Way};
use crate::clock;
use crate::load::{Meter, OPEN_WITHIN};
use crate::outcome::{Client, Latency, Outcome, histogram};
use crate::process::sockets_bytes;
use crate::servers::{Server, ServerOptions, Site};
use crate::stamp::Stamp;
use crate::swarm::{Delivery, Plan, Swarm};
use records::Records;

/// Who listens, to what, for how long.
#[derive(Debug, Clone)]
pub struct Params {
    /// Clients, each subscribed to the conflated variant of every topic.
    pub clients: usize,
    /// Topics of a namespace whose policy is `latest_by_key`.
    pub topics: usize,
    /// Keys of each topic.
    pub keys: usize,
    /// Records a second, over all topics.
    pub rate: f64,
    /// Bytes of each payload, at least [`payload::BYTES_MIN`].
    pub payload_bytes: usize,
    /// The interval of the conflated variant, in milliseconds.
    pub interval_ms: u32,
    /// Whether records come over TCP; else over a Unix socket.
    pub tcp: bool,
    /// How long the publisher sleeps between two looks at what is due.
    pub wake_every: Duration,
    /// Time of load before the measurement.
    pub warm_up: Duration,
    /// Time measured.
    pub measured: Duration,
}

/// The names of figures in [`Outcome::extra`].
pub mod extra {
    /// Records a second that the server has acknowledged.
    pub const ACCEPTED_PER_SECOND: &str = "accepted_per_second";
    /// How far the publisher was behind its schedule at most, in nanoseconds.
    pub const BEHIND_NS_MAX: &str = "publisher_behind_ns_max";
    /// Age of the oldest value that a client still shows when the next message comes: 99 %.
    pub const SHOWN_NS_P99: &str = "shown_age_ns_p99";
    /// The oldest of them.
    pub const SHOWN_NS_MAX: &str = "shown_age_ns_max";
}

/// Starts corecast, with the whole process on one CPU, connects the clients, publishes, and
/// measures. The latency is the age of each value when a client has read it, from the moment it was
/// due; `delivered` counts messages, `expected` one for each client, topic and interval; `missing`
/// counts the clients that, at the end, do not have the newest value of a topic.
///
/// # Errors
/// When the server cannot be started or reached, refuses a record, or acknowledges fewer than it
/// got.
pub fn run(options: &ServerOptions, params: &Params) -> Result<Outcome> {
    ensure!(params.payload_bytes >= payload::BYTES_MIN, "a payload has room for its stamp");
    ensure!(params.clients > 0 && params.topics > 0, "there are clients and topics");
    ensure!(params.rate > 0.0 && params.interval_ms > 0, "rate and interval are above 0");
    let tcp = params.tcp.then(free_address).transpose()?;
    let address = tcp.map(|address| address.to_string());
    let more = address.as_ref().map(|address| ["--ingest-tcp", address]);
    let more = more.as_ref().map_or(&[][..], |more| more);
    let feed = FeedSite::start_with(Server::CORECAST, options, CONFIG, more)?;
    let way = tcp.map_or_else(|| Way::Ingest(feed.ingest()), Way::IngestTcp);
    let outcome = measure(feed.site(), params, &way)?;
    feed.stop()?;
    Ok(outcome)
}

fn measure(site: &Site, params: &Params, way: &Way) -> Result<Outcome> {
    let topics = Vec::from_iter((0..params.topics).map(|topic| format!("quote.T{topic:04}")));
    let sockets_before = sockets_bytes()?;
    let mut swarm = site.swarm()?;
    subscribe(&mut swarm, params, &topics)?;
    let mut seen = Seen::new(params, &topics)?;
    let rhythm = Rhythm { starts_ns: clock::now_ns(), rest: params.wake_every };
    let Params { keys, rate, payload_bytes, .. } = *params;
    let records = Records::new(topics.len(), keys, rate, payload_bytes, rhythm.starts_ns);
    let publisher = Gateway::start(way, topics, Box::new(records), rhythm)?;
    swarm.poll_for(params.warm_up, &mut |delivery| seen.take(&delivery))?;

    seen.is_measuring = true;
    let (started_ns, before) = (clock::now_ns(), publisher.progress());
    let meter = Meter::start(site, &swarm, sockets_before)?;
    swarm.poll_for(params.measured, &mut |delivery| seen.take(&delivery))?;
    let bill = meter.read(&swarm, seen.delivered)?;
    let (after, wall_ns) = (publisher.progress(), clock::now_ns() - started_ns);
    seen.is_measuring = false;
    // The clients read on: what was published last comes to them, too.
    let stopping = std::thread::spawn(|| publisher.finish());
    while !stopping.is_finished() {
        swarm.poll_for(Duration::from_millis(10), &mut |delivery| seen.take(&delivery))?;
    }
    let accepted = stopping.join().map_err(|_| eyre!("the publisher panicked"))??;
    let last = Duration::from_millis(u64::from(params.interval_ms)) + LAST_WITHIN;
    swarm.poll_for(last, &mut |delivery| seen.take(&delivery))?;

    let seconds = wall_ns as f64 / 1e9;
    let per_second = |of: fn(&Progress) -> u64| (of(&after) - of(&before)) as f64 / seconds;
    let intervals = wall_ns / (u64::from(params.interval_ms) * 1_000_000);
    let latency = Latency::from_histogram(&seen.ages);
    let mut late = histogram()?;
    late.saturating_record(after.behind_ns_max);
    let extra = [
        (extra::ACCEPTED_PER_SECOND, per_second(|progress| progress.acknowledged)),
        (extra::BEHIND_NS_MAX, after.behind_ns_max as f64),
        (extra::SHOWN_NS_P99, seen.shown.value_at_quantile(0.99) as f64),
        (extra::SHOWN_NS_MAX, seen.shown.max() as f64),
    ];
    let Params { clients, topics, keys, payload_bytes, rate, interval_ms, .. } = params;
    Ok(Outcome {
        server: site.name.clone(),
        workload: format!(
            "ingest {topics}x{keys}x{payload_bytes}@{rate} to {clients} every {interval_ms} ms"
        ),
        seconds,
        published: after.sent - before.sent,
        expected: intervals * (clients * topics) as u64,
        delivered: seen.delivered,
        missing: seen.behind(accepted),
        client: Client::new(bill.client_share, &late, &latency),
        latency,
        cost: bill.cost,
        extra: BTreeMap::from(extra.map(|(name, value)| (name.to_owned(), value))),
        ..Outcome::default()
    })
}

/// Opens the clients and subscribes each to every topic.
fn subscribe(swarm: &mut Swarm, params: &Params, topics: &[String]) -> Result<()> {
    let Params { clients, interval_ms, .. } = params;
    let all = swarm.open_all(&Plan::reader("/feed"), *clients, OPEN_WITHIN, &mut |_| {})?;
    let names = topics.iter().map(|topic| format!("\"{topic}@{interval_ms}ms\""));
    let names = Vec::from_iter(names).join(",");
    let command = format!(r#"{{"type":"subscribe","topics":[{names}]}}"#);
    for connection in all {
        swarm.send(connection, Opcode::Text, command.as_bytes());
    }
    let (mut answers, until) = (0, clock::now_ns() + OPEN_WITHIN.as_nanos() as u64);
    while answers < *clients {
        ensure!(clock::now_ns() < until, "{answers} of {clients} subscriptions were answered");
        swarm.poll_for(Duration::from_millis(50), &mut |delivery| {
            answers += usize::from(delivery.payload.starts_with(br#"{"type":"subscribed""#));
        })?;
    }
    Ok(())
}

/// What the clients have got. All get the same bytes: a message is read once, and for all others
/// it is enough that theirs are the same.
struct Seen {
    /// How the messages of each topic begin.
    begins: Vec<Vec<u8>>,
    /// The last message of each topic, and the stamps of its values.
    last: Vec<(Vec<u8>, Vec<Stamp>)>,
    /// When the oldest value that a client shows was due, and the number of the newest, by client
    /// and topic.
    shows: Vec<(u64, u64)>,
    delivered: u64,
    ages: Histogram<u64>,
    shown: Histogram<u64>,
    is_measuring: bool,
}

impl Seen {
    fn new(params: &Params, topics: &[String]) -> Result<Self> {
        let begin = |topic: &String| {
            format!(r#"{{"type":"message","topic":"{topic}@{}ms""#, params.interval_ms).into_bytes()
        };
        Ok(Self {
            begins: topics.iter().map(begin).collect(),
            last: vec![Default::default(); topics.len()],
            shows: vec![(0, 0); params.clients * topics.len()],
            delivered: 0,
            ages: histogram()?,
            shown: histogram()?,
            is_measuring: false,
        })
    }

    fn take(&mut self, delivery: &Delivery<'_>) {
        let Delivery { connection, payload, received_ns, .. } = *delivery;
        let Some(topic) = self.begins.iter().position(|begin| payload.starts_with(begin)) else {
            return;
        };
        let (bytes, stamps) = &mut self.last[topic];
        if *bytes != payload {
            bytes.clear();
            bytes.extend_from_slice(payload);
            stamps.clear();
            stamps.extend(payload::stamps(payload));
        }
        let oldest = stamps.iter().map(|stamp| stamp.due_ns).min().unwrap_or(0);
        let newest = stamps.iter().map(|stamp| stamp.sequence).max().unwrap_or(0);
        let place = connection * self.begins.len() + topic;
        let (shown, _) = std::mem::replace(&mut self.shows[place], (oldest, newest));
        if !self.is_measuring {
            return;
        }
        self.delivered += 1;
        if shown > 0 {
            self.shown.saturating_record(received_ns.saturating_sub(shown));
        }
        for stamp in stamps {
            self.ages.saturating_record(received_ns.saturating_sub(stamp.due_ns));
        }
    }

    /// Clients, for each topic, whose newest value is not the last of so many records.
    fn behind(&self, records: u64) -> u64 {
        let topics = self.begins.len() as u64;
        let is_behind = |&(place, (_, newest)): &(usize, &(u64, u64))| {
            // Records are numbered from 1 and go to the topics in turn.
            let topic = place as u64 % topics;
            let last =
                (records > topic).then(|| topic + 1 + (records - 1 - topic) / topics * topics);
            *newest != last.unwrap_or(0)
        };
        self.shows.iter().enumerate().filter(is_behind).count() as u64
    }
}

/// A loopback port that nobody uses at this moment.
fn free_address() -> Result<std::net::SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Heartbeats would be further deliveries.
const CONFIG: &str = r#"
[feed]
heartbeat_ms = 0

[[namespaces]]
name = "quote"
policy = "latest_by_key"
snapshot = "keys"
"#;

/// Behind the interval, what was published last has come within this.
const LAST_WITHIN: Duration = Duration::from_millis(200);
