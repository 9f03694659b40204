//! A session ends with its token, within a second, unless a newer one came; what a newer token does
//! not allow ends with the older one.

use std::time::Duration;

use corecast_tests::feed::FeedClient;
use corecast_tests::raw::RawClient;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::a_session_acts_before_it_is_known::closed;
use crate::{bearer, ensure_error, now_s, serve, since_1970, token, token_for, token_until};

const REQUIRED: &str = "mode = \"required\"";

fn everything() -> Value {
    json!({"subscribe": [">"], "publish": [">"]})
}

/// How long behind this second of the wall clock it is.
fn late_by(end_s: i64) -> Result<f64> {
    let late = since_1970().as_secs_f64() - end_s as f64;
    ensure!((0.0..1.0).contains(&late), "ended {late:.3} s behind its token");
    Ok(late)
}

#[test]
fn a_session_ends_within_a_second_of_its_token() -> Result<()> {
    let server = serve(REQUIRED)?;
    let end_s = now_s() + 4;
    let short = token_until("u1", end_s, &everything())?;
    let mut by_request =
        FeedClient::open_with(server.address(), &[("Authorization", &bearer(&short))])?;
    let mut by_command = FeedClient::open(server.address())?;
    by_command.ask(json!({"type": "auth", "token": short}))?;
    let mut raw = RawClient::connect(server.address())?;
    raw.upgrade_with("/ws/chat.a", &[], &[("Authorization", &bearer(&short))])?;
    let mut echo = RawClient::connect(server.address())?;
    echo.upgrade_with("/echo", &[], &[("Authorization", &bearer(&short))])?;
    let mut control =
        FeedClient::open_with(server.address(), &[("Authorization", &bearer(&token("u2")?))])?;
    control.subscribe(&["trade.a"])?;
    // A session that is busy ends as one that is idle does.
    for _ in 0..10 {
        by_command.ask(json!({"type": "publish", "topic": "trade.a", "data": 1}))?;
    }
    let reason = closed(&mut by_request, 4401)?;
    let worst = late_by(end_s)?;
    ensure!(reason.contains("auth") && reason.contains("reconnect"), "{reason}");
    closed(&mut by_command, 4401)?;
    ensure!(raw.expect_close()?.0 == 4401 && echo.expect_close()?.0 == 4401);
    let all = late_by(end_s)?;
    println!("closed {worst:.3} s behind exp, all four {all:.3} s");
    control.forget();
    ensure!(control.ask(json!({"type": "ping"}))?["type"] == "pong");
    server.stop()
}

#[test]
fn a_newer_token_keeps_a_session_alive() -> Result<()> {
    let server = serve(REQUIRED)?;
    let first_end_s = now_s() + 2;
    let short = token_until("u1", first_end_s, &everything())?;
    let mut client =
        FeedClient::open_with(server.address(), &[("Authorization", &bearer(&short))])?;
    client.subscribe(&["trade.a"])?;
    let end_s = now_s() + 4;
    let newer = token_until("u1", end_s, &everything())?;
    let known = client.ask(json!({"type": "auth", "token": newer}))?;
    ensure!(known["user"] == "u1", "{known}");
    ensure!(known["expires"] == format!("{end_s}000000000"), "{known}");
    let past_s = Duration::from_secs(u64::try_from(first_end_s)?) + Duration::from_millis(300);
    std::thread::sleep(past_s.saturating_sub(since_1970()));
    let seen = client.ask(json!({"type": "publish", "topic": "trade.a", "data": 7}))?;
    ensure!(seen["type"] == "published", "{seen}");
    ensure!(client.expect("message")?["data"] == 7, "its subscription went on");
    closed(&mut client, 4401)?;
    late_by(end_s)?;
    server.stop()
}

#[test]
fn what_does_not_renew_changes_nothing() -> Result<()> {
    let server = serve(REQUIRED)?;
    let mine = token("u1")?;
    let mut client = FeedClient::open_with(server.address(), &[("Authorization", &bearer(&mine))])?;
    client.subscribe(&["trade.a"])?;
    let nobody = crate::signed(&json!({"exp": now_s() + 60}), crate::SECRET)?;
    for (bad, code) in [(&*token("u2")?, 403), (&nobody, 403), ("x", 401)] {
        ensure_error(&client.ask(json!({"type": "auth", "token": bad}))?, code)?;
    }
    let seen = client.ask(json!({"type": "publish", "topic": "trade.a", "data": 7}))?;
    ensure!(seen["type"] == "published", "{seen}");
    ensure!(client.expect("message")?["data"] == 7);
    client.expect_nothing()?;
    server.stop()
}

#[test]
fn what_a_newer_token_does_not_allow_ends_and_is_told() -> Result<()> {
    let server = serve(REQUIRED)?;
    let mut other =
        FeedClient::open_with(server.address(), &[("Authorization", &bearer(&token("u2")?))])?;
    other.subscribe(&["chat.a"])?;
    let mut client =
        FeedClient::open_with(server.address(), &[("Authorization", &bearer(&token("u1")?))])?;
    client.subscribe(&["chat.a", "trade.a", "trade.b", "trade.*"])?;
    other.forget();
    other.skip_to("joined")?;
    let less = json!({"subscribe": ["trade.a"]});
    let command = json!({"type": "auth", "id": "r", "token": token_for("u1", 60, &less)?});
    client.forget();
    client.send(&command)?;
    client.skip_to("authenticated")?;
    let ended = client.skip_to("unsubscribed")?;
    ensure!(ended["code"] == 403 && ended["id"] == Value::Null, "{ended}");
    ensure!(ended["ok"] == json!(["chat.a", "trade.*", "trade.b"]), "{ended}");
    let left = other.skip_to("left")?;
    ensure!(left["user"] == "u1", "{left}");
    for topic in ["chat.a", "trade.b", "trade.c"] {
        other.ask(json!({"type": "publish", "topic": topic, "data": 1}))?;
    }
    other.ask(json!({"type": "publish", "topic": "trade.a", "data": 2}))?;
    let message = client.skip_to("message")?;
    ensure!(message["topic"] == "trade.a" && message["data"] == 2, "{message}");
    client.expect_nothing()?;
    let refused = client.ask(json!({"type": "publish", "topic": "trade.a", "data": 1}))?;
    ensure_error(&refused, 403)?;
    server.stop()
}
