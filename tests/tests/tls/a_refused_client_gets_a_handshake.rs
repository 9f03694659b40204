//! Budgets come before TLS: who has spent his gets not one byte of a handshake. And a PROXY header
//! stands in front of TLS, not within.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corecast_tests::raw::RawClient;
use eyre::{Result, ensure};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::{Client, WITHIN};
use crate::files::Authority;
use crate::server::{start, start_whole};

#[tokio::test]
async fn an_address_beyond_its_budget_is_closed_before_tls() -> Result<()> {
    let authority = Authority::new("budgets")?;
    let signed = authority.sign("server", &["localhost"])?;
    // One shard accepts in the order of arrival. Nobody here waits for the end of a handshake.
    let (server, secure) = start_whole(&format!(
        "shards = 1\n[connection]\nhandshake_timeout_ms = 100000\n[address]\nexempt = []\n\
         connections_max = 2\n[tls]\nlisten = \"127.0.0.1:0\"\n\
         handshake_timeout_ms = 100000\n{}",
        signed.table()
    ))?;
    let config = Arc::new(authority.client()?);
    let mut first = Client::open(secure, "localhost", "/echo", &config).await?;
    // A connection counts from the moment it is accepted, on either listener.
    let plain = RawClient::connect(server.address())?;
    let told = RawClient::connect(server.address())?.read_head()?;
    ensure!(told.status == 429, "{}", told.text);
    let said = RawClient::connect(secure)?.read_to_end()?;
    ensure!(said.is_empty(), "{} bytes of TLS for who is refused", said.len());
    ensure!(Client::open(secure, "localhost", "/echo", &config).await.is_err(), "let in");
    first.echo(b"still here").await?;
    drop(plain);
    let began = Instant::now();
    let mut next = loop {
        match Client::open(secure, "localhost", "/echo", &config).await {
            Ok(client) => break client,
            Err(error) => ensure!(began.elapsed() < WITHIN, "no room: {error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    next.echo(b"room again").await?;
    drop((first, next));
    server.stop()
}

#[tokio::test]
async fn a_proxy_header_stands_in_front_of_tls() -> Result<()> {
    let authority = Authority::new("proxied")?;
    let signed = authority.sign("server", &["localhost"])?;
    let rest = "[address]\nexempt = []\nconnections_max = 1\n[proxy]\nprotocol = \"any\"\n\
                trusted = [\"127.0.0.1\"]\n";
    let (server, secure) = start(&signed.table(), rest)?;
    let config = Arc::new(authority.client()?);
    let v2 =
        |last| [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02"[..], &[last], &[0; 8]].concat();
    let line = b"PROXY TCP4 192.0.2.3 127.0.0.1 1 2\r\n".to_vec();
    let mut held = Vec::new();
    for header in [v2(1), v2(2), line.clone()] {
        let mut client = proxied(secure, &header, &config).await?;
        client.echo(b"through").await?;
        held.push(client);
    }
    // Each of the three has what he may have, and no other gets a handshake for it.
    for header in [v2(1), line] {
        let mut raw = RawClient::connect(secure)?;
        raw.send(&header)?;
        ensure!(raw.read_to_end()?.is_empty(), "TLS for who is refused");
    }
    // TLS without a header is none of the proxy's.
    ensure!(Client::open(secure, "localhost", "/echo", &config).await.is_err(), "let in");
    drop(held);
    server.stop()
}

/// A WebSocket over TLS, with this in front of it.
async fn proxied(server: SocketAddr, header: &[u8], config: &Arc<ClientConfig>) -> Result<Client> {
    let mut socket = TcpStream::connect(server).await?;
    socket.write_all(header).await?;
    let host = ServerName::try_from("localhost")?;
    let stream = TlsConnector::from(Arc::clone(config)).connect(host, socket).await?;
    Client::upgrade(stream, "localhost", "/echo").await
}
