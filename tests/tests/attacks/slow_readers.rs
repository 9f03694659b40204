//! Readers that stop: each policy comes to its own end, and a frame that was begun is finished.

use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::raw::{RawClient, Received, frame};
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use eyre::{Result, WrapErr, bail, ensure};

/// What waits for one socket at most, in these tests.
const OUTBOX_BYTES_MAX: u64 = 256 << 10;
/// Messages that a stalled reader misses, 1 KiB each: far more than the outbox and the kernel's
/// buffers hold together.
const MESSAGES: u32 = 4_000;
const PAYLOAD_BYTES: usize = 1024;
/// Messages a second while it is stalled.
const RATE: f64 = 10_000.0;

const SERVER: &[&str] = &[
    "--shards",
    "2",
    "--outbox-bytes-max",
    "262144",
    "--policy",
    "lossless=lossless.*",
    "--policy",
    "lossless:gap=gap.*",
    "--policy",
    "latest=latest.*",
    "--policy",
    "drop_oldest=ring.*",
    "--policy",
    "close=close.*",
];

#[test]
fn a_zero_window_on_a_lossless_topic_is_told_4407() -> Result<()> {
    told_that_it_is_slow("/ws/lossless.a")
}

#[test]
fn a_zero_window_on_a_close_topic_is_told_4407() -> Result<()> {
    told_that_it_is_slow("/ws/close.a")
}

