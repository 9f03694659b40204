//! What is no command is answered with what is wrong, and costs nobody else anything; who goes on
//! is closed with 1008.

use std::time::Duration;

use corecast_tests::feed::{FeedClient, Heard};
use corecast_wire::frame::Opcode;
use eyre::{Result, ensure};
use serde_json::json;

use crate::{serve, serve_with};

#[test]
fn each_is_answered_and_the_connection_stays() -> Result<()> {
    let server = serve_with("[feed]\nerrors_max = 50\n")?;
    let mut client = FeedClient::open(server.address())?;
    client.subscribe(&["trade.a"])?;
    let deep = format!(
        r#"{{"type":"publish","topic":"a","data":{}1{}}}"#,
        "[".repeat(100),
        "]".repeat(100)
    );
    for (text, code) in [
        ("", 400),
        ("hello", 400),
        ("[]", 400),
        ("null", 400),
        ("{", 400),
        (r#"{"type":"ping"}{"type":"ping"}"#, 400),
        ("{}", 400),
        (r#"{"type":7}"#, 400),
        (r#"{"type":"ping","id":[1]}"#, 400),
        (r#"{"type":"subscribe","topics":"a"}"#, 400),
        (r#"{"type":"subscribe","topics":[]}"#, 400),
        (r#"{"type":"publish","topic":"trade.a"}"#, 400),
        (r#"{"type":"publish","topic":"trade.a","data":{"a":}}"#, 400),
        (r#"{"type":"history","topic":"trade.a","since":-1}"#, 400),
        (r#"{"type":"subscribe","topics":["trade.a"],"resume":{"epoch":1}}"#, 400),
        (r#"{"type":"PING"}"#, 405),
        (deep.as_str(), 413),
    ] {
        client.send_text(text)?;
        let error = client.expect("error")?;
        ensure!(error["code"] == code, "{text}: {error}");
    }
    // Commands are text.
    client.raw().send_frame(Opcode::Binary, br#"{"type":"ping"}"#)?;
    ensure!(client.expect("error")?["code"] == 400);
    // Fields that nobody knows are how the protocol grows.
    let pong = client.ask(json!({"type": "ping", "colour": "blue", "topics": 7}))?;
    ensure!(pong["type"] == "pong", "{pong}");
    server.stop()
}

#[test]
fn who_does_not_stop_is_closed_and_nobody_else() -> Result<()> {
    let server = serve_with("[feed]\nerrors_max = 5\n")?;
    let mut other = FeedClient::open(server.address())?;
    let mut client = FeedClient::open(server.address())?;
    // Refusals of good commands are no malformed ones.
    for _ in 0..20 {
        let refused = client.ask(json!({"type": "publish", "topic": "news.a", "data": 1}))?;
        ensure!(refused["code"] == 403, "{refused}");
    }
    let mut errors = 0;
    let closed = loop {
        client.send_text("nonsense")?;
        match client.hear()? {
            Heard::Event(event) => {
                ensure!(event["type"] == "error", "{event}");
                errors += 1;
            }
            Heard::Closed(code, reason) => break (code, reason),
            other => return Err(eyre::eyre!("{other:?}")),
        }
        ensure!(errors <= 7, "{errors} errors and still open");
    };
    ensure!(closed.0 == 1008 && closed.1.contains("5 malformed"), "{closed:?}");
    ensure!((5..=6).contains(&errors), "{errors} were answered");
    other.expect_silence(Duration::from_millis(20))?;
    server.stop()
}

#[test]
fn a_message_that_is_too_long_ends_the_connection_as_the_welcome_said() -> Result<()> {
    let server = serve()?;
    let mut client = FeedClient::open(server.address())?;
    let limit = client.welcome["limits"]["message_bytes"].as_u64().unwrap_or_default() as usize;
    let head = r#"{"type":"publish","topic":"trade.a","data":""#;
    let fill = |bytes: usize| format!("{head}{}\"}}", "x".repeat(bytes - head.len() - 2));
    client.send_text(&fill(limit))?;
    ensure!(client.next()?["type"] == "published");
    client.send_text(&fill(limit + 1))?;
    ensure!(client.raw().expect_close()?.0 == 1009);
    server.stop()
}
