//! A service manager kills what is alive, or leaves alone what is not.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};
use std::{env, fs};

use corecast_tests::feed::FeedClient;
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, bail, ensure};
use rustix::process::Signal;

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    path: std::path::PathBuf,
}

impl Manager {
    fn new(name: &str) -> Result<Self> {
        let path = env::temp_dir().join(format!("corecast-{}-{name}.notify", std::process::id()));
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { socket, path })
    }

    /// The next message that has a line with this beginning.
    fn wait_for(&self, beginning: &str) -> Result<Vec<String>> {
        let until = Instant::now() + Duration::from_secs(10);
        let mut seen = Vec::new();
        while Instant::now() < until {
            let mut bytes = [0; 4_096];
            let length = self.socket.recv(&mut bytes)?;
            let text = String::from_utf8(bytes[..length].to_vec())?;
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if lines.iter().any(|line| line.starts_with(beginning)) {
                return Ok(lines);
            }
            seen.push(text);
        }
        bail!("no {beginning} within 10 s, but {seen:?}")
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[test]
fn it_hears_of_the_start_of_reloads_of_connections_of_life_and_of_the_end() -> Result<()> {
    let manager = Manager::new("all")?;
    let launch = launch()?
        .args(["serve", "--listen", "127.0.0.1:0", "--shards", "2"])
        .env("NOTIFY_SOCKET", &manager.path)
        .env("WATCHDOG_USEC", "2000000");
    let mut server = TestServer::launch(&launch)?;
    let ready = manager.wait_for("READY=1")?;
    ensure!(ready.iter().any(|line| line == "STATUS=0 connections, 0 KiB queued"), "{ready:?}");
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1")?;
    }
    let mut client = FeedClient::open(server.address())?;
    manager.wait_for("STATUS=1 connections")?;
    server.process().signal(Signal::HUP)?;
    let reloading = manager.wait_for("RELOADING=1")?;
    ensure!(reloading.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading:?}");
    manager.wait_for("READY=1")?;
    server.begin_stop()?;
    let stopping = manager.wait_for("STOPPING=1")?;
    ensure!(stopping.iter().any(|line| line == "EXTEND_TIMEOUT_USEC=20000000"), "{stopping:?}");
    // The client does not answer the Close: the drain lasts, and pings with it.
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1")?;
    }
    client.expect("going_away")?;
    drop(client);
    server.ended()?;
    Ok(())
}

#[test]
fn a_program_that_stands_still_sends_no_pings() -> Result<()> {
    let manager = Manager::new("still")?;
    let launch = launch()?
        .args(["serve", "--listen", "127.0.0.1:0", "--shards", "1"])
        .env("NOTIFY_SOCKET", &manager.path)
        .env("WATCHDOG_USEC", "400000");
    let mut server = TestServer::launch(&launch)?;
    manager.wait_for("WATCHDOG=1")?;
    server.process().signal(Signal::STOP)?;
    std::thread::sleep(Duration::from_millis(300));
    manager.socket.set_nonblocking(true)?;
    while manager.socket.recv(&mut [0; 4_096]).is_ok() {}
    std::thread::sleep(Duration::from_secs(1));
    let silence = manager.socket.recv(&mut [0; 4_096]);
    ensure!(silence.is_err(), "it says something while it stands still");
    server.process().signal(Signal::CONT)?;
    manager.socket.set_nonblocking(false)?;
    manager.wait_for("WATCHDOG=1")?;
    server.begin_stop()?;
    server.ended()?;
    Ok(())
}
