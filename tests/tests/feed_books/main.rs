//! The six recordings through the feed: whatever happens to a client's connection, its books are
//! those of the recordings. Clients join at random times, are cut and come back, and read slowly;
//! at random points each book that a client has rebuilt from snapshots and changes is compared,
//! level by level, with the one rebuilt straight from the files.
//!
//! `CORECAST_SEED=n` repeats a run's plan; what the machine makes of it differs.

#![forbid(unsafe_code)]

mod book;
mod client;
mod random;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use book::{Print, Reference};
use corecast_feed::Subprotocol;
use corecast_tests::recording;
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, ensure, eyre};
use random::Random;
use reader::{Habits, Point, Reader, Recorded, Tally};

const READERS: usize = 18;
/// Of 346 s of recording: about 23 s.
const SPEED: &str = "15";
/// Readers that must be there before the replay begins: those see it from its first message.
const WAIT_CLIENTS: usize = 6;
const POINTS_MIN: usize = 1_000;
const POINTS_OF_TOPIC_MIN: usize = 20;

#[test]
fn a_clients_book_is_that_of_the_recording() -> Result<()> {
    let Some(folder) = recording::folder()? else { return Ok(()) };
    let seed = env::var("CORECAST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("replay with CORECAST_SEED={seed}");

    let recorded = books(recording::messages(&folder)?)?;
    // A queue that a stall of a second or two fills, with room for a snapshot and what follows.
    let server = launch()?
        .args(["replay", "--listen", "127.0.0.1:0", "--shards", "2", "--speed", SPEED])
        .args(["--wait-clients", &WAIT_CLIENTS.to_string(), "--snapshot-every", "60"])
        .args(["--outbox-frames-max", "200"])
        .args(recording::arguments(&folder));
    let mut server = TestServer::launch(&server)?;
    let (address, over, started) = (server.address(), AtomicBool::new(false), Instant::now());
    let all = thread::scope(|scope| {
        let mut random = Random::new(seed);
        let readers: Vec<_> = (0..READERS)
            .map(|number| habits(number, &mut random))
            .map(|habits| Reader::new(address, &recorded, habits, &over))
            .map(|reader| scope.spawn(move || reader.run()))
            .collect();
        let all = readers.into_iter().map(|reader| reader.join().map_err(|_| eyre!("panicked"))?);
        all.collect::<Vec<Result<_>>>()
    });
    let ended = server.ended();
    let (points, tally) = sum(all.into_iter().collect::<Result<_>>()?);
    println!("{}", ended?);
    let replayed = started.elapsed();
    let of_topic = compare(&recorded, &points)?;
    println!("{} points compared, {tally:?}, {replayed:?}", points.len());
    println!("points of each topic: {of_topic:?}");
    ensure!(points.len() >= POINTS_MIN, "only {} points", points.len());
    ensure!(of_topic.len() == recorded.len(), "some topic has no point: {of_topic:?}");
    ensure!(of_topic.values().all(|count| *count >= POINTS_OF_TOPIC_MIN), "{of_topic:?}");
    // Each going back is a stall that a snapshot has ended.
    ensure!(tally.went_back <= tally.stalls, "readers went back for no reason: {tally:?}");
    ensure!(tally.resumes.1 > 0 && tally.gaps > 0 && tally.cuts > 0, "nothing happened: {tally:?}");
    Ok(())
}

/// The topics of books, and where in each the whole book stands.
fn books(topics: BTreeMap<String, Vec<Box<[u8]>>>) -> Result<Vec<Recorded>> {
    let books = topics.into_iter().filter(|(topic, _)| topic.starts_with("book."));
    let books = books.map(|(topic, messages)| {
        let mut whole = (1..).zip(&messages).filter(|(_, m)| m.starts_with(br#"{"lastUpdateId""#));
        let whole = whole.next().ok_or_else(|| eyre!("{topic}: no whole book"))?.0;
        Ok(Recorded { topic, messages, whole })
    });
    let books: Vec<_> = books.collect::<Result<_>>()?;
    ensure!(books.len() == 6, "{} books instead of 6", books.len());
    Ok(books)
}

/// Every topic has readers of both encodings that are there from the beginning.
fn habits(number: usize, random: &mut Random) -> Habits {
    let all = 6;
    let mut topics = BTreeSet::from([number % all]);
    if random.one_in(3) {
        topics.insert(random.below(all as u64) as usize);
    }
    let starts_after = if number < WAIT_CLIENTS { 0 } else { random.below(15_000) };
    let is_binary = (number / all + number).is_multiple_of(2);
    Habits {
        protocol: if is_binary { Subprotocol::Binary } else { Subprotocol::Json },
        topics: topics.into_iter().collect(),
        starts_after: Duration::from_millis(starts_after),
        is_slow: random.one_in(2),
        seed: random.next(),
    }
}

fn sum(all: Vec<(Vec<Point>, Tally)>) -> (Vec<Point>, Tally) {
    let (mut points, mut sum) = (Vec::new(), Tally::default());
    for (some, tally) in all {
        points.extend(some);
        sum.messages += tally.messages;
        sum.joins += tally.joins;
        sum.cuts += tally.cuts;
        sum.stalls += tally.stalls;
        sum.resumes.0 += tally.resumes.0;
        sum.resumes.1 += tally.resumes.1;
        sum.gaps += tally.gaps;
        sum.snapshots += tally.snapshots;
        sum.went_back += tally.went_back;
    }
    (points, sum)
}

/// Rebuilds each book from its file, and looks at it at each point; returns how many each topic
/// had.
fn compare(recorded: &[Recorded], points: &[Point]) -> Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for (index, Recorded { topic, messages, .. }) in recorded.iter().enumerate() {
        let mut due: BTreeMap<u64, Vec<Print>> = BTreeMap::new();
        for (_, seq, print) in points.iter().filter(|point| point.0 == index) {
            due.entry(*seq).or_default().push(*print);
        }
        let mut reference = Reference::default();
        for (seq, message) in (1..).zip(messages) {
            let book = reference.take(message)?;
            let Some(prints) = due.remove(&seq) else { continue };
            let expected = book.ok_or_else(|| eyre!("{topic}: no book at {seq} as yet"))?.print();
            for print in prints {
                ensure!(print == expected, "{topic} at {seq}: {print:?} instead of {expected:?}");
                *counts.entry(topic.clone()).or_default() += 1;
            }
        }
        ensure!(due.is_empty(), "{topic}: points behind the end");
    }
    Ok(counts)
}
