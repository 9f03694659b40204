//! Every command in every state: before `auth` nothing is done, behind it everything is.

use std::time::{Duration, Instant};

use corecast_tests::feed::{FeedClient, Heard};
use corecast_tests::raw::RawClient;
use corecast_tests::server::TestServer;
use eyre::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::{bearer, ensure_error, serve, signed, token, token_for};

const REQUIRED: &str = "mode = \"required\"";

/// Every command but `auth` and `ping`, and what answers it where it may be given.
fn commands(client: &str) -> Vec<(Value, &'static str)> {
    vec![
        (json!({"type": "subscribe", "topics": ["chat.a", "trade.*"]}), "subscribed"),
        (json!({"type": "unsubscribe", "topics": ["chat.a"]}), "unsubscribed"),
        (json!({"type": "publish", "topic": "chat.a", "data": 1}), "published"),
        (json!({"type": "send", "to": {"user": "u1"}, "data": 1}), "sent"),
        (json!({"type": "send", "to": {"client": client}, "data": 1}), "sent"),
        (json!({"type": "presence", "topic": "chat.a"}), "presence"),
        (json!({"type": "history", "topic": "chat.a"}), "history"),
    ]
}

fn witness(server: &TestServer) -> Result<FeedClient> {
    let mut witness =
        FeedClient::open_with(server.address(), &[("Authorization", &bearer(&token("witness")?))])?;
    witness.subscribe(&["chat.a", "trade.*"])?;
    witness.ask(json!({"type": "ping"}))?;
    witness.forget();
    Ok(witness)
}

#[test]
fn every_command_in_every_state() -> Result<()> {
    let server = serve(REQUIRED)?;
    let mut witness = witness(&server)?;
    let mut client = FeedClient::open(server.address())?;
    ensure!(client.welcome["auth"]["deadline_ms"].as_u64() > Some(0), "{}", client.welcome);
    let name = client.name().to_owned();
    for (command, _) in commands(&name) {
        let error = client.ask(command.clone())?;
        ensure_error(&error, 401)?;
        let kind = command["type"].as_str().unwrap_or_default();
        let message = error["message"].as_str().unwrap_or_default();
        ensure!(message.contains(kind), "{error}");
    }
    ensure!(client.ask(json!({"type": "ping"}))?["type"] == "pong");
    // Nobody has heard anything of it, nobody can reach it, and nothing reaches it.
    witness.expect_silence(Duration::from_millis(300))?;
    let present = witness.ask(json!({"type": "presence", "topic": "chat.a"}))?;
    ensure!(present["total"] == 1, "{present}");
    let to = |to: Value| json!({"type": "send", "to": to, "data": 1});
    ensure!(witness.ask(to(json!({"user": "u1"})))?["delivered"] == 0);
    ensure_error(&witness.ask(to(json!({"client": name})))?, 404)?;
    witness.ask(json!({"type": "publish", "topic": "trade.a", "data": 1}))?;
    witness.forget();
    client.expect_silence(Duration::from_millis(300))?;

    let known = client.ask(json!({"type": "auth", "token": token("u1")?}))?;
    ensure!(known["type"] == "authenticated" && known["user"] == "u1", "{known}");
    ensure!(known["expires"].as_str().is_some_and(|ns| ns.len() == 19), "{known}");
    for (command, answer) in commands(&name) {
        let found = client.ask(command.clone())?;
        ensure!(found["type"] == answer, "{command}: {found}");
    }
    let joined = witness.skip_to("joined")?;
    ensure!(joined["user"] == "u1" && joined["client"] == *name, "{joined}");
    server.stop()
}

#[test]
fn a_token_in_the_request_opens_at_once() -> Result<()> {
    let server = serve("mode = \"required\"\ncookie = \"session\"\nquery = \"token\"")?;
    let token = token("u1")?;
    for (target, headers) in [
        ("/feed", vec![("Authorization".to_owned(), bearer(&token))]),
        ("/feed", vec![("Cookie".to_owned(), format!("a=b; session={token}"))]),
        (&*format!("/feed?token={token}"), Vec::new()),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let mut client = RawClient::connect(server.address())?;
        client.upgrade_with(target, &[], &headers)?;
        let mut client = RawClient::connect(server.address())?;
        let head = client.ask(target, &[], &headers)?;
        ensure!(head.status == 101, "{}", head.text);
    }
    let mut client =
        FeedClient::open_with(server.address(), &[("Authorization", &bearer(&token))])?;
    ensure!(client.welcome["auth"] == Value::Null, "{}", client.welcome);
    let answer = client.subscribe(&["chat.a"])?;
    ensure!(answer["ok"][0]["topic"] == "chat.a", "{answer}");
    server.stop()
}

