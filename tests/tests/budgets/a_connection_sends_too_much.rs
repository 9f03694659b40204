//! Messages and bytes in a second: who sends more is closed with the figure, or waits.

use std::time::{Duration, Instant};

use corecast_tests::raw::{RawClient, Received, frame};
use corecast_tests::server::TestServer;
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use corecast_wire::frame::Opcode;
use eyre::{Result, ensure};

fn siege(config: &str) -> Result<Siege> {
    Siege::around(TestServer::start_with(config, ["--shards", "1"])?)
}

/// The control and the warm-up send less than this.
const MESSAGES: &str =
    "[connection]\nmessages_per_second_max = 1000\nmessages_burst = 1000\nover = ";

#[test]
fn messages_beyond_the_budget_close_the_connection_with_the_figure() -> Result<()> {
    let siege = siege(&format!("{MESSAGES}\"close\""))?;
    let mut client = RawClient::open(siege.address(), "/echo")?;
    // A burst is allowed, and comes back whole; then one too many in the same breath.
    client.send(&frame(0x81, b"x").repeat(900))?;
    for _ in 0..900 {
        ensure!(client.receive()? == Received::Text("x".to_owned()));
    }
    client.send(&frame(0x81, b"x").repeat(3_000))?;
    let (code, reason) = client.expect_close()?;
    ensure!(code == 4429, "{code} {reason}");
    ensure!(reason == "more than 1000 messages a second, 1000 at once", "{reason}");
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn who_is_held_back_loses_nothing() -> Result<()> {
    let siege = siege(&format!("{MESSAGES}\"slow\""))?;
    let mut client = RawClient::open(siege.address(), "/echo")?;
    let began = Instant::now();
    for n in 0..3_000_u32 {
        client.send_frame(Opcode::Binary, &n.to_be_bytes())?;
    }
    for n in 0..3_000_u32 {
        ensure!(client.receive()? == Received::Binary(n.to_be_bytes().to_vec()), "{n} is missing");
    }
    let took = began.elapsed();
    // A thousand at once, and two thousand at a thousand a second.
    ensure!(took > Duration::from_millis(1_800), "only {took:?}");
    ensure!(took < Duration::from_secs(6), "{took:?}");
    client.send_frame(Opcode::Close, &1000_u16.to_be_bytes())?;
    client.expect_close()?;
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn bytes_beyond_the_budget_close_the_connection_also_within_one_message() -> Result<()> {
    let siege = siege(
        "[connection]\nbytes_per_second_max = 100000\nbytes_burst = 200000\n\
         message_bytes_max = 150000\n",
    )?;
    let mut client = RawClient::open(siege.address(), "/echo")?;
    client.send(&frame(0x82, &[7; 100_000]))?;
    ensure!(client.receive()? == Received::Binary(vec![7; 100_000]));
    client.send(&frame(0x02, &[7; 140_000]))?;
    let (code, reason) = client.expect_close()?;
    ensure!(code == 4429, "{code} {reason}");
    ensure!(reason == "more than 100000 bytes a second, 200000 at once", "{reason}");
    // Pings count by their bytes as well, and have a bound of their own.
    let mut pinging = RawClient::open(siege.address(), "/echo")?;
    pinging.send(&frame(0x89, &[7; 125]).repeat(101))?;
    let mut pongs = 0;
    let (code, _) = loop {
        match pinging.receive()? {
            Received::Pong(_) => pongs += 1,
            Received::Close(Some(closed)) => break closed,
            other => eyre::bail!("{other:?}"),
        }
    };
    ensure!(code == 1008 && pongs <= 100, "{code} after {pongs} pongs");
    drop(pinging);
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn who_would_wait_too_long_is_closed_although_others_only_wait() -> Result<()> {
    let config =
        "[connection]\nbytes_per_second_max = 100\nbytes_burst = 100000\nover = \"slow\"\n";
    let server = TestServer::start_with(config, ["--shards", "1"])?;
    let mut client = RawClient::open(server.address(), "/ws/somewhere")?;
    // What one turn reads beyond the burst takes minutes to make up for.
    client.send(&frame(0x82, &[7; 60_000]).repeat(4))?;
    let (code, reason) = client.expect_close()?;
    ensure!(code == 4429 && reason.starts_with("more than 100 bytes"), "{code} {reason}");
    server.stop()
}
