//! A thousand clients that are closed in one moment come back in one moment.

use std::time::{Duration, Instant};

use corecast_bench::swarm::{Change, End, Plan, Swarm};
use corecast_tests::feed::{FeedClient, Heard};
use corecast_tests::server::TestServer;
use eyre::{Result, bail, ensure};
use rustix::process::Signal;

const CLIENTS: usize = 1_000;
const WITHIN: Duration = Duration::from_secs(30);

#[test]
fn a_thousand_idle_clients_are_told_and_closed_one_after_the_other() -> Result<()> {
    let mut server = TestServer::start(["--shards", "2"])?;
    let mut swarm = Swarm::new(server.address())?;
    swarm.open_all(&Plan::reader("/feed"), CLIENTS, WITHIN, &mut |_| {})?;
    swarm.poll_for(Duration::from_millis(200), &mut |_| {})?;
    let begun = Instant::now();
    server.begin_stop()?;
    let mut told_at = Vec::new();
    let mut ended = 0;
    while ended < CLIENTS {
        ensure!(begun.elapsed() < WITHIN, "{ended} of {CLIENTS} are closed");
        swarm.poll(Duration::from_millis(5), &mut |delivery| {
            if delivery.payload.starts_with(br#"{"type":"going_away","deadline_ms":10000,"#) {
                told_at.push(begun.elapsed());
            }
        })?;
        for change in swarm.take_changes() {
            let Change::Ended(index) = change else { bail!("{change:?}") };
            let end = swarm.end(index);
            ensure!(matches!(end, Some(End::Closed { code: Some(1001), .. })), "{end:?}");
            // 2 ms for each: a machine that is busy makes them later, and nothing earlier.
            let at_most = begun.elapsed().as_millis() as usize / 2 + 3;
            ensure!(ended < at_most, "{ended} are closed after {:?}", begun.elapsed());
            ended += 1;
        }
    }
    let last = told_at.iter().max();
    println!("the last was told after {last:?}, and closed after {:?}", begun.elapsed());
    ensure!(told_at.len() == CLIENTS, "{} were told", told_at.len());
    server.stop()
}

#[test]
fn a_restart_says_1012_and_when_to_come_back() -> Result<()> {
    let mut server = TestServer::start(["--shards", "2"])?;
    let mut client = FeedClient::open(server.address())?;
    let begun = Instant::now();
    server.process().signal(Signal::USR2)?;
    let told = client.expect("going_away")?;
    ensure!(told["deadline_ms"] == 10_000 && told["reconnect_ms"][0] == 0, "{told}");
    let reconnect_ms = told["reconnect_ms"][1].as_u64().unwrap_or_default();
    ensure!((1..=10_000).contains(&reconnect_ms), "{told}");
    let Heard::Closed(code, reason) = client.hear()? else { bail!("no Close") };
    ensure!((code, &*reason) == (1012, "the server restarts: come back"), "{code} {reason}");
    drop(client);
    let said = server.ended()?;
    ensure!(said.contains("left in order"), "{said}");
    ensure!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    Ok(())
}

#[test]
fn nobody_there_is_no_reason_to_wait() -> Result<()> {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = TestServer::start(["--shards", "2"])?;
        let begun = Instant::now();
        server.process().signal(signal)?;
        server.ended()?;
        ensure!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    }
    Ok(())
}
