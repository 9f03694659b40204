//! SIGTERM while all connections are busy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast_bench::process::Launch;
use corecast_bench::swarm::{End, Plan, Publishing, Swarm};
use corecast_tests::raw::RawClient;
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, ensure};
use rustix::process::Signal;

const READERS: usize = 200;

#[test]
fn sigterm_under_load_tells_every_client() -> Result<()> {
    let server = TestServer::start(["--shards", "2"])?;
    let address = server.address();
    let mut swarm = Swarm::new(address)?;
    let all = swarm.open_all(&Plan::reader("/ws/load"), READERS, WITHIN, &mut |_| {})?;
    let publisher = swarm.open_all(&Plan::reader("/ws/load"), 1, WITHIN, &mut |_| {})?.start;
    let busy = Publishing { connection: publisher, rate: 500.0, payload_bytes: 200, count: 5_000 };
    swarm.publish(busy);
    // Who never reads and who never ends its handshake does not hold the end up.
    swarm.open_all(&Plan::stalled("/ws/load"), 10, WITHIN, &mut |_| {})?;
    let half = swarm.open(&Plan::half_handshake("/ws/load", 60))?;
    swarm.poll_for(Duration::from_millis(500), &mut |_| {})?;
    let ending = AtomicBool::new(true);
    thread::scope(|scope| -> Result<()> {
        let stop = scope.spawn(|| {
            let stopped = server.stop();
            ending.store(false, Ordering::Relaxed);
            stopped
        });
        let began = Instant::now();
        while ending.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(30) {
            swarm.poll(Duration::from_millis(20), &mut |_| {})?;
        }
        stop.join().map_err(|_| eyre::eyre!("stopping panicked"))??;
        println!("ended after {:?}", began.elapsed());
        ensure!(began.elapsed() < Duration::from_secs(12), "the drain has 10 s");
        Ok(())
    })?;
    swarm.poll_for(Duration::from_millis(200), &mut |_| {})?;
    for index in all.chain([publisher]) {
        let end = swarm.end(index);
        ensure!(
            matches!(end, Some(End::Closed { code: Some(1001), .. })),
            "connection {index}: {end:?}"
        );
    }
    ensure!(swarm.end(half).is_some(), "the half handshake is over");
    ensure!(RawClient::connect(address).is_err(), "nobody listens any longer");
    Ok(())
}

#[test]
fn a_second_signal_ends_at_once() -> Result<()> {
    let mut process = serve()?.start()?;
    // A client that does not answer the Close holds the end up for seconds.
    let silent = RawClient::open(process.address(), "/echo")?;
    process.signal(Signal::TERM)?;
    thread::sleep(Duration::from_millis(300));
    ensure!(process.ended()?.is_none(), "it waits for the client");
    let again = Instant::now();
    process.signal(Signal::TERM)?;
    let status = process.wait(Duration::from_secs(2))?;
    ensure!(status.code() == Some(143), "it ended with {status}");
    ensure!(again.elapsed() < Duration::from_secs(1), "at once, not after {:?}", again.elapsed());
    drop(silent);
    Ok(())
}

fn serve() -> Result<Launch> {
    Ok(launch()?.args(["serve", "--echo", "--listen", "127.0.0.1:0", "--shards", "2"]))
}

const WITHIN: Duration = Duration::from_secs(10);
