//! One publication in three encodings: bytes at `/ws/…`, JSON and binary records at `/feed`.

use corecast_feed::binary::{Payload, Quote, Record, Records};
use corecast_tests::feed::{FeedClient, Heard};
use corecast_tests::raw::{RawClient, Received};
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::{serve, topics};

fn records(client: &mut FeedClient) -> Result<Vec<u8>> {
    match client.hear()? {
        Heard::Records(bytes) => Ok(bytes),
        other => bail!("{other:?} instead of records"),
    }
}

#[test]
fn subprotocols_are_negotiated() -> Result<()> {
    let server = serve()?;
    for (offers, chosen) in [
        (&[][..], None),
        (&["mqtt"], None),
        (&["corecast.v1.json"], Some("corecast.v1.json")),
        (&["mqtt", "corecast.v1.bin", "corecast.v1.json"], Some("corecast.v1.bin")),
    ] {
        let client = FeedClient::open_at(server.address(), "/feed", offers)?;
        ensure!(client.subprotocol.as_deref() == chosen, "{offers:?}: {:?}", client.subprotocol);
    }
    server.stop()
}

#[test]
fn all_say_the_same() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    for topic in topics("quote", 6) {
        let mut raw = RawClient::open(server.address(), &format!("/ws/{topic}"))?;
        let mut json = FeedClient::open(server.address())?;
        let mut binary = FeedClient::open_at(server.address(), "/feed", &["corecast.v1.bin"])?;
        json.subscribe(&[&topic])?;
        let granted = binary.subscribe(&[&topic])?["ok"][0].clone();
        for seq in 1..=3_u64 {
            // The text is passed on as it is, blanks and all.
            let data = format!("{{\"n\" : {seq}, \"text\": \"é\"}}");
            publisher.send_text(&format!(
                r#"{{"type":"publish","id":"p","topic":"{topic}","data":{data}}}"#
            ))?;
            ensure!(publisher.expect("published")?["seq"] == seq);
            ensure!(raw.receive()? == Received::Text(data.clone()));
            let message = json.expect("message")?;
            ensure!(message["seq"] == seq && message["data"]["n"] == seq, "{message}");
            let bytes = records(&mut binary)?;
            let record = Records::new(&bytes).next().ok_or_else(|| eyre::eyre!("no record"))??;
            let Record::Message { sid, seq: number, ts_ns, payload, data: found } = record else {
                bail!("{record:?} instead of a message");
            };
            ensure!(granted["sid"] == sid && number == seq && payload == Payload::Json);
            ensure!(found == data.as_bytes());
            ensure!(message["ts"].as_str() == Some(&ts_ns.to_string()), "{message}: {ts_ns}");
        }
        // The snapshot, too.
        let mut late = FeedClient::open_at(server.address(), "/feed", &["corecast.v1.bin"])?;
        late.subscribe(&[&topic])?;
        let bytes = records(&mut late)?;
        let record = Records::new(&bytes).next().ok_or_else(|| eyre::eyre!("no record"))??;
        ensure!(matches!(record, Record::Snapshot { seq: 3, .. }), "{record:?}");
    }
    server.stop()
}

#[test]
fn bytes_are_bytes_or_base64() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    for topic in topics("blob", 4) {
        let mut json = FeedClient::open(server.address())?;
        let mut binary = FeedClient::open_at(server.address(), "/feed", &["corecast.v1.bin"])?;
        json.subscribe(&[&topic])?;
        binary.subscribe(&[&topic])?;
        let publish =
            json!({"type": "publish", "topic": topic, "data": "/wAB", "encoding": "base64"});
        ensure!(publisher.ask(publish)?["type"] == "published");
        let message = json.expect("message")?;
        ensure!(message["data"] == "/wAB" && message["encoding"] == "base64", "{message}");
        let bytes = records(&mut binary)?;
        let record = Records::new(&bytes).next().ok_or_else(|| eyre::eyre!("no record"))??;
        let is_same =
            matches!(record, Record::Message { payload: Payload::Bytes, data: [0xff, 0, 1], .. });
        ensure!(is_same, "{record:?}");
        let history = json.ask(json!({"type": "history", "topic": topic}))?;
        let past = &history["messages"][0];
        ensure!(past["data"] == "/wAB" && past["encoding"] == "base64", "{history}");
    }
    server.stop()
}

