//! Who joins gets the state, then what follows it: nothing between is lost or comes twice.

use corecast_tests::feed::FeedClient;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::{serve, topics};

fn publish(client: &mut FeedClient, mut command: Value) -> Result<Value> {
    command["type"] = "publish".into();
    let published = client.ask(command)?;
    ensure!(published["type"] == "published", "{published}");
    Ok(published)
}

#[test]
fn the_newest_value_is_there_at_once() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    for topic in topics("quote", 6) {
        let mut client = FeedClient::open(server.address())?;
        let granted = client.subscribe(&[&topic])?["ok"][0].clone();
        ensure!(granted["seq"] == 0, "{granted}");
        for n in 1..=3 {
            publish(&mut publisher, json!({"topic": topic, "data": {"n": n}}))?;
            ensure!(client.expect("message")?["seq"] == n);
        }
        let mut late = FeedClient::open(server.address())?;
        let granted = late.subscribe(&[&topic])?["ok"][0].clone();
        ensure!(granted["seq"] == 3 && granted["epoch"] == late.welcome["epoch"], "{granted}");
        let snapshot = late.expect("snapshot")?;
        ensure!(snapshot["seq"] == 3 && snapshot["data"]["n"] == 3, "{snapshot}");
        publish(&mut publisher, json!({"topic": topic, "data": {"n": 4}}))?;
        ensure!(late.expect("message")?["seq"] == 4);
    }
    server.stop()
}

#[test]
fn keys_are_one_array() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    for topic in topics("keys", 4) {
        for (key, data) in [("a", 1), ("b", 2), ("a", 3)] {
            publish(&mut publisher, json!({"topic": topic, "key": key, "data": data}))?;
        }
        let mut client = FeedClient::open(server.address())?;
        client.subscribe(&[&topic])?;
        let snapshot = client.expect("snapshot")?;
        let mut data = snapshot["data"].as_array().cloned().unwrap_or_default();
        data.sort_by_key(Value::as_u64);
        ensure!(snapshot["seq"] == 3 && data == [2, 3], "{snapshot}");
    }
    server.stop()
}

#[test]
fn a_publishers_snapshot_comes_with_what_followed_it() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    for topic in topics("book", 4) {
        let mut early = FeedClient::open(server.address())?;
        publish(&mut publisher, json!({"topic": topic, "data": 1}))?;
        let granted = early.subscribe(&[&topic])?["ok"][0].clone();
        ensure!(granted["snapshot"] == false, "none is known yet: {granted}");
        let told = publish(&mut publisher, json!({"topic": topic, "data": [1], "snapshot": true}))?;
        ensure!(told["seq"] == 0, "a snapshot takes no number: {told}");
        let snapshot = early.expect("snapshot")?;
        ensure!(snapshot["seq"] == 1 && snapshot["data"] == json!([1]), "{snapshot}");
        publish(&mut publisher, json!({"topic": topic, "data": 2}))?;
        publish(&mut publisher, json!({"topic": topic, "data": 3}))?;

        let mut late = FeedClient::open(server.address())?;
        let granted = late.subscribe(&[&topic])?["ok"][0].clone();
        ensure!(granted["seq"] == 3 && granted.get("snapshot").is_none(), "{granted}");
        let snapshot = late.expect("snapshot")?;
        ensure!(snapshot["seq"] == 1 && snapshot["data"] == json!([1]), "{snapshot}");
        for client in [&mut late, &mut early] {
            for seq in 2..=3 {
                ensure!(client.expect("message")?["seq"] == seq);
            }
        }
    }
    server.stop()
}

#[test]
fn joining_amid_a_stream_loses_and_repeats_nothing() -> Result<()> {
    const MESSAGES: u64 = 400;
    let server = serve()?;
    let address = server.address();
    std::thread::scope(|scope| {
        let publisher = scope.spawn(move || -> Result<()> {
            let mut publisher = FeedClient::open(address)?;
            for n in 1..=MESSAGES {
                // Two shards: one topic is likely at home with the publisher, another is not.
                for topic in ["quote.a", "quote.b", "quote.c"] {
                    publish(&mut publisher, json!({"topic": topic, "data": n}))?;
                    // The rate limit of a connection.
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
            Ok(())
        });
        while !publisher.is_finished() {
            let mut client = FeedClient::open(address)?;
            for topic in ["quote.a", "quote.b", "quote.c"] {
                let gap = json!({"topics": [topic], "policy": {"delivery": "lossless:gap"}});
                let granted = client.subscribe_with(gap)?["ok"][0].clone();
                let mut seq = granted["seq"].as_u64().unwrap_or_default();
                if seq > 0 {
                    let snapshot = client.expect("snapshot")?;
                    ensure!(snapshot["seq"] == seq && snapshot["data"] == seq, "{snapshot}");
                }
                while seq < MESSAGES && seq < granted["seq"].as_u64().unwrap_or_default() + 5 {
                    let message = client.expect("message")?;
                    seq += 1;
                    ensure!(message["seq"] == seq && message["data"] == seq, "{message}");
                }
                client.ask(json!({"type": "unsubscribe", "topics": [topic]}))?;
                while client.ask(json!({"type": "ping"}))?["type"] != "pong" {}
                client.forget();
            }
        }
        publisher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    server.stop()
}
