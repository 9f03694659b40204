//! Closing handshakes that do not go as they should.

use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::raw::{RawClient, Received, frame};
use corecast_tests::server::TestServer;
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use eyre::{Result, ensure};

/// Time for the closing handshake, as the server's defaults have it, and what the sweep and a busy
/// machine may add.
const GONE_WITHIN: Duration = Duration::from_secs(7);
/// A server that ends each connection itself, half a second after its last message.
const IMPATIENT: &str = "[connection]\nidle_timeout_ms = 500\n";

#[test]
fn a_client_that_says_close_and_nothing_more_is_gone_in_time() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    let mut silent = Vec::new();
    for _ in 0..50 {
        let mut client = RawClient::open(siege.address(), "/echo")?;
        client.send(&frame(0x88, &1000_u16.to_be_bytes()))?;
        let answer = client.receive()?;
        ensure!(answer == Received::Close(Some((1000, String::new()))), "{answer:?}");
        // Neither a byte nor a FIN comes from here.
        silent.push(client);
    }
    println!("gone after {:?}", siege.wait_until_rid(GONE_WITHIN)?);
    drop(silent);
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_client_that_does_not_answer_a_close_is_gone_in_time() -> Result<()> {
    let server = TestServer::start_with(IMPATIENT, ["--shards", "1"])?;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(RawClient::open(server.address(), "/echo")?);
    }
    for client in &mut silent {
        let Received::Close(Some((1000, _))) = client.receive()? else { eyre::bail!("no Close") };
    }
    let told = Instant::now();
    server.wait_until_idle(GONE_WITHIN)?;
    println!("gone {:?} after the Close", told.elapsed());
    for client in &mut silent {
        client.expect_end()?;
    }
    server.stop()
}

#[test]
fn endless_data_behind_a_close_is_not_listened_to_for_ever() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    let endless = frame(0x82, &[0; 10_000]).repeat(10);
    let mut client = RawClient::open(siege.address(), "/echo")?;
    client.send(&frame(0x88, &1000_u16.to_be_bytes()))?;
    let began = Instant::now();
    while client.send(&endless).is_ok() {
        ensure!(began.elapsed() < GONE_WITHIN, "the server still reads");
    }
    // Nothing behind the Close was echoed.
    ensure!(client.receive()? == Received::Close(Some((1000, String::new()))));
    client.expect_end()?;
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn endless_data_instead_of_an_answer_to_a_close_is_cut_off() -> Result<()> {
    let server = TestServer::start_with(IMPATIENT, ["--shards", "1"])?;
    let mut client = RawClient::open(server.address(), "/echo")?;
    let Received::Close(Some((1000, _))) = client.receive()? else { eyre::bail!("no Close") };
    let began = Instant::now();
    let endless = frame(0x82, &[0; 10_000]);
    while client.send(&endless).is_ok() {
        ensure!(began.elapsed() < GONE_WITHIN, "the server still reads");
        thread::sleep(Duration::from_millis(1));
    }
    println!("cut off {:?} after the Close", began.elapsed());
    client.expect_end()?;
    server.wait_until_idle(Duration::from_secs(2))?;
    server.stop()
}

#[test]
fn pings_do_not_hold_a_closing_connection_open() -> Result<()> {
    let server = TestServer::start_with(IMPATIENT, ["--shards", "1"])?;
    let mut client = RawClient::open(server.address(), "/echo")?;
    let Received::Close(Some((1000, _))) = client.receive()? else { eyre::bail!("no Close") };
    let began = Instant::now();
    while client.send(&frame(0x89, b"still here")).is_ok() {
        ensure!(began.elapsed() < GONE_WITHIN, "the server still reads");
        thread::sleep(Duration::from_millis(50));
    }
    client.expect_end()?;
    server.stop()
}

#[test]
fn a_close_is_answered_although_the_client_has_shut_its_side() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    for (name, last, code) in [
        ("a Close", frame(0x88, &1000_u16.to_be_bytes()), 1000),
        ("a Close without a code", frame(0x88, b""), 1000),
        ("an unmasked frame", b"\x81\x02hi".to_vec(), 1002),
        ("a message that is too long", frame(0x82, &[0; 70_000]), 1009),
        ("bad text", frame(0x81, b"\xff"), 1007),
    ] {
        for _ in 0..50 {
            let mut client = RawClient::open(siege.address(), "/echo")?;
            client.send(&last)?;
            client.stream().shutdown(Shutdown::Write)?;
            let received = client.receive()?;
            let Received::Close(Some((told, _))) = received else {
                eyre::bail!("{name} and FIN: {received:?}");
            };
            ensure!(told == code, "{name} and FIN: {told}");
            client.expect_end()?;
        }
    }
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn what_is_queued_still_leaves_before_the_answer_to_a_close() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    for shut in [false, true] {
        let mut client = RawClient::open_small(siege.address(), "/echo", 4096)?;
        let messages = 40;
        for number in 0..messages {
            client.send(&frame(0x82, &[number; 50_000]))?;
        }
        client.send(&frame(0x88, &1000_u16.to_be_bytes()))?;
        if shut {
            client.stream().shutdown(Shutdown::Write)?;
        }
        thread::sleep(Duration::from_millis(200));
        for number in 0..messages {
            let received = client.receive()?;
            ensure!(
                received == Received::Binary(vec![number; 50_000]),
                "message {number}, shut: {shut}"
            );
        }
        ensure!(client.receive()? == Received::Close(Some((1000, String::new()))));
        client.expect_end()?;
    }
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_bad_close_body_is_a_violation() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    for (name, body, code) in [
        ("one byte", &b"\x03"[..], 1002),
        ("a reason that is no UTF-8", b"\x03\xe8\xff", 1007),
        ("a reason cut within a character", b"\x03\xe8\xe2\x82", 1007),
        ("the code 1005", b"\x03\xed", 1002),
    ] {
        let mut client = RawClient::open(siege.address(), "/echo")?;
        client.send(&frame(0x88, body))?;
        let told = client.expect_close()?;
        ensure!(told.0 == code, "{name}: {told:?}");
    }
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}
