//! Rights by topic, for every verb and every door.

use corecast_tests::feed::FeedClient;
use corecast_tests::raw::{RawClient, Received};
use corecast_tests::server::TestServer;
use corecast_wire::frame::Opcode;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::{bearer, ensure_error, serve, token_for};

const REQUIRED: &str = "mode = \"required\"";

/// `chat.a` may be read, `chat.b` written, of `chat.c` only the members asked for.
fn rights() -> Value {
    json!({
        "subscribe": ["chat.a", "trade.*"],
        "publish": ["chat.b"],
        "presence": ["chat.a", "chat.c"],
        "history": ["chat.a"],
    })
}

#[test]
fn each_verb_is_judged_by_its_own_right() -> Result<()> {
    let server = serve(REQUIRED)?;
    let mine = token_for("u1", 60, &rights())?;
    let mut client = FeedClient::open_with(server.address(), &[("Authorization", &bearer(&mine))])?;
    let publish = |topic: &str| json!({"type": "publish", "topic": topic, "data": 1});
    let presence = |topic: &str| json!({"type": "presence", "topic": topic});
    let history = |topic: &str| json!({"type": "history", "topic": topic});
    for (topic, granted) in [
        ("chat.a", true),
        ("chat.b", false),
        ("chat.c", false),
        ("trade.a", true),
        ("trade.a@100ms", true),
        ("chat.b@100ms", false),
        ("trade.*", true),
        ("chat.*", false),
        ("trade.>", false),
        ("*.a", false),
        (">", false),
        // What is there is not told to who may not have it.
        ("unknown.a", false),
    ] {
        let answer = client.subscribe(&[topic])?;
        let refused = &answer["errors"][0]["code"];
        ensure!((*refused == 403) != granted, "{topic}: {answer}");
    }
    for topic in ["chat.a", "chat.c", "trade.a", "unknown.a"] {
        ensure_error(&client.ask(publish(topic))?, 403)?;
    }
    ensure!(client.ask(publish("chat.b"))?["type"] == "published");
    ensure_error(&client.ask(presence("chat.b"))?, 403)?;
    ensure!(client.ask(presence("chat.a"))?["type"] == "presence");
    ensure!(client.ask(presence("chat.c"))?["code"] != 403);
    for topic in ["chat.b", "chat.c", "trade.a"] {
        ensure_error(&client.ask(history(topic))?, 403)?;
    }
    ensure!(client.ask(history("chat.a"))?["type"] == "history");
    server.stop()
}

#[test]
fn the_raw_doors_keep_them_too() -> Result<()> {
    let server = serve(REQUIRED)?;
    let both = json!({"subscribe": ["chat.a", "chat.b"], "publish": ["chat.b"]});
    let mine = bearer(&token_for("u1", 60, &both)?);
    let connect = |target: &str| -> Result<(RawClient, u16)> {
        let mut client = RawClient::connect(server.address())?;
        let status = client.ask(target, &[], &[("Authorization", &mine)])?.status;
        Ok((client, status))
    };
    ensure!(connect("/ws/chat.c")?.1 == 403 && connect("/ws/trade.a")?.1 == 403);
    let (mut hears, status) = connect("/ws/chat.b")?;
    let (mut speaks, other) = connect("/ws/chat.b")?;
    ensure!((status, other) == (101, 101));
    speaks.send_frame(Opcode::Text, b"hello")?;
    ensure!(hears.receive()? == Received::Text("hello".into()));
    let (mut hears, _) = connect("/ws/chat.a")?;
    let (mut speaks, status) = connect("/ws/chat.a")?;
    ensure!(status == 101);
    speaks.send_frame(Opcode::Text, b"hello")?;
    let (code, reason) = speaks.expect_close()?;
    ensure!(code == 4403 && reason.contains("publish"), "{code} {reason}");
    hears.set_patience(std::time::Duration::from_millis(300));
    ensure!(hears.receive().is_err(), "nobody heard it");
    let (mut echo, status) = connect("/echo")?;
    ensure!(status == 101);
    echo.send_frame(Opcode::Text, b"hello")?;
    ensure!(echo.receive()? == Received::Text("hello".into()));
    server.stop()
}

#[test]
fn what_the_server_alone_publishes_no_raw_client_does() -> Result<()> {
    let config = "[connection]\nclose_timeout_ms = 200\n[[namespaces]]\nname = \"quote\"\n\
                  [[namespaces]]\nname = \"chat\"\npublish = \"clients\"\n";
    let server = TestServer::start_with(config, ["--shards", "2"])?;
    let join = |target: &str| -> Result<RawClient> {
        let mut client = RawClient::connect(server.address())?;
        client.upgrade_to(target, &[])?;
        Ok(client)
    };
    // What is in no namespace is bytes between clients.
    for topic in ["chat.a", "room.a"] {
        let target = format!("/ws/{topic}");
        let (mut hears, mut speaks) = (join(&target)?, join(&target)?);
        speaks.send_frame(Opcode::Text, b"hello")?;
        ensure!(hears.receive()? == Received::Text("hello".into()), "{topic}");
    }
    let (mut hears, mut speaks) = (join("/ws/quote.A")?, join("/ws/quote.A")?);
    speaks.send_frame(Opcode::Text, b"61000")?;
    let (code, reason) = speaks.expect_close()?;
    ensure!(code == 4403 && reason.contains("only the server"), "{code} {reason}");
    hears.set_patience(std::time::Duration::from_millis(300));
    ensure!(hears.receive().is_err(), "somebody heard it");
    server.stop()
}
