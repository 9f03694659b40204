//! A pattern gets every topic that matches, those made later included, each once.

use std::collections::{BTreeMap, BTreeSet};

use corecast_tests::feed::FeedClient;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::{serve, topics};

fn publish(client: &mut FeedClient, topic: &str, data: u64) -> Result<()> {
    let command = json!({"type": "publish", "topic": topic, "data": data, "echo": false});
    let published = client.ask(command)?;
    ensure!(published["type"] == "published", "{published}");
    Ok(())
}

/// Reads until each of `wanted` topics had a message with this data; gives the announcements.
fn gather(client: &mut FeedClient, wanted: &[String], data: u64) -> Result<Vec<Value>> {
    let (mut seen, mut announced) = (BTreeSet::new(), Vec::new());
    while seen.len() < wanted.len() {
        let event = client.next()?;
        if event["type"] == "subscribed" {
            announced.push(event);
        } else if event["type"] == "message" {
            let topic = event["topic"].as_str().unwrap_or_default().to_owned();
            ensure!(event["data"] == data && wanted.contains(&topic), "{event}");
            ensure!(seen.insert(topic), "twice: {event}");
        }
    }
    Ok(announced)
}

#[test]
fn topics_made_before_and_after_are_announced_and_then_heard() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    let (early, late) = (topics("trade", 10), topics("trade.late", 10));
    for topic in &early {
        publish(&mut publisher, topic, 1)?;
    }
    let mut client = FeedClient::open(server.address())?;
    let answer = client.subscribe(&["trade.>"])?;
    let granted = &answer["ok"][0];
    ensure!(granted["topic"] == "trade.>" && granted["pattern"] == true, "{answer}");
    ensure!(granted.get("sid").is_none() && granted.get("seq").is_none(), "{answer}");
    // The homes answer one by one: what they announce is what there was.
    let mut sids = BTreeMap::new();
    while sids.len() < early.len() {
        let event = client.expect("subscribed")?;
        ensure!(event["pattern"] == "trade.>" && event.get("id").is_none(), "{event}");
        for granted in event["ok"].as_array().into_iter().flatten() {
            ensure!(granted["seq"] == 1 && granted["epoch"] == client.welcome["epoch"], "{event}");
            let topic = granted["topic"].as_str().unwrap_or_default().to_owned();
            ensure!(sids.insert(topic, granted["sid"].as_u64()).is_none(), "twice: {event}");
        }
    }
    for topic in early.iter().chain(&late) {
        publish(&mut publisher, topic, 2)?;
    }
    let both = [early, late.clone()].concat();
    let announced = gather(&mut client, &both, 2)?;
    ensure!(announced.len() == late.len(), "{announced:?}");

    let left = client.ask(json!({"type": "unsubscribe", "topics": ["trade.>"]}))?;
    ensure!(left["ok"] == json!(["trade.>"]), "{left}");
    for topic in &both {
        publish(&mut publisher, topic, 3)?;
    }
    client.expect_silence(std::time::Duration::from_millis(50))?;
    server.stop()
}

#[test]
fn a_topic_that_two_patterns_and_a_name_match_comes_once() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    let mut client = FeedClient::open(server.address())?;
    let names = topics("trade", 6);
    client.subscribe(&["trade.*", "*.topic3", "trade.topic1"])?;
    for data in 1..=3 {
        for topic in &names {
            publish(&mut publisher, topic, data)?;
        }
        gather(&mut client, &names, data)?;
    }
    client.expect_silence(std::time::Duration::from_millis(50))?;

    // What a pattern matches stays when the name is given up, and the other way round.
    client.ask(json!({"type": "unsubscribe", "topics": ["trade.topic1"]}))?;
    client.ask(json!({"type": "unsubscribe", "topics": ["*.topic3"]}))?;
    for topic in &names {
        publish(&mut publisher, topic, 4)?;
    }
    gather(&mut client, &names, 4)?;
    server.stop()
}

#[test]
fn a_pattern_has_variants_too() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    let mut client = FeedClient::open(server.address())?;
    let answer = client.subscribe(&["trade.*@50ms"])?;
    ensure!(answer["ok"][0]["topic"] == "trade.*@50ms", "{answer}");
    for topic in topics("trade", 4) {
        for data in 1..=3 {
            publish(&mut publisher, &topic, data)?;
        }
        let mut heard = Vec::new();
        while heard.len() < 3 {
            let event = client.skip_to("message")?;
            ensure!(event["topic"] == format!("{topic}@50ms"), "{event}");
            heard.extend(event["data"].as_array().cloned().unwrap_or_default());
        }
        ensure!(heard == [1, 2, 3], "{heard:?}");
    }
    server.stop()
}
