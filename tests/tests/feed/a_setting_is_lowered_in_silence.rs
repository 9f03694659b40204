//! What a subscriber asks for is granted, or it is told what it gets instead.

use corecast_tests::feed::FeedClient;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::serve;

/// Subscribes anew and gives what was granted.
fn ask(client: &mut FeedClient, topic: &str, policy: &Value) -> Result<Value> {
    let answer = client.subscribe_with(json!({"topics": [topic], "policy": policy}))?;
    let granted = answer["ok"][0].clone();
    ensure!(granted.is_object(), "{answer}");
    let left = client.ask(json!({"type": "unsubscribe", "topics": [topic]}))?;
    ensure!(left["ok"] == json!([topic]), "{topic} of {granted} is left by that name: {left}");
    Ok(granted)
}

#[test]
fn a_rate_is_granted_or_the_nearest_is_told() -> Result<()> {
    let server = serve()?;
    let mut client = FeedClient::open(server.address())?;
    for (topic, hz, name, rate, not_granted) in [
        ("quote.a", json!(10), "quote.a@100ms", json!(10), Value::Null),
        ("quote.a", json!(3), "quote.a@334ms", json!(1_000.0 / 334.0), Value::Null),
        ("quote.a", json!(1_000), "quote.a@20ms", json!(50), json!({"max_hz": 1_000})),
        ("quote.*", json!(10), "quote.*@100ms", json!(10), Value::Null),
        ("plain.a", json!(10), "plain.a", Value::Null, json!({"max_hz": 10})),
    ] {
        let granted = ask(&mut client, topic, &json!({"max_hz": hz}))?;
        ensure!(granted["topic"] == name, "{granted}");
        ensure!(granted["max_hz"] == rate && granted["not_granted"] == not_granted, "{granted}");
        let requested = if name == topic { Value::Null } else { json!(topic) };
        ensure!(granted["requested"] == requested, "{granted}");
    }
    server.stop()
}

#[test]
fn a_topic_is_had_once_whatever_the_rate() -> Result<()> {
    let server = serve()?;
    let mut client = FeedClient::open(server.address())?;
    let with = |topic: &str, hz: f64| json!({"topics": [topic], "policy": {"max_hz": hz}});
    let refused = |answer: Value| -> Result<()> {
        let error = &answer["errors"][0];
        ensure!(error["code"] == 409 && answer["ok"] == json!([]), "{answer}");
        Ok(())
    };
    let granted = client.subscribe_with(with("quote.a", 5.0))?;
    ensure!(granted["ok"][0]["topic"] == "quote.a@200ms", "{granted}");
    refused(client.subscribe_with(with("quote.a", 2.0))?)?;
    refused(client.subscribe(&["quote.a"])?)?;
    refused(client.subscribe(&["quote.a@200ms"])?)?;
    // Another variant by its name is another stream.
    let other = client.subscribe(&["quote.a@500ms"])?;
    ensure!(other["ok"][0]["topic"] == "quote.a@500ms", "{other}");
    // A rate that is slower than the variant that was asked for.
    let slower = client.subscribe_with(with("quote.a@100ms", 1.0))?;
    ensure!(slower["ok"][0]["topic"] == "quote.a@1000ms", "{slower}");
    refused(client.subscribe(&["quote.a@100ms"])?)?;
    for (name, then) in [("quote.a", "quote.a@200ms"), ("quote.a@100ms", "quote.a@1000ms")] {
        let leave = json!({"type": "unsubscribe", "topics": [name, then]});
        let left = client.ask(leave)?;
        ensure!(left["ok"] == json!([name]) && left["errors"][0]["code"] == 404, "{left}");
    }
    let plain = client.subscribe(&["quote.a"])?;
    ensure!(plain["ok"][0]["topic"] == "quote.a", "{plain}");
    refused(client.subscribe_with(with("quote.a", 5.0))?)?;
    server.stop()
}

#[test]
fn a_policy_is_granted_or_the_topics_own_is_told() -> Result<()> {
    let server = serve()?;
    let mut client = FeedClient::open(server.address())?;
    for (topic, asked, policy, not_granted) in [
        ("quote.a", "latest", "latest", Value::Null),
        ("quote.a", "lossless:gap", "lossless:gap", Value::Null),
        ("quote.a", "drop_oldest", "latest", json!({"policy": "drop_oldest"})),
        ("trade.a", "latest", "lossless:gap", json!({"policy": "latest"})),
        ("keys.a@50ms", "latest_by_key", "lossless:snapshot", json!({"policy": "latest_by_key"})),
    ] {
        let granted = ask(&mut client, topic, &json!({"delivery": asked}))?;
        ensure!(granted["policy"] == policy, "{asked}: {granted}");
        ensure!(granted["not_granted"] == not_granted, "{asked}: {granted}");
    }
    server.stop()
}

#[test]
fn a_variant_says_the_newest_or_all_in_one() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    for (topic, asked) in [
        ("quote.a", json!({"topics": ["quote.a"], "policy": {"max_hz": 10}})),
        ("trade.b", json!({"topics": ["trade.b@100ms"]})),
        ("keys.c", json!({"topics": ["keys.c@100ms"]})),
    ] {
        let mut client = FeedClient::open(server.address())?;
        let mut whole = FeedClient::open(server.address())?;
        let granted = client.subscribe_with(asked)?;
        ensure!(granted["ok"][0]["topic"] == format!("{topic}@100ms"), "{granted}");
        whole.subscribe(&[topic])?;
        for (key, data) in [("x", 1), ("y", 2), ("x", 3)] {
            let command = json!({"type": "publish", "topic": topic, "data": data, "key": key});
            ensure!(publisher.ask(command)?["type"] == "published");
        }
        for seq in 1..=3 {
            ensure!(whole.skip_to("message")?["seq"] == seq);
        }
        // All three came within one tick, or around one.
        let (mut messages, mut data) = (0, Vec::new());
        let last = |data: &[Value]| match topic {
            "trade.b" => data.len() == 3,
            _ => data.contains(&json!(3)),
        };
        while !last(&data) {
            let message = client.skip_to("message")?;
            messages += 1;
            ensure!(message["seq"] == messages, "{message}");
            match &message["data"] {
                Value::Array(more) => data.extend(more.clone()),
                one => data.push(one.clone()),
            }
        }
        ensure!(messages <= 2, "{messages} messages of {topic} in one interval: {data:?}");
        client.expect_nothing()?;
    }
    server.stop()
}
