//! `send` reaches whom it names, wherever they are connected, and nobody else.

use corecast_tests::feed::FeedClient;
use eyre::{Result, ensure};
use serde_json::{Value, json};

use crate::{serve, serve_with};

fn send(to: &Value, data: &Value) -> Value {
    json!({"type": "send", "to": to, "data": data})
}

#[test]
fn all_connections_of_a_user_get_it_and_only_they() -> Result<()> {
    let server = serve()?;
    let open = |user: &str| FeedClient::open_at(server.address(), &format!("/feed?{user}"), &[]);
    let mut of_user = (0..6).map(|_| open("user=J%C3%BCrgen")).collect::<Result<Vec<_>>>()?;
    let (mut other, mut nobody) = (open("user=u2")?, open("")?);
    let sent = nobody.ask(send(&json!({"user": "Jürgen"}), &json!({"a": 1})))?;
    ensure!(sent["delivered"] == 6, "{sent}");
    for client in &mut of_user {
        let direct = client.expect("direct")?;
        ensure!(direct["data"] == json!({"a": 1}), "{direct}");
        ensure!(direct["from"] == json!({"client": nobody.name()}), "{direct}");
        ensure!(direct["ts"].is_string(), "{direct}");
    }
    // Who sends to itself as a user gets it, too.
    let sender = other.name().to_owned();
    ensure!(other.ask(send(&json!({"user": "u2"}), &json!(2)))?["delivered"] == 1);
    let direct = other.expect("direct")?;
    ensure!(direct["from"] == json!({"client": sender, "user": "u2"}), "{direct}");
    ensure!(other.ask(send(&json!({"user": "u3"}), &json!(2)))?["delivered"] == 0);
    other.expect_nothing()?;
    nobody.expect_nothing()?;
    server.stop()
}

#[test]
fn one_connection_gets_it_on_whichever_shard() -> Result<()> {
    let server = serve()?;
    let open = || FeedClient::open(server.address());
    let mut clients = (0..8).map(|_| open()).collect::<Result<Vec<_>>>()?;
    let mut sender = FeedClient::open_at(server.address(), "/feed", &["corecast.v1.bin"])?;
    for (number, client) in clients.iter_mut().enumerate() {
        let sent = sender.ask(send(&json!({"client": client.name()}), &json!(number)))?;
        ensure!(sent["delivered"] == 1, "{sent}");
        ensure!(client.expect("direct")?["data"] == number);
    }
    // The sender speaks the binary subprotocol: what is sent to it is a text all the same.
    let name = sender.name().to_owned();
    let base64 = json!({"type": "send", "to": {"client": name}, "data": "AAEC",
                        "encoding": "base64"});
    ensure!(clients[0].ask(base64)?["delivered"] == 1);
    let direct = sender.expect("direct")?;
    ensure!(direct["data"] == "AAEC" && direct["encoding"] == "base64", "{direct}");
    for client in &mut clients {
        client.expect_nothing()?;
    }
    server.stop()
}

#[test]
fn who_is_gone_is_not_reached() -> Result<()> {
    let server = serve()?;
    let mut sender = FeedClient::open(server.address())?;
    let mut gone = Vec::new();
    for _ in 0..4 {
        let mut client = FeedClient::open(server.address())?;
        gone.push(client.name().to_owned());
        client.raw().send_frame(corecast_wire::frame::Opcode::Close, &1000_u16.to_be_bytes())?;
        client.raw().expect_close()?;
    }
    // Their places are taken by others.
    let others = (0..4).map(|_| FeedClient::open(server.address())).collect::<Result<Vec<_>>>()?;
    gone.extend(["", "c7Yq", "AAAAAAAAAAAAAAAAAAA"].map(str::to_owned));
    for name in gone {
        let refused = sender.ask(send(&json!({"client": name}), &json!(1)))?;
        let code = if name.is_empty() { 400 } else { 404 };
        ensure!(refused["code"] == code, "{name}: {refused}");
    }
    for mut other in others {
        other.expect_nothing()?;
    }
    server.stop()
}

#[test]
fn a_user_is_named_well_or_not_at_all() -> Result<()> {
    let server = serve()?;
    let long = "x".repeat(129);
    for query in ["user=", "user=a&user=b", "user=%zz", "user=%00", &format!("user={long}")] {
        let mut client = corecast_tests::raw::RawClient::connect(server.address())?;
        let error = client.upgrade(&format!("/feed?{query}")).expect_err(query);
        ensure!(format!("{error:#}").contains("400"), "{query}: {error:#}");
    }
    server.stop()?;
    // Nobody is asked for a name, and nobody has one.
    let server = serve_with("[feed]\nsend = \"users\"\n")?;
    let mut client = FeedClient::open_at(server.address(), "/feed?user=u1", &[])?;
    ensure!(client.ask(send(&json!({"user": "u1"}), &json!(1)))?["delivered"] == 0);
    server.stop()
}
