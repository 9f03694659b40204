//! A peer that vanishes without a FIN: server and clients have a network each, and the cable
//! between them is pulled.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::raw::{RawClient, frame};
use corecast_tests::server::{TestServer, launch};
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use corecast_tests::skip;
use eyre::{Result, WrapErr, ensure, eyre};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// What the sweep and a busy machine may add.
const LATE_MAX: Duration = Duration::from_secs(2);
const CLIENTS: usize = 20;

#[test]
fn half_open_connections_are_gone_after_ping_and_pong() -> Result<()> {
    let Some(networks) = Networks::make("idle")? else { return Ok(()) };
    let (siege, clients) = networks.siege("/ws/quiet")?;
    networks.pull_the_cable()?;
    expect_gone(&siege, Duration::from_secs(2))?;
    drop(clients);
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn half_open_subscribers_are_gone_although_data_waits_for_them() -> Result<()> {
    let Some(networks) = Networks::make("busy")? else { return Ok(()) };
    let (siege, clients) = networks.siege("/ws/busy")?;
    let mut publisher = RawClient::open(siege.address(), "/ws/busy")?;
    networks.pull_the_cable()?;
    let publishing = thread::spawn(move || {
        for _ in 0..300 {
            publisher.send(&frame(0x82, &[7; 1000]))?;
            thread::sleep(Duration::from_millis(5));
        }
        publisher.send(&frame(0x88, &1000_u16.to_be_bytes()))?;
        publisher.expect_close()
    });
    // The publisher ends before the deadline has passed for the others.
    expect_gone(&siege, Duration::from_secs(2))?;
    publishing.join().map_err(|_| eyre!("the publisher panicked"))??;
    drop(clients);
    siege.finish(2 * KEPT_BYTES_MAX)?;
    Ok(())
}

fn expect_gone(siege: &Siege, deadline: Duration) -> Result<()> {
    let pulled = Instant::now();
    let before = siege.usage()?.fds;
    ensure!(before >= siege.at_rest().fds + CLIENTS as u64, "the clients are connected");
    siege.wait_until_rid(deadline + LATE_MAX)?;
    let took = pulled.elapsed();
    println!("{CLIENTS} half-open connections were gone after {took:?}");
    ensure!(took >= deadline / 2, "not because nobody answered: {took:?}");
    Ok(())
}

/// Two network namespaces with a cable between them.
struct Networks {
    server: String,
    clients: String,
}

impl Networks {
    /// None where this user or kernel cannot make them.
    fn make(name: &str) -> Result<Option<Self>> {
        let id = std::process::id();
        let (server, clients) = (format!("cc-{name}-{id}-s"), format!("cc-{name}-{id}-c"));
        let this = Self { server, clients };
        match this.wire_up() {
            Ok(()) => Ok(Some(this)),
            Err(error) => {
                let reason = format!("no network namespaces here (they need root): {error:#}");
                skip(&reason).map(|()| None)
            }
        }
    }

    fn wire_up(&self) -> Result<()> {
        let (server, clients) = (self.server.as_str(), self.clients.as_str());
        ip(&["netns", "add", server])?;
        ip(&["netns", "add", clients])?;
        let peer = ["peer", "name", "eth0", "netns", clients];
        let cable = ["link", "add", "eth0", "netns", server, "type", "veth"];
        ip(&[&cable[..], &peer[..]].concat())?;
        for (space, address) in [(server, "10.0.0.1/24"), (clients, "10.0.0.2/24")] {
            ip(&["-n", space, "address", "add", address, "dev", "eth0"])?;
            ip(&["-n", space, "link", "set", "lo", "up"])?;
            ip(&["-n", space, "link", "set", "eth0", "up"])?;
        }
        Ok(())
    }

    /// A server in the one network, with its control, and clients in the other.
    fn siege(&self, target: &'static str) -> Result<(Siege, Vec<RawClient>)> {
        enter(&self.server)?;
        let server = "10.0.0.1:9001".parse()?;
        let launch = launch()?
            .args(["serve", "--echo", "--listen", "10.0.0.1:9001", "--shards", "1"])
            .args(["--ping-interval", "1s", "--config"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attacks/impatient.toml"))
            .ready_when_accepting(server);
        let siege = Siege::around(TestServer::launch(&launch)?)?;
        let space = self.clients.clone();
        let connecting = thread::spawn(move || -> Result<Vec<RawClient>> {
            enter(&space)?;
            (0..CLIENTS).map(|_| RawClient::open(server, target)).collect()
        });
        let clients = connecting.join().map_err(|_| eyre!("connecting panicked"))??;
        Ok((siege, clients))
    }

    fn pull_the_cable(&self) -> Result<()> {
        ip(&["-n", &self.clients, "link", "set", "eth0", "down"])
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        // The cable goes with them.
        for space in [&self.server, &self.clients] {
            let _ = ip(&["netns", "delete", space]);
        }
    }
}

/// Moves this thread, and what it starts from now on, into a network.
fn enter(space: &str) -> Result<()> {
    let file = File::open(format!("/run/netns/{space}"))?;
    Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?)
}

fn ip(words: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(words).output().wrap_err("cannot run ip (iproute2)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {}", words.join(" "), said.trim());
    Ok(())
}
