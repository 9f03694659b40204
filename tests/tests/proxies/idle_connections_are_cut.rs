//! A connection on which nothing happens: corecast's pings keep it, the proxy's timeout ends it
//! where there are none.

use std::time::{Duration, Instant};

use corecast_tests::raw::{RawClient, Received};
use corecast_tests::server::TestServer;
use corecast_wire::frame::Opcode;
use eyre::{Result, bail, ensure};

use crate::frames_do_not_pass::in_front_of;
use crate::proxy::{Behind, Kind, Proxy};
use crate::tunnel::Tunnel;
use crate::with;

/// Instead of the 60 s that ship; corecast pings after a quarter of it, and not after a third.
const IDLE: Duration = Duration::from_millis(1_500);

#[test]
fn pings_outlive_the_timeout_of_nginx() -> Result<()> {
    with(Kind::Nginx, pings_keep_it)
}

#[test]
fn pings_outlive_the_timeout_of_haproxy() -> Result<()> {
    with(Kind::HaProxy, pings_keep_it)
}

fn pings_keep_it(kind: Kind) -> Result<()> {
    let (kept, pings) = live_through(kind, "500ms")?;
    ensure!(kept, "it was cut, in spite of {pings} pings");
    ensure!(pings >= 3, "only {pings} pings in {:?}", IDLE * 3);
    // The timeout that the pings outlived is one: without them it strikes.
    let (kept, pings) = live_through(kind, "0")?;
    ensure!(!kept && pings == 0, "without pings it was not cut: {pings}");
    Ok(())
}

/// Whether a connection is still there after three times the timeout, and how many pings came.
fn live_through(kind: Kind, ping_interval: &str) -> Result<(bool, u32)> {
    let options = ["--admin=127.0.0.1:0", "--ping-interval", ping_interval];
    let server = TestServer::start_with(kind.ends_tls(), options)?;
    let idle_ms = u32::try_from(IDLE.as_millis()).ok();
    let proxy = Proxy::start(kind, &Behind { idle_ms, ..in_front_of(&server)? })?;
    let tunnel = Tunnel::tls(proxy.wss, &proxy.certificate)?;
    let mut client = RawClient::open(tunnel.address, "/echo")?;

    let (until, mut pings) = (Instant::now() + IDLE * 3, 0);
    while Instant::now() < until {
        client.set_patience(until - Instant::now());
        match client.receive() {
            Ok(Received::Ping(payload)) => {
                client.send_frame(Opcode::Pong, &payload)?;
                pings += 1;
            }
            Ok(Received::End | Received::Reset) => {
                server.stop()?;
                return Ok((false, pings));
            }
            Ok(other) => bail!("{other:?} on a connection without messages"),
            // It waited to the end.
            Err(_) => break,
        }
    }
    client.set_patience(Duration::from_secs(10));
    client.send_frame(Opcode::Text, b"still here")?;
    loop {
        match client.receive()? {
            Received::Ping(_) => {}
            Received::Text(text) if text == "still here" => break,
            other => bail!("{other:?} instead of an echo"),
        }
    }
    server.stop()?;
    Ok((true, pings))
}

/// The times that ship, and corecast's defaults.
#[test]
fn the_shipped_times_are_longer_than_a_ping_and_its_answer() -> Result<()> {
    let config = corecast::Config::default().connection;
    let silence_ms = config.ping_interval_ms + config.pong_timeout_ms;
    for (file, times) in [
        ("nginx.conf", &["proxy_read_timeout ", "proxy_timeout "][..]),
        ("haproxy.cfg", &["timeout tunnel ", "timeout client ", "timeout server "]),
    ] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tuning");
        let text = std::fs::read_to_string(folder.join(file))?;
        for time in times {
            let lines = text.lines().filter_map(|line| line.trim().strip_prefix(time));
            let values = Vec::from_iter(lines.map(|line| {
                let digits = line.split('s').next().unwrap_or_default();
                digits.parse::<u64>().unwrap_or_default() * 1_000
            }));
            ensure!(values.len() == 1, "{file}: {time}: {values:?}");
            ensure!(values[0] >= silence_ms * 3 / 2, "{file}: {time}{}ms", values[0]);
        }
    }
    Ok(())
}
