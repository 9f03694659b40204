//! A reader that takes one message where a hundred are published: it must end with the newest
//! values, what it did not see must be what was counted as conflated, and what waits for it must
//! stay small. That each value was the newest when its write began is shown where that moment is
//! known: in the hub's own tests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast::{Namespace, Policy, Update};
use corecast_feed::Event;
use corecast_tests::raw::{RawClient, Received};
use eyre::{Result, bail, ensure, eyre};
use serde_json::Value;

use crate::service::{READY, publish, start};

const PUBLICATIONS: u64 = 20_000;
const RATE: f64 = 10_000.0;
/// One message where a hundred come.
const READ_EVERY: Duration = Duration::from_millis(10);
const PAYLOAD_BYTES: usize = 1_024;
const KEYS: u64 = 20;

#[test]
fn latest() -> Result<()> {
    check("quote.X", Policy::Latest, 1)
}

#[test]
fn latest_by_key() -> Result<()> {
    check("market.all", Policy::LatestByKey, KEYS)
}

fn check(topic: &str, policy: Policy, keys: u64) -> Result<()> {
    let name = topic.split('.').next().unwrap_or_default();
    let engine = start(Namespace { name: name.into(), policy, ..Namespace::default() })?;
    let mut client = RawClient::open_small(engine.local_addr(), &format!("/{topic}"), 4 << 10)?;
    ensure!(client.receive()? == Received::Text(READY.to_owned()), "it was not subscribed");

    let done = AtomicBool::new(false);
    let (queued_bytes_max, seen) = thread::scope(|scope| {
        let reader = scope.spawn(|| read(&mut client, &done));
        let mut queued_bytes_max = 0;
        let began = Instant::now();
        for number in 1..=PUBLICATIONS {
            let due = Duration::from_secs_f64(number as f64 / RATE);
            thread::sleep(due.saturating_sub(began.elapsed()));
            publish(&engine, &update(topic, number, keys))?;
            queued_bytes_max = queued_bytes_max.max(engine.stats().queued_bytes);
        }
        done.store(true, Ordering::Relaxed);
        let seen = reader.join().map_err(|_| eyre!("the reader panicked"))?;
        Ok::<_, eyre::Report>((queued_bytes_max, seen?))
    })?;

    // Of each key the last value came, and no value twice or after a newer one.
    for key in 0..keys {
        let last = (PUBLICATIONS - keys + 1..=PUBLICATIONS).find(|number| number % keys == key);
        ensure!(seen.newest.get(&key) == last.as_ref(), "{key}: {:?}", seen.newest.get(&key));
    }
    let stats = engine.stats();
    let (messages, conflated) = (seen.messages, stats.conflated);
    println!("{policy}: {messages} came, {conflated} conflated, {queued_bytes_max} B at most");
    ensure!(stats.dropped == 0 && stats.slow_closed == 0, "{stats:?}");
    ensure!(PUBLICATIONS - messages == conflated, "{messages} came, {conflated} conflated");
    if keys == 1 {
        ensure!(seen.jumped == conflated, "numbers jumped by {}", seen.jumped);
    }
    ensure!(messages * 20 < PUBLICATIONS, "the reader was not slow: {messages}");
    // One for each key, the one that is partly sent, and those behind it in the kernel's view.
    let bytes_max = (keys + 1) * (PAYLOAD_BYTES as u64 + 128);
    ensure!(queued_bytes_max <= bytes_max, "{queued_bytes_max} bytes waited, of {bytes_max}");
    Ok(())
}

fn update(topic: &str, number: u64, keys: u64) -> Update {
    let key = number % keys;
    let pad = "x".repeat(PAYLOAD_BYTES - 64);
    let data = format!(r#"{{"number":{number},"key":{key},"pad":"{pad}"}}"#);
    let key = (keys > 1).then(|| key.to_string().into());
    Update { key, ..Update::new(topic, data) }
}

/// What a reader saw.
#[derive(Debug, Default)]
struct Seen {
    messages: u64,
    /// Numbers that were passed over, by a topic without keys.
    jumped: u64,
    last: u64,
    /// The newest number of each key.
    newest: HashMap<u64, u64>,
}

/// Reads slowly until all is published, then the rest.
fn read(client: &mut RawClient, done: &AtomicBool) -> Result<Seen> {
    let mut seen = Seen::default();
    client.set_patience(Duration::from_secs(2));
    loop {
        let text = match client.receive() {
            Ok(Received::Text(text)) => text,
            Ok(other) => bail!("{other:?} instead of a message"),
            // All that is on its way has come.
            Err(_) if done.load(Ordering::Relaxed) => return Ok(seen),
            Err(error) => return Err(error),
        };
        seen.take(&text)?;
        if !done.load(Ordering::Relaxed) {
            thread::sleep(READ_EVERY);
        }
    }
}

impl Seen {
    fn take(&mut self, text: &str) -> Result<()> {
        let Event::Message(message) = Event::parse(text)? else { bail!("{text} is no message") };
        let data: Value = serde_json::from_str(message.data.get())?;
        let field = |name: &str| data[name].as_u64().ok_or_else(|| eyre!("no {name}"));
        let (number, key) = (field("number")?, field("key")?);
        // One publisher: the topic's numbers are its own.
        ensure!(message.seq == number, "{number} has number {}", message.seq);
        let older = self.newest.insert(key, number).unwrap_or(0);
        ensure!(number > older, "{number} of key {key} comes after {older}");
        self.messages += 1;
        self.jumped += number.saturating_sub(self.last + 1);
        self.last = number;
        Ok(())
    }
}
