//! Making tokens: for trying things out, and for tests.

use crate::keys::{Algorithm, KeyError, KeySet, SecretEncoding};
use crate::permission::Rights;
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use std::fmt;

/// A key that tokens are signed with.
pub struct SigningKey {
    algorithm: Algorithm,
    encoding: EncodingKey,
}

/// What a token is to say. What is absent is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Who issues it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Who it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Whom it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aud: Vec<String>,
    /// When it was made, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// When it ends, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// What it allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Rights>,
}

impl SigningKey {
    /// A shared secret: HS256.
    ///
    /// # Errors
    /// As [`KeySet::from_secret`]: what would verify nothing signs nothing.
    pub fn from_secret(content: &[u8], encoding: SecretEncoding) -> Result<Self, KeyError> {
        let secret = KeySet::secret(content, encoding)?;
        let encoding = EncodingKey::from_secret(&secret);
        Ok(Self { algorithm: Algorithm::Hs256, encoding })
    }

    /// A private key in PEM (PKCS #8): RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn from_pem(content: &[u8]) -> Result<Self, SignError> {
        type Read = fn(&[u8]) -> jsonwebtoken::errors::Result<EncodingKey>;
        let readers: [(Algorithm, Read); 3] = [
            (Algorithm::Rs256, EncodingKey::from_rsa_pem),
            (Algorithm::Es256, EncodingKey::from_ec_pem),
            (Algorithm::EdDsa, EncodingKey::from_ed_pem),
        ];
        let mut found = readers.into_iter().filter_map(|(algorithm, read)| {
            let key = Self { algorithm, encoding: read(content).ok()? };
            // Whether it is a private key of that kind shows when it signs.
            key.sign(None, &Grant::default()).is_ok().then_some(key)
        });
        found.next().ok_or(SignError::NoPrivateKey)
    }

    /// What it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A token that says this.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn sign(&self, kid: Option<&str>, grant: &Grant) -> Result<String, SignError> {
        let mut header = Header::new(self.algorithm.of_library());
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, grant, &self.encoding).map_err(|_| SignError::Failed)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// It is no private key that is known.
    #[error(
        "no private key in PEM: it begins with `-----BEGIN PRIVATE KEY-----` (PKCS #8), and is \
         RSA of 2048 bits at least, P-256 or Ed25519; `openssl pkcs8 -topk8 -nocrypt -in FILE` \
         rewrites an older form"
    )]
    NoPrivateKey,
    /// The key does not sign.
    #[error("the key does not sign")]
    Failed,
}
