//! Resumption: the second handshake takes no signature.

use std::sync::Arc;

use eyre::{Result, ensure};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use crate::client::Client;
use crate::files::Authority;
use crate::server::start;

#[tokio::test]
async fn a_second_handshake_resumes_the_first_by_its_ticket() -> Result<()> {
    let authority = Authority::new("tickets")?;
    let table = authority.sign("one", &["localhost"])?.table();
    for (tickets, expected) in [(true, HandshakeKind::Resumed), (false, HandshakeKind::Full)] {
        // Two shards: tickets of one are good on the other.
        let (server, address) =
            start(&format!("tickets = {tickets}\n{table}"), "[socket]\nbacklog = 64\n")?;
        for version in [&TLS12, &TLS13] {
            let config = Arc::new(authority.client_with(&[version], None)?);
            for attempt in 0..5 {
                let mut client = Client::open(address, "localhost", "/echo", &config).await?;
                client.echo(b"there").await?;
                let kind = client.session().handshake_kind();
                let wanted = if attempt == 0 { HandshakeKind::Full } else { expected };
                ensure!(kind == Some(wanted), "{version:?}, attempt {attempt}: {kind:?}");
            }
        }
        server.stop()?;
    }
    Ok(())
}
