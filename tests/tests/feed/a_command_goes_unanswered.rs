//! Every command, in every state of a session, is answered with its id and per topic.

use corecast_tests::feed::FeedClient;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::{borrowed, granted, serve, topics};

#[test]
fn every_command_is_answered_in_every_state() -> Result<()> {
    let server = serve()?;
    let anonymous = FeedClient::open(server.address())?;
    let identified = FeedClient::open_at(server.address(), "/feed?user=u1", &[])?;
    for mut client in [anonymous, identified] {
        let name = client.name().to_owned();
        for (command, answer) in [
            (json!({"type": "auth", "token": "x"}), "error"),
            (json!({"type": "ping"}), "pong"),
            (json!({"type": "subscribe", "topics": ["chat.a"]}), "subscribed"),
            (json!({"type": "publish", "topic": "trade.a", "data": 1}), "published"),
            (json!({"type": "send", "to": {"client": name}, "data": 1}), "sent"),
            (json!({"type": "send", "to": {"user": "nobody"}, "data": 1}), "sent"),
            (json!({"type": "presence", "topic": "chat.a"}), "presence"),
            (json!({"type": "history", "topic": "trade.a"}), "history"),
            (json!({"type": "unsubscribe", "topics": ["chat.a"]}), "unsubscribed"),
        ] {
            let found = client.ask(command.clone())?;
            ensure!(found["type"] == answer, "{command} was answered by {found}");
        }
        // The id is any number or string, and comes back as it was written.
        for id in [r#""a""#, "1.50", "-7", "18446744073709551616", r#""é\"""#] {
            client.send_text(&format!(r#"{{"type":"ping","id":{id}}}"#))?;
            let expected: Value = serde_json::from_str(&format!(r#"{{"id":{id}}}"#))?;
            let pong = client.skip_to("pong")?;
            ensure!(pong["id"] == expected["id"], "{id} came back as {}", pong["id"]);
        }
        client.send_text(r#"{"type":"ping"}"#)?;
        ensure!(client.skip_to("pong")?.get("id").is_none());
    }
    server.stop()
}

#[test]
fn a_session_begins_with_what_it_may_do() -> Result<()> {
    let server = serve()?;
    let first = FeedClient::open(server.address())?;
    let second = FeedClient::open(server.address())?;
    for client in [&first, &second] {
        let welcome = &client.welcome;
        ensure!(welcome["v"] == 1 && welcome["heartbeat_ms"] == 5_000, "{welcome}");
        ensure!(welcome["limits"]["subscriptions"] == 3_000, "{welcome}");
        ensure!(welcome["limits"]["message_bytes"] == 65_536, "{welcome}");
        ensure!(welcome["limits"]["topics"] == 500, "{welcome}");
        let time: i64 = welcome["time"].as_str().unwrap_or_default().parse()?;
        ensure!(time > 1_600_000_000_000_000_000, "{welcome}");
    }
    ensure!(first.name() != second.name() && first.name().len() == 24, "{}", first.name());
    ensure!(first.welcome["epoch"] == second.welcome["epoch"]);
    server.stop()
}

#[test]
fn each_topic_stands_in_exactly_one_part() -> Result<()> {
    let server = serve()?;
    let mut client = FeedClient::open(server.address())?;
    let names = topics("trade", 100);
    let mut asked = borrowed(&names);
    asked.extend(["trade..x", "unknown.a", "news.a", "trade.topic7", "trade.*"]);
    let answer = client.subscribe(&asked)?;
    let mut expected = borrowed(&names);
    expected.push("trade.*");
    expected.sort_unstable();
    ensure!(granted(&answer) == expected, "{answer}");
    let errors = answer["errors"].as_array().into_iter().flatten();
    let mut errors: Vec<_> =
        errors.map(|error| (error["topic"].as_str(), error["code"].as_u64())).collect();
    errors.sort_unstable();
    let expected = [
        (Some("news.a"), Some(404)),
        (Some("trade..x"), Some(400)),
        (Some("trade.topic7"), Some(409)),
        (Some("unknown.a"), Some(404)),
    ];
    ensure!(errors == expected, "{errors:?}");
    ensure!(answer["remaining"].as_u64().unwrap_or(0) == 0);

    let left = client.ask(json!({"type": "unsubscribe", "topics": ["trade.topic7", "trade.z"]}))?;
    ensure!(left["ok"] == json!(["trade.topic7"]), "{left}");
    ensure!(left["errors"][0]["code"] == 404 && left["errors"][0]["topic"] == "trade.z", "{left}");
    server.stop()
}

#[test]
fn an_unsubscribe_close_behind_a_subscribe_leaves_nothing() -> Result<()> {
    let server = serve()?;
    let mut client = FeedClient::open(server.address())?;
    let mut publisher = FeedClient::open(server.address())?;
    let names = topics("trade", 32);
    let subscribe = json!({"type": "subscribe", "id": "s", "topics": names});
    let unsubscribe = json!({"type": "unsubscribe", "id": "u", "topics": names});
    client.send(&subscribe)?;
    client.send(&unsubscribe)?;
    let (mut answered, mut left) = (0, 0);
    while answered < names.len() || left == 0 {
        let event = client.next()?;
        if event["id"] == "u" {
            left = event["ok"].as_array().map_or(0, Vec::len);
            continue;
        }
        ensure!(event["type"] == "subscribed", "{event}");
        let errors = event["errors"].as_array().into_iter().flatten();
        ensure!(errors.clone().all(|error| error["code"] == 409), "{event}");
        answered += event["ok"].as_array().map_or(0, Vec::len) + errors.count();
    }
    ensure!(left == names.len(), "{left} were left");
    for name in &names {
        let seen = publisher.ask(json!({"type": "publish", "topic": name, "data": 1}))?;
        ensure!(seen["type"] == "published", "{seen}");
    }
    client.expect_silence(std::time::Duration::from_millis(50))?;
    // It can be had again.
    let again = client.subscribe(&borrowed(&names))?;
    ensure!(granted(&again).len() == names.len(), "{again}");
    server.stop()
}

#[test]
fn what_a_publisher_asked_for_is_told() -> Result<()> {
    let server = serve()?;
    let mut listener = FeedClient::open(server.address())?;
    for topic in topics("trade", 8) {
        let mut publisher = FeedClient::open(server.address())?;
        publisher.subscribe(&[&topic])?;
        listener.subscribe(&[&topic])?;
        let publish = |data: u32| json!({"type": "publish", "topic": topic, "data": data});
        let published = publisher.ask(publish(1))?;
        ensure!(published["seq"] == 1 && published["topic"] == *topic, "{published}");
        let message = publisher.skip_to("message")?;
        ensure!(message["data"] == 1 && message["seq"] == 1, "{message}");

        // Without echo, the answer stands in the place of the message.
        let mut silent = publish(2);
        silent["echo"] = false.into();
        ensure!(publisher.ask(silent)?["seq"] == 2);
        publisher.expect_nothing()?;

        let mut reported = publish(3);
        reported["report"] = true.into();
        ensure!(publisher.ask(reported)?["seq"] == 3);
        ensure!(publisher.skip_to("message")?["seq"] == 3);
        let delivered = publisher.skip_to("delivered")?;
        ensure!(delivered["delivered"] == 2 && delivered["seq"] == 3, "{delivered}");
        ensure!(delivered["dropped"] == 0 && delivered["id"].is_u64(), "{delivered}");

        let mut unacknowledged = publish(4);
        unacknowledged["ack"] = false.into();
        publisher.send(&unacknowledged)?;
        ensure!(publisher.expect("message")?["seq"] == 4);
        publisher.expect_nothing()?;
        for seq in 1..=4 {
            let message = listener.skip_to("message")?;
            ensure!(message["seq"] == seq && message["data"] == seq, "{message}");
        }
    }
    server.stop()
}
