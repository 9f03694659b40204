//! Start, end, and what goes wrong between.

mod common;

use std::time::{Duration, Instant};

use common::{Service, closed, connect, hear, join, say, start};
use corecast::{Engine, StartError};

fn refused(builder: corecast::Builder) -> StartError {
    match builder.spawn(|_| -> Service { unreachable!("it does not start") }) {
        Err(error) => error,
        Ok(engine) => panic!("{engine:?} started"),
    }
}

#[test]
fn a_taken_port_is_told_with_what_to_do() {
    let (engine, _events) = start(|builder| builder);
    let error = refused(Engine::builder().listen(engine.local_addr()));
    assert!(matches!(error, StartError::Listen { .. }));
    assert_eq!(error.exit_code(), 69);
    assert!(error.to_string().contains("choose another port"), "{error}");
}

#[test]
fn settings_out_of_bounds_are_named() {
    let error = refused(Engine::builder().cpus([4_095]));
    assert!(error.to_string().contains("CPU 4095"), "{error}");
    let error = refused(Engine::builder().message_bytes_max(0));
    assert!(error.to_string().contains("connection.message_bytes_max"), "{error}");
    assert_eq!(error.exit_code(), 78);
    let policy = corecast::Policy::Latest;
    let error = refused(Engine::builder().policy("a..b", policy));
    assert!(error.to_string().contains("policies"), "{error}");
}

#[test]
fn a_factory_that_panics_is_an_error_and_leaves_nothing_running() {
    let listen = "127.0.0.1:0".parse().expect("an address");
    let started = Engine::builder()
        .listen(listen)
        .shards(2)
        .spawn(|shard| -> Service { panic!("no handler for {shard:?}") });
    let error = started.expect_err("it cannot start");
    assert!(error.to_string().contains("no handler for"), "{error}");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test of the wall clock")]
async fn a_shutdown_ends_by_its_deadline_even_with_a_peer_that_does_not_answer() {
    let (engine, _events) = start(|builder| builder);
    let silent = connect(&engine, "room").await;
    let begun = Instant::now();
    engine.shutdown(Duration::from_millis(500)).await.expect("no panic");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    drop(silent);
    let address = engine.local_addr();
    tokio::net::TcpStream::connect(address).await.expect_err("nobody listens any more");
}

#[tokio::test]
async fn what_is_queued_leaves_before_the_close() {
    let (engine, _events) = start(|builder| builder);
    let mut client = join(&engine, "trade.A").await;
    let publisher = engine.publisher();
    for n in 0..1_000 {
        let frame = corecast::Frame::text(&n.to_string());
        publisher.publish_reported("trade.A", &frame).expect("taken").await;
    }
    let reading = tokio::spawn(async move {
        for n in 0..1_000 {
            assert_eq!(hear(&mut client).await, n.to_string());
        }
        assert_eq!(u16::from(closed(&mut client).await.expect("a code").code), 1001);
    });
    engine.shutdown(Duration::from_secs(10)).await.expect("no panic");
    reading.await.expect("read to the end");
}

#[tokio::test]
async fn engines_come_and_go_in_one_process() {
    for _ in 0..10 {
        let (engine, _events) = start(|builder| builder);
        let mut client = join(&engine, "room").await;
        say(&mut client, "echo again").await;
        assert_eq!(hear(&mut client).await, "again");
        drop(client);
        engine.shutdown(Duration::from_secs(2)).await.expect("no panic");
    }
}

/// Alone in this process, so that what is counted is this test's.
#[test]
#[expect(clippy::disallowed_methods, reason = "a plain thread that waits for the kernel")]
fn an_engine_that_has_ended_leaves_nothing_of_ours_behind() {
    if std::env::var_os(ALONE).is_none() {
        let this = std::env::current_exe().expect("a path of our own");
        let name = "an_engine_that_has_ended_leaves_nothing_of_ours_behind";
        let status =
            std::process::Command::new(this).args([name, "--exact"]).env(ALONE, "1").status();
        assert!(status.expect("started").success());
        return;
    }
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).expect(what).count();
    let threads = count("task");
    let mut counts = Vec::new();
    for _ in 0..6 {
        let (engine, _events) = start(|builder| builder);
        let mut socket = std::net::TcpStream::connect(engine.local_addr()).expect("connected");
        std::io::Write::write_all(&mut socket, b"GET / HT").expect("sent");
        engine.shutdown_blocking(Duration::from_millis(200)).expect("no panic");
        drop((engine, socket));
        // A thread that was joined, and a worker of a ring that was closed, stay in /proc until
        // the kernel has put them away.
        let until = Instant::now() + Duration::from_secs(10);
        while count("task") > threads && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        counts.push((count("fd"), count("task")));
    }
    // An executor of glommio 0.9 leaves its eventfd behind, also an empty one: one for each shard.
    let ((before, _), (after, threads_after)) = (counts[1], counts[5]);
    assert!(after - before <= 4 * 2, "files and threads after each engine: {counts:?}");
    assert_eq!(threads_after, threads, "files and threads after each engine: {counts:?}");
}

