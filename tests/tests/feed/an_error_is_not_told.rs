//! Every error code of the protocol is produced, with a message, a retry flag and the field.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use corecast_feed::{CloseCode, ErrorCode};
use corecast_tests::feed::FeedClient;
use corecast_tests::raw::frame;
use corecast_tests::server::TestServer;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::{NAMESPACES, serve, serve_with, topics};

/// A command, the code of its refusal, and the field that is named.
fn table(client: &str) -> Vec<(Value, u16, Option<&'static str>)> {
    let publish = |topic: &str| json!({"type": "publish", "topic": topic, "data": 1});
    let with = |mut command: Value, field: &str, value: Value| {
        command[field] = value;
        command
    };
    let history = |topic: &str| json!({"type": "history", "topic": topic});
    let presence = |topic: &str| json!({"type": "presence", "topic": topic});
    let send = |to: Value| json!({"type": "send", "to": to, "data": 1});
    vec![
        (json!({"type": "subscribe"}), 400, Some("topics")),
        (json!({"type": "subscribe", "topics": ["a", 1]}), 400, Some("topics[1]")),
        (
            with(
                json!({"type": "subscribe", "topics": ["quote.a"]}),
                "policy",
                json!({"delivery": "newest"}),
            ),
            400,
            Some("policy.delivery"),
        ),
        (
            with(
                json!({"type": "subscribe", "topics": ["quote.a"]}),
                "policy",
                json!({"max_hz": 0}),
            ),
            400,
            Some("policy.max_hz"),
        ),
        (publish("trade..a"), 400, Some("topic")),
        (publish("trade.*"), 400, Some("topic")),
        (publish("$user.u1"), 400, Some("topic")),
        (publish("trade.a@100ms"), 400, Some("topic")),
        (publish("blob.a"), 400, Some("encoding")),
        (
            with(with(publish("blob.a"), "encoding", json!("base64")), "data", json!("?")),
            400,
            Some("data"),
        ),
        (
            with(with(publish("trade.a"), "encoding", json!("base64")), "data", json!("AAEC")),
            400,
            Some("encoding"),
        ),
        (history("trade.*"), 400, Some("topic")),
        (history("trade.a@0ms"), 400, Some("topic")),
        (send(json!({})), 400, Some("to")),
        (publish("news.a"), 403, None),
        (with(publish("quote.a"), "snapshot", json!(true)), 403, Some("snapshot")),
        (publish("unknown.a"), 404, Some("topic")),
        (history("unknown.a"), 404, Some("topic")),
        (history("trade.never"), 404, Some("topic")),
        (presence("unknown.a"), 404, Some("topic")),
        (send(json!({"client": "nobody"})), 404, Some("to.client")),
        (json!({"type": "auth", "token": client}), 405, None),
        (json!({"type": "dance"}), 405, Some("type")),
        (history("quote.a"), 405, Some("topic")),
        (presence("trade.a"), 405, Some("topic")),
        (with(publish("trade.a"), "key", json!("k".repeat(256))), 413, Some("key")),
        (with(publish("plain.a"), "data", json!("x".repeat(63))), 413, Some("data")),
        (with(history("trade.a"), "limit", json!(1_000_000)), 413, Some("limit")),
        (json!({"type": "subscribe", "topics": topics("trade", 501)}), 413, Some("topics")),
    ]
}

/// Topics of a `subscribe` that are refused one by one.
const TOPICS: [(&str, u16); 7] = [
    ("trade..a", 400),
    ("quote.a@5ms", 400),
    ("unknown.a", 404),
    ("news.a", 404),
    ("plain.a@100ms", 405),
    ("trade.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*", 413),
    ("quote.held", 409),
];

#[test]
fn every_code_is_produced_by_something() -> Result<()> {
    let mut produced = BTreeSet::new();
    let server = serve_with("[feed]\nidentity = \"query\"\nsend = \"users\"\nerrors_max = 100\n")?;
    let mut client = FeedClient::open(server.address())?;
    let name = client.name().to_owned();
    for (command, code, field) in table(&name) {
        let error = client.ask(command.clone())?;
        ensure!(error["type"] == "error" && error["code"] == code, "{command}: {error}");
        ensure!(error["field"] == json!(field), "{command}: {error}");
        let message = error["message"].as_str().unwrap_or_default();
        let named = field.is_none_or(|field| message.contains(&format!("`{field}`")));
        ensure!(!message.is_empty() && named, "{command}: {error}");
        let retry = ErrorCode::from_code(code).map(ErrorCode::retry);
        ensure!(error["retry"].as_bool() == retry, "{command}: {error}");
        produced.insert(code);
    }
    client.subscribe(&["quote.held"])?;
    for (topic, code) in TOPICS {
        let answer = client.subscribe(&[topic])?;
        let error = &answer["errors"][0];
        ensure!(error["code"] == code && error["topic"] == topic, "{answer}");
        ensure!(error["message"].as_str().is_some_and(|text| text.len() > 10), "{answer}");
        produced.insert(code);
    }
    server.stop()?;
    produced.insert(too_many_commands()?);
    produced.insert(no_room()?);
    produced.extend(nobody_said_who_he_is()?);
    let wanted = BTreeSet::from_iter(ErrorCode::ALL.map(ErrorCode::code));
    ensure!(produced == wanted, "{produced:?} of {wanted:?}");
    Ok(())
}

