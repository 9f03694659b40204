//! SIGHUP: other bounds, exemptions and trust hold for who comes from then on.

use std::time::{Duration, Instant};
use std::{env, fs, thread};

use corecast_tests::server::{TestServer, launch};
use eyre::{Result, ensure};
use rustix::process::Signal;

use crate::{let_in, too_many};

#[test]
fn bounds_and_trust_are_reloaded_and_who_is_in_stays() -> Result<()> {
    let path = env::temp_dir().join(format!("corecast-limits-{}.toml", std::process::id()));
    let from = "127.0.0.2";
    fs::write(&path, "[address]\nexempt = []\nconnections_max = 3\n")?;
    let launch = launch()?.args(["serve", "--echo", "--listen", "127.0.0.1:0", "--shards", "2"]);
    let server = TestServer::launch(&launch.arg("--config").arg(&path))?;
    let address = server.address();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(let_in(from, address, b"", "")?);
    }
    too_many(from, address, b"", "")?;

    fs::write(&path, "[address]\nexempt = []\nconnections_max = 4\n")?;
    hang_up(&server, "key=address.connections_max")?;
    held.push(let_in(from, address, b"", "")?);
    too_many(from, address, b"", "")?;

    fs::write(&path, "[address]\nexempt = [\"127.0.0.2\"]\nconnections_max = 1\n")?;
    hang_up(&server, "key=address.exempt")?;
    for _ in 0..10 {
        held.push(let_in(from, address, b"", "")?);
    }

    let proxy = "[proxy]\nheader = \"x-forwarded-for\"\ntrusted = [\"127.0.0.2\"]\n";
    fs::write(&path, format!("[address]\nexempt = []\nconnections_max = 1\n{proxy}"))?;
    hang_up(&server, "key=proxy.trusted")?;
    held.push(let_in(from, address, b"", "X-Forwarded-For: 192.0.2.1\r\n")?);
    too_many(from, address, b"", "X-Forwarded-For: 192.0.2.1\r\n")?;

    // All that are in leave, those of before included: nothing is counted twice.
    drop(held);
    server.wait_until_idle(Duration::from_secs(12))?;
    held = vec![let_in(from, address, b"", "X-Forwarded-For: 192.0.2.1\r\n")?];
    drop(held);
    fs::remove_file(&path)?;
    server.stop()
}

/// Sends SIGHUP, and waits for a line with this word behind what was said before.
fn hang_up(server: &TestServer, word: &str) -> Result<()> {
    let before = server.process().output().lines().count();
    server.process().signal(Signal::HUP)?;
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let output = server.process().output();
        let line = output.lines().skip(before).find(|line| line.contains(word));
        if let Some(line) = line {
            ensure!(line.contains("setting applied"), "{line}");
            // The shards are told within a turn.
            thread::sleep(Duration::from_millis(200));
            return Ok(());
        }
        ensure!(Instant::now() < until, "no {word} in {output}");
        thread::sleep(Duration::from_millis(10));
    }
}