#[test]
fn control_is_text_in_the_binary_subprotocol() -> Result<()> {
    let server = serve()?;
    let mut publisher = FeedClient::open(server.address())?;
    let mut binary = FeedClient::open_at(server.address(), "/feed", &["corecast.v1.bin"])?;
    binary.subscribe(&["trade.*"])?;
    for topic in topics("trade", 4) {
        publisher.ask(json!({"type": "publish", "topic": topic, "data": 1}))?;
        let announced = binary.expect("subscribed")?;
        ensure!(announced["pattern"] == "trade.*", "{announced}");
        let sid: &Value = &announced["ok"][0]["sid"];
        let bytes = records(&mut binary)?;
        let record = Records::new(&bytes).next().ok_or_else(|| eyre::eyre!("no record"))??;
        let Record::Message { sid: found, seq: 1, .. } = record else { bail!("{record:?}") };
        ensure!(*sid == found, "{announced}: {record:?}");
    }
    binary.subscribe(&["chat.a"])?;
    publisher.subscribe(&["chat.a"])?;
    let joined = loop {
        let joined = binary.skip_to("joined")?;
        if joined["client"] == publisher.name() {
            break joined;
        }
    };
    ensure!(joined["topic"] == "chat.a", "{joined}");
    server.stop()
}

#[test]
fn what_comes_at_a_topics_own_path_goes_past_the_feed() -> Result<()> {
    let server = serve()?;
    let mut one = RawClient::open(server.address(), "/ws/trade.a")?;
    let mut two = RawClient::open(server.address(), "/ws/trade.a")?;
    let mut feed = FeedClient::open(server.address())?;
    feed.subscribe(&["trade.a"])?;
    for number in 0..5 {
        let text = format!("not JSON {number}");
        one.send_frame(corecast_wire::frame::Opcode::Text, text.as_bytes())?;
        ensure!(two.receive()? == Received::Text(text));
    }
    // It has no number and no place in the topic's order.
    feed.expect_nothing()?;
    server.stop()
}

#[test]
fn a_quote_of_the_demo_costs_64_bytes_and_means_what_its_json_says() -> Result<()> {
    let arguments = ["demo", "--listen", "127.0.0.1:0", "--shards", "2", "--rate", "2000"];
    let server = TestServer::launch(&launch()?.args(arguments))?;
    let lossless = json!({"topics": ["quote.BTCUSD"], "policy": {"delivery": "lossless:gap"}});
    let mut json = FeedClient::open(server.address())?;
    json.subscribe_with(lossless.clone())?;
    let mut binary = FeedClient::open_at(server.address(), "/feed", &["corecast.v1.bin"])?;
    let granted = binary.subscribe_with(lossless)?["ok"][0].clone();
    let expected = json!({"layout": "quote", "price_exponent": -1, "size_exponent": -4});
    ensure!(granted["body"] == expected, "{granted}");
    let mut quotes = std::collections::BTreeMap::new();
    for _ in 0..50 {
        let bytes = records(&mut binary)?;
        let record = Records::new(&bytes).next().ok_or_else(|| eyre::eyre!("no record"))??;
        if let Record::Message { seq, payload, data, .. } = record {
            ensure!(bytes.len() == 64 && payload == Payload::Bytes, "{} bytes", bytes.len());
            quotes.insert(seq, Quote::from_bytes(data)?);
        }
    }
    let mut compared = 0;
    while compared < 40 {
        let message = json.next()?;
        let Some(quote) = quotes.get(&message["seq"].as_u64().unwrap_or_default()) else {
            continue;
        };
        let bid = message["data"]["bid"].as_f64().unwrap_or_default();
        let size = message["data"]["ask_size"].as_f64().unwrap_or_default();
        ensure!((bid * 10.0).round() as i64 == quote.bid, "{message}: {quote:?}");
        ensure!((size * 1e4).round() as i64 == quote.ask_size, "{message}: {quote:?}");
        compared += 1;
    }
    // Nobody has to wait for their answers to the Close.
    drop((json, binary));
    server.stop()
}
