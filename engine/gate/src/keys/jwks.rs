//! A set of keys in JSON (RFC 7517).

use super::error::KeyError;
use super::kid::is_kid;
use super::pem::check_rsa_bits;
use super::secret::strong;
use super::{Algorithm, Key, KeySet};
use crate::limits::{JWKS_BYTES_MAX, JWKS_ENTRIES_MAX};
use crate::token::object::Object;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

/// A set, and what of it is not used.
#[derive(Debug)]
pub struct Jwks {
    /// The keys that can be used: one at least.
    pub set: KeySet,
    /// The others, in order.
    pub ignored: Vec<Ignored>,
}

/// A key that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Its place in the set, from 0.
    pub index: usize,
    /// Why.
    pub why: Box<str>,
}

/// Which keys of a set may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksRules {
    /// Algorithms; none: all that are known.
    pub algorithms: Vec<Algorithm>,
    /// Whether shared secrets are taken: from a file, not from an address.
    pub secrets: bool,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// The members that matter (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl Jwks {
    /// Reads a set. Keys that are for something else, or of a kind that is not known, are passed
    /// over, as RFC 7517 §5 asks; so are weak ones, which are named in [`ignored`](Self::ignored).
    ///
    /// # Errors
    /// When it is no set, is too large, has no key that can be used, or two of one id.
    pub fn parse(bytes: &[u8], rules: &JwksRules) -> Result<Self, KeyError> {
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(KeyError::SetTooLong);
        }
        let Object(Set { keys: entries }) =
            serde_json::from_slice(bytes).map_err(|_| KeyError::NoSet)?;
        if entries.len() > JWKS_ENTRIES_MAX {
            return Err(KeyError::TooMany);
        }
        let (mut keys, mut ignored) = (Vec::new(), Vec::new());
        for (index, entry) in entries.into_iter().enumerate() {
            match read(entry, rules) {
                Ok(key) => keys.push(key),
                Err(why) => ignored.push(Ignored { index, why }),
            }
        }
        if keys.is_empty() {
            let first = ignored.first().map(|it| format!(": keys[{}]: {}", it.index, it.why));
            return Err(KeyError::NoUsableKey(first.unwrap_or_default().into()));
        }
        Ok(Self { set: KeySet::new(keys)?, ignored })
    }
}

//= RFC 7517 §5
//# Implementations SHOULD ignore JWKs within a JWK Set that use "kty"
//# (key type) values that are not understood by them, that are missing
//# required members, or for which values are out of the supported
//# ranges.
fn read(entry: serde_json::Value, rules: &JwksRules) -> Result<Key, Box<str>> {
    let Object(jwk) = serde_json::from_value::<Object<Jwk>>(entry)
        .map_err(|_| "it has a member of a wrong type, or lacks one")?;
    let verifies = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
    if jwk.usage.as_deref().is_some_and(|usage| usage != "sig")
        || !jwk.key_ops.as_ref().is_none_or(verifies)
    {
        return Err("it is not for signatures".into());
    }
    let kid = jwk.kid.as_deref().map(Into::into);
    if kid.as_deref().is_some_and(|kid| !is_kid(kid)) {
        return Err("its `kid` is too long, or has odd characters".into());
    }
    let (algorithm, decoding) = match jwk.kty.as_str() {
        "RSA" => (Algorithm::Rs256, rsa(&jwk)?),
        "EC" => (Algorithm::Es256, p256(&jwk)?),
        "OKP" => (Algorithm::EdDsa, ed25519(&jwk)?),
        "oct" if !rules.secrets => {
            return Err("it is a shared secret, which is taken from files alone".into());
        }
        "oct" => (Algorithm::Hs256, secret(&jwk)?),
        _ => return Err("its kind (kty) is not known here".into()),
    };
    if jwk.alg.as_deref().is_some_and(|alg| alg != algorithm.name()) {
        return Err("its algorithm is not one of HS256, RS256, ES256, EdDSA".into());
    }
    if !rules.algorithms.is_empty() && !rules.algorithms.contains(&algorithm) {
        return Err(format!("{algorithm} is not among the source's algorithms").into());
    }
    Ok(Key::new(kid, algorithm, decoding))
}

fn rsa(jwk: &Jwk) -> Result<DecodingKey, Box<str>> {
    let (modulus, exponent) = (bytes(jwk.n.as_ref())?, bytes(jwk.e.as_ref())?);
    check_rsa_bits(&modulus).map_err(|error| error.to_string())?;
    if exponent.last().is_none_or(|last| last % 2 == 0) || exponent == [1] {
        return Err("its exponent (e) is none of RSA".into());
    }
    Ok(DecodingKey::from_rsa_raw_components(&modulus, &exponent))
}

fn p256(jwk: &Jwk) -> Result<DecodingKey, Box<str>> {
    if jwk.crv.as_deref() != Some("P-256") {
        return Err("its curve (crv) is not P-256".into());
    }
    let (x, y) = (bytes(jwk.x.as_ref())?, bytes(jwk.y.as_ref())?);
    if x.len() != 32 || y.len() != 32 {
        return Err("its point (x, y) has not 32 bytes each".into());
    }
    Ok(DecodingKey::from_ec_der(&[&[4][..], &x, &y].concat()))
}

fn ed25519(jwk: &Jwk) -> Result<DecodingKey, Box<str>> {
    if jwk.crv.as_deref() != Some("Ed25519") {
        return Err("its curve (crv) is not Ed25519".into());
    }
    let x = bytes(jwk.x.as_ref())?;
    if x.len() != 32 {
        return Err("its point (x) has not 32 bytes".into());
    }
    Ok(DecodingKey::from_ed_der(&x))
}

fn secret(jwk: &Jwk) -> Result<DecodingKey, Box<str>> {
    let secret = strong(bytes(jwk.k.as_ref())?).map_err(|error| error.to_string())?;
    Ok(DecodingKey::from_secret(&secret))
}

fn bytes(member: Option<&String>) -> Result<Vec<u8>, Box<str>> {
    let text = member.ok_or("a member of its kind is missing")?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "a member is not base64url".into())
}
