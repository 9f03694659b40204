//! SNI, ALPN, and files that do not fit together.

use std::sync::Arc;

use eyre::{Result, ensure};
use rustls::AlertDescription;

use crate::client::{Client, secure};
use crate::files::Authority;
use crate::server::{start, start_with, wait_for_line};

#[tokio::test]
async fn a_name_gets_the_certificate_that_has_it() -> Result<()> {
    let authority = Authority::new("names")?;
    let first = authority.sign("first", &["localhost"])?;
    let exact = authority.sign("exact", &["feed.example.com"])?;
    let wildcard = authority.sign("wildcard", &["*.example.com"])?;
    let tables = [first.table(), exact.table(), wildcard.table()].concat();
    let (server, address) = start(&tables, "")?;
    let config = Arc::new(authority.client()?);
    for (host, signed) in [
        ("localhost", &first),
        ("feed.example.com", &exact),
        ("FEED.example.com", &exact),
        ("other.example.com", &wildcard),
    ] {
        let mut client = Client::open(address, host, "/echo", &config).await?;
        let shown = client.session().peer_certificates().and_then(|chain| chain.first());
        ensure!(shown == Some(&signed.certificate), "{host} got another certificate");
        client.echo(b"there").await?;
    }
    // A wildcard stands for one label; who asks for a name that none has finds that out himself.
    for host in ["a.b.example.com", "example.com", "example.net"] {
        let error = secure(address, host, &config).await.err().map(|error| format!("{error:#}"));
        let told = error.unwrap_or_default();
        ensure!(told.contains("certificate"), "{host}: {told}");
    }
    server.stop()
}

#[tokio::test]
async fn another_protocol_is_refused() -> Result<()> {
    let authority = Authority::new("alpn")?;
    let (server, address) = start(&authority.sign("one", &["localhost"])?.table(), "")?;
    let mut config = authority.client()?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let error = secure(address, "localhost", &Arc::new(config.clone())).await.err();
    let alert = error.as_ref().and_then(|error| {
        let inner = error.downcast_ref::<std::io::Error>()?.get_ref()?;
        match inner.downcast_ref::<rustls::Error>()? {
            rustls::Error::AlertReceived(alert) => Some(*alert),
            _ => None,
        }
    });
    ensure!(alert == Some(AlertDescription::NoApplicationProtocol), "{error:?}");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut client = Client::open(address, "localhost", "/echo", &Arc::new(config)).await?;
    ensure!(client.session().alpn_protocol() == Some(b"http/1.1"));
    client.echo(b"there").await?;
    // The server would wait for its end.
    drop(client);
    server.stop()
}

#[test]
fn files_that_do_not_fit_are_told_at_the_start() -> Result<()> {
    let authority = Authority::new("files")?;
    let (one, two) = (authority.sign("one", &["a"])?, authority.sign("two", &["b"])?);
    let (chain, key) = (one.chain.display(), two.key_file.display());
    let missing = authority.folder().join("missing.pem");
    let (missing, own_key) = (missing.display(), one.key_file.display());
    let table = |chain: &dyn std::fmt::Display, key: &dyn std::fmt::Display| {
        format!("[[tls.certificates]]\nchain = \"{chain}\"\nkey = \"{key}\"\n")
    };
    for (config, expected) in [
        (table(&chain, &key), "is not the key of the certificate in"),
        (table(&missing, &key), "tls.certificates[0].chain: cannot read"),
        (table(&chain, &missing), "tls.certificates[0].key: cannot read"),
        (table(&chain, &chain), "holds no private key in PEM"),
        (table(&own_key, &own_key), "holds no certificate in PEM"),
        ("[tls]\nlisten = \"127.0.0.1:0\"\n".to_owned(), "needs a certificate"),
        (format!("[tls]\nclient_required = true\n{}", one.table()), "needs `tls.client_ca`"),
        (format!("[tls]\nversions = []\n{}", one.table()), "at least one version"),
    ] {
        let told = start_with(&config).err().map(|error| format!("{error:#}")).unwrap_or_default();
        ensure!(told.contains(expected), "{config}\n{told}");
        ensure!(told.contains("78"), "the exit code says that the configuration is wrong: {told}");
    }
    Ok(())
}

#[tokio::test]
async fn listen_itself_speaks_tls_where_nothing_else_does() -> Result<()> {
    let authority = Authority::new("alone")?;
    let signed = authority.sign("one", &["localhost"])?;
    std::os::unix::fs::chown(&signed.key_file, None, None)?;
    let server = start_with(&signed.table())?;
    let config = Arc::new(authority.client()?);
    let mut client = Client::open(server.address(), "localhost", "/echo", &config).await?;
    client.echo(b"there").await?;
    let output = server.process().output();
    ensure!(output.contains("listening on https://"), "{output}");
    ensure!(output.contains("every user may read"), "the key's file is open to all: {output}");
    drop(client);
    server.stop()
}

#[tokio::test]
async fn a_certificate_whose_time_is_over_is_believed() -> Result<()> {
    let authority = Authority::new("expired")?;
    let (valid, expired) = (
        authority.sign("valid", &["localhost"])?,
        authority.sign_expired("expired", &["old.example.com"])?,
    );
    let ca = authority.file();
    let tables = [valid.table(), expired.table()].concat();
    let (server, address) = start(&format!("client_ca = \"{}\"\n{tables}", ca.display()), "")?;
    wait_for_line(&server, "has expired")?;
    // The operator is told, and the others are served; who gets it refuses it.
    let config = Arc::new(authority.client()?);
    let error = secure(address, "old.example.com", &config).await.err();
    let told = error.map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(told.contains("expired"), "{told}");
    // So is what a client shows.
    for version in rustls::ALL_VERSIONS {
        for (shown, expected) in [(&valid, true), (&expired, false)] {
            let config = Arc::new(authority.client_with(&[version], Some(shown))?);
            let came_in = match Client::open(address, "localhost", "/echo", &config).await {
                Ok(mut client) => client.echo(b"there").await.is_ok(),
                Err(_) => false,
            };
            ensure!(came_in == expected, "{version:?}, {}", shown.chain.display());
        }
    }
    server.stop()
}
