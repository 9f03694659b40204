//! Whoever guesses tokens is not listened to any more, at his address, and nobody else is hurt.

use std::net::{IpAddr, Ipv4Addr};

use corecast_tests::feed::FeedClient;
use corecast_tests::raw::{Head, RawClient};
use corecast_tests::server::TestServer;
use eyre::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::a_session_acts_before_it_is_known::closed;
use crate::hook_server::{HookServer, says};
use crate::{SECRET, bearer, ensure_error, now_s, serve, signed, token};

const BOUND: &str = "[address]\nexempt = []\nauth_failures_per_second_max = 1\n\
                     auth_failures_burst = 3\n";

fn from(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

fn knock(server: &TestServer, last: u8, header: (&str, &str)) -> Result<Head> {
    let mut client = RawClient::connect_from(from(last), server.address())?;
    client.ask("/feed", &[], &[header])
}

/// Guesses until nobody listens to guesses.
fn exhaust(server: &TestServer, last: u8, header: (&str, &str)) -> Result<()> {
    for guesses in 0..200 {
        let head = knock(server, last, header)?;
        if head.status == 429 {
            let after: u64 = head.header("retry-after").unwrap_or_default().parse()?;
            ensure!((1..10).contains(&after), "{}", head.text);
            return Ok(());
        }
        ensure!(head.status == 403, "{guesses}: {}", head.text);
    }
    bail!("200 guesses are answered")
}

#[test]
fn who_guesses_is_not_heard_for_a_while_and_nobody_else_is_hurt() -> Result<()> {
    let server = serve(&format!("mode = \"required\"\n{BOUND}"))?;
    let good = bearer(&token("u1")?);
    let forged = bearer(&signed(&json!({"sub": "u1", "exp": now_s() + 600}), &[b'x'; 32])?);
    // What an honest client may send is no guess, however often it comes.
    let expired = bearer(&signed(&json!({"sub": "u1", "exp": now_s() - 60}), SECRET)?);
    for _ in 0..10 {
        for honest in [&expired, &bearer("a.b.c")] {
            let head = knock(&server, 2, ("Authorization", honest))?;
            ensure!(head.status == 403, "{}", head.text);
        }
    }
    for _ in 0..3 {
        exhaust(&server, 3, ("Authorization", &forged))?;
        let head = knock(&server, 3, ("Authorization", &good))?;
        ensure!(head.status == 101, "an honest client behind the same address: {}", head.text);
    }
    server.stop()
}

#[test]
fn the_first_message_is_no_way_around_it() -> Result<()> {
    let server = serve(&format!("mode = \"required\"\n{BOUND}"))?;
    let forged = signed(&json!({"sub": "u1", "exp": now_s() + 600}), &[b'x'; 32])?;
    let mut last = Value::Null;
    for _ in 0..100 {
        let client = RawClient::connect_from(from(4), server.address())?;
        let mut client = FeedClient::on(client, "/feed", &[])?;
        last = client.ask(json!({"type": "auth", "token": forged}))?;
        if last["code"] == 429 {
            let reason = closed(&mut client, 4429)?;
            ensure!(reason.contains("refused"), "{reason}");
            break;
        }
        ensure_error(&last, 401)?;
    }
    ensure_error(&last, 429)?;
    for address in [4, 5] {
        let client = RawClient::connect_from(from(address), server.address())?;
        let mut client = FeedClient::on(client, "/feed", &[])?;
        let known = client.ask(json!({"type": "auth", "token": token("u1")?}))?;
        ensure!(known["type"] == "authenticated", "{known}");
        // Who is known may renew, whatever his neighbours do.
        let renewed = client.ask(json!({"type": "auth", "token": token("u1")?}))?;
        ensure!(renewed["type"] == "authenticated", "{renewed}");
    }
    server.stop()
}

#[test]
fn what_the_hook_is_told_cannot_be_guessed_either() -> Result<()> {
    let hook = HookServer::start(|question| {
        says(&json!({"allow": question["headers"]["cookie"][0] == "right"}))
    })?;
    let config =
        format!("{BOUND}[auth.hook]\nurl = \"http://{}/\"\nheaders = [\"cookie\"]\n", hook.address);
    let server = TestServer::start_with(&config, ["--shards", "2"])?;
    ensure!(knock(&server, 2, ("Cookie", "right"))?.status == 101);
    // However slow the machine is, so that a guess is earned between the two: some time the hook is
    // not asked about what is right.
    let is_held_up = |_| -> Result<bool> {
        exhaust(&server, 3, ("Cookie", "wrong"))?;
        Ok(knock(&server, 3, ("Cookie", "right"))?.status == 429)
    };
    let held_up = (0..50).map(is_held_up).find(|held| !matches!(held, Ok(false)));
    ensure!(held_up.transpose()?.is_some(), "a guess that is right is let in");
    ensure!(
        knock(&server, 3, ("X-Other", "1"))?.status == 403,
        "who shows nothing guesses nothing"
    );
    ensure!(knock(&server, 2, ("Cookie", "right"))?.status == 101, "another address");
    server.stop()
}
