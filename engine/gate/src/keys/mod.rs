//! Keys that tokens are verified with: each has one algorithm, chosen when it is loaded.
//!
//! What a token says of its algorithm is compared with the key's and never chooses anything. So an
//! RSA key can be no shared secret, and there is no key for `none`.

mod error;
mod jwks;
mod kid;
mod pem;
mod secret;

pub use error::KeyError;
pub use jwks::{Ignored, Jwks, JwksRules};
pub(crate) use kid::is_kid;
pub use secret::SecretEncoding;

use crate::denied::Denied;
use crate::limits::KEYS_MAX;
use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a signature is made with (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// HMAC with SHA-256: whoever can verify can sign.
    #[serde(rename = "HS256")]
    Hs256,
    /// RSA, PKCS #1 v1.5, SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// All that are known here.
    pub const ALL: [Self; 4] = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];

    /// Its name in a token's header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// As the library calls it.
    pub(crate) const fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key, with its one algorithm.
pub(crate) struct Key {
    kid: Option<Box<str>>,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

impl Key {
    pub(crate) const fn new(
        kid: Option<Box<str>>,
        algorithm: Algorithm,
        decoding: DecodingKey,
    ) -> Self {
        Self { kid, algorithm, decoding }
    }

    /// Whether this key has signed `message`; `signature` is base64url.
    ///
    /// # Errors
    /// When the header says another algorithm, or the signature is not this key's.
    pub(crate) fn verify(
        &self,
        algorithm: &str,
        message: &[u8],
        signature: &str,
    ) -> Result<(), Denied> {
        if algorithm != self.algorithm.name() {
            return Err(Denied::Algorithm);
        }
        // The library compares MACs in constant time (aws-lc-rs `hmac::verify`); the other
        // algorithms compare nothing that is secret.
        let algorithm = self.algorithm.of_library();
        match jsonwebtoken::crypto::verify(signature, message, &self.decoding, algorithm) {
            Ok(true) => Ok(()),
            _ => Err(Denied::Signature),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.kid.as_deref().unwrap_or("(no kid)"))
    }
}

/// The keys of one source, at most [`KEYS_MAX`], no two of one id. It never changes: a new set
/// takes its place.
#[derive(Debug)]
pub struct KeySet {
    keys: Box<[Key]>,
}

impl KeySet {
    /// A shared secret, for HS256: the content of a file, or of a variable.
    ///
    /// # Errors
    /// When it is too short to be safe, or is no secret at all.
    pub fn from_secret(content: &[u8], encoding: SecretEncoding) -> Result<Self, KeyError> {
        let secret = secret::read(content, encoding)?;
        let decoding = DecodingKey::from_secret(&secret);
        Ok(Self { keys: [Key::new(None, Algorithm::Hs256, decoding)].into() })
    }

    /// A public key in PEM: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.
    ///
    /// # Errors
    /// When it is none of these, is too weak, or is a private key.
    pub fn from_pem(content: &[u8]) -> Result<Self, KeyError> {
        Ok(Self { keys: [pem::read(content)?].into() })
    }

    /// The bytes of a shared secret that is strong enough.
    pub(crate) fn secret(content: &[u8], encoding: SecretEncoding) -> Result<Vec<u8>, KeyError> {
        secret::read(content, encoding)
    }

    pub(crate) fn new(keys: Vec<Key>) -> Result<Self, KeyError> {
        if keys.len() > KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        for (index, key) in keys.iter().enumerate() {
            let is_same = |other: &Key| key.kid.is_some() && other.kid == key.kid;
            if keys[..index].iter().any(is_same) {
                return Err(KeyError::DuplicateKid);
            }
        }
        Ok(Self { keys: keys.into() })
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The algorithms of its keys, each once.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let has = |algorithm: &Algorithm| self.keys.iter().any(|key| key.algorithm == *algorithm);
        Algorithm::ALL.into_iter().filter(has).collect()
    }

    /// The key that a header names. Without a name it is the only one that it can be: the only one
    /// of that algorithm. A lone key without a name of its own goes by any.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: &str) -> Option<&Key> {
        if let [key] = &*self.keys
            && key.kid.is_none()
        {
            return Some(key);
        }
        if kid.is_some() {
            return self.keys.iter().find(|key| key.kid.as_deref() == kid);
        }
        let mut fitting = self.keys.iter().filter(|key| key.algorithm.name() == algorithm);
        let first = fitting.next();
        first.filter(|_| fitting.next().is_none())
    }
}
