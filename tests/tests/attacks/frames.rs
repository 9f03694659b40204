//! Frames without end: pings, fragments, tiny messages; and text that is none.

use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::raw::{RawClient, Received, frame, frame_head};
use corecast_tests::server::TestServer;
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use eyre::{Result, WrapErr, bail, ensure, eyre};

#[test]
fn a_ping_flood_is_closed_with_1008() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    let mut client = RawClient::open(siege.address(), "/echo")?;
    client.send(&frame(0x89, b"").repeat(100_000))?;
    let (code, reason) = told(&mut client)?;
    ensure!(code == 1008 && reason.contains("control frames"), "{code} {reason:?}");
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_flood_of_pongs_is_closed_with_1008() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    let mut client = RawClient::open(siege.address(), "/echo")?;
    client.send(&frame(0x8a, &[b'x'; 125]).repeat(5_000))?;
    ensure!(told(&mut client)?.0 == 1008);
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn pongs_that_nobody_reads_do_not_pile_up() -> Result<()> {
    let pings = 1_000_000_u32;
    let config = "[connection]\ncontrol_frames_per_second_max = 4000000000\n";
    let siege = Siege::around(TestServer::start_with(config, ["--shards", "1"])?)?;
    let mut client = RawClient::open_small(siege.address(), "/echo", 4096)?;
    let mut grown = 0;
    for chunk in 0..pings / 1_000 {
        let mut bytes = Vec::new();
        for number in chunk * 1_000..(chunk + 1) * 1_000 {
            let mut payload = [b'x'; 125];
            payload[..4].copy_from_slice(&number.to_be_bytes());
            bytes.extend(frame(0x89, &payload));
        }
        client.send(&bytes)?;
        grown = grown.max(siege.grown_bytes()?);
    }
    // 127 bytes for each would be 127 MB.
    ensure!(grown <= 2 << 20, "unread pongs hold {grown} bytes");
    let (mut read, mut last) = (0, 0);
    while last + 1 < pings {
        let Received::Pong(payload) = client.receive()? else { bail!("no Pong") };
        let number = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
        ensure!(read == 0 || number > last, "Pong {number} after {last}");
        (read, last) = (read + 1, number);
    }
    println!("{read} of {pings} pings were answered, the last one among them; {grown} bytes");
    ensure!(read < pings, "more than one Pong waited at a time");
    drop(client);
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_message_of_endless_parts_is_closed() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    for (part_bytes, code, word) in [
        (0, 1008, "1024 fragments"),
        (1, 1008, "1024 fragments"),
        (63, 1008, "1024 fragments"),
        (65, 1009, "65536 bytes"),
        (4_000, 1009, "65536 bytes"),
    ] {
        let part = vec![b'x'; part_bytes];
        let mut client = RawClient::open(siege.address(), "/echo")?;
        client.send(&frame(0x01, &part))?;
        let more = frame(0x00, &part).repeat(256);
        // The server ends the connection long before the end of this; then sending fails.
        for _ in 0..4_000 {
            if client.send(&more).is_err() {
                break;
            }
        }
        let (told, reason) = told(&mut client).wrap_err_with(|| format!("{part_bytes} bytes"))?;
        ensure!(told == code && reason.contains(word), "{part_bytes}: {told} {reason:?}");
        let grown = siege.grown_bytes()?;
        ensure!(grown < 4 << 20, "{part_bytes}: the parts hold {grown} bytes");
    }
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_message_that_does_not_end_is_closed_at_its_deadline() -> Result<()> {
    let config = "[connection]\nmessage_timeout_ms = 1000\n";
    let siege = Siege::around(TestServer::start_with(config, ["--shards", "1"])?)?;
    let slow: [(&str, Vec<u8>, Vec<u8>); 3] = [
        ("fragments", frame(0x01, b"a"), frame(0x00, b"b")),
        ("a frame byte by byte", frame_head(0x82, 60_000), b"x".to_vec()),
        ("a header byte by byte", vec![0x82, 0xff], b"\0".to_vec()),
    ];
    for (name, first, more) in slow {
        let mut client = RawClient::open(siege.address(), "/echo")?;
        // The time between messages is the client's own.
        thread::sleep(Duration::from_millis(1_200));
        client.send(&first)?;
        let began = Instant::now();
        client.set_patience(Duration::from_millis(150));
        let (code, reason) = loop {
            ensure!(began.elapsed() < Duration::from_secs(6), "{name}: it goes on");
            match client.receive() {
                Ok(Received::Close(Some(closed))) => break closed,
                Ok(other) => bail!("{name}: {other:?}"),
                // Nothing yet. A header has no more than 14 bytes.
                Err(_) if name.starts_with("a header") => {}
                Err(_) => client.send(&more)?,
            }
        };
        let took = began.elapsed();
        ensure!(code == 1008, "{name}: {code} {reason:?}");
        ensure!(took >= Duration::from_millis(900), "{name}: closed after {took:?}");
        ensure!(took <= Duration::from_millis(3_000), "{name}: closed only after {took:?}");
    }
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn tiny_messages_at_line_rate_do_not_stall_others() -> Result<()> {
    for shards in ["1", "2"] {
        let siege = Siege::start(["--shards", shards])?;
        flood_with_tiny_messages(siege.address())?;
        // What is queued on the way counts: the shared limit is a few MiB.
        let report = siege.finish(2 * KEPT_BYTES_MAX)?;
        let (usual, longest) = (report.latency_p99, report.latency_max);
        // An executor that looks at its sockets only when nobody has work is at 100 ms.
        ensure!(usual < Duration::from_millis(80), "others waited for {usual:?}");
        ensure!(longest < Duration::from_secs(1), "others waited for {longest:?}");
    }
    Ok(())
}

fn flood_with_tiny_messages(server: SocketAddr) -> Result<()> {
    let stop = AtomicBool::new(false);
    let flood = frame(0x81, b"x").repeat(10_000);
    thread::scope(|scope| -> Result<()> {
        let mut floods = Vec::new();
        for target in ["/echo", "/ws/a", "/ws/a", "/ws/b", "/ws/b", "/ws/c", "/ws/d"] {
            let (flood, stop) = (&flood, &stop);
            let mut client = RawClient::open(server, target)?;
            let mut reader = client.stream().try_clone()?;
            scope.spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
            let flooding = scope.spawn(move || {
                // The server may end it, which ends the copy too.
                let mut ended = false;
                while !stop.load(Ordering::Relaxed) && !ended {
                    ended = client.send(flood).is_err();
                }
                let _ = client.stream().shutdown(Shutdown::Both);
                ended
            });
            floods.push((target, flooding));
        }
        thread::sleep(Duration::from_secs(3));
        stop.store(true, Ordering::Relaxed);
        for (target, flooding) in floods {
            let ended = flooding.join().map_err(|_| eyre!("a flood panicked"))?;
            // Who does not receive cannot be a slow reader: it is held back, not ended.
            let alone = ["/ws/c", "/ws/d"].contains(&target);
            ensure!(!(ended && alone), "the flood on {target} was ended");
        }
        Ok(())
    })
}

#[test]
fn text_that_is_no_utf8_is_closed_before_its_frame_ends() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    let bad: [&[u8]; 8] = [
        b"\x80",
        b"\xc0\xaf",
        b"\xe2\x28",
        b"\xed\xa0\x80",
        b"\xf0\x80\x80",
        b"\xf4\x90",
        b"\xf5",
        b"\xff",
    ];
    for bad in bad {
        let text = [("κό€𝄞".as_bytes()), bad].concat();
        for split in 0..text.len() {
            let (before, after) = text.split_at(split);
            let within = [frame_head(0x81, text.len() as u64 + 40), before.to_vec()].concat();
            // The second frame of the message also promises more than ever comes.
            let rest = [frame_head(0x80, after.len() as u64 + 40), after.to_vec()].concat();
            for (name, first, second) in
                [("a frame", within, after.to_vec()), ("a message", frame(0x01, before), rest)]
            {
                let told = in_two(&siege, &first, &second)
                    .wrap_err_with(|| format!("{name} with {bad:02x?}, split at {split}"))?;
                ensure!(told.0 == 1007, "{name} with {bad:02x?} split at {split}: {told:?}");
            }
        }
    }
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn text_that_ends_within_a_character_is_closed() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    for text in ["é", "€", "𝄞"] {
        for end in 1..text.len() {
            let cut = &text.as_bytes()[..end];
            ensure!(in_two(&siege, &frame(0x81, cut), b"")?.0 == 1007, "{cut:02x?}");
            ensure!(in_two(&siege, &frame(0x01, cut), &frame(0x80, b""))?.0 == 1007, "{cut:02x?}");
        }
    }
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

/// Sends it in two packets, and reads the Close.
fn in_two(siege: &Siege, first: &[u8], second: &[u8]) -> Result<(u16, String)> {
    let mut client = RawClient::open(siege.address(), "/echo")?;
    client.send(first)?;
    thread::sleep(Duration::from_millis(2));
    client.send(second)?;
    client.expect_close()
}

/// The Close frame, however the connection ends behind it.
fn told(client: &mut RawClient) -> Result<(u16, String)> {
    loop {
        match client.receive()? {
            Received::Close(Some(closed)) => return Ok(closed),
            Received::Pong(_) => {}
            other => bail!("{other:?} instead of a Close frame"),
        }
    }
}
