//! `quote.X@100ms` for 1,000 subscribers: one encoding for each interval, whoever listens, and for
//! each of them the newest value, at most once in an interval, under numbers without a hole.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use corecast::{Namespace, Policy, Update};
use corecast_bench::command::raise_nofile;
use corecast_feed::Event;
use eyre::{Result, bail, ensure, eyre};
use serde_json::Value;

use corecast_bench::swarm::{Delivery, Plan, Swarm};

use crate::service::{READY, publish, start};

const SUBSCRIBERS: usize = 1_000;
const INTERVAL: Duration = Duration::from_millis(100);
const RATE: f64 = 1_000.0;
const SECONDS: f64 = 4.0;

#[test]
fn thousand_subscribers_cost_one_encoding_an_interval() -> Result<()> {
    raise_nofile();
    let namespace =
        Namespace { name: "quote".into(), policy: Policy::Latest, ..Namespace::default() };
    let engine = start(namespace)?;
    let mut swarm = Swarm::new(engine.local_addr())?;
    let mut seen = Seen { ready: 0, streams: vec![Vec::new(); SUBSCRIBERS], wrong: None };
    let plan = Plan::reader("/all/quote.X@100ms");
    swarm.open_all(&plan, SUBSCRIBERS, Duration::from_secs(30), &mut |told| seen.take(&told))?;
    let until = Instant::now() + Duration::from_secs(10);
    while seen.ready < SUBSCRIBERS {
        ensure!(Instant::now() < until, "{} of {SUBSCRIBERS} are subscribed", seen.ready);
        swarm.poll(Duration::from_millis(20), &mut |told| seen.take(&told))?;
    }
    let before = engine.stats().feed;
    let (published, took) = thread::scope(|scope| {
        let publisher = scope.spawn(|| run(&engine));
        while !publisher.is_finished() {
            swarm.poll(Duration::from_millis(20), &mut |told| seen.take(&told))?;
        }
        publisher.join().map_err(|_| eyre!("the publisher panicked"))?
    })?;
    swarm.poll_for(INTERVAL * 10, &mut |told| seen.take(&told))?;
    if let Some(wrong) = seen.wrong {
        bail!("{wrong}");
    }

    let after = engine.stats().feed;
    let updates = after.updates - before.updates;
    let intervals = after.variant_messages - before.variant_messages;
    let encodes = after.encodes - before.encodes;
    println!("{updates} updates in {took:?}: {intervals} intervals, {encodes} encodings");
    ensure!(updates == published, "{updates} of {published} updates");
    // At most one message an interval, and, with a value every millisecond, one in each in which
    // the machine lets the engine run.
    let most = took.as_millis().div_ceil(INTERVAL.as_millis()) as u64 + 1;
    ensure!(intervals <= most && intervals >= most / 4, "{intervals} intervals, of {most}");
    // The topic's own messages may be encoded, too, once each; nothing depends on who listens.
    ensure!(encodes == intervals || encodes == intervals + updates, "{encodes} encodings");
    check_streams(&seen.streams, intervals, published)
}

/// Publishes numbered values; returns how many, and in which time.
fn run(engine: &corecast::Engine) -> Result<(u64, Duration)> {
    let (began, count) = (Instant::now(), (RATE * SECONDS) as u64);
    for number in 1..=count {
        let due = Duration::from_secs_f64(number as f64 / RATE);
        thread::sleep(due.saturating_sub(began.elapsed()));
        publish(engine, &Update::new("quote.X", format!(r#"{{"number":{number}}}"#)))?;
    }
    Ok((count, began.elapsed()))
}

/// All subscribers must have seen the same, without a hole, up to the last value.
fn check_streams(streams: &[Vec<(u64, u64)>], intervals: u64, published: u64) -> Result<()> {
    let mut values = BTreeMap::new();
    for (index, stream) in streams.iter().enumerate() {
        ensure!(stream.len() as u64 == intervals, "{index}: {} messages", stream.len());
        let mut last = (0, 0);
        for &(seq, number) in stream {
            ensure!(seq == last.0 + 1, "{index}: {seq} follows {}", last.0);
            ensure!(number > last.1, "{index}: value {number} follows {}", last.1);
            ensure!(*values.entry(seq).or_insert(number) == number, "{index}: another {seq}");
            last = (seq, number);
        }
        ensure!(last.1 == published, "{index}: {} is the last value", last.1);
    }
    Ok(())
}

struct Seen {
    ready: usize,
    /// Number and value of each message, by connection.
    streams: Vec<Vec<(u64, u64)>>,
    wrong: Option<String>,
}

impl Seen {
    fn take(&mut self, told: &Delivery<'_>) {
        if told.payload == READY.as_bytes() {
            self.ready += 1;
        } else if let Err(error) = self.message(told) {
            self.wrong.get_or_insert_with(|| format!("{error:#}"));
        }
    }

    fn message(&mut self, told: &Delivery<'_>) -> Result<()> {
        let text = str::from_utf8(told.payload)?;
        let Event::Message(message) = Event::parse(text)? else { bail!("{text} is no message") };
        ensure!(message.topic == "quote.X@100ms", "{text}");
        let data: Value = serde_json::from_str(message.data.get())?;
        let number = data["number"].as_u64().ok_or_else(|| eyre!("{text} has no number"))?;
        self.streams[told.connection].push((message.seq, number));
        Ok(())
    }
}
