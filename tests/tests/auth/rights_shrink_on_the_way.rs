//! Rights that become fewer while something is on its way: what was asked for, what is resumed,
//! what a pattern has still to bring. And who has none at all, where that is allowed.

use corecast_tests::feed::{FeedClient, Heard};
use corecast_tests::raw::{RawClient, Received};
use corecast_wire::frame::Opcode;
use eyre::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::{bearer, ensure_error, serve, token, token_for};

const REQUIRED: &str = "mode = \"required\"";

/// Somebody who may do everything.
fn everybody(server: &corecast_tests::server::TestServer, user: &str) -> Result<FeedClient> {
    FeedClient::open_with(server.address(), &[("Authorization", &bearer(&token(user)?))])
}

/// A renewal after which only this may be subscribed to.
fn only(topic: &str) -> Result<Value> {
    let less = token_for("u1", 600, &json!({"subscribe": [topic]}))?;
    Ok(json!({"type": "auth", "id": "less", "token": less}))
}

fn publish(client: &mut FeedClient, topic: &str, data: u64) -> Result<()> {
    let sent = client.ask(json!({"type": "publish", "topic": topic, "data": data}))?;
    ensure!(sent["type"] == "published", "{sent}");
    Ok(())
}

#[test]
fn what_is_asked_for_and_not_answered_yet_is_taken_back_too() -> Result<()> {
    let server = serve(REQUIRED)?;
    let mut publisher = everybody(&server, "u2")?;
    let topics: Vec<String> = (0..20).map(|number| format!("trade.t{number}")).collect();
    for round in 0..5 {
        let mut client = everybody(&server, "u1")?;
        // Both are read in one go: some of the homes are on another shard and have not answered.
        client.send(&json!({"type": "subscribe", "id": "s", "topics": topics}))?;
        client.send(&only("trade.t0")?)?;
        let (mut is_ended, mut is_answered) = (false, false);
        while !(is_ended && is_answered) {
            let event = client.next()?;
            is_ended |= event["type"] == "unsubscribed";
            is_answered |= event["id"] == "s" && event["remaining"].as_u64().unwrap_or(0) == 0;
        }
        for topic in &topics {
            publish(&mut publisher, topic, round)?;
        }
        // What a home granted meanwhile is refused, or was told before; nothing comes of it.
        let message = client.skip_to("message")?;
        ensure!(message["topic"] == "trade.t0" && message["data"] == round, "{message}");
        client.send(&json!({"type": "ping", "id": "end"}))?;
        loop {
            let event = client.next()?;
            if event["id"] == "end" {
                break;
            }
            ensure!(event["type"] == "subscribed", "{event}");
        }
    }
    server.stop()
}

#[test]
fn variants_and_patterns_end_with_what_they_are_of() -> Result<()> {
    let server = serve(REQUIRED)?;
    let mut publisher = everybody(&server, "u2")?;
    // So many that a pattern does not bring them all at once.
    let topics: Vec<String> = (0..300).map(|number| format!("trade.p{number}")).collect();
    for topic in &topics {
        publish(&mut publisher, topic, 1)?;
    }
    let mut client = everybody(&server, "u1")?;
    let variants = ["trade.a@50ms", "chat.a@50ms"];
    ensure!(client.subscribe(&variants)?["ok"].as_array().is_some_and(|ok| ok.len() == 2));
    client.send(&json!({"type": "subscribe", "id": "p", "topics": ["trade.*", "trade.*@50ms"]}))?;
    client.send(&only("chat.*")?)?;
    let ended = client.skip_to("unsubscribed")?;
    ensure!(
        ended["ok"] == json!(["trade.*", "trade.*@50ms", "trade.a@50ms"]) && ended["code"] == 403,
        "{ended}"
    );
    // Whatever was on its way has come; behind the answer to a ping there is nothing of it.
    client.ask(json!({"type": "ping"}))?;
    client.forget();
    for topic in ["trade.a", "trade.p7", "trade.p299", "trade.new", "chat.a"] {
        publish(&mut publisher, topic, 2)?;
    }
    loop {
        match client.hear()? {
            Heard::Event(event) if event["topic"] == "chat.a@50ms" => break,
            Heard::Event(event) => {
                ensure!(event["data"] != 2 && event["data"] != json!([2]), "{event}");
            }
            other => bail!("{other:?}"),
        }
    }
    client.expect_nothing()?;
    server.stop()
}

