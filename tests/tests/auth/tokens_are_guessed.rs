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

/// Guesses until nobody listens, and then tries what is good. However slow the machine is, so that
/// a token is earned between the two: some time there is none.
fn exhaust(server: &TestServer, last: u8, name: &str, bad: &str, good: &str) -> Result<()> {
    for _ in 0..50 {
        for guesses in 0.. {
            let head = knock(server, last, (name, bad))?;
            if head.status == 429 {
                break;
            }
            ensure!(head.status == 403 && guesses < 200, "{guesses}: {}", head.text);
        }
        let head = knock(server, last, (name, good))?;
        if head.status == 429 {
            let after: u64 = head.header("retry-after").unwrap_or_default().parse()?;
            ensure!((1..10).contains(&after), "{}", head.text);
            return Ok(());
        }
    }
    bail!("a guess that is right is let in")
}

#[test]
fn who_guesses_is_not_heard_for_a_while_and_others_are() -> Result<()> {
    let server = serve(&format!("mode = \"required\"\n{BOUND}"))?;
    let good = bearer(&token("u1")?);
    let forged = bearer(&signed(&json!({"sub": "u1", "exp": now_s() + 600}), &[b'x'; 32])?);
    // What has merely expired is no guess, however often it comes.
    let expired = bearer(&signed(&json!({"sub": "u1", "exp": now_s() - 60}), SECRET)?);
    for _ in 0..10 {
        let head = knock(&server, 2, ("Authorization", &expired))?;
        ensure!(head.status == 403, "{}", head.text);
    }
    ensure!(knock(&server, 2, ("Authorization", &good))?.status == 101);
    exhaust(&server, 3, "Authorization", &forged, &good)?;
    ensure!(knock(&server, 2, ("Authorization", &good))?.status == 101, "another address");
    server.stop()
}

#[test]
fn the_first_message_is_no_way_around_it() -> Result<()> {
    let server = serve(&format!("mode = \"required\"\n{BOUND}"))?;
    let guess = |number: u32| json!({"type": "auth", "token": format!("a.b.{number}")});
    let mut last = Value::Null;
    for number in 0..100 {
        let client = RawClient::connect_from(from(4), server.address())?;
        let mut client = FeedClient::on(client, "/feed", &[])?;
        last = client.ask(guess(number))?;
        if last["code"] == 429 {
            let reason = closed(&mut client, 4429)?;
            ensure!(reason.contains("refused"), "{reason}");
            break;
        }
        ensure_error(&last, 401)?;
    }
    ensure_error(&last, 429)?;
    let mut other = FeedClient::open(server.address())?;
    let known = other.ask(json!({"type": "auth", "token": token("u1")?}))?;
    ensure!(known["type"] == "authenticated", "{known}");
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
    exhaust(&server, 3, "Cookie", "wrong", "right")?;
    ensure!(knock(&server, 2, ("Cookie", "right"))?.status == 101, "another address");
    server.stop()
}