#[test]
fn a_zero_window_on_a_gap_topic_is_told_what_it_missed() -> Result<()> {
    let seen = stall("/ws/gap.a")?;
    ensure!(seen.closed.is_none(), "{:?}", seen.closed);
    ensure!(seen.last == MESSAGES - 1, "the newest arrives: {seen:?}");
    ensure!(!seen.notices.is_empty(), "what is missing is told: {seen:?}");
    println!("{:?}", seen.notices);
    // What is there and what the notices name is everything. Sequence numbers begin at 1.
    let mut told = vec![false; MESSAGES as usize];
    for notice in &seen.notices {
        let value = |name: &str| -> Option<u64> {
            let rest = notice.split_once(&format!("\"{name}\":"))?.1;
            rest.trim_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let (Some(from), Some(to)) = (value("from"), value("to")) else {
            bail!("a notice without a range: {notice}");
        };
        ensure!(0 < from && from <= to && to <= u64::from(MESSAGES), "{notice}");
        told[from as usize - 1..to as usize].fill(true);
    }
    for number in 0..MESSAGES {
        let (here, named) = (seen.numbers.binary_search(&number).is_ok(), told[number as usize]);
        ensure!(here != named, "message {number}: arrived {here}, named by a notice {named}");
    }
    Ok(())
}

#[test]
fn a_zero_window_on_a_latest_topic_gets_the_newest() -> Result<()> {
    let seen = stall("/ws/latest.a")?;
    ensure!(seen.closed.is_none() && seen.last == MESSAGES - 1, "{seen:?}");
    // What the kernel held, the frame that was begun, and the newest.
    ensure!(seen.numbers.len() < 1_000, "{} arrived", seen.numbers.len());
    let before = seen.numbers[seen.numbers.len() - 2];
    ensure!(before + 500 < MESSAGES, "the newest replaced all that waited, not only {before}");
    Ok(())
}

#[test]
fn a_zero_window_on_a_drop_oldest_topic_gets_the_end_of_it() -> Result<()> {
    let seen = stall("/ws/ring.a")?;
    ensure!(seen.closed.is_none() && seen.last == MESSAGES - 1, "{seen:?}");
    // The ring's worth of the newest is without a hole.
    let held = (OUTBOX_BYTES_MAX / 2) as usize / PAYLOAD_BYTES;
    let tail = &seen.numbers[seen.numbers.len() - held..];
    ensure!(tail[0] as usize + held == MESSAGES as usize, "a hole in the newest {held}");
    ensure!(seen.numbers.len() < MESSAGES as usize, "something was dropped");
    Ok(())
}

#[test]
fn a_reader_that_takes_no_byte_is_gone_after_the_stall_and_the_close() -> Result<()> {
    let siege = Siege::start(["--shards", "1", "--stall", "1s"])?;
    let mut stalled = RawClient::open_small(siege.address(), "/ws/stall", 2048)?;
    let mut publisher = RawClient::open(siege.address(), "/ws/stall")?;
    // Below every bound in bytes and count, above what the kernel takes.
    for number in 0..40_u32 {
        publisher.send(&numbered(number, 60_000))?;
    }
    publisher.send(&frame(0x88, &1000_u16.to_be_bytes()))?;
    publisher.expect_close()?;
    let began = Instant::now();
    // 1 s of stall, 5 s for the closing handshake, and the sweep's share.
    siege.wait_until_rid(Duration::from_secs(9))?;
    let took = began.elapsed();
    ensure!(took >= Duration::from_millis(900), "gone after {took:?}");
    println!("gone after {took:?}");
    let _ = stalled.read_to_end()?;
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_close_never_stands_inside_a_frame() -> Result<()> {
    close_within_backlogs(&["--backend", "ring"])?;
    close_within_backlogs(&["--backend", "sendmsg"])
}

fn close_within_backlogs(backend: &[&str]) -> Result<()> {
    const CLIENTS: usize = 48;
    let siege = Siege::start([SERVER, backend].concat())?;
    let mut slow = Vec::new();
    for number in 0..CLIENTS {
        // Small windows of many sizes: sends stop at every place within a frame.
        slow.push(RawClient::open_small(siege.address(), "/ws/lossless.cut", 1024 + 97 * number)?);
    }
    let mut publisher = RawClient::open(siege.address(), "/ws/lossless.cut")?;
    for number in 0..60_u32 {
        publisher.send(&numbered(number, 30_000 + 517 * number as usize))?;
        // In the midst of it some take a few bytes, and stop within a frame again.
        if number % 6 == 0 {
            for (index, client) in slow.iter_mut().enumerate() {
                client.read_bytes(1 + index)?;
            }
        }
    }
    thread::sleep(Duration::from_millis(300));
    for (index, client) in slow.iter_mut().enumerate() {
        // A byte at a time, then as it comes.
        for _ in 0..700 + index {
            client.read_bytes(1)?;
        }
        let mut next = 0;
        let closed = loop {
            let received = client.receive().wrap_err_with(|| format!("client {index}"))?;
            match received {
                Received::Binary(payload) => {
                    let number = number_of(&payload)?;
                    ensure!(number == next, "client {index}: {number} instead of {next}");
                    ensure!(payload.len() == 30_000 + 517 * number as usize, "a whole frame");
                    next += 1;
                }
                Received::Close(closed) => break closed,
                other => bail!("client {index}: {other:?} after {next} frames"),
            }
        };
        let code = closed.map(|(code, _)| code);
        ensure!(code == Some(4407), "client {index} was closed with {code:?}");
        client.send(&frame(0x88, &4407_u16.to_be_bytes()))?;
        client.expect_end()?;
    }
    drop(publisher);
    siege.finish(2 * KEPT_BYTES_MAX)?;
    Ok(())
}

/// What a reader found when it went on.
#[derive(Debug, Default)]
struct Seen {
    numbers: Vec<u32>,
    last: u32,
    notices: Vec<String>,
    closed: Option<(u16, String)>,
}

fn told_that_it_is_slow(target: &str) -> Result<()> {
    let seen = stall(target)?;
    let Some((code, reason)) = seen.closed else { bail!("it was not closed: {seen:?}") };
    ensure!(code == 4407 && reason.contains("bytes waiting"), "{code} {reason:?}");
    let whole = Vec::from_iter(0..seen.numbers.len() as u32);
    ensure!(seen.numbers == whole, "what came before the Close has no hole");
    Ok(())
}

/// A reader stops, a publisher goes on, the reader goes on. Nothing but the control's connections
/// is there besides.
fn stall(target: &str) -> Result<Seen> {
    let siege = Siege::start(SERVER)?;
    let mut stalled = RawClient::open_small(siege.address(), target, 4096)?;
    let mut publisher = RawClient::open(siege.address(), target)?;
    let mut grown = 0;
    let began = Instant::now();
    for number in 0..MESSAGES {
        let due = Duration::from_secs_f64(f64::from(number) / RATE);
        thread::sleep(due.saturating_sub(began.elapsed()));
        publisher.send(&numbered(number, PAYLOAD_BYTES))?;
        if number % 500 == 0 {
            grown = grown.max(siege.grown_bytes()?);
        }
    }
    // One queue, what is on its way between shards, and what the allocator takes for it.
    ensure!(grown <= OUTBOX_BYTES_MAX + (4 << 20), "one stalled reader holds {grown} bytes");
    publisher.send(&frame(0x89, b"all of it?"))?;
    while publisher.receive()? != Received::Pong(b"all of it?".to_vec()) {}
    thread::sleep(Duration::from_millis(100));
    let seen = go_on(&mut stalled)?;
    drop((stalled, publisher));
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(seen)
}

/// Reads until the newest message or a Close.
fn go_on(client: &mut RawClient) -> Result<Seen> {
    let mut seen = Seen::default();
    while seen.last + 1 < MESSAGES {
        match client.receive()? {
            Received::Binary(payload) => {
                seen.last = number_of(&payload)?;
                ensure!(
                    seen.numbers.last().is_none_or(|last| *last < seen.last),
                    "order: {seen:?}"
                );
                seen.numbers.push(seen.last);
            }
            Received::Text(notice) => seen.notices.push(notice),
            Received::Close(closed) => {
                seen.closed = closed;
                break;
            }
            Received::Ping(_) => {}
            other => bail!("{other:?} after {seen:?}"),
        }
    }
    Ok(seen)
}

fn numbered(number: u32, payload_bytes: usize) -> Vec<u8> {
    let mut payload = vec![b'x'; payload_bytes];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    frame(0x82, &payload)
}

fn number_of(payload: &[u8]) -> Result<u32> {
    let first = payload.first_chunk().ok_or_else(|| eyre::eyre!("{} bytes", payload.len()))?;
    ensure!(payload[4..].iter().all(|byte| *byte == b'x'), "a frame's bytes are its own");
    Ok(u32::from_be_bytes(*first))
}
