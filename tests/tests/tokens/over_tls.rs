//! A key set over https: from who is trusted, and from nobody else.

use crate::issuer::{Folder, Issuer, Key};
use crate::keys_change::{becomes, upgrade};
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// An issuer on loopback with a certificate of this authority.
fn issuer(authority: &CertifiedIssuer<'_, KeyPair>, key: &Key) -> Result<Issuer> {
    let pair = KeyPair::generate()?;
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    let certificate = params.signed_by(&pair, authority)?;
    let private = PrivateKeyDer::from_pem_slice(pair.serialize_pem().as_bytes())?;
    let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?;
    Issuer::start_on("127.0.0.1:0", &[key], Some(Arc::new(tls)))
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

#[test]
fn keys_come_from_whom_the_machine_trusts_alone() -> Result<()> {
    let folder = Folder::new("jwks-https")?;
    let key = Key::new("k1")?;
    let (ours, theirs) = (authority()?, authority()?);
    let trusted = folder.file("authority.pem", &ours.pem())?;
    for (authority, is_trusted) in [(&ours, true), (&theirs, false)] {
        let issuer = issuer(authority, &key)?;
        let settings = Issuer::settings(issuer.address).replace("http://", "https://");
        let config = folder.file("corecast.toml", &settings)?;
        let launch = launch()?
            .args(["serve", "--listen", "127.0.0.1:0", "--shards", "1", "--config", &config])
            // What the machine trusts, as OpenSSL's variable says it.
            .env("SSL_CERT_FILE", &trusted);
        let server = TestServer::launch(&launch)?;
        if is_trusted {
            becomes(&server, &key.token()?, 101)?;
        } else {
            let until = Instant::now() + Duration::from_secs(20);
            while !server.process().output().contains("no keys") {
                ensure!(Instant::now() < until, "{}", server.process().output());
                thread::sleep(Duration::from_millis(20));
            }
            ensure!(upgrade(&server, &key.token()?)?.status == 503);
        }
        server.stop()?;
    }
    Ok(())
}
