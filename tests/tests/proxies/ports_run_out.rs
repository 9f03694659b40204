//! More connections than one address has ports for: what the files have as comments for that.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, TcpListener};

use corecast_tests::raw::{KEY, RawClient};
use corecast_tests::server::TestServer;
use corecast_wire::client;
use eyre::{Result, ensure};

use crate::frames_do_not_pass::in_front_of;
use crate::proxy::{Behind, Kind, Proxy};
use crate::tunnel::Tunnel;
use crate::with;

#[test]
fn nginx_connects_from_several_addresses() -> Result<()> {
    with(Kind::Nginx, |kind| {
        let sources = sources(kind)?;
        let listed = (1..=4).map(|last| IpAddr::from([127, 0, 1, last]));
        let listed = BTreeSet::from_iter(listed);
        ensure!(sources.len() > 1 && sources.is_subset(&listed), "{sources:?}");
        Ok(())
    })
}

#[test]
fn haproxy_connects_from_several_addresses() -> Result<()> {
    with(Kind::HaProxy, |kind| {
        let sources = sources(kind)?;
        let listed = [[127, 0, 0, 1], [127, 0, 1, 2]].map(IpAddr::from);
        ensure!(sources == BTreeSet::from(listed), "{sources:?}");
        Ok(())
    })
}

/// From where twelve connections come. Behind the proxy is the test itself.
fn sources(kind: Kind) -> Result<BTreeSet<IpAddr>> {
    let healthy = TestServer::start(["--admin=127.0.0.1:0"])?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let server = listener.local_addr()?;
    let behind = Behind { server, many_sources: true, ..in_front_of(&healthy)? };
    let proxy = Proxy::start(kind, &behind)?;
    let tunnel = Tunnel::tls(proxy.wss, &proxy.certificate)?;
    let (mut sources, mut kept) = (BTreeSet::new(), Vec::new());
    for _ in 0..12 {
        let mut client = RawClient::connect(tunnel.address)?;
        client.send(&client::request("example.org", "/feed", KEY, &[], &[])?)?;
        let (seen, peer) = listener.accept()?;
        sources.insert(peer.ip());
        kept.push((client, seen));
    }
    healthy.stop()?;
    Ok(sources)
}
