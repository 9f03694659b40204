//! One engine takes the place of another: nobody is refused or reset, and numbers go on.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Service, closed, eventually, join, start};
use corecast::{Engine, Estate, Heritage, Leave, Namespace, SnapshotKind, StartError, Update};
use futures_util::StreamExt;

const SECOND: Duration = Duration::from_secs(1);

fn kept() -> Namespace {
    let (snapshot, history_entries) = (SnapshotKind::Last, 100);
    Namespace { name: "trade".into(), snapshot, history_entries, ..Namespace::default() }
}

fn heritage(old: &Engine) -> Heritage {
    let mut topics = Vec::new();
    old.images(100, &mut |images| {
        topics.extend(images);
        Ok(())
    })
    .expect("all answer");
    let estate = Estate {
        epoch: old.epoch(),
        generation: old.generation(),
        now: old.now(),
        topics,
        tap: None,
    };
    let listeners = old.listeners(false).map(|it| it.try_clone().expect("a copy")).collect();
    Heritage { listeners, tls_listeners: Vec::new(), estate: Some(estate) }
}

fn succeed(heritage: Heritage, shards: usize, space: Namespace) -> Result<Engine, StartError> {
    let (seen, _) = std::sync::mpsc::channel();
    let listen = "127.0.0.1:0".parse().expect("an address");
    Engine::builder()
        .listen(listen)
        .shards(shards)
        .namespace(space)
        .heritage(heritage)
        .spawn(move |_| Service { seen: seen.clone() })
}

/// Connects again and again until it is told to stop; gives how often. Each gets its answer.
fn storm(address: SocketAddr, stop: &AtomicBool) -> u32 {
    let request = "GET /room HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
                   Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut socket = TcpStream::connect(address).expect("nobody is refused");
        socket.set_read_timeout(Some(10 * SECOND)).expect("set");
        socket.write_all(request.as_bytes()).expect("sent");
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).expect("nobody is reset");
        assert_eq!(&answer, b"HTTP/1.1 101");
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_refused_or_reset_whatever_the_number_of_shards() {
    let (mut old, _events) = start(|builder| builder.namespace(kept()));
    let (address, epoch) = (old.local_addr(), old.epoch());
    let stop = Arc::new(AtomicBool::new(false));
    let storms = [(); 4].map(|()| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || storm(address, &stop))
    });
    let mut number = 0;
    for shards in [3, 1, 2, 2] {
        for _ in 0..10 {
            number += 1;
            let update = Update::new("trade.A", number.to_string());
            let report = old.publisher().update_reported(update).expect("taken").await;
            assert_eq!(report.seq, Some(number), "numbers go on");
        }
        let mut client = join(&old, "room").await;
        let accepted = old.stats().accepted;
        eventually("the storm is on", || old.stats().accepted > accepted + 20).await;
        old.hold_listeners(true);
        let new = succeed(heritage(&old), shards, kept()).expect("it starts");
        assert_eq!((new.local_addr(), new.epoch()), (address, epoch));
        new.hold_listeners(false);
        let in_time = Leave { linger: 5 * SECOND, ..Leave::within(20 * SECOND) };
        let leaving = old.leave(Leave { spread: SECOND / 5, ..in_time });
        let sent_away = async {
            let frame = closed(&mut client).await;
            // The library answers the Close when it is asked for more.
            while client.next().await.is_some_and(|next| next.is_ok()) {}
            frame
        };
        let (left, frame) = tokio::join!(leaving, sent_away);
        assert!(left.is_ok() && frame.is_some());
        old = new;
    }
    let accepted = old.stats().accepted;
    eventually("the last one accepts", || old.stats().accepted > accepted).await;
    stop.store(true, Ordering::Relaxed);
    let counts = storms.map(|storm| storm.join().expect("nobody is refused or reset"));
    println!("connections of each: {counts:?}");
    assert!(counts.iter().all(|&count| count > 4), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_heir_that_cannot_start_leaves_the_listeners_as_they_were() {
    let (old, _events) = start(|builder| builder.namespace(kept()));
    old.publisher().update(Update::new("trade.A", "1")).expect("taken");
    old.publisher().wait_room();
    eventually("it is taken", || old.stats().feed.topics == 1).await;
    old.hold_listeners(true);
    let other = Namespace { name: "other".into(), ..kept() };
    let error = succeed(heritage(&old), 2, other).expect_err("nobody has its topic");
    assert!(matches!(error, StartError::Heritage { .. }), "{error}");
    assert!(error.to_string().contains("trade.A"), "{error}");
    let waiting = tokio::spawn(tokio::net::TcpStream::connect(old.local_addr()));
    waiting.await.expect("no panic").expect("it waits in the queue");
    old.hold_listeners(false);
    join(&old, "room").await;
    old.shutdown(SECOND).await.expect("no panic");
    TcpStream::connect(old.local_addr()).expect_err("nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_heir_accepts_nobody_before_it_is_let_go_and_shuts_nothing_when_it_fails() {
    let (old, _events) = start(|builder| builder.namespace(kept()));
    let address = old.local_addr();
    // A later shard of it panics at its start: the first one runs, and ends.
    let inherited = || {
        let listeners = heritage(&old).listeners;
        Heritage { listeners, tls_listeners: Vec::new(), estate: None }
    };
    let (seen, _) = std::sync::mpsc::channel();
    let failed = Engine::builder()
        .listen("127.0.0.1:0".parse().expect("an address"))
        .shards(3)
        .heritage(inherited())
        .spawn(move |shard| {
            assert!(shard.0 < 2, "no memory");
            Service { seen: seen.clone() }
        });
    let error = failed.expect_err("a shard has not started");
    assert!(matches!(error, StartError::Shard { .. }), "{error}");
    for _ in 0..50 {
        join(&old, "room").await;
    }
    // One that starts, with more sockets than there were, and is not let go.
    let new = succeed(inherited(), 4, kept()).expect("it starts");
    for _ in 0..50 {
        join(&old, "room").await;
    }
    assert_eq!(new.stats().accepted, 0);
    drop(new);
    for _ in 0..50 {
        join(&old, "room").await;
    }
    assert_eq!(old.stats().accepted, 150);
    old.shutdown(SECOND).await.expect("no panic");
    TcpStream::connect(address).expect_err("nobody listens any more");
}
