//! Leaving in order: who is told what, when each is closed, and what becomes of the others.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{Client, closed, connect, eventually, hear, join, start};
use corecast::{CloseCode, Engine, Frame, Leave};
use futures_util::StreamExt;

const SECOND: Duration = Duration::from_secs(1);

fn restart(spread: Duration) -> Leave {
    let (code, reason) = (CloseCode::SERVICE_RESTART, "a new version".into());
    Leave { spread, code, reason, seed: 7, ..Leave::within(10 * SECOND) }
}

async fn fill(engine: &Engine, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(join(engine, "room").await);
    }
    clients
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test of the wall clock")]
async fn closes_are_spread_and_everybody_is_told_first() {
    let (engine, _events) = start(|builder| builder);
    let clients = fill(&engine, 100).await;
    let begun = Instant::now();
    let readers = clients.into_iter().map(|mut client| async move {
        assert_eq!(hear(&mut client).await, "leaving 10000 1012", "told before the Close");
        let frame = closed(&mut client).await.expect("a code");
        assert_eq!((u16::from(frame.code), &*frame.reason), (1012, "a new version"));
        let closed = begun.elapsed();
        // The library has answered the Close; its peer ends TCP.
        assert!(client.next().await.is_none_or(|last| last.is_err()));
        closed
    });
    let readers = tokio::spawn(futures_util::future::join_all(readers));
    let left = engine.leave(restart(SECOND)).await.expect("no panic");
    let mut ends = readers.await.expect("all were told");
    ends.sort_unstable();
    println!("closed after {:?} to {:?}, {left:?}", ends[0], ends[99]);
    // A machine that is busy makes them later, and nothing makes them earlier: 10 ms for each, of
    // two shards.
    for (place, closed) in ends.iter().enumerate() {
        assert!(
            closed.as_millis() >= 10 * place.saturating_sub(2) as u128,
            "the {place}th after {closed:?}"
        );
    }
    assert_eq!((left.told, left.closed, left.cut, left.frames_dropped), (100, 100, 0, 0));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test of the wall clock")]
async fn a_leave_with_nobody_there_is_immediate() {
    let (engine, _events) = start(|builder| builder);
    let begun = Instant::now();
    let left = engine.leave(restart(8 * SECOND)).await.expect("no panic");
    assert!(begun.elapsed() < 7 * SECOND, "{:?}", begun.elapsed());
    assert_eq!((left.told, left.closed, left.cut), (0, 0, 0));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test of the wall clock")]
async fn a_second_leave_brings_the_end_forward() {
    let (engine, _events) = start(|builder| builder);
    let clients = fill(&engine, 10).await;
    let readers = clients.into_iter().map(|mut client| async move {
        let frame = closed(&mut client).await.expect("a code");
        while client.next().await.is_some_and(|next| next.is_ok()) {}
        u16::from(frame.code)
    });
    let readers = tokio::spawn(futures_util::future::join_all(readers));
    let begun = Instant::now();
    let long = engine.leave(Leave { deadline: 600 * SECOND, ..restart(500 * SECOND) });
    assert!(tokio::time::timeout(SECOND / 2, long).await.is_err(), "it takes its time");
    let left = engine.leave(Leave::within(5 * SECOND)).await.expect("no panic");
    assert!(begun.elapsed() < 60 * SECOND, "{:?}", begun.elapsed());
    assert_eq!((left.told, left.closed), (10, 10), "told once: {left:?}");
    assert!(readers.await.expect("closed").iter().all(|code| [1001, 1012].contains(code)));
}

#[tokio::test]
async fn a_stalled_reader_is_cut_at_the_deadline_and_counted() {
    let (engine, _events) = start(|builder| builder);
    let stalled = join(&engine, "room").await;
    let mut reader = join(&engine, "room").await;
    let publisher = engine.publisher();
    let frame = Frame::binary(&[7; 60_000]);
    for _ in 0..50 {
        publisher.publish_reported("room", &frame).expect("taken").await;
    }
    let reading = tokio::spawn(async move { closed(&mut reader).await.expect("a code") });
    let left = engine.leave(Leave { deadline: 2 * SECOND, ..restart(SECOND / 10) }).await;
    let left = left.expect("no panic");
    assert_eq!((left.told, left.closed, left.cut), (2, 1, 1), "{left:?}");
    assert!((1..=50).contains(&left.frames_dropped), "{left:?}");
    assert!(left.took >= 2 * SECOND, "{left:?}");
    assert_eq!(u16::from(reading.await.expect("read to the end").code), 1012);
    drop(stalled);
}

#[tokio::test]
async fn a_frame_that_is_half_written_is_finished_before_the_close() {
    let (engine, _events) = start(|builder| builder);
    let mut late = join(&engine, "room").await;
    let publisher = engine.publisher();
    let frame = Frame::binary(&[9; 1_000_000]);
    for _ in 0..3 {
        publisher.publish_reported("room", &frame).expect("taken").await;
    }
    // It does not read before the leave has begun: a frame is partly in the kernel by then.
    let reading = tokio::spawn(async move {
        tokio::time::sleep(SECOND / 2).await;
        for _ in 0..3 {
            assert_eq!(common::next(&mut late).await.into_data().len(), 1_000_000);
        }
        assert_eq!(hear(&mut late).await, "leaving 10000 1012");
        let code = closed(&mut late).await.expect("a code").code;
        while late.next().await.is_some_and(|next| next.is_ok()) {}
        u16::from(code)
    });
    let left = engine.leave(restart(SECOND / 10)).await.expect("no panic");
    assert_eq!(reading.await.expect("every frame is whole"), 1012);
    assert_eq!((left.closed, left.cut, left.frames_dropped), (1, 0, 0));
}

fn dial(engine: &Engine) -> TcpStream {
    let socket = TcpStream::connect(engine.local_addr()).expect("connected");
    socket.set_read_timeout(Some(10 * SECOND)).expect("set");
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_on_their_way_are_answered_and_not_reset() {
    let (engine, _events) = start(|builder| builder);
    let mut half = dial(&engine);
    half.write_all(b"GET /room HTTP/1.1\r\nHost: a\r\nUpgrade: webso").expect("sent");
    let mut silent = dial(&engine);
    let keep = connect(&engine, "room").await;
    eventually("all are taken in", || engine.stats().accepted == 3).await;
    let leave = restart(2 * SECOND);
    let address = engine.local_addr();
    let leaving = tokio::spawn(async move { engine.leave(leave).await.expect("no panic") });
    let mut answer = String::new();
    half.read_to_string(&mut answer).expect("an answer, and no reset");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: 1"), "{answer}");
    let mut said = Vec::new();
    silent.read_to_end(&mut said).expect("an end, and no reset");
    assert!(said.is_empty(), "who has asked for nothing is told nothing");
    drop((half, silent, keep));
    leaving.await.expect("left");
    TcpStream::connect(address).expect_err("nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_while_it_leaves_is_served_or_refused_and_never_reset() {
    let (engine, _events) = start(|builder| builder);
    let keep = fill(&engine, 20).await;
    let address = engine.local_addr();
    let storm = std::thread::spawn(move || storm(address));
    eventually("the storm is on", || engine.stats().accepted > 50).await;
    let mut leaving = restart(SECOND);
    leaving.linger = SECOND / 5;
    let left = engine.leave(leaving).await.expect("no panic");
    let (served, unavailable, refused) = storm.join().expect("no reset");
    println!("{served} served, {unavailable} told 503, {refused} refused, {left:?}");
    assert!(served > 20, "{served}");
    drop(keep);
}

/// Connects again and again, one at a time, until nobody listens: who is connected gets an answer.
fn storm(address: std::net::SocketAddr) -> (u32, u32, u32) {
    let request = "GET /room HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
                   Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut counts = (0, 0, 0);
    while counts.2 == 0 {
        let Ok(mut socket) = TcpStream::connect(address) else {
            counts.2 += 1;
            continue;
        };
        socket.set_read_timeout(Some(10 * SECOND)).expect("set");
        socket.write_all(request.as_bytes()).expect("sent");
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).expect("an answer, and no reset");
        match &answer {
            b"HTTP/1.1 101" => counts.0 += 1,
            b"HTTP/1.1 503" => counts.1 += 1,
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_503_while_it_drains() {
    let (engine, _events) = start(|builder| builder);
    let health = || {
        let mut socket = dial(&engine);
        socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("answered");
        answer
    };
    assert!(health().starts_with("HTTP/1.1 200 "));
    engine.set_draining(true);
    let draining = health();
    assert!(
        draining.starts_with("HTTP/1.1 503 ") && draining.ends_with("draining\n"),
        "{draining}"
    );
    engine.set_draining(false);
    assert!(health().starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_handler_blocks_makes_no_rounds_and_an_idle_one_does() {
    let (engine, _events) = start(|builder| builder);
    let mut client = join(&engine, "room").await;
    let went_on = |before: &[u64]| -> Vec<bool> {
        before.iter().zip(engine.rounds()).map(|(before, after)| after > *before).collect()
    };
    // Long enough that one that is only slow makes one, too.
    for _ in 0..5 {
        common::say(&mut client, "block").await;
        let before = engine.rounds();
        tokio::time::sleep(3 * SECOND / 2).await;
        let first = went_on(&before);
        let before = engine.rounds();
        tokio::time::sleep(3 * SECOND / 2).await;
        if [first, went_on(&before)]
            .iter()
            .any(|went_on| went_on.iter().filter(|it| **it).count() == 1)
        {
            return;
        }
    }
    panic!("none of two is stuck, or both are: {:?}", engine.rounds());
}
