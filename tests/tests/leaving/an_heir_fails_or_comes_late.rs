//! A process that is to take over fails before it serves, or meets one that leaves already: who was
//! connected, or wanted to be, is to notice nothing.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::feed::{FeedClient, Heard};
use corecast_tests::gateway::{address_of, post};
use corecast_tests::raw::RawClient;
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use rustix::process::Signal;

use crate::an_upgrade_refuses_or_loses::{CONFIG, TOPIC, socket, start};

const WITHIN: Duration = Duration::from_secs(20);

/// What the two processes say to each other, as far as an heir without scruples needs it.
const HELLO: u8 = 1;
const REFUSED: u8 = 2;
const LISTENERS: u8 = 3;
const TAKE: u8 = 4;
const END: u8 = 8;
const SERVING: u8 = 9;
const YOURS: u8 = 10;
const VERSION: u16 = 3;

/// One that says what it likes.
struct FakeHeir(UnixStream);

impl FakeHeir {
    fn meet(path: &Path, version: u16) -> Result<(Self, u8)> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(WITHIN))?;
        let mut heir = Self(stream);
        heir.say(HELLO, &[&b"corecast takes over"[..], &version.to_le_bytes()].concat())?;
        let (kind, body) = heir.hear()?;
        if kind == LISTENERS {
            // A byte comes with each 64 descriptors, which are dropped.
            heir.0.read_exact(&mut vec![0; body.len().div_ceil(64)])?;
        }
        Ok((heir, kind))
    }

    fn say(&mut self, kind: u8, body: &[u8]) -> Result<()> {
        let mut bytes = vec![kind];
        bytes.extend(u32::try_from(body.len())?.to_le_bytes());
        bytes.extend(body);
        Ok(self.0.write_all(&bytes)?)
    }

    fn hear(&mut self) -> Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        self.0.read_exact(&mut body)?;
        Ok((kind, body))
    }

    fn hear_until(&mut self, wanted: u8) -> Result<()> {
        loop {
            let (kind, body) = self.hear()?;
            if kind == wanted {
                return Ok(());
            }
            ensure!(kind != REFUSED, "{}", String::from_utf8_lossy(&body));
        }
    }
}

