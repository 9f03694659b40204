//! TLS that ends in corecast, with a proxy in between that sees bytes alone.

use std::net::{IpAddr, SocketAddr};

use corecast_tests::gateway::address_of;
use corecast_tests::raw::{RawClient, Received};
use corecast_tests::server::TestServer;
use corecast_wire::frame::Opcode;
use eyre::{Result, ensure};
use rustls::pki_types::CertificateDer;

use crate::a_client_hides_behind_the_proxy::BUDGET;
use crate::frames_do_not_pass::in_front_of;
use crate::proxy::{Behind, Kind, Proxy, folder, make_certificate};
use crate::tunnel::Tunnel;
use crate::with;

#[test]
fn tls_goes_through_nginx() -> Result<()> {
    with(Kind::Nginx, tls_goes_through)
}

#[test]
fn tls_goes_through_haproxy() -> Result<()> {
    with(Kind::HaProxy, tls_goes_through)
}

fn tls_goes_through(kind: Kind) -> Result<()> {
    let folder = folder()?;
    let certificate = make_certificate(&folder)?;
    let here = folder.display();
    let config = format!(
        "{}{BUDGET}\n[tls]\nlisten = \"127.0.0.1:0\"\n[[tls.certificates]]\n\
         chain = \"{here}/fullchain.pem\"\nkey = \"{here}/key.pem\"\n",
        kind.passes_tls()
    );
    let server =
        TestServer::start_with(&config, ["--message-bytes-max=2M", "--admin=127.0.0.1:0"])?;
    let tls = address_of(&server, "listening on https://")?;
    let proxy = Proxy::start(kind, &Behind { tls, ..in_front_of(&server)? })?;

    // The certificate that is seen is corecast's own.
    let site = Site { certificate: &certificate, to: proxy.through };
    let (tunnel, mut client) = site.enter([127, 0, 0, 2].into())?;
    for bytes in [5, 70_000, 1 << 20] {
        let payload = vec![b'x'; bytes];
        client.send_frame(Opcode::Binary, &payload)?;
        ensure!(client.receive()? == Received::Binary(payload), "{bytes} bytes came back");
    }
    client.send_frame(Opcode::Ping, b"p")?;
    ensure!(client.receive()? == Received::Pong(b"p".to_vec()), "a pong");

    // Two of each address, as the PROXY header in front of TLS has it.
    let second = RawClient::open(tunnel.address, "/echo")?;
    let third = RawClient::open(tunnel.address, "/echo");
    ensure!(third.is_err(), "a third connection of one address is let in");
    let other = site.enter([127, 0, 0, 3].into())?;
    drop((second, other));
    server.stop()?;
    Ok(std::fs::remove_dir_all(folder)?)
}

/// Where clients connect with TLS, and what they believe.
struct Site<'a> {
    certificate: &'a CertificateDer<'static>,
    to: SocketAddr,
}

impl Site<'_> {
    fn enter(&self, from: IpAddr) -> Result<(Tunnel, RawClient)> {
        let tunnel = Tunnel::tls_from(from, self.to, self.certificate)?;
        let client = RawClient::open(tunnel.address, "/echo")?;
        Ok((tunnel, client))
    }
}
