//! Floods of bad handshakes, of TLS hellos and of connections of one address, one at a time: who is
//! subscribed to the feed loses nothing, and what the flood opened is gone when it is over. How
//! much later messages come is printed: `corecast-bench flood` measures it, with the machine to
//! itself.

#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use corecast_bench::flood::{Attack, Attackers, Kind, Targets};
use corecast_bench::load::{Shape, Slow};
use corecast_bench::schedule::{Pace, Schedule};
use corecast_bench::servers::{Folder, Site};
use corecast_bench::tls::Certificate;
use corecast_bench::workload::feed_site::tls_address;
use corecast_bench::workload::flood::{self, Finish, Round};
use corecast_tests::server::TestServer;
use corecast_tests::siege::KEPT_BYTES_MAX;
use eyre::{Result, ensure};

/// Attackers at a time.
const PARALLEL: usize = 256;
/// Messages a second of the feed.
const RATE: f64 = 300.0;
/// Below this a flood is none, even on a machine that is busy otherwise.
const ATTACKERS_MIN: u64 = 1_000;
/// What a machine that others work on may add; a shard that stands still adds more.
const P99_MAX: Duration = Duration::from_secs(1);

/// One flood at a time has the machine.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_flood_of_bad_handshakes_costs_subscribers_nothing() -> Result<()> {
    let round = survive(Kind::Handshakes)?;
    let ends = round.attack.ends();
    ensure!(!ends.contains_key("101"), "a bad handshake was accepted: {ends:?}");
    ensure!(round.attack.status(429) > 0, "the address was never refused: {ends:?}");
    Ok(())
}

#[test]
fn a_flood_of_tls_hellos_costs_subscribers_nothing() -> Result<()> {
    let round = survive(Kind::Hellos)?;
    ensure!(round.attack.ends().contains_key("TLS answer"), "no hello was answered: {round:?}");
    Ok(())
}

#[test]
fn a_flood_of_connections_of_one_address_costs_subscribers_nothing() -> Result<()> {
    let round = survive(Kind::Connects)?;
    let (accepted, refused) = (round.attack.status(101), round.attack.status(429));
    // What the address may begin at once, and in each second; the warm-up has had some of it.
    let allowed = 1_000.0 + 50.0 * (round.attack.seconds + 1.0);
    ensure!(accepted as f64 <= allowed, "{accepted} were accepted, {allowed:.0} may be");
    ensure!(refused > accepted, "{refused} were refused, {accepted} accepted");
    Ok(())
}

fn survive(kind: Kind) -> Result<Round> {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = Folder::new()?;
    let certificate = Certificate::write(folder.path())?;
    let listen = Some("127.0.0.1:0".parse()?);
    let settings = [flood::SETTINGS, flood::LIMITS, &certificate.settings(listen)?].concat();
    // One shard, so that subscribers and flood meet on it.
    let server = TestServer::start_with(&settings, ["--shards", "1"])?;
    let tls = where_it_speaks_tls(&server)?;
    let targets = Targets { plain: server.address(), tls: Some(tls), path: "/feed".to_owned() };
    let scripts = kind.scripts(&targets)?;
    let attack = Attack { scripts, origin: "127.1.0.1".parse()?, parallel: PARALLEL, rate: None };
    let site = Site::elsewhere("corecast", server.address(), Some(server.process().pid()));
    let begin = || -> Result<Finish> {
        let attackers = Attackers::start(attack.clone())?;
        Ok(Box::new(|| attackers.finish()))
    };
    let round = flood::run(&site, &shape(), &begin, false)?;
    println!(
        "{kind}: {:.0} attackers a second, {:?}; p99 {} µs beside them, {} in peace; {} KiB kept",
        round.attack.rate(),
        round.attack.ends(),
        round.flooded.latency.ns_p99 / 1_000,
        round.quiet.latency.ns_p99 / 1_000,
        round.kept_bytes() / 1_024,
    );
    check(&round)?;
    server.stop()?;
    Ok(round)
}

/// It is printed last, and the server is ready before.
fn where_it_speaks_tls(server: &TestServer) -> Result<SocketAddr> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let said = server.process().output();
        match tls_address(&said) {
            Some(address) => return Ok(address),
            None => ensure!(Instant::now() < until, "it does not speak TLS:\n{said}"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn check(round: &Round) -> Result<()> {
    let Round { before, after, attack, flooded, .. } = round;
    ensure!(attack.begun > ATTACKERS_MIN, "{} attackers are no flood", attack.begun);
    ensure!(flooded.delivered > 0 && round.lost() == 0, "subscribers lost something: {round:?}");
    let p99 = Duration::from_nanos(flooded.latency.ns_p99);
    ensure!(p99 < P99_MAX, "subscribers waited {p99:?}");
    ensure!(round.settled.is_some(), "{} files were open before, {} after", before.fds, after.fds);
    let kept = round.kept_bytes();
    ensure!(kept <= KEPT_BYTES_MAX, "{kept} bytes of memory are kept");
    Ok(())
}

fn shape() -> Shape {
    Shape {
        target: flood::control(),
        subscribers: 20,
        publishers: flood::publishers(RATE),
        payload_bytes: 128,
        pace: Pace::Open(Schedule::Constant { rate: RATE }),
        slow: Slow::default(),
        warm_up: Duration::from_millis(300),
        measured: Duration::from_secs(2),
        seed: 1,
        busy: false,
    }
}
