//! A client must be able to tell a quiet topic from a dead server.

use std::time::{Duration, Instant};

use corecast_tests::feed::FeedClient;
use eyre::{Result, ensure};
use serde_json::json;

use crate::serve_with;

#[test]
fn every_slice_of_every_shard_hears_the_heartbeat() -> Result<()> {
    let server = serve_with("[feed]\nheartbeat_ms = 200\n")?;
    let open = || FeedClient::open(server.address());
    let mut clients = (0..24).map(|_| open()).collect::<Result<Vec<_>>>()?;
    std::thread::sleep(Duration::from_millis(1_100));
    for client in &mut clients {
        ensure!(client.welcome["heartbeat_ms"] == 200);
        client.ask(json!({"type": "ping"}))?;
        let heard = client.heartbeats;
        ensure!((3..=8).contains(&heard), "{heard} heartbeats in 1.1 s");
    }
    server.stop()
}

#[test]
fn none_is_promised_and_none_comes() -> Result<()> {
    let server = serve_with("[feed]\nheartbeat_ms = 0\n")?;
    let mut client = FeedClient::open(server.address())?;
    ensure!(client.welcome["heartbeat_ms"] == 0);
    client.expect_silence(Duration::from_millis(300))?;
    ensure!(client.heartbeats == 0);
    server.stop()
}

#[test]
fn a_publisher_that_falls_silent_is_told_of() -> Result<()> {
    let settings = "[[namespaces]]\nname = \"tick\"\npublish = \"clients\"\n\
                    stale_after_ms = 200\nsnapshot = \"last\"\n";
    let server = serve_with(settings)?;
    let mut client = FeedClient::open(server.address())?;
    for topic in ["tick.a", "tick.b", "tick.c"] {
        client.subscribe(&[topic])?;
        client.ask(json!({"type": "publish", "topic": topic, "data": 1, "echo": false}))?;
        let since = Instant::now();
        let stale = client.expect("stream_state")?;
        ensure!(stale["state"] == "stale" && stale["topic"] == topic, "{stale}");
        ensure!(since.elapsed() >= Duration::from_millis(150), "after {:?}", since.elapsed());

        let mut late = FeedClient::open(server.address())?;
        let answer = late.subscribe(&[topic])?;
        ensure!(answer["ok"][0]["state"] == "stale", "{answer}");
        client.ask(json!({"type": "publish", "topic": topic, "data": 2, "echo": false}))?;
        ensure!(client.expect("stream_state")?["state"] == "live");
        client.ask(json!({"type": "unsubscribe", "topics": [topic]}))?;
    }
    server.stop()
}
