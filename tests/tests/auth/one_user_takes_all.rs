//! A user has so many connections, at whatever door and by whatever way he says who he is.

use std::time::{Duration, Instant};

use corecast_tests::feed::FeedClient;
use corecast_tests::raw::RawClient;
use eyre::{Result, ensure};
use serde_json::json;

use crate::a_session_acts_before_it_is_known::closed;
use crate::{bearer, ensure_error, serve, token};

#[test]
fn one_more_than_he_may_have_is_told_so_and_there_is_room_when_one_leaves() -> Result<()> {
    let server = serve("mode = \"required\"\n[user]\nconnections_max = 2\n")?;
    let (mine, others) = (token("u1")?, token("u2")?);
    let knock = |token: &str| -> Result<(RawClient, u16)> {
        let mut client = RawClient::connect(server.address())?;
        let head = client.ask("/feed", &[], &[("Authorization", &bearer(token))])?;
        ensure!(head.status != 429 || head.header("retry-after").is_some(), "{}", head.text);
        Ok((client, head.status))
    };
    let mut first = FeedClient::open(server.address())?;
    let auth = json!({"type": "auth", "token": mine});
    ensure!(first.ask(auth.clone())?["type"] == "authenticated");
    // A newer token of the same user is no second connection.
    ensure!(first.ask(auth.clone())?["type"] == "authenticated");
    let (second, status) = knock(&mine)?;
    ensure!(status == 101, "{status}");
    ensure!(knock(&mine)?.1 == 429, "a third");
    let mut third = FeedClient::open(server.address())?;
    ensure_error(&third.ask(auth.clone())?, 429)?;
    let reason = closed(&mut third, 4429)?;
    ensure!(reason.contains('2'), "it says how many: {reason}");
    ensure!(knock(&others)?.1 == 101, "somebody else");
    drop(second);
    let until = Instant::now() + Duration::from_secs(10);
    while knock(&mine)?.1 != 101 {
        ensure!(Instant::now() < until, "there is never room again");
    }
    server.stop()
}
