//! Client certificates: required, optional, and of an authority that nobody trusts.

use std::sync::Arc;

use eyre::{Result, ensure};

use crate::client::Client;
use crate::files::{Authority, Signed};
use crate::server::start;

#[tokio::test]
async fn only_certificates_of_the_authority_are_taken() -> Result<()> {
    let (ours, other) = (Authority::new("ours")?, Authority::new("other")?);
    let table = ours.sign("one", &["localhost"])?.table();
    let (known, stranger) = (ours.sign("known", &["me"])?, other.sign("stranger", &["me"])?);
    for required in [true, false] {
        let ca = ours.file();
        let tls =
            format!("client_ca = \"{}\"\nclient_required = {required}\n{table}", ca.display());
        let (server, address) = start(&tls, "")?;
        for version in rustls::ALL_VERSIONS {
            let cases: [(Option<&Signed>, bool); 3] =
                [(Some(&known), true), (Some(&stranger), false), (None, !required)];
            for (shown, expected) in cases {
                let config = Arc::new(ours.client_with(&[version], shown)?);
                // In TLS 1.3 a client hears of its refusal only when it reads.
                let opened = Client::open(address, "localhost", "/echo", &config).await;
                let came_in = match opened {
                    Ok(mut client) => client.echo(b"there").await.is_ok(),
                    Err(_) => false,
                };
                let who = shown.map(|signed| signed.chain.display().to_string());
                ensure!(came_in == expected, "required {required}, {version:?}, {who:?}");
            }
        }
        server.stop()?;
    }
    Ok(())
}