#[test]
fn what_is_no_longer_allowed_is_not_resumed() -> Result<()> {
    let server = serve(REQUIRED)?;
    let mut publisher = everybody(&server, "u2")?;
    let mut before = everybody(&server, "u1")?;
    before.subscribe(&["trade.a", "trade.b"])?;
    for topic in ["trade.a", "trade.b"] {
        (1..4).try_for_each(|data| publish(&mut publisher, topic, data))?;
    }
    let epoch = before.welcome["epoch"].clone();
    drop(before);
    let less = token_for("u1", 600, &json!({"subscribe": ["trade.a"]}))?;
    let mut client = FeedClient::open_with(server.address(), &[("Authorization", &bearer(&less))])?;
    let resume = json!({"epoch": epoch, "seq": {"trade.a": 1, "trade.b": 1}});
    let answer =
        client.subscribe_with(json!({"topics": ["trade.a", "trade.b"], "resume": resume}))?;
    ensure!(answer["ok"][0]["topic"] == "trade.a", "{answer}");
    ensure!(answer["ok"][0]["resumed"] == true, "{answer}");
    ensure!(answer["errors"][0]["code"] == 403, "{answer}");
    for data in [2, 3] {
        let missed = client.expect("message")?;
        ensure!(missed["topic"] == "trade.a" && missed["data"] == data, "{missed}");
    }
    client.expect_nothing()?;
    let history = client.ask(json!({"type": "history", "topic": "trade.b"}))?;
    ensure_error(&history, 403)?;
    server.stop()
}

#[test]
fn who_has_no_token_has_his_rights_at_every_door() -> Result<()> {
    let server = serve(
        "mode = \"optional\"\nanonymous = { subscribe = [\"chat.*\"], publish = [\"chat.b\"] }",
    )?;
    let mine = bearer(&token_for("u1", 60, &json!({"subscribe": ["trade.*"]}))?);
    let connect = |target: &str, token: Option<&str>| -> Result<(RawClient, u16)> {
        let mut client = RawClient::connect(server.address())?;
        let headers: Vec<_> = token.into_iter().map(|it| ("Authorization", it)).collect();
        let status = client.ask(target, &[], &headers)?.status;
        Ok((client, status))
    };
    for (target, token, status) in [
        ("/ws/chat.a", None, 101),
        ("/ws/trade.a", None, 403),
        ("/echo", None, 101),
        ("/feed", None, 101),
        ("/ws/chat.a", Some(&*mine), 403),
        ("/ws/trade.a", Some(&mine), 101),
        // A token that is no good is not the same as none.
        ("/ws/chat.a", Some("Bearer a.b.c"), 403),
        ("/feed", Some("Bearer a.b.c"), 403),
    ] {
        let found = connect(target, token)?.1;
        ensure!(found == status, "{target} {token:?}: {found}");
    }
    let (mut hears, _) = connect("/ws/chat.b", None)?;
    let (mut speaks, _) = connect("/ws/chat.b", None)?;
    speaks.send_frame(Opcode::Text, b"hello")?;
    ensure!(hears.receive()? == Received::Text("hello".into()));
    let (mut speaks, _) = connect("/ws/chat.a", None)?;
    speaks.send_frame(Opcode::Text, b"hello")?;
    ensure!(speaks.expect_close()?.0 == 4403);
    server.stop()
}

#[test]
fn a_token_in_the_query_lets_in_where_it_is_looked_for() -> Result<()> {
    let server = serve("mode = \"required\"\nfirst_message = false\nquery = \"token\"")?;
    let good = token("u1")?;
    for (target, status) in [
        (format!("/feed?token={good}"), 101),
        (format!("/ws/chat.a?x=1&token={good}"), 101),
        (format!("/echo?token={good}&y"), 101),
        (format!("/feed?token={good}x"), 403),
        (format!("/feed?token={good}&token=other"), 400),
        (format!("/feed?other={good}"), 401),
    ] {
        let mut client = RawClient::connect(server.address())?;
        let head = client.ask(&target, &[], &[])?;
        ensure!(head.status == status, "{target}: {}", head.text);
    }
    let mut client = FeedClient::open_at(server.address(), &format!("/feed?token={good}"), &[])?;
    ensure!(client.subscribe(&["chat.a"])?["ok"][0]["topic"] == "chat.a");
    server.stop()
}