/// Without `auth` nothing is done, and after a while it is too late for it.
fn nobody_said_who_he_is() -> Result<[u16; 2]> {
    let secret = std::env::temp_dir().join(format!("corecast-code-{}", std::process::id()));
    std::fs::write(&secret, "thirty-two bytes that nobody else has")?;
    let settings = format!(
        "[auth]\nmode = \"required\"\ndeadline_ms = 500\n\
         [[auth.sources]]\nname = \"main\"\nsecret_file = \"{}\"\n",
        secret.display()
    );
    let server = serve_with(&settings);
    std::fs::remove_file(&secret)?;
    let server = server?;
    let mut client = FeedClient::open(server.address())?;
    let error = client.ask(json!({"type": "history", "topic": "trade.a"}))?;
    ensure!(error["code"] == 401 && error["retry"] == false, "{error}");
    let error = client.next()?;
    ensure!(error["code"] == 408 && error["retry"] == true, "{error}");
    let code = client.raw().expect_close()?.0;
    ensure!(code == CloseCode::AuthTimeout.code(), "{code}");
    server.stop()?;
    Ok([401, 408])
}

fn too_many_commands() -> Result<u16> {
    let server = serve_with("[feed]\ncommands_per_second_max = 1\ncommands_burst = 3\n")?;
    let mut client = FeedClient::open(server.address())?;
    for _ in 0..3 {
        ensure!(client.ask(json!({"type": "ping"}))?["type"] == "pong");
    }
    let error = client.ask(json!({"type": "ping"}))?;
    ensure!(error["code"] == 429 && error["retry"] == true && error["id"] == 4, "{error}");
    std::thread::sleep(Duration::from_millis(1_100));
    ensure!(client.ask(json!({"type": "ping"}))?["type"] == "pong");
    server.stop()?;
    Ok(429)
}

/// A message finds no room while a smaller one before it, which leaves its connection free to be
/// read from, is still on its way to the other shard. That is a matter of microseconds: the two
/// are sent until it happens.
fn no_room() -> Result<u16> {
    const TEXT: u8 = 0x81;
    const SMALLER: usize = 24_000;
    const LARGER: usize = 50_000;
    let settings = "[feed]\ncommands_per_second_max = 0\n[mesh]\npending_bytes_max = 65_536\n";
    let server = serve_with(settings)?;
    let mut client = FeedClient::open(server.address())?;
    let publish =
        |topic: &str, bytes| json!({"type": "publish", "topic": topic, "data": "x".repeat(bytes)});
    let until = Instant::now() + Duration::from_secs(30);
    for topic in topics("trade", 8).iter().cycle() {
        ensure!(Instant::now() < until, "there was room for everything");
        let both = [SMALLER, LARGER]
            .map(|bytes| frame(TEXT, publish(topic, bytes).to_string().as_bytes()))
            .concat();
        client.raw().send(&both)?;
        let answers = [client.next()?, client.next()?];
        let Some(refused) = answers.iter().find(|answer| answer["type"] == "error") else {
            continue;
        };
        ensure!(refused["code"] == 503 && refused["retry"] == true, "{refused}");
        ensure!(refused["topic"] == json!(topic), "{refused}");
        // The same again, unchanged, may succeed: as soon as the other shard has had its turn.
        while client.ask(publish(topic, LARGER))?["type"] != "published" {
            ensure!(Instant::now() < until, "{topic} is refused still");
            std::thread::sleep(Duration::from_millis(5));
        }
        break;
    }
    server.stop()?;
    Ok(503)
}

#[test]
fn bounds_on_a_connection_are_told_one_by_one() -> Result<()> {
    let server = serve_with("[topics]\nsubscriptions_max = 20\n")?;
    let mut client = FeedClient::open(server.address())?;
    ensure!(client.welcome["limits"]["subscriptions"] == 20, "{}", client.welcome);
    let names = topics("trade", 30);
    let answer = client.subscribe(&crate::borrowed(&names))?;
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    let granted = crate::granted(&answer).len();
    ensure!(granted == 20 && errors.len() == 10, "{answer}");
    ensure!(errors.iter().all(|error| error["code"] == 429), "{answer}");
    // A topic that may have one member has one.
    let mut first = FeedClient::open(server.address())?;
    let mut second = FeedClient::open(server.address())?;
    ensure!(first.subscribe(&["club.a"])?["ok"][0].is_object());
    let full = second.subscribe(&["club.a"])?;
    ensure!(full["errors"][0]["code"] == 429, "{full}");
    server.stop()
}

#[test]
fn sending_is_refused_where_it_is_off() -> Result<()> {
    let server = TestServer::start_with(NAMESPACES, ["--shards", "1"])?;
    let mut client = FeedClient::open(server.address())?;
    let name = client.name().to_owned();
    for to in [json!({"client": name}), json!({"user": "u1"})] {
        let error = client.ask(json!({"type": "send", "to": to, "data": 1}))?;
        ensure!(error["code"] == 403, "{error}");
    }
    server.stop()
}

#[test]
fn without_any_namespaces_there_is_one_for_everything() -> Result<()> {
    let server = TestServer::start(["--shards", "2"])?;
    let mut client = FeedClient::open(server.address())?;
    let answer = client.subscribe(&["anything.at.all", "*.x"])?;
    ensure!(crate::granted(&answer).len() == 2, "{answer}");
    let error = client.ask(json!({"type": "publish", "topic": "a", "data": 1}))?;
    ensure!(error["code"] == 403, "{error}");
    server.stop()?;
    // An unknown path says where the feed is.
    let server = serve()?;
    let mut client = corecast_tests::raw::RawClient::connect(server.address())?;
    let error = client.upgrade("/feeds").expect_err("nothing is there");
    ensure!(format!("{error:#}").contains("404"), "{error:#}");
    server.stop()
}
