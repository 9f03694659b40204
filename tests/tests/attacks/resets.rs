//! Connections that are reset or cut at any point.

use std::thread;
use std::time::Duration;

use corecast_tests::raw::{KEY, RawClient, frame};
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use corecast_wire::client;
use eyre::{Result, ensure};

/// Of one core, while nothing but the control goes on: it alone takes a few percent.
const SPIN_SHARE_MAX: f64 = 0.25;

#[test]
fn a_reset_at_any_byte_neither_spins_nor_leaks() -> Result<()> {
    let siege = Siege::start(["--shards", "2"])?;
    let calm = share(&siege)?;
    for reset in [true, false] {
        mid_handshake(&siege, reset)?;
        mid_frame(&siege, reset)?;
        mid_close(&siege, reset)?;
    }
    siege.wait_until_rid(Duration::from_secs(8))?;
    let after = share(&siege)?;
    println!("CPU share before {calm:.3}, after {after:.3}");
    ensure!(after < calm + SPIN_SHARE_MAX, "the server spins: {after:.3} of a core");
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_reset_with_a_backlog_neither_spins_nor_leaks() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    let calm = share(&siege)?;
    for round in 0..40 {
        let mut client = RawClient::open_small(siege.address(), "/echo", 4096)?;
        // Echoes pile up behind a window that is closed.
        for _ in 0..20 {
            client.send(&frame(0x82, &[1; 60_000]))?;
        }
        end(client, round % 2 == 0)?;
    }
    siege.wait_until_rid(Duration::from_secs(8))?;
    let after = share(&siege)?;
    ensure!(after < calm + SPIN_SHARE_MAX, "the server spins: {after:.3} of a core");
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

fn mid_handshake(siege: &Siege, reset: bool) -> Result<()> {
    let host = siege.address().to_string();
    let request = client::request(&host, "/echo", KEY, &[], &[])?;
    for sent in 0..=request.len() {
        let mut client = RawClient::connect(siege.address())?;
        client.send(&request[..sent])?;
        end(client, reset)?;
    }
    Ok(())
}

fn mid_frame(siege: &Siege, reset: bool) -> Result<()> {
    for whole in [frame(0x81, b"hello"), frame(0x82, &[0; 300]), frame(0x89, b"ping")] {
        for sent in (0..whole.len()).chain([whole.len()]) {
            let mut client = RawClient::open(siege.address(), "/echo")?;
            client.send(&whole[..sent])?;
            end(client, reset)?;
        }
    }
    Ok(())
}

fn mid_close(siege: &Siege, reset: bool) -> Result<()> {
    let close = frame(0x88, &1000_u16.to_be_bytes());
    for sent in 0..=close.len() {
        for read in [false, true] {
            let mut client = RawClient::open(siege.address(), "/echo")?;
            client.send(&close[..sent])?;
            if read && sent == close.len() {
                client.receive()?;
            }
            end(client, reset)?;
        }
    }
    // A violation, and its Close on the way.
    let mut client = RawClient::open(siege.address(), "/echo")?;
    client.send(b"\xff\xff")?;
    end(client, reset)
}

fn end(client: RawClient, reset: bool) -> Result<()> {
    if reset {
        return client.reset();
    }
    drop(client);
    Ok(())
}

/// How much of one core the server takes now.
fn share(siege: &Siege) -> Result<f64> {
    let time = Duration::from_secs(1);
    let before = siege.usage()?.cpu;
    thread::sleep(time);
    Ok(siege.usage()?.cpu.saturating_sub(before).as_secs_f64() / time.as_secs_f64())
}
