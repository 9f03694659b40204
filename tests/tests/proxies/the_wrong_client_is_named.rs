//! Who the client is, as the proxies tell it.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::time::Duration;

use corecast_tests::raw::RawClient;
use corecast_tests::server::TestServer;
use eyre::{Result, WrapErr, ensure};

use crate::frames_do_not_pass::in_front_of;
use crate::proxy::{Behind, Kind, Proxy};
use crate::with;

#[test]
fn nginx_passes_bytes_through_behind_a_proxy_header_of_version_1() -> Result<()> {
    with(Kind::Nginx, |kind| {
        let (header, client_port) = header_of(kind)?;
        let header = String::from_utf8_lossy(&header).into_owned();
        let begin = format!("PROXY TCP4 127.0.0.3 127.0.0.1 {client_port} ");
        ensure!(header.starts_with(&begin) && header.ends_with("\r\n"), "{header:?}");
        Ok(())
    })
}

#[test]
fn haproxy_passes_bytes_through_behind_a_proxy_header_of_version_2() -> Result<()> {
    with(Kind::HaProxy, |kind| {
        let (header, client_port) = header_of(kind)?;
        // Signature, version 2 and PROXY, TCP over IPv4, twelve bytes of addresses.
        let begin = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x03\x7f\x00\x00\x01";
        ensure!(header.starts_with(begin), "{header:?}");
        ensure!(header[24..26] == client_port.to_be_bytes(), "{header:?}");
        Ok(())
    })
}

/// What stands before the client's own bytes, where TLS goes through, and the client's port. Not
/// corecast is behind it but the test itself, which sees each byte.
fn header_of(kind: Kind) -> Result<(Vec<u8>, u16)> {
    let server = TestServer::start(["--admin=127.0.0.1:0"])?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let tls = listener.local_addr()?;
    let proxy = Proxy::start(kind, &Behind { tls, ..in_front_of(&server)? })?;
    let from = IpAddr::from([127, 0, 0, 3]);
    let mut client = RawClient::connect_from(from, proxy.through)?;
    client.send(b"no TLS at all")?;
    let (mut seen, _) = listener.accept()?;
    seen.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"no TLS at all") {
        let mut some = [0; 256];
        let read = seen.read(&mut some).wrap_err_with(|| format!("after {bytes:?}"))?;
        ensure!(read > 0, "an end after {bytes:?}");
        bytes.extend_from_slice(&some[..read]);
    }
    seen.write_all(b"an answer")?;
    let (mut answer, mut client) = ([0; 9], client.stream());
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    client.read_exact(&mut answer)?;
    ensure!(&answer == b"an answer", "what comes back is as it was sent");
    bytes.truncate(bytes.len() - b"no TLS at all".len());
    server.stop()?;
    Ok((bytes, client.local_addr()?.port()))
}
