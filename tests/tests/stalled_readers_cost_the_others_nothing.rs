//! Slow clients: the recordings at ten times their speed to 1,000 readers, of which 40 stall from
//! the start and 10 read a trickle. The others must lose nothing, the memory must stay bounded, and
//! the slow ones must end as their policy says, and be told.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use corecast_bench::swarm::{Delivery, End, Plan, Role, Swarm};
use corecast_tests::recording;
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, bail, ensure};

const HEALTHY: usize = 950;
const STALLED: usize = 40;
const TRICKLING: usize = 10;
const SLOW: usize = STALLED + TRICKLING;
const READERS: usize = HEALTHY + SLOW;

/// A trickle of 100 kB/s: a third of what the busiest topics carry at this speed.
const TRICKLE: (usize, Duration) = (1_000, Duration::from_millis(10));

/// The recording takes 346 s, a tenth of which is waited for; the rest is for a loaded machine.
const WITHIN: Duration = Duration::from_secs(120);

/// For the slow ones to read what they were told, once they read again.
const RESUME_WITHIN: Duration = Duration::from_secs(15);

/// What the server may use above its start. Readers of a topic share its frames, so those in all
/// queues are at most a queue's bytes for each topic; each queue has a handle for each frame; a
/// connection has its own state; and books and trades have a history, books the publisher's copy
/// and its snapshot as well.
const GROWTH_BYTES_MAX: u64 = READERS as u64 * CONNECTION_BYTES
    + TOPICS as u64 * OUTBOX_BYTES
    + SLOW as u64 * OUTBOX_FRAMES * HANDLE_BYTES
    + BOOKS * (BOOK_HISTORY_BYTES + BOOK_BYTES)
    + TRADES * TRADE_HISTORY_BYTES;
const BOOKS: u64 = 6;
const BOOK_HISTORY_BYTES: u64 = 16 << 20;
const BOOK_BYTES: u64 = 4 << 20;
const TRADES: u64 = 6;
const TRADE_HISTORY_BYTES: u64 = 1 << 20;
const CONNECTION_BYTES: u64 = 8 << 10;
const OUTBOX_BYTES: u64 = 4 << 20;
const OUTBOX_FRAMES: u64 = 16_384;
const HANDLE_BYTES: u64 = 32;
const TOPICS: usize = 18;

/// The busiest topics, where a trickle falls behind within seconds.
const BUSY: [&str; 2] = ["quote.usdm.BTCUSDT", "quote.usdm.ETHUSDT"];

#[test]
fn lossless_readers_that_fall_behind_are_closed_and_told() -> Result<()> {
    let Some(outcome) = run(&[])? else { return Ok(()) };
    for (topic, end) in &outcome.trickling {
        let told = matches!(end, Some(End::Closed { code: Some(4407), reason })
            if reason.starts_with("slow reader"));
        ensure!(told, "{topic}: a reader of a trickle ended with {end:?}");
    }
    ensure!(outcome.holes == 0, "{} undeclared holes", outcome.holes);
    Ok(())
}

#[test]
fn readers_of_the_latest_value_skip_what_they_cannot_take() -> Result<()> {
    let policies = ["--policy", "latest=quote.>", "--policy", "drop_oldest=book.cm.*"];
    let Some(outcome) = run(&policies)? else { return Ok(()) };
    for (topic, end) in &outcome.trickling {
        let kept = matches!(end, Some(End::Closed { code: Some(1001), .. }));
        ensure!(kept, "{topic}: a reader of a trickle ended with {end:?}");
    }
    ensure!(outcome.holes > 0, "nothing was conflated for the readers of a trickle");
    Ok(())
}

/// What became of the slow readers. What must hold for the others is checked already.
struct Outcome {
    trickling: Vec<(String, Option<End>)>,
    /// Messages that readers of a trickle did not get between two that they got.
    holes: usize,
}

