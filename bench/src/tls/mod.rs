//! TLS on the client's side, and throw-away certificates for servers that are started here.

mod certificate;
mod trust;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use eyre::{Result, WrapErr, ensure, eyre};
use rustls::client::Tls13ClientSessionValue;
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, NamedGroup, RootCertStore};

pub use certificate::{CHAIN, Certificate};

/// Whose certificates the client takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those that one of this file's authorities has signed (PEM).
    Authority(PathBuf),
    /// Anybody's. What the server signs in the handshake is verified all the same, so the client
    /// has as much to do.
    Anybody,
}

/// How the client does handshakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Whose certificates it takes.
    pub trust: Trust,
    /// Whether it resumes sessions: each connection uses a ticket that one before has got.
    pub resumes: bool,
}

impl Tls {
    /// What all connections of a swarm share.
    ///
    /// # Errors
    /// When the file of authorities cannot be read or has none.
    pub fn config(&self) -> Result<Arc<ClientConfig>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions()?;
        let mut config = match &self.trust {
            Trust::Authority(file) => builder.with_root_certificates(authorities(file)?),
            Trust::Anybody => {
                let verifier = Arc::new(trust::Anybody::new(provider));
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
        }
        .with_no_client_auth();
        config.resumption = match self.resumes {
            true => Resumption::store(Arc::new(Tickets::default())),
            false => Resumption::disabled(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// A server that speaks TLS: whom the client asks for there, and how it does handshakes.
#[derive(Debug, Clone)]
pub struct Secure {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
}

impl Secure {
    /// The server at `host`, which may have a port behind it.
    ///
    /// # Errors
    /// As [`Tls::config`] and [`server_name`].
    pub fn new(host: &str, tls: &Tls) -> Result<Self> {
        Ok(Self { config: tls.config()?, name: server_name(host)? })
    }
}

/// The name that a client asks for, out of `host:port`.
///
/// # Errors
/// When it is no name or address.
pub fn server_name(host: &str) -> Result<ServerName<'static>> {
    let name = host.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    ServerName::try_from(name.to_owned()).wrap_err_with(|| format!("{name:?} is no server's name"))
}

/// The first flight of a handshake, as bytes.
///
/// # Errors
/// Never with a name that is one.
pub fn client_hello(name: &str) -> Result<Vec<u8>> {
    let config = Tls { trust: Trust::Anybody, resumes: false }.config()?;
    let mut connection = ClientConnection::new(config, server_name(name)?)?;
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes)?;
    }
    Ok(bytes)
}

fn authorities(file: &PathBuf) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(file)
        .map_err(|error| eyre!("cannot read {}: {error}", file.display()))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| eyre!("{}: {error}", file.display()))?;
        store.add(certificate).wrap_err_with(|| file.display().to_string())?;
    }
    ensure!(!store.is_empty(), "{} has no certificate in PEM", file.display());
    Ok(store)
}

/// Tickets of one server. The store of rustls keeps eight of them, too few for many connections at
/// once.
#[derive(Debug, Default)]
struct Tickets {
    tickets: Mutex<Vec<Tls13ClientSessionValue>>,
    session: Mutex<Option<Tls12ClientSessionValue>>,
    group: Mutex<Option<NamedGroup>>,
}

/// More than handshakes are under way at once.
const TICKETS_MAX: usize = 4_096;

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        *lock(&self.group) = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        *lock(&self.group)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        *lock(&self.session) = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        lock(&self.session).clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        *lock(&self.session) = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut tickets = lock(&self.tickets);
        if tickets.len() < TICKETS_MAX {
            tickets.push(value);
        }
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        lock(&self.tickets).pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_of_hosts() {
        let name = |host: &str| server_name(host).unwrap().to_str().into_owned();
        assert_eq!(name("localhost:443"), "localhost");
        assert_eq!(name("a.example"), "a.example");
        assert_eq!(name("127.0.0.1:9001"), "127.0.0.1");
        assert_eq!(name("[::1]:9001"), "::1");
        assert!(server_name("a b").is_err());
    }

    #[test]
    fn a_hello_is_a_whole_record() {
        let hello = client_hello("localhost").unwrap();
        let length = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
        assert_eq!((hello[0], hello.len()), (0x16, length + 5));
    }

    #[test]
    fn authorities_that_are_none_are_named() {
        let file = std::env::temp_dir().join(format!("no-ca-{}.pem", std::process::id()));
        let tls = Tls { trust: Trust::Authority(file.clone()), resumes: true };
        let absent = tls.config().unwrap_err().to_string();
        std::fs::write(&file, "nothing").unwrap();
        let empty = tls.config().unwrap_err().to_string();
        std::fs::remove_file(&file).unwrap();
        assert!(absent.contains("cannot read") && empty.contains("no certificate"), "{empty}");
    }
}
