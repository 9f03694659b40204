//! Why a key cannot be used, in words that say what to do.

use crate::limits::{
    JWKS_BYTES_MAX, JWKS_ENTRIES_MAX, KEY_FILE_BYTES_MAX, KEYS_MAX, RSA_BITS_MAX, RSA_BITS_MIN,
    SECRET_BYTES_MIN,
};

/// Why a key, or a set of keys, cannot be used. It never repeats any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file is too long.
    #[error("a key has at most {KEY_FILE_BYTES_MAX} bytes")]
    TooLong,
    /// The secret is too short.
    #[error(
        "the secret has {0} bytes: HS256 needs {SECRET_BYTES_MIN} at least; \
         `openssl rand -hex 32` makes a good one"
    )]
    ShortSecret(usize),
    /// The secret is one byte over and over.
    #[error("the secret is one byte over and over: anybody can guess it")]
    PlainSecret,
    /// The secret is a key in PEM.
    #[error("this is a key in PEM, not a shared secret: name it as `public_key_file`")]
    PemAsSecret,
    /// The secret should be base64url and is not.
    #[error("the secret is not base64url, as `secret_encoding` says it is")]
    SecretEncoding,
    /// It is no PEM, or holds something else.
    #[error(
        "no public key in PEM: it begins with `-----BEGIN PUBLIC KEY-----`, and is RSA, P-256 or \
         Ed25519"
    )]
    NoPublicKey,
    /// There is more than one block.
    #[error("the file has several blocks of PEM: one key is wanted; for several use a JWK set")]
    SeveralKeys,
    /// It is a private key.
    #[error(
        "this is a private key, which has no business here: give the public one \
         (`openssl pkey -in FILE -pubout`)"
    )]
    PrivateKey,
    /// It is a certificate.
    #[error("this is a certificate: give its public key (`openssl x509 -in FILE -noout -pubkey`)")]
    Certificate,
    /// The RSA key is too short, or longer than anything verifies.
    #[error("the RSA key has {0} bits: {RSA_BITS_MIN} to {RSA_BITS_MAX} are taken")]
    RsaBits(usize),
    /// Another curve.
    #[error("the key is on another curve than P-256, which ES256 needs")]
    Curve,
    /// The set is too long.
    #[error("a JWK set has at most {JWKS_BYTES_MAX} bytes")]
    SetTooLong,
    /// The set has too many keys.
    #[error("a JWK set has at most {KEYS_MAX} keys for signatures, and {JWKS_ENTRIES_MAX} of any")]
    TooMany,
    /// It is no JWK set.
    #[error("no JWK set: `{{\"keys\":[…]}}` is wanted (RFC 7517 §5)")]
    NoSet,
    /// No key of the set can be used.
    #[error("the JWK set has no key that can be used here{0}")]
    NoUsableKey(Box<str>),
    /// Two keys have one id.
    #[error("two keys of the JWK set have one `kid`: nobody can tell which is meant")]
    DuplicateKid,
}
