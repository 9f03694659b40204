//! One of two servers is told to leave while clients come and go.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::feed::{FeedClient, Heard};
use eyre::{Result, WrapErr, bail, ensure, eyre};

use crate::proxy::{Kind, Proxy};
use crate::tunnel::Tunnel;
use crate::two::Two;
use crate::with;

#[test]
fn a_drain_behind_nginx_refuses_nobody() -> Result<()> {
    with(Kind::Nginx, |kind| {
        // Only that it accepts no more tells nginx of it: `linger_ms` would change nothing.
        let last = a_drain_refuses_nobody(kind, "[shutdown]\ndrain_ms = 5000\n")?;
        ensure!(last < Duration::from_secs(1), "it got somebody after {last:?}");
        Ok(())
    })
}

#[test]
fn a_drain_behind_haproxy_refuses_nobody_and_is_seen_by_its_check() -> Result<()> {
    with(Kind::HaProxy, |kind| {
        let shutdown = "[shutdown]\nlinger_ms = 3000\ndrain_ms = 8000\n";
        let last = a_drain_refuses_nobody(kind, shutdown)?;
        // It went on to accept for three seconds, and was asked for its health each second.
        ensure!(last < Duration::from_millis(2_500), "it got somebody after {last:?}");
        Ok(())
    })
}

/// When the server that leaves got its last client, since it was told.
fn a_drain_refuses_nobody(kind: Kind, shutdown: &str) -> Result<Duration> {
    let Two { mut one, two, behind } = Two::start(&format!("{}{shutdown}", kind.ends_tls()))?;
    let proxy = Proxy::start(kind, &behind)?;
    let tunnel = Tunnel::tls(proxy.wss, &proxy.certificate)?;
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(FeedClient::open(tunnel.address)?);
    }
    let mut on = BTreeMap::<String, u32>::new();
    clients.iter().for_each(|client| *on.entry(epoch_of(client)).or_default() += 1);
    ensure!(on.len() == 2 && on.values().all(|count| *count >= 4), "both serve: {on:?}");

    let stop = AtomicBool::new(false);
    let (arrivals, told) = thread::scope(|scope| {
        let arrivals = scope.spawn(|| keep_coming(tunnel.address, &stop));
        thread::sleep(Duration::from_millis(200));
        let began = Instant::now();
        let told = one.begin_stop().and_then(|()| Ok((began, leave_taken(&mut clients)?)));
        // Who connects in the very moment in which the listener closes gets no answer at first, and
        // asks again a second later: he is not refused either.
        thread::sleep(Duration::from_millis(2_500));
        stop.store(true, Ordering::Relaxed);
        (arrivals.join(), told)
    });
    let (began, leaving) = told.wrap_err_with(|| proxy.output())?;
    let arrivals = arrivals.map_err(|_| eyre!("a panic"))??;
    one.stop()?;

    ensure!(clients.iter().all(|client| epoch_of(client) != leaving), "all of one server went");
    for client in &mut clients {
        client.expect_nothing().wrap_err("who is on the other server notices nothing")?;
    }
    for _ in 0..10 {
        let client = FeedClient::open(tunnel.address)?;
        ensure!(epoch_of(&client) != leaving, "only one server is left");
    }
    two.stop()?;

    let told = arrivals.iter().filter(|(at, _)| *at >= began);
    let (gone, stays): (Vec<_>, Vec<_>) = told.partition(|(_, epoch)| *epoch == leaving);
    ensure!(stays.len() >= 20, "only {} came to the other", stays.len());
    let last = gone.last().map(|(at, _)| at.duration_since(began));
    Ok(last.unwrap_or_default())
}

/// Waits until those on one server are told and closed, and takes them out; gives their epoch.
fn leave_taken(clients: &mut Vec<FeedClient>) -> Result<String> {
    let until = Instant::now() + Duration::from_secs(10);
    let leaving = loop {
        ensure!(Instant::now() < until, "nobody is told to go");
        let mut told = None;
        for client in clients.iter_mut() {
            client.raw().set_patience(Duration::from_millis(20));
            // Nothing comes to those on the other server.
            if let Ok(Heard::Event(event)) = client.hear() {
                ensure!(event["type"] == "going_away", "{event} instead of going_away");
                told = Some(epoch_of(client));
                break;
            }
        }
        if let Some(epoch) = told {
            break epoch;
        }
    };
    let mut heard = 0;
    for client in clients.iter_mut() {
        client.raw().set_patience(Duration::from_secs(10));
        if epoch_of(client) != leaving {
            continue;
        }
        loop {
            match client.hear()? {
                Heard::Event(event) if event["type"] == "going_away" => heard += 1,
                Heard::Closed(1001 | 1012, _) => break,
                other => bail!("{other:?} instead of a Close with 1001 or 1012"),
            }
        }
    }
    let before = clients.len();
    clients.retain(|client| epoch_of(client) != leaving);
    // The first one had heard it above.
    ensure!(heard + 1 == before - clients.len(), "{heard} of {before} heard going_away");
    Ok(leaving)
}

/// Connects again and again; each must be let in by somebody.
fn keep_coming(through: SocketAddr, stop: &AtomicBool) -> Result<Vec<(Instant, String)>> {
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let at = Instant::now();
        let client = FeedClient::open(through);
        let client = client.wrap_err_with(|| format!("after {} others", seen.len()))?;
        seen.push((at, epoch_of(&client)));
        thread::sleep(Duration::from_millis(5));
    }
    Ok(seen)
}

/// What tells one server from the other.
fn epoch_of(client: &FeedClient) -> String {
    client.welcome["epoch"].as_str().unwrap_or_default().to_owned()
}
