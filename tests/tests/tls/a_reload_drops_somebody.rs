//! SIGHUP reads the certificates again.

use std::sync::Arc;

use eyre::{Result, ensure};
use rustix::process::Signal;

use crate::client::Client;
use crate::files::Authority;
use crate::server::{start_from, wait_for_line};

#[tokio::test]
async fn who_is_connected_stays_and_who_comes_gets_the_new_certificate() -> Result<()> {
    let authority = Authority::new("reload")?;
    let old = authority.sign("one", &["localhost"])?;
    let file = authority.folder().join("corecast.toml");
    std::fs::write(&file, format!("[tls]\nlisten = \"127.0.0.1:0\"\n{}", old.table()))?;
    let (server, address) = start_from(&file, &[])?;
    let config = Arc::new(authority.client()?);
    let mut before = Client::open(address, "localhost", "/echo", &config).await?;
    // The same files with another content.
    let new = authority.sign("one", &["localhost"])?;
    ensure!(new.certificate != old.certificate);
    server.process().signal(Signal::HUP)?;
    wait_for_line(&server, "certificates read again")?;
    let fresh = Arc::new(authority.client()?);
    let mut after = Client::open(address, "localhost", "/echo", &fresh).await?;
    let shown = after.session().peer_certificates().and_then(|chain| chain.first());
    ensure!(shown == Some(&new.certificate), "the old certificate is still shown");
    before.echo(b"still there").await?;
    after.echo(b"there").await?;
    // A file that is broken changes nothing, and that is said.
    std::fs::write(&new.chain, "no certificate")?;
    server.process().signal(Signal::HUP)?;
    wait_for_line(&server, "the certificates before stay in use")?;
    let fresh = Arc::new(authority.client()?);
    let mut later = Client::open(address, "localhost", "/echo", &fresh).await?;
    let shown = later.session().peer_certificates().and_then(|chain| chain.first());
    ensure!(shown == Some(&new.certificate), "another certificate is shown");
    for client in [&mut before, &mut after, &mut later] {
        client.echo(b"still there").await?;
    }
    drop((before, after, later));
    server.stop()
}
