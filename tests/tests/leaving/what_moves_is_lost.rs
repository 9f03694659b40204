//! What a process leaves to the one after it gets lost: how far a publisher has come, a port, a
//! line of `corecast subscribe`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::feed::FeedClient;
use corecast_tests::gateway::{Framed, address_of, post};
use corecast_tests::raw::RawClient;
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, ensure, eyre};

use crate::an_upgrade_refuses_or_loses::{CONFIG, TOPIC, socket, start};

const WITHIN: Duration = Duration::from_secs(20);

#[test]
fn what_a_publisher_sends_again_behind_the_hand_over_is_not_published_twice() -> Result<()> {
    let path = socket("again");
    let mut old = start(&path, &["--shards", "2"])?;
    let (address, ingest) = (old.address(), address_of(&old, "ingest on tcp ")?);
    let mut client = FeedClient::open(address)?;
    client.subscribe(&[TOPIC])?;
    let mut framed = Framed::tcp(ingest)?;
    framed.hello("p", 1)?;
    for seq in 1..=5 {
        framed.publish(seq, TOPIC, &seq.to_string())?;
    }
    // All have come; that the publisher has heard so is another matter.
    while client.skip_to("message")?["data"] != 5 {}
    drop(framed);
    let new = start(&path, &["--shards", "1", "--take-over"])?;
    drop(client);
    old.ended()?;
    let mut client = FeedClient::open(address)?;
    client.subscribe(&[TOPIC])?;
    let snapshot = client.skip_to("snapshot")?;
    ensure!((&snapshot["seq"], &snapshot["data"]) == (&5.into(), &5.into()), "{snapshot}");
    let mut framed = Framed::tcp(ingest)?;
    ensure!(framed.hello("p", 1)? == 5, "it is told how far it has come");
    for seq in 3..=6 {
        framed.publish(seq, TOPIC, &seq.to_string())?;
    }
    framed.wait_ack(6)?;
    let message = client.skip_to("message")?;
    ensure!((&message["seq"], &message["data"]) == (&6.into(), &6.into()), "{message}");
    drop((client, framed));
    new.stop()
}

#[test]
fn a_port_that_the_heir_has_no_use_for_is_closed() -> Result<()> {
    let path = socket("unused");
    let mut old = start(&path, &["--shards", "1"])?;
    let admin = address_of(&old, "admin on http://")?;
    let config = format!("[take_over]\nunix = {path:?}\n{CONFIG}");
    let options = ["--shards=1", "--take-over", "--ingest-tcp=127.0.0.1:0"];
    let new = TestServer::start_with(&config, options)?;
    old.ended()?;
    ensure!(RawClient::connect(admin).is_err(), "somebody listens, and does not answer");
    ensure!(new.process().output().contains("a listener that is not used here"));
    new.stop()
}

#[test]
fn a_line_of_corecast_subscribe_is_missing_behind_a_restart() -> Result<()> {
    let path = socket("lines");
    let mut old = start(&path, &["--shards", "2"])?;
    let (address, ingest) = (old.address(), address_of(&old, "ingest on tcp ")?);
    let admin = address_of(&old, "admin on http://")?;
    post(admin, "/publish?topic=trade.X", "0")?;
    let url = format!("ws://{address}/feed");
    let reader = launch()?.args(["subscribe", TOPIC, "--raw", "--url", &url]).ready_at_once();
    let reader = reader.start()?;
    let lines =
        || -> Vec<u64> { reader.output().lines().filter_map(|line| line.parse().ok()).collect() };
    let wait_for = |last: u64| {
        let until = Instant::now() + WITHIN;
        while lines().last().is_none_or(|line| *line < last) {
            ensure!(Instant::now() < until, "no {last}: {}", reader.output());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    };
    // The snapshot: it is there.
    wait_for(0)?;
    let stop = Arc::new(AtomicBool::new(false));
    let publisher = thread::spawn({
        let stop = Arc::clone(&stop);
        move || publish_until(ingest, &stop)
    });
    wait_for(20)?;
    let new = start(&path, &["--shards", "2", "--take-over"])?;
    old.ended()?;
    let behind = lines().last().copied().unwrap_or(0) + 20;
    wait_for(behind)?;
    stop.store(true, Ordering::Relaxed);
    let published = publisher.join().map_err(|_| eyre!("the publisher panicked"))??;
    wait_for(published)?;
    let lines = lines();
    ensure!(lines.iter().copied().eq(0..=published), "to {published}: {lines:?}");
    reader.stop(WITHIN)?;
    new.stop()
}

/// Publishes numbers, each once the one before is acknowledged, and goes on behind the last one
/// that the server has. Gives the last.
fn publish_until(ingest: SocketAddr, stop: &AtomicBool) -> Result<u64> {
    let mut framed = Framed::tcp(ingest)?;
    let mut last = framed.hello("lines", 1)?;
    while !stop.load(Ordering::Relaxed) {
        let next = last + 1;
        let sent = framed.publish(next, TOPIC, &next.to_string());
        last = match sent.and_then(|()| framed.wait_ack(next)) {
            Ok(()) => next,
            Err(_) => {
                framed = Framed::tcp(ingest)?;
                framed.hello("lines", 1)?
            }
        };
    }
    Ok(last)
}
