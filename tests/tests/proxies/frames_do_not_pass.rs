//! The upgrade and what follows it, through TLS that ends in the proxy.

use corecast_tests::gateway::{address_of, http};
use corecast_tests::raw::{RawClient, Received};
use corecast_tests::server::TestServer;
use corecast_wire::frame::Opcode;
use eyre::{Result, ensure};

use crate::proxy::{Behind, Kind, Proxy};
use crate::tunnel::Tunnel;
use crate::with;

#[test]
fn frames_pass_through_nginx() -> Result<()> {
    with(Kind::Nginx, frames_pass)
}

#[test]
fn frames_pass_through_haproxy() -> Result<()> {
    with(Kind::HaProxy, frames_pass)
}

/// A server that takes long messages, and a proxy in front of it.
fn frames_pass(kind: Kind) -> Result<()> {
    let options = ["--message-bytes-max=2M", "--admin=127.0.0.1:0"];
    let server = TestServer::start_with(kind.ends_tls(), options)?;
    let proxy = Proxy::start(kind, &in_front_of(&server)?)?;
    let tunnel = Tunnel::tls(proxy.wss, &proxy.certificate)?;
    let mut client = RawClient::open(tunnel.address, "/echo")?;

    for bytes in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let payload = Vec::from_iter((0..bytes).map(|at| (at * 7 % 251) as u8));
        client.send_frame(Opcode::Binary, &payload)?;
        let echo = client.receive()?;
        ensure!(echo == Received::Binary(payload), "{bytes} bytes did not come back as they were");
    }
    client.send_frame(Opcode::Ping, b"are you there")?;
    ensure!(client.receive()? == Received::Pong(b"are you there".to_vec()), "a pong");
    client.send_frame(Opcode::Close, &1000_u16.to_be_bytes())?;
    ensure!(client.expect_close()?.0 == 1000, "the closing handshake passes");

    let redirect = http(proxy.plain, "GET", "/feed?a=1", &[], b"")?;
    ensure!(redirect.status == 308, "{}", redirect.head);
    ensure!(redirect.head.contains("location: https://"), "{}", redirect.head);
    ensure!(redirect.head.contains("/feed?a=1"), "{}", redirect.head);
    server.stop()
}

/// A server with an admin port, as what stands behind a proxy.
pub(crate) fn in_front_of(server: &TestServer) -> Result<Behind> {
    Ok(Behind {
        server: server.address(),
        second: None,
        tls: server.address(),
        admin_port: address_of(server, "admin on http://")?.port(),
        idle_ms: None,
        many_sources: false,
    })
}
