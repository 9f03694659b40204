//! What TLS handshakes start from: certificates, authorities and versions, read from files and
//! checked as a whole.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::certificate::Certificate;
use super::names::Names;
use crate::config::{CertificateConfig, TlsConfig, TlsVersion};
use crate::limits::TLS_FILE_BYTES_MAX;

/// What is spoken inside of TLS. A client that names protocols, and not this one, is refused.
const PROTOCOL: &[u8] = b"http/1.1";

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{key}: cannot read {}: {source}", .path.display())]
    File {
        /// The setting.
        key: String,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{key}: {}: {problem}", .path.display())]
    Content {
        /// The setting.
        key: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The settings do not fit together.
    #[error("{key}: {problem}")]
    Setting {
        /// The setting.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Certificates and all else that a handshake starts from, ready for use.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    server: Arc<ServerConfig>,
    clients: Clients,
    warnings: Vec<String>,
}

/// Whose certificates are taken: tickets of others are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Clients {
    authorities: Vec<CertificateDer<'static>>,
    are_required: bool,
}

impl TlsSettings {
    /// Reads and checks all files. Tickets that were given out by `before` stay good, where it asks
    /// clients for the same certificates.
    ///
    /// # Errors
    /// Which file or setting is wrong, and what is.
    pub fn load(config: &TlsConfig, before: Option<&Self>) -> Result<Self, TlsError> {
        if let Some((key, problem)) = config.problem() {
            return Err(TlsError::Setting { key: key.to_owned(), problem: problem.to_owned() });
        }
        let provider = Arc::new(provider());
        let mut warnings = Vec::new();
        let names = certificates(config, &provider, &mut warnings)?;
        let clients =
            Clients { authorities: authorities(config)?, are_required: config.client_required };
        let versions: Vec<_> = config.versions.iter().map(|version| protocol(*version)).collect();
        let setting = |key: &str, problem: String| TlsError::Setting { key: key.into(), problem };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|error| setting("tls.versions", error.to_string()))?;
        let builder = match clients.verifier(&provider) {
            None => builder.with_no_client_auth(),
            Some(verifier) => {
                let verifier = verifier.map_err(|problem| setting("tls.client_ca", problem))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut server = builder.with_cert_resolver(Arc::new(names));
        server.ignore_client_order = true;
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        // Nothing is kept of a session but its ticket, which the client keeps.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.max_early_data_size = 0;
        if config.tickets {
            server.ticketer = ticketer(before, &clients)
                .map_err(|error| setting("tls.tickets", error.to_string()))?;
        } else {
            server.send_tls13_tickets = 0;
        }
        Ok(Self { server: Arc::new(server), clients, warnings })
    }

    /// What is odd about the files, and no error.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// Whether clients are asked for a certificate.
    pub(super) fn asks_clients(&self) -> bool {
        !self.clients.authorities.is_empty()
    }
}

impl Clients {
    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Option<Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, String>> {
        if self.authorities.is_empty() {
            return None;
        }
        let mut roots = RootCertStore::empty();
        for authority in &self.authorities {
            if let Err(error) = roots.add(authority.clone()) {
                return Some(Err(format!("an authority cannot be used: {error}")));
            }
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let builder = if self.are_required { builder } else { builder.allow_unauthenticated() };
        Some(builder.build().map_err(|error| error.to_string()))
    }
}

/// AES-128-GCM with SHA-256 comes first, whatever order a client has. Processors do SHA-256 in
/// hardware and SHA-384 not: with that, a fifth of a handshake is the hashing of its key schedule.
fn provider() -> CryptoProvider {
    use rustls::CipherSuite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TLS13_AES_128_GCM_SHA256,
    };
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        !matches!(
            suite.suite(),
            TLS13_AES_128_GCM_SHA256
                | TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    provider
}

/// Where tickets come from: one source for all shards, with keys that change every six hours. A
/// ticket stands for a verified client certificate, so it must not outlive a change of who is
/// asked for one.
fn ticketer(
    before: Option<&TlsSettings>,
    clients: &Clients,
) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    match before.filter(|before| before.clients == *clients) {
        Some(before) if before.server.ticketer.enabled() => Ok(Arc::clone(&before.server.ticketer)),
        _ => aws_lc_rs::Ticketer::new(),
    }
}

fn protocol(version: TlsVersion) -> &'static SupportedProtocolVersion {
    match version {
        TlsVersion::V12 => &version::TLS12,
        TlsVersion::V13 => &version::TLS13,
    }
}

fn certificates(
    config: &TlsConfig,
    provider: &CryptoProvider,
    warnings: &mut Vec<String>,
) -> Result<Names, TlsError> {
    let mut names = Names::default();
    for (index, files) in config.certificates.iter().enumerate() {
        let place = format!("tls.certificates[{index}]");
        let (certified, read) = certificate(files, &place, provider, warnings)?;
        for name in names.add(certified, &read.names) {
            warnings.push(format!("{place}.chain: `{name}` is in an earlier certificate already"));
        }
    }
    Ok(names)
}

/// One certificate and its key.
fn certificate(
    files: &CertificateConfig,
    place: &str,
    provider: &CryptoProvider,
    warnings: &mut Vec<String>,
) -> Result<(Arc<CertifiedKey>, Certificate), TlsError> {
    let (chain_key, key_key) = (format!("{place}.chain"), format!("{place}.key"));
    let chain = chain(&chain_key, &files.chain)?;
    let content = |key: &str, path: &Path, problem: String| TlsError::Content {
        key: key.to_owned(),
        path: path.to_owned(),
        problem,
    };
    let pem = read(&key_key, &files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let problem = "holds no private key in PEM (PKCS#8, PKCS#1 or SEC1, without a passphrase)";
        content(&key_key, &files.key, problem.to_owned())
    })?;
    let certificate = Certificate::read(&chain[0]).ok_or_else(|| {
        content(&chain_key, &files.chain, "its first certificate is none".to_owned())
    })?;
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        let problem = match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("is not the key of the certificate in {}", files.chain.display())
            }
            error => format!("cannot be used: {error}"),
        };
        content(&key_key, &files.key, problem)
    })?;
    let file = files.chain.display();
    let now = UnixTime::now().as_secs();
    if certificate.not_after < now {
        warnings.push(format!("{chain_key}: the certificate in {file} has expired"));
    } else if certificate.not_before > now {
        warnings.push(format!("{chain_key}: the certificate in {file} is not valid yet"));
    }
    if certificate.names.is_empty() {
        warnings.push(format!("{chain_key}: the certificate in {file} names no host"));
    }
    if is_open_to_others(&files.key) {
        let file = files.key.display();
        warnings.push(format!("{key_key}: every user may read {file}: take that right away"));
    }
    Ok((Arc::new(certified), certificate))
}

fn authorities(config: &TlsConfig) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    config.client_ca.as_deref().map_or(Ok(Vec::new()), |path| chain("tls.client_ca", path))
}

/// The certificates of a file, at least one.
fn chain(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(key, path)?;
    let content =
        |problem: String| TlsError::Content { key: key.into(), path: path.to_owned(), problem };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| content(format!("is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(content("holds no certificate in PEM".to_owned()));
    }
    Ok(chain)
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::File { key: key.to_owned(), path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(TLS_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > TLS_FILE_BYTES_MAX {
        let problem = format!("is longer than {TLS_FILE_BYTES_MAX} bytes");
        return Err(TlsError::Content { key: key.to_owned(), path: path.to_owned(), problem });
    }
    Ok(bytes)
}

fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0)
}
