//! Messages of any size, both ways, byte for byte.

use std::sync::Arc;

use eyre::{Result, ensure};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ProtocolVersion, SupportedProtocolVersion};

use crate::client::Client;
use crate::files::Authority;
use crate::server::start;

#[tokio::test]
async fn both_versions_carry_messages_of_every_size() -> Result<()> {
    let authority = Authority::new("sizes")?;
    let signed = authority.sign("localhost", &["localhost"])?;
    let (server, address) = start(&signed.table(), "")?;
    let versions: [(&'static SupportedProtocolVersion, _, _); 2] = [
        (&TLS12, ProtocolVersion::TLSv1_2, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        (&TLS13, ProtocolVersion::TLSv1_3, CipherSuite::TLS13_AES_128_GCM_SHA256),
    ];
    for (version, expected, suite) in versions {
        let config = Arc::new(authority.client_with(&[version], None)?);
        let mut client = Client::open(address, "localhost", "/echo", &config).await?;
        ensure!(client.session().protocol_version() == Some(expected), "{expected:?}");
        // Not what this client would like best, but what costs both the least.
        let agreed = client.session().negotiated_cipher_suite().map(|agreed| agreed.suite());
        ensure!(agreed == Some(suite), "{agreed:?}");
        for bytes in [0, 1, 125, 126, 1_000, 16_383, 16_384, 16_385, 40_000, 65_535, 65_536] {
            let payload: Vec<u8> = (0..bytes).map(|n| (n * 7 + n / 251) as u8).collect();
            client.echo(&payload).await?;
        }
    }
    server.stop()
}
