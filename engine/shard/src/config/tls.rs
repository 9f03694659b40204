//! `[tls]`: who may speak to the engine over TLS, and with which certificates.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::limits;

/// TLS (`wss://`). Without certificates there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Address and port that speak TLS, beside `listen`. In the file `""`: none of its own; then,
    /// with certificates, `listen` itself speaks TLS.
    #[serde(with = "address")]
    pub listen: Option<SocketAddr>,
    /// Certificates. The names in them say which one a client gets; the first is for those who name
    /// none of them.
    pub certificates: Vec<CertificateConfig>,
    /// PEM file of the authorities whose client certificates are taken. In the file `""`: clients
    /// are not asked for one.
    #[serde(with = "path")]
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is refused.
    pub client_required: bool,
    /// Versions of TLS that are spoken.
    pub versions: Vec<TlsVersion>,
    /// Whether clients get tickets with which they resume a session without a signature.
    pub tickets: bool,
    /// Handshakes of one shard that are under way at most; the bytes of others wait in the kernel.
    pub handshakes_max: u32,
    /// Time for the TLS handshake, in milliseconds, from the moment that the connection is
    /// accepted; the opening handshake's own time runs meanwhile.
    pub handshake_timeout_ms: u64,
}

/// A certificate and its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateConfig {
    /// PEM file of the certificate and those between it and the authority.
    pub chain: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    V12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V13,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            listen: None,
            certificates: Vec::new(),
            client_ca: None,
            client_required: false,
            versions: vec![TlsVersion::V12, TlsVersion::V13],
            tickets: true,
            handshakes_max: limits::TLS_HANDSHAKES_MAX,
            handshake_timeout_ms: 4_000,
        }
    }
}

impl TlsConfig {
    /// Whether anything speaks TLS.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// What is wrong with its settings as a whole, with the setting's name.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        if !self.is_on() && self.listen.is_some() {
            return Some(("tls.listen", "needs a certificate: add one to `tls.certificates`"));
        }
        if self.is_on() && self.versions.is_empty() {
            return Some(("tls.versions", "at least one version must be spoken"));
        }
        if self.client_required && self.client_ca.is_none() {
            let problem = "needs `tls.client_ca`, the authorities that sign client certificates";
            return Some(("tls.client_required", problem));
        }
        None
    }
}

/// An address, or `""` for none.
mod address {
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        address: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = address.map_or_else(String::new, |address| address.to_string());
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        let problem = |_| format!("{text:?} is not an address and port, such as 127.0.0.1:9443");
        text.parse().map(Some).map_err(problem).map_err(de::Error::custom)
    }
}

/// A path, or `""` for none.
mod path {
    use std::path::PathBuf;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        path: &Option<PathBuf>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        path.clone().unwrap_or_default().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        let path = PathBuf::deserialize(deserializer)?;
        Ok((!path.as_os_str().is_empty()).then_some(path))
    }
}
