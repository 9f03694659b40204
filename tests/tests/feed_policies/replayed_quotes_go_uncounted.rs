//! The recorded quotes through the program to readers a hundred times too slow, in both encodings:
//! what each misses must be what the program says, at its end, that it has conflated.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use corecast_feed::binary::{Record, Records};
use corecast_feed::{Event, Subprotocol};
use corecast_tests::feed::FeedClient;
use corecast_tests::raw::{RawClient, Received};
use corecast_tests::recording;
use corecast_tests::server::{TestServer, launch};
use corecast_wire::frame::Opcode;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use serde_json::{Value, json};

const TOPIC: &str = "quote.usdm.BTCUSDT";
/// Of 346 s of recording with 66,089 quotes: about 7,600 in a second.
const SPEED: &str = "40";
const SLOW_FOR: Duration = Duration::from_secs(9);
const READ_EVERY: Duration = Duration::from_millis(15);

#[test]
fn what_is_missing_is_what_was_counted() -> Result<()> {
    let Some(folder) = recording::folder()? else { return Ok(()) };
    let recorded =
        recording::messages(&folder)?.remove(TOPIC).ok_or_else(|| eyre!("no {TOPIC}"))?;
    let server = launch()?
        .args(["replay", "--listen", "127.0.0.1:0", "--shards", "2", "--speed", SPEED])
        .args(["--wait-clients", "2"])
        .args(recording::arguments(&folder).iter().filter(|file| file.contains("usdm_btcusdt")));
    let mut server = TestServer::launch(&server)?;
    let (address, recorded) = (server.address(), &recorded);
    let received = thread::scope(|scope| {
        let readers = Subprotocol::ALL.map(|of| scope.spawn(move || read(address, of, recorded)));
        let each = readers.map(|reader| reader.join().map_err(|_| eyre!("a reader panicked"))?);
        each.into_iter().collect::<Result<Vec<u64>>>()
    });
    let said = server.ended()?;
    let received = received?;
    let conflated = said.lines().find_map(|line| line.strip_prefix("conflated"));
    let conflated = conflated.ok_or_else(|| eyre!("no count in:\n{said}"))?;
    let conflated: u64 = conflated.trim().replace(',', "").parse().wrap_err(said.clone())?;
    println!("{} quotes, {received:?} of them received, {conflated} conflated", recorded.len());
    let missed: u64 = received.iter().map(|count| recorded.len() as u64 - count).sum();
    ensure!(missed == conflated, "{missed} are missing, {conflated} were counted");
    ensure!(missed > recorded.len() as u64, "the readers were not slow");
    Ok(())
}

/// Reads slowly, and then all that is left; returns how many messages there were.
fn read(server: SocketAddr, protocol: Subprotocol, recorded: &[Box<[u8]>]) -> Result<u64> {
    let raw = RawClient::connect_small(server, 4 << 10)?;
    let mut client = FeedClient::on(raw, "/feed", &[protocol.name()])?;
    client.send(&json!({"type": "subscribe", "topics": [TOPIC], "id": 1}))?;
    let slow_until = Instant::now() + SLOW_FOR;
    let (mut count, mut last) = (0, 0);
    loop {
        let told: BTreeMap<u64, Vec<u8>> = match client.raw().receive()? {
            Received::Text(text) => message(&text)?.into_iter().collect(),
            Received::Binary(frame) => Records::new(&frame)
                .map(|record| match record? {
                    Record::Message { seq, data, .. } => Ok((seq, data.to_vec())),
                    other => bail!("{other:?} instead of a message"),
                })
                .collect::<Result<_>>()?,
            Received::Ping(payload) => {
                client.raw().send_frame(Opcode::Pong, &payload)?;
                continue;
            }
            Received::Close(Some((1001, _))) => break,
            other => bail!("{other:?} instead of a message"),
        };
        for (seq, data) in told {
            ensure!(seq > last, "{seq} comes after {last}");
            ensure!(*data == *recorded[seq as usize - 1], "{seq} is not as recorded");
            (count, last) = (count + 1, seq);
        }
        if Instant::now() < slow_until {
            thread::sleep(READ_EVERY);
        }
    }
    ensure!(last == recorded.len() as u64, "{last} is the last, not {}", recorded.len());
    Ok(count)
}

/// Number and payload of a message; none of another event.
fn message(text: &str) -> Result<Option<(u64, Vec<u8>)>> {
    Ok(match Event::parse(text)? {
        Event::Message(message) => Some((message.seq, message.bytes()?.into_owned())),
        Event::Subscribed(subscribed) => {
            let event: Value = serde_json::from_str(text)?;
            ensure!(subscribed.ok.len() == 1 && event["ok"][0]["policy"] == "latest", "{text}");
            None
        }
        Event::Heartbeat(_) | Event::StreamState(_) | Event::GoingAway(_) => None,
        _ => bail!("{text} was not asked for"),
    })
}