#[test]
fn a_token_that_is_no_good_opens_nothing() -> Result<()> {
    let server = serve(REQUIRED)?;
    let mut witness = witness(&server)?;
    let hour = crate::now_s() + 3_600;
    let expired = signed(&json!({"sub": "u1", "exp": hour - 7_200}), crate::SECRET)?;
    let forged = signed(&json!({"sub": "u1", "exp": hour}), b"another secret of thirty-two bytes")?;
    let endless = signed(&json!({"sub": "u1"}), crate::SECRET)?;
    for bad in [&*expired, &forged, &endless, "e30.e30.", "x"] {
        let mut client = FeedClient::open(server.address())?;
        let error = client.ask(json!({"type": "auth", "token": bad}))?;
        ensure_error(&error, 401)?;
        ensure!(error["message"].as_str().is_some_and(|text| !text.contains(bad)), "{error}");
        let refused = client.ask(json!({"type": "subscribe", "topics": ["chat.a"]}))?;
        ensure_error(&refused, 401)?;
        // Another one may do.
        let known = client.ask(json!({"type": "auth", "token": token("u1")?}))?;
        ensure!(known["type"] == "authenticated", "{known}");
    }
    // One that is for somebody else would be refused again: that client need not come back.
    let elsewhere = signed(&json!({"sub": "u1", "exp": hour, "aud": "elsewhere"}), crate::SECRET)?;
    let mut client = FeedClient::open(server.address())?;
    ensure_error(&client.ask(json!({"type": "auth", "token": elsewhere}))?, 403)?;
    closed(&mut client, 4403)?;
    witness.expect_silence(Duration::from_millis(200))?;
    server.stop()
}

#[test]
fn who_guesses_tokens_is_closed() -> Result<()> {
    let server = serve("mode = \"required\"\ndeadline_ms = 60000")?;
    let mut client = FeedClient::open(server.address())?;
    for _ in 0..200 {
        if client.send(&json!({"type": "auth", "token": "x"})).is_err() {
            break;
        }
    }
    closed(&mut client, 1008)?;
    server.stop()
}

#[test]
fn who_never_says_who_he_is_has_to_go() -> Result<()> {
    let server = serve("mode = \"required\"\ndeadline_ms = 700")?;
    let mut silent = FeedClient::open(server.address())?;
    let mut busy = FeedClient::open(server.address())?;
    let mut known = FeedClient::open(server.address())?;
    ensure!(silent.welcome["auth"]["deadline_ms"] == 700, "{}", silent.welcome);
    known.ask(json!({"type": "auth", "token": token("u1")?}))?;
    let begun = Instant::now();
    busy.ask(json!({"type": "ping"}))?;
    for client in [&mut silent, &mut busy] {
        let error = client.next()?;
        ensure_error(&error, 408)?;
        ensure!(error["retry"] == true && error["id"] == Value::Null, "{error}");
        closed(client, 4408)?;
    }
    let waited = begun.elapsed();
    let within = Duration::from_millis(400)..Duration::from_millis(1_200);
    ensure!(within.contains(&waited), "{waited:?}");
    std::thread::sleep(Duration::from_millis(800));
    known.expect_nothing()?;
    server.stop()
}

#[test]
fn who_may_come_without_a_token_has_the_rights_of_one_without_a_name() -> Result<()> {
    let server =
        serve("mode = \"optional\"\nanonymous = { subscribe = [\"trade.*\"], publish = [] }")?;
    let mut client = FeedClient::open(server.address())?;
    let answer = client.subscribe(&["trade.a", "chat.a", "trade.*", ">"])?;
    let of = |list: &str| -> Vec<String> {
        let all = answer[list].as_array().into_iter().flatten();
        all.map(|it| it["topic"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let (mut ok, errors) = (of("ok"), of("errors"));
    ok.sort();
    ensure!(ok == ["trade.*", "trade.a"] && errors == ["chat.a", ">"], "{answer}");
    ensure!(answer["errors"][0]["code"] == 403, "{answer}");
    for command in [
        json!({"type": "publish", "topic": "trade.a", "data": 1}),
        json!({"type": "send", "to": {"user": "u1"}, "data": 1}),
        json!({"type": "presence", "topic": "chat.a"}),
        json!({"type": "history", "topic": "chat.a"}),
    ] {
        ensure_error(&client.ask(command)?, 403)?;
    }
    // It may still say who it is; once it has a name, it keeps it.
    let more = json!({"subscribe": [">"], "publish": [">"]});
    let known = client.ask(json!({"type": "auth", "token": token_for("u1", 60, &more)?}))?;
    ensure!(known["user"] == "u1", "{known}");
    ensure!(client.subscribe(&["chat.a"])?["ok"][0]["topic"] == "chat.a");
    let sent = client.ask(json!({"type": "send", "to": {"user": "u1"}, "data": 1}))?;
    ensure!(sent["delivered"] == 1, "{sent}");
    server.stop()
}

pub(crate) fn closed(client: &mut FeedClient, code: u16) -> Result<String> {
    loop {
        match client.hear()? {
            Heard::Closed(found, reason) if found == code => return Ok(reason),
            Heard::Closed(found, reason) => bail!("{found} {reason} instead of {code}"),
            _ => {}
        }
    }
}
