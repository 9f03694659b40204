//! A server whose issuer changes his keys, is away at the start, or is replaced.

use crate::issuer::{Folder, Issuer, Key};
use corecast_tests::raw::{Head, RawClient};
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, ensure};
use rustix::process::Signal;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn serve(config: &str) -> Result<TestServer> {
    let launch = launch()?.args(["serve", "--listen", "127.0.0.1:0", "--shards", "2"]);
    TestServer::launch(&launch.arg("--config").arg(config))
}

/// The answer to an upgrade with this token.
pub(crate) fn upgrade(server: &TestServer, token: &str) -> Result<Head> {
    let mut client = RawClient::connect(server.address())?;
    let host = server.address();
    let request = format!(
        "GET /ws/quote.BTC HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    client.send(request.as_bytes())?;
    client.read_head()
}

/// Comes again and again until the answer has this status.
pub(crate) fn becomes(server: &TestServer, token: &str, status: u16) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let head = upgrade(server, token)?;
        if head.status == status {
            return Ok(());
        }
        ensure!(Instant::now() < until, "never {status}: {}", head.text);
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_new_key_is_found_and_the_old_one_is_refused() -> Result<()> {
    let folder = Folder::new("keys-rotate")?;
    let (old, new) = (Key::new("k1")?, Key::new("k2")?);
    let issuer = Issuer::start("127.0.0.1:0", &[&old])?;
    let config = folder.file("corecast.toml", &Issuer::settings(issuer.address))?;
    let server = serve(&config)?;
    becomes(&server, &old.token()?, 101)?;
    issuer.set(&[&new])?;
    // Whoever comes with the new key makes the server look, once in five seconds.
    becomes(&server, &new.token()?, 101)?;
    let head = upgrade(&server, &old.token()?)?;
    ensure!(head.status == 403, "{}", head.text);
    ensure!(issuer.hits() == 2, "{} requests", issuer.hits());
    server.stop()
}

#[test]
fn a_server_starts_while_its_issuer_is_away() -> Result<()> {
    let folder = Folder::new("keys-away")?;
    let key = Key::new("k1")?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let config = folder.file("corecast.toml", &Issuer::settings(address))?;
    let server = serve(&config)?;
    let head = upgrade(&server, &key.token()?)?;
    ensure!(head.status == 503, "{}", head.text);
    let _issuer = Issuer::start(&address.to_string(), &[&key])?;
    becomes(&server, &key.token()?, 101)?;
    server.stop()
}

#[test]
fn sighup_reads_a_key_again_and_a_broken_one_changes_nothing() -> Result<()> {
    let folder = Folder::new("keys-hangup")?;
    let (old, new) = (Key::new("k1")?, Key::new("k2")?);
    let path = folder.file("key.pem", &old.public_pem())?;
    let source = format!("[[auth.sources]]\nname = \"own\"\npublic_key_file = \"{path}\"\n");
    let config = folder.file("c.toml", &format!("[auth]\nmode = \"required\"\n{source}"))?;
    let server = serve(&config)?;
    ensure!(upgrade(&server, &old.token()?)?.status == 101, "the key of the start");
    folder.file("key.pem", "broken")?;
    server.process().signal(Signal::HUP)?;
    let until = Instant::now() + Duration::from_secs(10);
    while !server.process().output().contains("nothing changes") {
        ensure!(Instant::now() < until, "{}", server.process().output());
        thread::sleep(Duration::from_millis(20));
    }
    ensure!(upgrade(&server, &old.token()?)?.status == 101, "it stays");
    folder.file("key.pem", &new.public_pem())?;
    server.process().signal(Signal::HUP)?;
    becomes(&server, &new.token()?, 101)?;
    ensure!(upgrade(&server, &old.token()?)?.status == 403, "it was replaced");
    server.stop()
}
