//! Two issuers, one `sub`: two people. Neither is counted, told or sent what is the other's.

use corecast_tests::feed::FeedClient;
use corecast_tests::server::TestServer;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::{NAMESPACES, SECRET, Secret, bearer, ensure_error, now_s, signed};

const OTHER: &[u8] = b"thirty-two bytes of somebody else's issuer";

/// Tokens of `a` and of `b`, both for `u1`.
fn tokens() -> Result<[String; 2]> {
    let claims = |issuer: &str| {
        json!({
            "iss": issuer, "sub": "u1", "exp": now_s() + 600,
            "topics": {"subscribe": [">"], "publish": [">"]},
        })
    };
    Ok([signed(&claims("https://a"), SECRET)?, signed(&claims("https://b"), OTHER)?])
}

/// A server that trusts both, and lets each user have one connection.
fn serve() -> Result<TestServer> {
    let (a, b) = (Secret::new()?, Secret::of(OTHER)?);
    let sources = format!(
        "[[auth.sources]]\nname = \"a\"\nissuer = \"https://a\"\nsecret_file = \"{}\"\n\
         [[auth.sources]]\nname = \"b\"\nissuer = \"https://b\"\nsecret_file = \"{}\"\n",
        a.0.display(),
        b.0.display()
    );
    let config = format!(
        "[connection]\nclose_timeout_ms = 200\n[user]\nconnections_max = 1\n{NAMESPACES}\n\
         [feed]\nsend = \"users\"\n\
         [auth]\nmode = \"required\"\n{sources}"
    );
    TestServer::start_with(&config, ["--shards", "2"])
}

#[test]
fn one_name_of_two_issuers_is_two_users() -> Result<()> {
    let server = serve()?;
    let [of_a, of_b] = tokens()?;
    let open =
        |token: &str| FeedClient::open_with(server.address(), &[("Authorization", &bearer(token))]);
    // Each has his one connection, at the upgrade or by `auth`.
    let mut a = open(&of_a)?;
    let mut b = FeedClient::open(server.address())?;
    let known = b.ask(json!({"type": "auth", "token": of_b}))?;
    ensure!(known["type"] == "authenticated" && known["user"] == "b:u1", "{known}");
    ensure!(open(&of_a).is_err(), "one more than a:u1 may have");
    ensure_error(&a.ask(json!({"type": "auth", "token": of_b}))?, 403)?;
    // They are two members, and hear of each other.
    for client in [&mut a, &mut b] {
        client.subscribe(&["chat.a"])?;
    }
    let seen = a.ask(json!({"type": "presence", "topic": "chat.a"}))?;
    let mut users: Vec<&Value> =
        seen["members"].as_array().into_iter().flatten().map(|one| &one["user"]).collect();
    users.sort_by_key(|user| user.to_string());
    ensure!(users == ["a:u1", "b:u1"], "{seen}");
    // What is sent to the one is not the other's, and nobody is called by the bare name.
    for (to, count) in [("b:u1", 1), ("u1", 0)] {
        let sent = a.ask(json!({"type": "send", "to": {"user": to}, "data": to}))?;
        ensure!(sent["delivered"] == count, "{to}: {sent}");
    }
    let direct = b.skip_to("direct")?;
    ensure!(direct["data"] == "b:u1" && direct["from"]["user"] == "a:u1", "{direct}");
    a.forget();
    a.expect_nothing()?;
    server.stop()
}