const ALONE: &str = "CORECAST_TEST_ALONE";

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test of the wall clock")]
async fn a_deadline_can_be_brought_forward() {
    let (engine, _events) = start(|builder| builder);
    let silent = connect(&engine, "room").await;
    let long = engine.shutdown(Duration::from_secs(3_600));
    assert!(tokio::time::timeout(Duration::from_millis(100), long).await.is_err());
    let begun = Instant::now();
    engine.shutdown(Duration::from_millis(200)).await.expect("no panic");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    drop(silent);
}

#[tokio::test]
async fn a_path_closure_that_panics_costs_one_request() {
    let panics = |path: &str| &path[..9] == "/too/long";
    let (engine, _events) = start(|builder| builder.socket_path(panics));
    let mut socket = tokio::net::TcpStream::connect(engine.local_addr()).await.expect("connected");
    let request = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut socket, request).await.expect("sent");
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut socket, &mut answer).await.expect("answered");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    let mut client = join(&engine, "room").await;
    say(&mut client, "echo alive").await;
    assert_eq!(hear(&mut client).await, "alive");
}

#[cfg(feature = "fault-injection")]
#[tokio::test]
async fn a_panic_in_a_shards_loop_drains_the_others_and_is_reported() {
    let (engine, _events) = start(|builder| builder);
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(join(&engine, "room").await);
    }
    engine.inject_panic(corecast::ShardId(1));
    let waiting = tokio::time::timeout(Duration::from_secs(10), engine.ended());
    let (panic, ends) = tokio::join!(waiting, async {
        let mut ends = (0, 0);
        for client in &mut clients {
            match tokio_next(client).await {
                Some(1001) => ends.0 += 1,
                None => ends.1 += 1,
                other => panic!("{other:?}"),
            }
        }
        ends
    });
    let panic = panic.expect("it ends").expect_err("with the panic");
    assert_eq!(panic.shard, corecast::ShardId(1));
    assert!(panic.message.contains("injected"), "{panic}");
    assert_eq!(ends.0 + ends.1, 8, "every client was told, or cut off");
}

/// The close code, or none where the connection was cut.
#[cfg(feature = "fault-injection")]
async fn tokio_next(client: &mut common::Client) -> Option<u16> {
    use futures_util::StreamExt;
    use tokio_tungstenite::tungstenite::Message;
    loop {
        match client.next().await {
            Some(Ok(Message::Close(frame))) => {
                return Some(frame.map_or(1005, |frame| frame.code.into()));
            }
            Some(Err(_)) | None => return None,
            // It is told before it is closed.
            Some(Ok(Message::Text(text))) if text.starts_with("leaving") => {}
            Some(Ok(other)) => panic!("{other:?}"),
        }
    }
}
