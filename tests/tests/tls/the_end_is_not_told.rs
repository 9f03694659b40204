//! Closes arrive over TLS, and behind the last of them close_notify.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use corecast_tests::raw::RawClient;
use eyre::{Result, ensure, eyre};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Client, WITHIN};
use crate::files::Authority;
use crate::server::{start, start_subscribe};

#[tokio::test]
async fn a_shutdown_sends_close_and_close_notify() -> Result<()> {
    let authority = Authority::new("end")?;
    let (mut server, address) = start(&authority.sign("one", &["localhost"])?.table(), "")?;
    for version in rustls::ALL_VERSIONS {
        let config = Arc::new(authority.client_with(&[version], None)?);
        let mut client = Client::open(address, "localhost", "/echo", &config).await?;
        // A message that is no UTF-8 is a violation: 1007.
        let mut bad = Client::open(address, "localhost", "/echo", &config).await?;
        let close = client.0.close(None).await;
        ensure!(close.is_ok() && client.closed().await.is_ok(), "{version:?}");
        bad.send(&vec![0; 70_000]).await?;
        let close = bad.closed().await?.ok_or_else(|| eyre!("no code"))?;
        ensure!(close.code == CloseCode::Size, "{close:?}");
    }
    let config = Arc::new(authority.client()?);
    let mut client = Client::open(address, "localhost", "/echo", &config).await?;
    client.echo(b"there").await?;
    server.begin_stop()?;
    // tungstenite's end is an error where TCP ends without close_notify.
    let close = client.closed().await?.ok_or_else(|| eyre!("no Close"))?;
    ensure!(close.code == CloseCode::Away, "{close:?}");
    drop(client);
    server.stop()
}

#[test]
fn who_takes_the_wrong_port_is_told_so() -> Result<()> {
    let authority = Authority::new("ports")?;
    let (server, address) = start(&authority.sign("one", &["localhost"])?.table(), "")?;
    // HTTP where TLS is spoken: an alert, and the end.
    let mut plain = RawClient::connect(address)?;
    plain.send(b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let answer = plain.read_to_end()?;
    ensure!(answer.first() == Some(&21) && answer.len() == 7, "no alert: {answer:?}");
    // TLS where HTTP is spoken: 400.
    let config = Arc::new(authority.client()?);
    let host = rustls::pki_types::ServerName::try_from("localhost")?;
    let mut hello = Vec::new();
    rustls::ClientConnection::new(config, host)?.write_tls(&mut hello)?;
    let mut secure = RawClient::connect(server.address())?;
    secure.send(&hello)?;
    let head = secure.read_head()?;
    ensure!(head.status == 400, "{}", head.status);
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(WITHIN))?;
    socket.write_all(&[22, 3, 1])?;
    drop(socket);
    server.wait_until_idle(WITHIN)?;
    server.stop()
}

#[test]
fn subscribe_trusts_the_authority_that_it_is_given() -> Result<()> {
    let authority = Authority::new("subscribe")?;
    let (server, address) = start(&authority.sign("one", &["localhost"])?.table(), "")?;
    let url = format!("wss://localhost:{}/feed", address.port());
    let other = Authority::new("another")?;
    let refused = start_subscribe(&url, &other.file())?;
    ensure!(refused.contains("--ca FILE"), "{refused}");
    let missing = start_subscribe(&url, &authority.folder().join("none.pem"))?;
    ensure!(missing.contains("none.pem"), "{missing}");
    // It connects, and is refused by the feed: a topic that nobody may have.
    let reached = start_subscribe(&url, &authority.file())?;
    ensure!(!reached.contains("cannot reach"), "{reached}");
    server.stop()
}
