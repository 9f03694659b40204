//! One of two servers is told to leave while clients come and go.

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
    with(Kind::Nginx, a_drain_refuses_nobody)
}

#[test]
fn a_drain_behind_haproxy_refuses_nobody() -> Result<()> {
    with(Kind::HaProxy, a_drain_refuses_nobody)
}

fn a_drain_refuses_nobody(kind: Kind) -> Result<()> {
    let Two { mut one, two, behind } = Two::start(&["--drain=3s"])?;
    let proxy = Proxy::start(kind, &behind)?;
    let tunnel = Tunnel::tls(proxy.wss, &proxy.certificate)?;
    let (leaving, staying) = (epoch_of(one.address())?, epoch_of(two.address())?);
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(FeedClient::open(tunnel.address)?);
    }
    let on = |epoch: &str| clients.iter().filter(|client| epoch_of_client(client) == epoch).count();
    let (first, second) = (on(&leaving), on(&staying));
    ensure!(first >= 4 && second >= 4 && first + second == 12, "{first} and {second}");

    let stop = AtomicBool::new(false);
    let (newcomers, ended) = thread::scope(|scope| {
        let newcomers = scope.spawn(|| keep_coming(tunnel.address, &stop));
        thread::sleep(Duration::from_millis(200));
        let ended = one.begin_stop().and_then(|()| {
            let of_one = clients.iter_mut().filter(|client| epoch_of_client(client) == leaving);
            of_one.map(is_told_to_go).collect::<Result<Vec<_>>>()
        });
        thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        (newcomers.join(), ended)
    });
    ended.wrap_err_with(|| proxy.output())?;
    let newcomers = newcomers.map_err(|_| eyre!("a panic"))??;
    ensure!(newcomers.count >= 20, "only {newcomers:?}");
    ensure!(newcomers.last_epoch == staying, "the last one came to the server that stays");
    one.stop()?;

    for mut client in clients.into_iter().filter(|client| epoch_of_client(client) == staying) {
        client.expect_nothing().wrap_err("who is on the other server notices nothing")?;
    }
    for _ in 0..10 {
        let client = FeedClient::open(tunnel.address)?;
        ensure!(epoch_of_client(&client) == staying, "only one server is left");
    }
    two.stop()
}

/// It hears that the server goes, and is then closed in order.
fn is_told_to_go(client: &mut FeedClient) -> Result<()> {
    match client.hear()? {
        Heard::Closed(1001 | 1012, _) => Ok(()),
        other => bail!("{other:?} instead of a Close with 1001 or 1012"),
    }
}

/// Who came while one server left.
#[derive(Debug)]
struct Newcomers {
    count: u32,
    last_epoch: String,
}

/// Connects again and again; each must be let in by somebody.
fn keep_coming(through: SocketAddr, stop: &AtomicBool) -> Result<Newcomers> {
    let began = Instant::now();
    let mut seen = Newcomers { count: 0, last_epoch: String::new() };
    while !stop.load(Ordering::Relaxed) {
        let client = FeedClient::open(through);
        let client = client.wrap_err_with(|| format!("after {:?}: {seen:?}", began.elapsed()))?;
        seen = Newcomers { count: seen.count + 1, last_epoch: epoch_of_client(&client) };
        thread::sleep(Duration::from_millis(5));
    }
    Ok(seen)
}

fn epoch_of_client(client: &FeedClient) -> String {
    client.welcome["epoch"].as_str().unwrap_or_default().to_owned()
}

/// What tells a server from the other.
fn epoch_of(server: SocketAddr) -> Result<String> {
    FeedClient::open(server).map(|client| epoch_of_client(&client))
}
