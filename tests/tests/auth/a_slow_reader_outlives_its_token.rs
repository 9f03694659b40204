//! Who reads slowly, or not at all, keeps nothing longer for it: his session ends with his token.

use std::time::Duration;

use corecast_tests::feed::FeedClient;
use corecast_tests::raw::RawClient;
use corecast_tests::server::TestServer;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::{
    NAMESPACES, SECRET, Secret, bearer, now_s, serve, signed, since_1970, token, token_for,
    token_until,
};

/// Bytes of one message: more of them are queued than sockets take.
const MESSAGE_BYTES: usize = 60_000;

/// A server that waits long for everything but the end of a token, and a topic whose backlog may be
/// long.
fn patient() -> Result<TestServer> {
    let secret = Secret::new()?;
    let config = format!(
        "[connection]\nclose_timeout_ms = 60000\n[outbox]\nbytes_max = 67108864\n{NAMESPACES}\n\
         [[namespaces]]\nname = \"bulk\"\npublish = \"clients\"\npolicy = \"drop_oldest\"\n\
         [feed]\ncommands_per_second_max = 0\n\
         [auth]\nmode = \"required\"\n\
         [[auth.sources]]\nname = \"main\"\nsecret_file = \"{}\"\n",
        secret.0.display()
    );
    TestServer::start_with(&config, ["--shards", "2"])
}

/// Fills what `slow` is subscribed to, far beyond what its socket takes.
fn fill(publisher: &mut FeedClient, topic: &str) -> Result<()> {
    let data = "x".repeat(MESSAGE_BYTES);
    for _ in 0..200 {
        let sent = publisher.ask(json!({"type": "publish", "topic": topic, "data": data}))?;
        ensure!(sent["type"] == "published", "{sent}");
    }
    Ok(())
}

/// Somebody who may do everything, on a small receive buffer.
fn slow(server: &TestServer) -> Result<FeedClient> {
    let client = RawClient::connect_small(server.address(), 4_096)?;
    let mut client = FeedClient::on(client, "/feed", &[])?;
    let token = token_for("slow", 3_600, &everything())?;
    ensure!(client.ask(json!({"type": "auth", "token": token}))?["type"] == "authenticated");
    Ok(client)
}

fn everything() -> Value {
    json!({"subscribe": [">"], "publish": [">"]})
}

fn other(server: &TestServer) -> Result<FeedClient> {
    FeedClient::open_with(server.address(), &[("Authorization", &bearer(&token("u2")?))])
}

#[test]
fn who_reads_nothing_is_cut_off_with_his_token() -> Result<()> {
    let server = patient()?;
    let mut witness = other(&server)?;
    witness.subscribe(&["chat.a"])?;
    let mut slow = slow(&server)?;
    slow.subscribe(&["chat.a", "bulk.a"])?;
    fill(&mut other(&server)?, "bulk.a")?;
    // Its socket is full. Now its token is one that ends soon; it does not read that it is.
    let end_s = now_s() + 2;
    let short = token_until("slow", end_s, &everything())?;
    slow.send(&json!({"type": "auth", "token": short}))?;
    witness.forget();
    // It is gone for all others as well; the closing handshake would have a minute.
    let left = witness.skip_to("left")?;
    let late_s = since_1970().as_secs_f64() - end_s as f64;
    ensure!(left["user"] == "slow", "{left}");
    println!("gone {late_s:.3} s behind its token");
    ensure!((0.0..5.0).contains(&late_s), "{late_s:.3} s behind its token");
    // Nobody is left whose closing handshake would be waited for.
    drop((witness, slow));
    server.stop()
}

#[test]
fn what_clocks_may_differ_by_is_added_to_both_ends() -> Result<()> {
    let server = serve("mode = \"required\"\nleeway_s = 30")?;
    let claims = |begin_s: i64, end_s: i64| {
        let now_s = now_s();
        json!({"sub": "u1", "nbf": now_s + begin_s, "exp": now_s + end_s})
    };
    for (begin_s, end_s, is_good) in
        [(-60, -20, true), (20, 60, true), (-60, -40, false), (50, 60, false)]
    {
        let token = signed(&claims(begin_s, end_s), SECRET)?;
        let mut client = FeedClient::open(server.address())?;
        let answer = client.ask(json!({"type": "auth", "token": token}))?;
        ensure!((answer["type"] == "authenticated") == is_good, "{begin_s} {end_s}: {answer}");
    }
    let end_s = now_s() - 28;
    let token = signed(&json!({"sub": "u1", "exp": end_s}), SECRET)?;
    let mut client = FeedClient::open(server.address())?;
    let known = client.ask(json!({"type": "auth", "token": token}))?;
    ensure!(known["expires"] == format!("{}000000000", end_s + 30), "{known}");
    crate::a_session_acts_before_it_is_known::closed(&mut client, 4401)?;
    ensure!(since_1970() >= Duration::from_secs(u64::try_from(end_s + 30)?), "too early");
    server.stop()
}
