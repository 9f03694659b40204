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
    let threads = std::fs::read_dir("/proc/self/task").expect("threads").count();
    assert!(threads < 40, "{threads} threads are left of ten engines");
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
    match client.next().await {
        Some(Ok(tokio_tungstenite::tungstenite::Message::Close(frame))) => {
            Some(frame.map_or(1005, |frame| frame.code.into()))
        }
        Some(Err(_)) | None => None,
        Some(Ok(other)) => panic!("{other:?}"),
    }
}
