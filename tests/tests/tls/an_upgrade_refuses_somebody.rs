//! A new process takes the place of one that speaks TLS at an address of its own.

use std::sync::Arc;

use eyre::{Result, WrapErr, ensure};

use crate::client::Client;
use crate::files::Authority;
use crate::server::start_from;

#[tokio::test]
async fn who_connects_meanwhile_is_served_and_who_is_there_is_sent_over() -> Result<()> {
    let authority = Authority::new("upgrade")?;
    let signed = authority.sign("one", &["localhost"])?;
    let file = authority.folder().join("corecast.toml");
    let place = authority.folder().join("place");
    let tls = format!("[tls]\nlisten = \"127.0.0.1:0\"\n{}", signed.table());
    std::fs::write(&file, format!("[take_over]\nunix = {place:?}\n{tls}"))?;
    let (mut old, address) = start_from(&file, &[])?;
    let config = Arc::new(authority.client()?);
    let mut before = Client::open(address, "localhost", "/echo", &config).await?;
    before.echo(b"there").await?;

    let heir = tokio::task::spawn_blocking(move || start_from(&file, &["--take-over"]));
    let mut opened = 0;
    while !heir.is_finished() {
        let meanwhile = Client::open(address, "localhost", "/echo", &config).await;
        drop(meanwhile.wrap_err("refused or reset")?);
        opened += 1;
    }
    ensure!(opened > 0, "nobody came meanwhile");
    let (new, same) = heir.await??;
    ensure!(same == address, "it speaks TLS at {same}, not at {address}");
    let close = before.closed().await?;
    let code = close.map(|frame| u16::from(frame.code));
    ensure!(code == Some(1012), "closed with {code:?}");
    drop(before);
    old.ended()?;
    let mut after = Client::open(address, "localhost", "/echo", &config).await?;
    after.echo(b"there").await?;
    drop(after);
    new.stop()
}
