//! One address connects as fast as it can: it gets its share, and others notice nothing.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::raw::RawClient;
use corecast_tests::server::{TestServer, launch};
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use corecast_tests::skip;
use eyre::{Result, ensure, eyre};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{ask, ip, let_in, request, too_many};

/// The control comes from addresses of the first network.
const BOUNDED: &str = "[address]\nexempt = [\"127.0.0.0/24\"]\nconnections_max = 20\n\
                       handshakes_per_second_max = 50\nhandshakes_burst = 100\n";

#[test]
fn a_flood_of_upgrades_from_one_address_costs_others_nothing() -> Result<()> {
    const FOR: Duration = Duration::from_secs(3);
    let siege = Siege::around(TestServer::start_with(BOUNDED, ["--shards", "2"])?)?;
    let server = siege.address();
    let flooding: Vec<_> = (0..2).map(|_| thread::spawn(move || flood(server, FOR))).collect();
    let mut waits = Vec::new();
    let began = Instant::now();
    while began.elapsed() < FOR {
        let connecting = Instant::now();
        // Others come all the while, from addresses of their own.
        let from = format!("127.0.1.{}", waits.len() % 200 + 1);
        let mut other = let_in(&from, server, b"", "")?;
        waits.push(connecting.elapsed());
        other.send(&corecast_tests::raw::frame(0x88, &1000_u16.to_be_bytes()))?;
        other.expect_close()?;
        thread::sleep(Duration::from_millis(5));
    }
    let mut flood = Flood::default();
    for one in flooding {
        flood.add(one.join().map_err(|_| eyre!("the flood panicked"))??);
    }
    waits.sort();
    let p99 = waits[waits.len() * 99 / 100];
    println!("{flood:?}; {} others let in, p99 {p99:?}", waits.len());
    ensure!(flood.most_open <= 20, "{flood:?}");
    ensure!(flood.refused > 10 * flood.open, "it was a flood, and it was refused: {flood:?}");
    // Each read why: none was reset before.
    ensure!(flood.cut_off == 0, "{flood:?}");
    // With nobody in, the address may come again as its bucket allows.
    thread::sleep(Duration::from_secs(1));
    drop(let_in("127.0.9.2", server, b"", "")?);
    let said = siege.server().process().output();
    let lines = said.lines().filter(|line| line.contains("127.0.9.2")).count();
    ensure!((1..=2).contains(&lines), "one line a minute for each shard's bound: {lines}\n{said}");
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn connections_of_one_address_are_counted_over_all_shards() -> Result<()> {
    let siege = Siege::around(TestServer::start_with(BOUNDED, ["--shards", "4"])?)?;
    let server = siege.address();
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(let_in("127.0.9.2", server, b"", "")?);
    }
    for _ in 0..20 {
        too_many("127.0.9.2", server, b"", "")?;
    }
    // Refused before a byte is read: who says nothing is refused as well.
    let mut silent = RawClient::connect_from(ip("127.0.9.2"), server)?;
    ensure!(silent.read_head()?.status == 429, "nothing had to be asked for");
    held.push(let_in("127.0.9.3", server, b"", "")?);
    held.remove(0);
    let began = Instant::now();
    let (next, _) = loop {
        let (client, head) = ask("127.0.9.2", server, b"", "")?;
        if head.status == 101 {
            break (client, head);
        }
        ensure!(began.elapsed() < Duration::from_secs(5), "the place of who has left stays taken");
        thread::sleep(Duration::from_millis(20));
    };
    held.push(next);
    too_many("127.0.9.2", server, b"", "")?;
    drop(held);
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn who_is_refused_with_a_long_request_is_reset() -> Result<()> {
    let config = "[address]\nexempt = []\nconnections_max = 1\n";
    let server = TestServer::start_with(config, ["--shards", "1"])?;
    let held = let_in("127.0.0.1", server.address(), b"", "")?;
    let before = server.usage()?.fds;
    let mut refused = RawClient::connect(server.address())?;
    refused.send(&request(&format!("X-Long: {}\r\n", "x".repeat(7_000)))?)?;
    ensure!(refused.read_head()?.status == 429, "let in");
    let began = Instant::now();
    while server.usage()?.fds > before {
        ensure!(began.elapsed() < Duration::from_secs(20), "its socket stays open");
        thread::sleep(Duration::from_millis(20));
    }
    let error = refused.stream().take_error()?;
    ensure!(error.is_none(), "closed with bytes unread: {error:?}");
    drop(held);
    server.stop()
}

#[test]
fn a_whole_64_has_the_budget_of_one_address() -> Result<()> {
    let Some(network) = Network::make()? else { return Ok(()) };
    let name = network.0.clone();
    let tested = thread::spawn(move || -> Result<()> {
        let file = File::open(format!("/run/netns/{name}"))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        let config = std::env::temp_dir().join(format!("{name}.toml"));
        std::fs::write(&config, BOUNDED)?;
        let address: SocketAddr = "[::]:9001".parse()?;
        let launch = launch()?.args(["serve", "--echo", "--shards", "2", "--listen", "[::]:9001"]);
        let launch = launch.arg("--config").arg(&config);
        let server = TestServer::launch(&launch.ready_when_accepting(address))?;
        std::fs::remove_file(&config)?;
        let target = "[2001:db8::1]:9001".parse()?;
        let from = |n: u32| format!("2001:db8::1:{n:x}");
        let mut held = Vec::new();
        for n in 0..20 {
            held.push(let_in(&from(n), target, b"", "")?);
        }
        for n in 20..30 {
            too_many(&from(n), target, b"", "")?;
        }
        held.push(let_in("2001:db8:0:1::1", target, b"", "")?);
        // One socket takes both: mapped addresses are those of IPv4, each for itself.
        for n in 1..30 {
            held.push(let_in(&format!("127.0.2.{n}"), "127.0.0.1:9001".parse()?, b"", "")?);
        }
        drop(held);
        server.stop()
    });
    tested.join().map_err(|_| eyre!("the test panicked"))?
}

/// A network of its own with many addresses on its loopback.
struct Network(String);

impl Network {
    fn make() -> Result<Option<Self>> {
        let this = Self(format!("corecast-64-{}", std::process::id()));
        if !run(&["netns", "add", &this.0])? {
            skip("no network namespaces here (they need root and iproute2)")?;
            return Ok(None);
        }
        let inside = |words: &[&str]| run(&[&["-n", this.0.as_str()][..], words].concat());
        let is_up = inside(&["link", "set", "lo", "up"])?;
        let addresses = (0..30).map(|n| format!("2001:db8::1:{n:x}"));
        let others = ["2001:db8::1", "2001:db8:0:1::1"].map(str::to_owned);
        for address in addresses.chain(others) {
            let words = ["address", "add", &format!("{address}/64"), "dev", "lo", "nodad"];
            ensure!(inside(&words)?, "{address} cannot be had in {}", this.0);
        }
        ensure!(is_up, "the network {} cannot be set up", this.0);
        Ok(Some(this))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = run(&["netns", "delete", &self.0]);
    }
}

fn run(words: &[&str]) -> Result<bool> {
    Ok(Command::new("ip").args(words).status().is_ok_and(|status| status.success()))
}

/// What came of a flood.
#[derive(Clone, Copy, Debug, Default)]
struct Flood {
    open: usize,
    most_open: usize,
    refused: usize,
    /// Ended without an answer.
    cut_off: usize,
}

impl Flood {
    fn add(&mut self, other: Self) {
        self.open += other.open;
        self.most_open += other.most_open;
        self.refused += other.refused;
        self.cut_off += other.cut_off;
    }
}

/// Connects as fast as it can, keeps what it gets until it has a few, and lets it go again.
fn flood(server: SocketAddr, time: Duration) -> Result<Flood> {
    let (request, until) = (request("")?, Instant::now() + time);
    let (mut flood, mut held) = (Flood::default(), Vec::new());
    while Instant::now() < until {
        let mut client = RawClient::connect_from(ip("127.0.9.2"), server)?;
        let sent = client.send(&request);
        match sent.and_then(|()| client.read_head()) {
            Ok(head) if head.status == 101 => {
                flood.open += 1;
                held.push(client);
                flood.most_open = flood.most_open.max(held.len());
                if held.len() == 10 {
                    held.clear();
                }
            }
            Ok(head) => {
                ensure!(head.status == 429, "{}", head.text);
                flood.refused += 1;
            }
            Err(_) => flood.cut_off += 1,
        }
    }
    Ok(flood)
}
