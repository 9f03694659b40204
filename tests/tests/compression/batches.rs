//! Compression is on where it was asked for, and nowhere else: the real program compresses what is
//! conflated, and not a single message.

use corecast_tests::raw::{RawClient, Received};
use corecast_tests::server::TestServer;
use corecast_wire::frame::Opcode;
use eyre::{Result, ensure};

/// `compression.what` is as it is where nobody says anything.
const CONFIG: &str = "\
    shards = 2\n\
    [compression]\n\
    enabled = true\n\
    [feed]\n\
    heartbeat_ms = 0\n\
    [[namespaces]]\n\
    name = \"quote\"\n\
    publish = \"clients\"\n\
    [[namespaces]]\n\
    name = \"still\"\n\
    publish = \"clients\"\n\
    compress = \"off\"\n\
    [[namespaces]]\n\
    name = \"every\"\n\
    publish = \"clients\"\n\
    compress = \"all\"\n";

/// Subscribes with compression agreed to. Who does not inflate takes a compressed message for a
/// broken one.
fn subscribe(server: &TestServer, topic: &str, inflates: bool) -> Result<RawClient> {
    let mut client = RawClient::connect(server.address())?;
    if inflates {
        ensure!(client.upgrade_deflate("/feed", "")?.is_some());
    } else {
        let offer = [("Sec-WebSocket-Extensions", "permessage-deflate")];
        let head = client.ask("/feed", &[], &offer)?;
        ensure!(head.header("sec-websocket-extensions").is_some(), "{}", head.text);
    }
    let command = format!(r#"{{"type":"subscribe","topics":["{topic}"]}}"#);
    client.send_frame(Opcode::Text, command.as_bytes())?;
    skip_to(&mut client, "subscribed")?;
    Ok(client)
}

fn skip_to(client: &mut RawClient, kind: &str) -> Result<String> {
    let kind = format!(r#"{{"type":"{kind}""#);
    loop {
        match client.receive()? {
            Received::Text(text) if text.starts_with(&kind) => return Ok(text),
            Received::Text(_) => {}
            other => eyre::bail!("{other:?} instead of {kind}"),
        }
    }
}

#[test]
fn conflated_batches_are_compressed_and_single_messages_only_where_they_are_to_be() -> Result<()> {
    let server = TestServer::start_with(CONFIG, [""; 0])?;
    let levels = r#"["61737.40","0.25000"],"#.repeat(60);
    let mut publisher = RawClient::open(server.address(), "/feed")?;
    for (topic, compressed) in [
        ("quote.a", false),
        ("quote.a@100ms", true),
        ("still.a", false),
        ("still.a@100ms", false),
        ("every.a", true),
    ] {
        let mut reads = subscribe(&server, topic, true)?;
        let mut blind = subscribe(&server, topic, false)?;
        let name = topic.split('@').next().unwrap_or_default();
        let command =
            format!(r#"{{"type":"publish","topic":"{name}","data":[{levels}"{topic}"]}}"#);
        publisher.send_frame(Opcode::Text, command.as_bytes())?;
        let message = skip_to(&mut reads, "message")?;
        ensure!(message.contains(&levels) && message.contains(topic), "{topic}: {message}");
        let seen = skip_to(&mut blind, "message");
        ensure!(seen.is_err() == compressed, "{topic}: {seen:?}");
        if let Err(error) = seen {
            ensure!(error.to_string().contains("reserved"), "{topic}: {error:#}");
        }
    }
    drop(publisher);
    server.stop()
}