fn run(policies: &[&str]) -> Result<Option<Outcome>> {
    let Some(folder) = recording::folder()? else { return Ok(None) };
    let topics = recording::messages(&folder)?;
    ensure!(topics.len() == TOPICS, "{TOPICS} topics were expected, not {}", topics.len());
    let server = launch()?
        .args(["replay", "--listen", "127.0.0.1:0", "--shards", "2", "--speed", "10"])
        .args(["--wait-clients", &READERS.to_string()])
        .args(policies)
        .args(recording::arguments(&folder));
    let mut server = TestServer::launch(&server)?;
    let mut swarm = Swarm::new(server.address())?;
    let mut readers = Readers::open(&mut swarm, &topics, !policies.is_empty())?;
    let (started, mut looked, mut growth_bytes) = (Instant::now(), Instant::now(), 0);
    while (SLOW..READERS).any(|reader| swarm.end(reader).is_none()) {
        swarm.poll(Duration::from_millis(100), &mut |delivery| readers.take(&delivery))?;
        if let Some(wrong) = &readers.wrong {
            bail!("{wrong}");
        }
        if looked.elapsed() > Duration::from_millis(500) {
            looked = Instant::now();
            // At the very end there is no process to ask any more.
            let rss_bytes = server.usage().map_or(0, |usage| usage.rss_bytes);
            growth_bytes = growth_bytes.max(rss_bytes.saturating_sub(server.baseline.rss_bytes));
        }
        ensure!(started.elapsed() < WITHIN, "{} are open still", swarm.live());
    }
    readers.check_healthy(&swarm)?;
    println!("{policies:?}: {:?}, grew by {} KiB", started.elapsed(), growth_bytes >> 10);
    ensure!(growth_bytes <= GROWTH_BYTES_MAX, "grew by {growth_bytes} of {GROWTH_BYTES_MAX} bytes");

    for reader in 0..SLOW {
        swarm.set_role(reader, Role::Reader);
    }
    let resumed = Instant::now();
    while swarm.live() > 0 && resumed.elapsed() < RESUME_WITHIN {
        swarm.poll(Duration::from_millis(100), &mut |_| {})?;
    }
    server.ended()?;
    let trickling = (0..TRICKLING)
        .map(|reader| (readers.name(reader).to_owned(), swarm.end(reader).cloned()))
        .collect();
    Ok(Some(Outcome { trickling, holes: readers.holes }))
}

/// What each reader is due to receive, and what was wrong with what it did.
struct Readers<'a> {
    topics: Vec<(&'a str, &'a [Box<[u8]>])>,
    topic_of: Vec<usize>,
    due: Vec<usize>,
    conflating: bool,
    wrong: Option<String>,
    holes: usize,
}

impl<'a> Readers<'a> {
    fn open(
        swarm: &mut Swarm,
        topics: &'a BTreeMap<String, Vec<Box<[u8]>>>,
        conflating: bool,
    ) -> Result<Self> {
        let topics: Vec<_> = topics.iter().map(|(name, all)| (name.as_str(), &**all)).collect();
        let mut topic_of = Vec::new();
        let (bytes, every) = TRICKLE;
        for reader in 0..READERS {
            let busy = BUSY[reader % BUSY.len()];
            let topic = match reader {
                0..TRICKLING => topics.iter().position(|(name, _)| *name == busy).unwrap_or(0),
                _ => reader % topics.len(),
            };
            let target = format!("/ws/{}", topics[topic].0);
            swarm.open(&match reader {
                0..TRICKLING => Plan::trickle(target, bytes, every),
                TRICKLING..SLOW => Plan::stalled(target),
                _ => Plan::reader(target),
            })?;
            topic_of.push(topic);
        }
        let due = vec![0; READERS];
        Ok(Self { topics, topic_of, due, conflating, wrong: None, holes: 0 })
    }

    fn name(&self, reader: usize) -> &'a str {
        self.topics[self.topic_of[reader]].0
    }

    /// Whether this reader's topic has a policy that may leave messages out.
    fn may_skip(&self, reader: usize) -> bool {
        let name = self.name(reader);
        self.conflating && (name.starts_with("quote.") || name.starts_with("book.cm."))
    }

    fn take(&mut self, delivery: &Delivery<'_>) {
        let reader = delivery.connection;
        let all = self.topics[self.topic_of[reader]].1;
        let rest = &all[self.due[reader]..];
        let found = rest.iter().position(|message| **message == *delivery.payload);
        match found {
            Some(0) => {}
            Some(skipped) if self.may_skip(reader) => {
                self.holes += if reader < TRICKLING { skipped } else { 0 };
            }
            _ => {
                let (name, due) = (self.name(reader), self.due[reader]);
                let what = format!("{name}: reader {reader}, message {due}: found {found:?}");
                self.wrong.get_or_insert(what);
            }
        }
        self.due[reader] += found.map_or(0, |skipped| skipped + 1);
    }

    fn check_healthy(&self, swarm: &Swarm) -> Result<()> {
        for reader in SLOW..READERS {
            let (name, count) = self.topics[self.topic_of[reader]];
            let due = self.due[reader];
            let whole = due == count.len() || self.may_skip(reader);
            ensure!(whole, "{name}: {due} of {} messages", count.len());
            let end = swarm.end(reader);
            let told = matches!(end, Some(End::Closed { code: Some(1001), .. }));
            ensure!(told, "{name}: a healthy reader ended with {end:?}");
        }
        Ok(())
    }
}
