//! An authority of our own, certificates that it signs, and the files that a server reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eyre::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// An authority, and a folder for what it signs, which goes with it.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A certificate and its key.
pub(crate) struct Signed {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) chain: PathBuf,
    pub(crate) key_file: PathBuf,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("corecast-tls-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        std::fs::write(folder.join("authority.pem"), issuer.pem())?;
        Ok(Self { issuer, folder })
    }

    /// Its own certificate's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A certificate for these hosts, in files of this name.
    pub(crate) fn sign(&self, file: &str, hosts: &[&str]) -> Result<Signed> {
        self.sign_as(file, hosts, |_| {})
    }

    /// The same, but whose time is over.
    pub(crate) fn sign_expired(&self, file: &str, hosts: &[&str]) -> Result<Signed> {
        self.sign_as(file, hosts, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    fn sign_as(
        &self,
        file: &str,
        hosts: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Signed> {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts)?;
        change(&mut params);
        params.distinguished_name.push(DnType::CommonName, file);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let (chain, key_file) = (self.file_of(file, "pem"), self.file_of(file, "key"));
        std::fs::write(&chain, certificate.pem())?;
        std::fs::write(&key_file, key.serialize_pem())?;
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?;
        Ok(Signed { certificate: certificate.der().clone(), key, chain, key_file })
    }

    fn file_of(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{name}.{extension}"))
    }

    /// A client that trusts this authority alone, and shows nothing.
    pub(crate) fn client(&self) -> Result<ClientConfig> {
        self.client_with(rustls::ALL_VERSIONS, None)
    }

    /// The same, speaking these versions, and showing a certificate where there is one.
    pub(crate) fn client_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        shown: Option<&Signed>,
    ) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_root_certificates(roots);
        Ok(match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => builder
                .with_client_auth_cert(vec![shown.certificate.clone()], shown.key.clone_key())?,
        })
    }
}

impl Signed {
    /// The table of a configuration file that names it.
    pub(crate) fn table(&self) -> String {
        let (chain, key) = (self.chain.display(), self.key_file.display());
        format!("[[tls.certificates]]\nchain = \"{chain}\"\nkey = \"{key}\"\n")
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
