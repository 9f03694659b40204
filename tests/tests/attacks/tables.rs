//! Tables that are small enough to be tried in full: the first two bytes of a frame, close codes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::raw::{RawClient, Received, frame};
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use eyre::{Result, WrapErr, ensure, eyre};

use crate::oracle::{Verdict, answer_to_close, verdict};

/// Far above a round trip on loopback, far below any deadline of the server.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(2);

#[test]
fn every_first_two_bytes_of_a_frame_get_what_the_rfc_says() -> Result<()> {
    let siege = Siege::start(["--shards", "2"])?;
    let server = siege.address();
    for_each_u16(|pair| {
        let [first, second] = pair.to_be_bytes();
        check_header(server, first, second)
            .wrap_err_with(|| format!("a frame that begins with {first:#04x} {second:#04x}"))
    })?;
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn every_close_code_is_answered_by_the_table() -> Result<()> {
    let siege = Siege::start(["--shards", "2"])?;
    let server = siege.address();
    for_each_u16(|code| {
        let reason = if code % 2 == 0 { "" } else { "bye" };
        let mut client = RawClient::open(server, "/echo")?;
        client.send(&frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat()))?;
        let (answer, why) = client.expect_close()?;
        ensure!(answer == answer_to_close(code), "{code} was answered with {answer} {why:?}");
        client.reset()
    })?;
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

fn check_header(server: SocketAddr, first: u8, second: u8) -> Result<()> {
    let mut client = RawClient::open(server, "/echo")?;
    let found = verdict(first, second);
    if found == Verdict::BrokenHeader {
        // Nothing but the two bytes: the server must not wait for more.
        let sent = Instant::now();
        client.send(&[first, second])?;
        expect_code(&mut client, 1002)?;
        ensure!(sent.elapsed() < ROUND_TRIP_MAX, "1002 took {:?}", sent.elapsed());
        return client.reset();
    }
    let (extended, payload): (&[u8], usize) = match second - 0x80 {
        126 => (&[0, 126], 126),
        127 => (&[0, 0, 0, 0, 0, 1, 0, 0], 65_536),
        length => (&[], length.into()),
    };
    let payload = vec![0; payload];
    client.send(&[&[first, second], extended, &[0; 4], &payload].concat())?;
    match found {
        Verdict::BrokenHeader => unreachable!("handled above"),
        Verdict::NothingToContinue => expect_code(&mut client, 1002)?,
        Verdict::Close(code) => expect_code(&mut client, code)?,
        Verdict::Ping => expect(&mut client, &Received::Pong(payload))?,
        Verdict::Pong => still_answers(&mut client)?,
        Verdict::Message { text, whole } => {
            if !whole {
                // Nothing comes back before the message has ended.
                still_answers(&mut client)?;
                client.send(&frame(0x80, b""))?;
            }
            let echo = match text {
                true => Received::Text(String::from_utf8(payload)?),
                false => Received::Binary(payload),
            };
            expect(&mut client, &echo)?;
        }
    }
    client.reset()
}

fn expect_code(client: &mut RawClient, code: u16) -> Result<()> {
    let (told, reason) = client.expect_close()?;
    ensure!(told == code, "{told} {reason:?} instead of {code}");
    Ok(())
}

fn expect(client: &mut RawClient, wanted: &Received) -> Result<()> {
    let received = client.receive()?;
    ensure!(received == *wanted, "{received:?} instead of {wanted:?}");
    Ok(())
}

fn still_answers(client: &mut RawClient) -> Result<()> {
    client.send(&frame(0x89, b"?"))?;
    expect(client, &Received::Pong(b"?".to_vec()))
}

/// Does it for all 65,536 numbers, a few at a time; the first failure ends it.
fn for_each_u16(check: impl Fn(u16) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicU32::new(0);
    let work = || -> Result<()> {
        while let Ok(number) = u16::try_from(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = check(number) {
                next.store(u32::from(u16::MAX) + 1, Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    let started = Instant::now();
    thread::scope(|scope| {
        let threads = Vec::from_iter((0..4).map(|_| scope.spawn(work)));
        threads.into_iter().try_for_each(|one| one.join().map_err(|_| eyre!("a panic"))?)
    })?;
    println!("65,536 connections in {:?}", started.elapsed());
    Ok(())
}