fn wait_for_line(server: &TestServer, wanted: &str, count: usize) -> Result<()> {
    let until = Instant::now() + WITHIN;
    while server.process().output().matches(wanted).count() < count {
        ensure!(Instant::now() < until, "no {wanted:?}: {}", server.process().output());
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Connects again and again, and gives how often: each gets its answer.
fn connect_again_and_again(address: SocketAddr, stop: &AtomicBool) -> Result<u32> {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        RawClient::open(address, "/echo").wrap_err("refused or reset")?;
        count += 1;
    }
    Ok(count)
}

#[test]
fn an_heir_that_dies_costs_nobody_anything() -> Result<()> {
    let path = socket("dies");
    let server = start(&path, &["--shards", "2"])?;
    let admin = address_of(&server, "admin on http://")?;
    let mut client = FeedClient::open(server.address())?;
    client.subscribe(&[TOPIC])?;
    // It hangs up when it has the listeners, when it is to read topics, and when it has them all.
    for (round, (version, reads)) in
        [(99, false), (VERSION, false), (VERSION, true)].into_iter().enumerate()
    {
        let (mut heir, answer) = FakeHeir::meet(&path, version)?;
        ensure!(answer == if version == VERSION { LISTENERS } else { REFUSED }, "{answer}");
        if version == VERSION {
            heir.say(TAKE, &[])?;
        }
        if reads {
            heir.hear_until(END)?;
        }
        drop(heir);
        // It waits in the queue, if need be.
        let mut late = FeedClient::open(server.address())?;
        late.subscribe(&[TOPIC])?;
        wait_for_line(&server, "the other process has failed: going on", round)?;
        let answer = post(admin, "/publish?topic=trade.X", "1")?;
        ensure!(answer.status == 200, "{answer:?}");
        ensure!(answer.body["seq"] == round + 1, "{answer:?}");
        late.skip_to("message")?;
        client.skip_to("message")?;
    }
    drop(client);
    server.stop()
}

#[test]
fn an_heir_that_cannot_start_leaves_the_listeners_as_they_are() -> Result<()> {
    let path = socket("short");
    let mut server = start(&path, &["--shards", "2"])?;
    let (address, admin) = (server.address(), address_of(&server, "admin on http://")?);
    let mut client = FeedClient::open(address)?;
    client.subscribe(&[TOPIC])?;
    let stop = Arc::new(AtomicBool::new(false));
    let strangers = thread::spawn({
        let stop = Arc::clone(&stop);
        move || connect_again_and_again(address, &stop)
    });
    let file = std::env::temp_dir().join(format!("corecast-{}-short.toml", std::process::id()));
    std::fs::write(&file, format!("[take_over]\nunix = {path:?}\n{CONFIG}"))?;
    let (mut failures, mut published) = (0, 0);
    // Whatever it lacks a descriptor for: its first shard, a later one, the control thread, a port.
    for nofile in NOFILE {
        let launch = launch()?
            .args(["serve", "--echo", "--listen=127.0.0.1:0", "--shards=4", "--take-over"])
            .args(["--admin=127.0.0.1:0", "--ingest-tcp=127.0.0.1:0", "--config"])
            .arg(&file)
            .wrapped_by(["prlimit", &format!("--nofile={nofile}:{nofile}"), "--"])
            .ready_at_once();
        let mut heir = launch.start()?;
        let status = heir.wait(WITHIN)?;
        ensure!(!status.success(), "{nofile} were enough: {}", heir.output());
        // Who is answered here comes behind it.
        let answer = post(admin, "/publish?topic=trade.X", "1")?;
        let has_failed = "the other process has failed: going on";
        failures = server.process().output().matches(has_failed).count().max(failures);
        published += 1;
        ensure!(answer.body["seq"] == published, "{nofile}: {answer:?}");
        client.skip_to("message").wrap_err_with(|| format!("{nofile}"))?;
    }
    ensure!(failures >= 3, "{failures} of them have met it");
    stop.store(true, Ordering::Relaxed);
    let connected = strangers.join().map_err(|_| eyre!("the strangers panicked"))??;
    println!("{failures} heirs have failed; {connected} others connected meanwhile");
    // The last one gets what all others wanted.
    let heir = start(&path, &["--shards", "4", "--take-over"])?;
    ensure!(post(admin, "/publish?topic=trade.X", "1")?.body["seq"] == published + 1);
    drop(client);
    server.ended()?;
    std::fs::remove_file(&file)?;
    heir.stop()
}

/// Descriptors that the heir may have.
const NOFILE: [u32; 6] = [16, 24, 32, 40, 48, 56];

#[test]
fn an_heir_that_meets_a_process_that_leaves_is_told_at_once() -> Result<()> {
    let path = socket("leaves");
    let mut server = start(&path, &["--shards=1", "--drain=60s"])?;
    // It does not answer the Close.
    let silent = RawClient::open(server.address(), "/echo")?;
    server.begin_stop()?;
    wait_for_line(&server, "ending in order", 1)?;
    let failed = start(&path, &["--shards=1", "--take-over"]).expect_err("it cannot take over");
    let failed = format!("{failed:?}");
    ensure!(failed.contains("it is leaving: start again when it has ended"), "{failed}");
    ensure!(path.exists(), "the socket's file is that of the process that leaves");
    drop(silent);
    server.ended()?;
    ensure!(!path.exists(), "it is taken away");
    Ok(())
}

#[test]
fn who_says_nothing_is_not_waited_for_long() -> Result<()> {
    let path = socket("silent");
    let mut server = start(&path, &["--shards", "1"])?;
    let _silent = UnixStream::connect(&path)?;
    wait_for_line(&server, "somebody wanted to take over, and does not", 1)?;
    // Nor one who has the listeners.
    let (_heir, answer) = FakeHeir::meet(&path, VERSION)?;
    ensure!(answer == LISTENERS, "{answer}");
    let begun = Instant::now();
    server.begin_stop()?;
    server.ended()?;
    // Of the 20 seconds that an heir has who has said what it wants, a fraction.
    ensure!(begun.elapsed() < WITHIN / 2, "it took {:?}", begun.elapsed());
    Ok(())
}

#[test]
fn a_signal_just_behind_the_hand_over_still_says_come_back() -> Result<()> {
    let path = socket("signal");
    let mut server = start(&path, &["--shards", "2"])?;
    let mut client = FeedClient::open(server.address())?;
    let (mut heir, _) = FakeHeir::meet(&path, VERSION)?;
    heir.say(TAKE, &[])?;
    heir.hear_until(END)?;
    server.process().signal(Signal::TERM)?;
    wait_for_line(&server, "ending in order", 1)?;
    heir.say(SERVING, &[0])?;
    heir.hear_until(YOURS)?;
    client.skip_to("going_away")?;
    let Heard::Closed(code, reason) = client.hear()? else { bail!("no Close") };
    ensure!((code, &*reason) == (1012, "the server restarts: come back"), "{code} {reason}");
    drop(client);
    server.ended()?;
    Ok(())
}
