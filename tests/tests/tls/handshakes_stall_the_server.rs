//! Half a hello, garbage, resets and floods: others do not notice, and nothing is left behind.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::raw::RawClient;
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use eyre::{Result, ensure};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::client::{Client, WITHIN};
use crate::files::Authority;
use crate::server::{start, start_whole};

fn hello(authority: &Authority) -> Result<Vec<u8>> {
    let config = Arc::new(authority.client()?);
    let mut bytes = Vec::new();
    ClientConnection::new(config, ServerName::try_from("localhost")?)?.write_tls(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn a_handshake_that_is_not_ended_ends_at_its_deadline() -> Result<()> {
    let authority = Authority::new("deadline")?;
    let table = authority.sign("one", &["localhost"])?.table();
    let (server, address) = start(&format!("handshake_timeout_ms = 500\n{table}"), "")?;
    let hello = hello(&authority)?;
    let begun = Instant::now();
    let mut clients = Vec::new();
    for part in [0, 1, 5, hello.len() / 2, hello.len() - 1, hello.len()] {
        let mut client = RawClient::connect(address)?;
        client.send(&hello[..part])?;
        clients.push(client);
    }
    for mut client in clients {
        client.read_to_end()?;
        let took = begun.elapsed();
        // The deadline of the opening handshake would be 10 s.
        ensure!(took >= Duration::from_millis(500) && took < Duration::from_secs(9), "{took:?}");
    }
    server.wait_until_idle(WITHIN)?;
    server.stop()
}

#[test]
fn who_says_nothing_keeps_others_out() -> Result<()> {
    let authority = Authority::new("places")?;
    let table = authority.sign("one", &["localhost"])?.table();
    // Longer than anybody waits here.
    let (server, address) = start_whole(&format!(
        "shards = 1\n[tls]\nlisten = \"127.0.0.1:0\"\nhandshakes_max = 4\n\
         handshake_timeout_ms = 100000\n{table}"
    ))?;
    let hello = hello(&authority)?;
    let mut silent = Vec::new();
    for part in [5, hello.len() / 2, hello.len(), hello.len()] {
        let mut client = RawClient::connect(address)?;
        client.send(&hello[..part])?;
        silent.push(client);
    }
    // Nobody waits for the last two, but they were answered.
    for client in &mut silent[2..] {
        client.read_bytes(1)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let config = Arc::new(authority.client()?);
    for _ in 0..3 {
        runtime.block_on(async {
            let mut client = Client::open(address, "localhost", "/echo", &config).await?;
            client.echo(b"there").await
        })?;
    }
    // One place was enough for them: that of who had it the longest.
    silent.remove(0).expect_end()?;
    drop(silent);
    server.stop()
}

#[test]
fn garbage_resets_and_halves_leave_nothing_behind() -> Result<()> {
    let authority = Authority::new("garbage")?;
    let table = authority.sign("one", &["localhost"])?.table();
    let (server, address) = start(&format!("handshake_timeout_ms = 2000\n{table}"), "")?;
    let siege = Siege::around(server)?;
    let hello = hello(&authority)?;
    let mut seed = 7_u64;
    for round in 0..300 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut bytes = hello.clone();
        let place = (seed >> 33) as usize % bytes.len();
        match round % 5 {
            0 => bytes[place] ^= 1 << (seed >> 20 & 7),
            1 => bytes.truncate(place),
            2 => bytes = (0..place).map(|n| (seed >> (n % 56)) as u8).collect(),
            3 => bytes = [&[22, 3, 3, 0xff, 0xff][..], &vec![1; 30_000]].concat(),
            _ => bytes.extend_from_within(..place),
        }
        let mut client = RawClient::connect(address)?;
        // It may have ended the connection already.
        let _ = client.send(&bytes);
        if round % 2 == 0 {
            let _ = client.reset();
        }
    }
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_flood_of_hellos_harms_nobody() -> Result<()> {
    let authority = Authority::new("flood")?;
    let table = authority.sign("one", &["localhost"])?.table();
    let tls = format!("handshakes_max = 64\nhandshake_timeout_ms = 1000\n{table}");
    let (server, address) = start(&tls, "")?;
    let siege = Siege::around(server)?;
    let hello = Arc::new(hello(&authority)?);
    let (stop, shaken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (hello, stop, shaken) =
                (Arc::clone(&hello), Arc::clone(&stop), Arc::clone(&shaken));
            thread::spawn(move || flood(address, &hello, &stop, &shaken))
        })
        .collect();
    let begun = Instant::now();
    while shaken.load(Ordering::Relaxed) <= 100 && begun.elapsed() < WITHIN {
        thread::sleep(Duration::from_millis(10));
    }
    // In the middle of it, who means it still comes in.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let config = Arc::new(authority.client()?);
    let came_in = runtime.block_on(async {
        let mut client = Client::open(address, "localhost", "/echo", &config).await?;
        client.echo(b"there").await
    });
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        let _ = thread.join();
    }
    let shaken = shaken.load(Ordering::Relaxed);
    println!("{shaken} hellos were answered");
    ensure!(shaken > 100, "that is no flood: {shaken}");
    came_in?;
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

/// Hellos, one after the other, each dropped when it is answered.
fn flood(server: SocketAddr, hello: &[u8], stop: &AtomicBool, shaken: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut socket) = TcpStream::connect(server) else { continue };
        let _ = socket.set_read_timeout(Some(Duration::from_secs(2)));
        if socket.write_all(hello).is_ok()
            && socket.read(&mut [0; 4_096]).is_ok_and(|count| count > 0)
        {
            shaken.fetch_add(1, Ordering::Relaxed);
        }
    }
}
