//! Replays of what is not a whole file on a disk, to outboxes that hold little.

#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use corecast_bench::swarm::{End, Plan, Swarm};
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, ensure, eyre};

const WITHIN: Duration = Duration::from_secs(20);

/// A file of its own, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("corecast-replay-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn line(at_ms: u64, data: &str) -> String {
    let at_ns = 1_700_000_000_000_000_000 + at_ms * 1_000_000;
    format!("{at_ns} {{\"stream\":\"a@trade\",\"data\":{data}}}\n")
}

fn replay(place: &Place, options: &[&str]) -> Result<TestServer> {
    let file = place.0.to_str().ok_or_else(|| eyre!("UTF-8"))?;
    let server = launch()?.args(["replay", file, "--listen", "127.0.0.1:0", "--shards", "1"]);
    TestServer::launch(&server.args(options))
}

/// Polls until so many messages have come.
fn hear(swarm: &mut Swarm, count: usize) -> Result<Vec<String>> {
    let (mut heard, until) = (Vec::new(), Instant::now() + WITHIN);
    while heard.len() < count {
        ensure!(Instant::now() < until, "{heard:?} instead of {count} messages");
        swarm.poll(Duration::from_millis(50), &mut |delivery| {
            heard.push(String::from_utf8_lossy(delivery.payload).into_owned());
        })?;
    }
    Ok(heard)
}

#[test]
fn a_line_of_a_pipe_is_sent_when_it_is_due_not_when_the_next_one_comes() -> Result<()> {
    let place = Place::new("pipe");
    ensure!(std::process::Command::new("mkfifo").arg(&place.0).status()?.success(), "no mkfifo");
    let path = place.0.clone();
    // To open it waits for its reader.
    let writer = std::thread::spawn(move || -> std::io::Result<std::fs::File> {
        let mut pipe = std::fs::OpenOptions::new().write(true).open(path)?;
        pipe.write_all(line(0, "1").as_bytes())?;
        Ok(pipe)
    });
    let mut server = replay(&place, &["--wait-clients", "1", "--skip-bad"])?;
    let mut pipe = writer.join().map_err(|_| eyre!("the writer panicked"))??;
    let mut swarm = Swarm::new(server.address())?;
    swarm.open(&Plan::reader("/ws/trade.A"))?;
    assert_eq!(hear(&mut swarm, 1)?, [r#"{"stream":"a@trade","data":1}"#]);
    // Two that come together, a bad line behind them, and half of another.
    let two = [line(20, "2"), line(40, "3")].concat();
    pipe.write_all(format!("{two}nonsense\n170000").as_bytes())?;
    let data = |text: &String| text.contains(r#""data":2}"#) || text.contains(r#""data":3}"#);
    assert!(hear(&mut swarm, 2)?.iter().all(data));
    pipe.write_all(line(60, "4").trim_start_matches("170000").as_bytes())?;
    drop(pipe);
    assert_eq!(hear(&mut swarm, 1)?, [r#"{"stream":"a@trade","data":4}"#]);
    server.ended()?;
    Ok(())
}

#[test]
fn at_full_speed_nobody_is_cut_whose_outbox_is_small() -> Result<()> {
    const MESSAGES: usize = 5_000;
    const READERS: usize = 10;
    let place = Place::new("small");
    let mut text = String::new();
    for number in 0..MESSAGES {
        let data = format!("{{\"n\":{number},\"pad\":\"{}\"}}", "x".repeat(250));
        write!(text, "{}", line(number as u64, &data))?;
    }
    std::fs::write(&place.0, text)?;
    // Less than what is published together where outboxes are as large as usual.
    let options = ["--speed", "max", "--outbox-bytes-max", "16384", "--wait-clients", "10"];
    let mut server = replay(&place, &options)?;
    let mut swarm = Swarm::new(server.address())?;
    for _ in 0..READERS {
        swarm.open(&Plan::reader("/ws/trade.A"))?;
    }
    let (mut heard, until) = (vec![0; READERS], Instant::now() + WITHIN);
    while swarm.live() > 0 {
        ensure!(Instant::now() < until, "{heard:?} of {MESSAGES}");
        swarm.poll(Duration::from_millis(50), &mut |delivery| heard[delivery.connection] += 1)?;
    }
    for (reader, count) in heard.iter().enumerate() {
        let end = swarm.end(reader);
        ensure!(*count == MESSAGES, "{reader}: {count} of {MESSAGES} messages, then {end:?}");
        ensure!(matches!(end, Some(End::Closed { code: Some(1001), .. })), "{reader}: {end:?}");
    }
    server.ended()?;
    Ok(())
}
