//! Who comes back with `{epoch, seq}` gets what was missed, once; or is told that it cannot be.

use corecast_tests::feed::FeedClient;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::{serve, topics};

fn publish(client: &mut FeedClient, topic: &str, count: u64) -> Result<()> {
    for _ in 0..count {
        let command = json!({"type": "publish", "topic": topic, "data": {"n": 1}, "echo": false});
        let published = client.ask(command)?;
        ensure!(published["type"] == "published", "{published}");
    }
    Ok(())
}

fn resume(client: &mut FeedClient, topic: &str, epoch: &Value, seq: u64) -> Result<Value> {
    let resume = json!({"epoch": epoch, "seq": {topic: seq}});
    let answer = client.subscribe_with(json!({"topics": [topic], "resume": resume}))?;
    Ok(answer["ok"][0].clone())
}

#[test]
fn what_was_missed_comes_and_then_the_live_stream() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    let epoch = publisher.welcome["epoch"].clone();
    for topic in topics("trade", 6) {
        publish(&mut publisher, &topic, 10)?;
        let mut client = FeedClient::open(server.address())?;
        let granted = resume(&mut client, &topic, &epoch, 4)?;
        ensure!(granted["resumed"] == true && granted["seq"] == 10, "{granted}");
        publish(&mut publisher, &topic, 2)?;
        for seq in 5..=12 {
            let message = client.expect("message")?;
            ensure!(message["seq"] == seq && message["topic"] == *topic, "{message}");
        }
        client.expect_nothing()?;

        // Nothing was missed: nothing comes.
        let mut again = FeedClient::open(server.address())?;
        ensure!(resume(&mut again, &topic, &epoch, 12)?["resumed"] == true);
        again.expect_nothing()?;
    }
    server.stop()
}

#[test]
fn what_cannot_be_resumed_is_told_and_begins_anew() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    let epoch = publisher.welcome["epoch"].clone();
    for topic in topics("trade", 4) {
        // The history of this namespace has 50 entries.
        publish(&mut publisher, &topic, 60)?;
        for (epoch, seq) in [(epoch.clone(), 5), (json!("9f2c"), 58), (epoch.clone(), 1_000)] {
            let mut client = FeedClient::open(server.address())?;
            let granted = resume(&mut client, &topic, &epoch, seq)?;
            ensure!(granted["resumed"] == false, "{epoch} {seq}: {granted}");
            client.expect_nothing()?;
        }
        let mut fresh = FeedClient::open(server.address())?;
        let granted = fresh.subscribe(&[&topic])?["ok"][0].clone();
        ensure!(granted.get("resumed").is_none(), "nobody asked: {granted}");
    }
    // With a snapshot instead, where there is one.
    publish(&mut publisher, "quote.a", 3)?;
    let mut client = FeedClient::open(server.address())?;
    let granted = resume(&mut client, "quote.a", &epoch, 1)?;
    ensure!(granted["resumed"] == false, "{granted}");
    ensure!(client.expect("snapshot")?["seq"] == 3);
    server.stop()
}

#[test]
fn a_variant_is_resumed_by_either_of_its_names() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    let mut first = FeedClient::open(server.address())?;
    let asked = json!({"topics": ["trade.a"], "policy": {"max_hz": 50}});
    ensure!(first.subscribe_with(asked)?["ok"][0]["topic"] == "trade.a@20ms");
    publish(&mut publisher, "trade.a", 3)?;
    let mut last = 0;
    let mut heard = 0;
    while heard < 3 {
        let message = first.skip_to("message")?;
        last = message["seq"].as_u64().unwrap_or_default();
        heard += message["data"].as_array().map_or(0, Vec::len);
    }
    for name in ["trade.a", "trade.a@20ms"] {
        let mut client = FeedClient::open(server.address())?;
        let resume = json!({"epoch": client.welcome["epoch"], "seq": {name: last}});
        let answer = client.subscribe_with(
            json!({"topics": ["trade.a"], "policy": {"max_hz": 50}, "resume": resume}),
        )?;
        ensure!(answer["ok"][0]["resumed"] == true, "{name}: {answer}");
        client.expect_nothing()?;
    }
    server.stop()
}

#[test]
fn history_is_complete_when_all_that_ever_came_is_in_it() -> Result<()> {
    let server = serve()?;
    let mut client = FeedClient::open(server.address())?;
    for topic in topics("trade", 4) {
        publish(&mut client, &topic, 30)?;
        let mut ask =
            |limit: u64| client.ask(json!({"type": "history", "topic": topic, "limit": limit}));
        for (limit, complete) in [(29, false), (30, true), (40, true)] {
            let answer = ask(limit)?;
            ensure!(answer["complete"] == complete, "{limit}: {answer}");
        }
        // Page by page, as the protocol's page says.
        let (mut since, mut pages) = (0, 0);
        loop {
            let command = json!({"type": "history", "topic": topic, "since": since, "limit": 7});
            let answer = client.ask(command)?;
            pages += 1;
            since = answer["messages"]
                .as_array()
                .and_then(|m| m.last())
                .map_or(since, |last| last["seq"].as_u64().unwrap_or_default());
            ensure!((since == 30) == (answer["complete"] == true), "{answer}");
            if since == answer["seq"].as_u64().unwrap_or_default() {
                break;
            }
        }
        ensure!(pages == 5, "{pages} pages");
    }
    server.stop()
}

#[test]
fn history_is_told_in_pages_and_says_what_is_missing() -> Result<()> {
    let server = serve()?;
    let mut client = FeedClient::open(server.address())?;
    for topic in topics("trade", 4) {
        publish(&mut client, &topic, 60)?;
        let mut ask = |rest: Value| {
            let mut command = json!({"type": "history", "topic": topic});
            for (field, value) in rest.as_object().into_iter().flatten() {
                command[field] = value.clone();
            }
            client.ask(command)
        };
        let seqs = |history: &Value| -> Vec<u64> {
            let messages = history["messages"].as_array().into_iter().flatten();
            messages.filter_map(|message| message["seq"].as_u64()).collect()
        };
        let newest = ask(json!({"limit": 3}))?;
        ensure!(seqs(&newest) == [58, 59, 60] && newest["seq"] == 60, "{newest}");
        ensure!(newest["complete"] == false, "{newest}");
        ensure!(newest["messages"][0]["data"] == json!({"n": 1}), "{newest}");
        ensure!(newest["messages"][0]["ts"].is_string(), "{newest}");
        let page = ask(json!({"since": 20, "limit": 5}))?;
        ensure!(seqs(&page) == [21, 22, 23, 24, 25] && page["complete"] == false, "{page}");
        let last = ask(json!({"since": 20}))?;
        ensure!(seqs(&last) == (21..=60).collect::<Vec<_>>(), "{last}");
        ensure!(last["complete"] == true, "{last}");
        let cut = ask(json!({"since": 3, "limit": 2}))?;
        ensure!(seqs(&cut) == [11, 12] && cut["complete"] == false, "{cut}");
        let all = ask(json!({}))?;
        ensure!(seqs(&all).len() == 50 && all["topic"] == *topic, "{all}");
        ensure!(all["complete"] == false, "the first ten are gone: {all}");
        let none = ask(json!({"since": 60}))?;
        ensure!(seqs(&none).is_empty() && none["complete"] == true, "{none}");
    }
    server.stop()
}
