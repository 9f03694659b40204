//! Issuers with real keys, and tokens of any shape that are really signed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use corecast_gate::keys::{Jwks, JwksRules};
use corecast_gate::{KeySet, Source, TokenRules, Verifier};
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

/// When all tests happen.
pub(crate) const NOW_S: i64 = 1_700_000_000;
pub(crate) const SECRET: &[u8] = b"a shared secret of forty-two bytes, for it";

/// Somebody who signs.
pub(crate) struct Issuer {
    pub(crate) iss: &'static str,
    pub(crate) kid: Option<&'static str>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: EncodingKey,
    /// What is public of the key, in PEM; the secret where nothing is.
    pub(crate) public: String,
}

impl Issuer {
    fn of(
        iss: &'static str,
        kid: &'static str,
        algorithm: Algorithm,
        kind: &'static rcgen::SignatureAlgorithm,
    ) -> Self {
        let pair = KeyPair::generate_for(kind).expect("a key");
        let pem = pair.serialize_pem();
        let key = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => EncodingKey::from_ed_pem(pem.as_bytes()),
        };
        let (key, public) = (key.expect("PKCS #8"), pair.public_key_pem());
        Self { iss, kid: Some(kid), algorithm, key, public }
    }

    /// The header of its good tokens.
    pub(crate) fn header(&self) -> Value {
        let mut header = json!({ "typ": "JWT", "alg": format!("{:?}", self.algorithm) });
        if let Some(kid) = self.kid {
            header["kid"] = kid.into();
        }
        header
    }

    /// The claims of its good tokens.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.iss, "sub": "u1", "aud": "corecast", "exp": NOW_S + 60,
            "topics": { "subscribe": ["quote.*"] },
        })
    }

    /// A token of these texts, which need not be JSON, with this issuer's signature.
    pub(crate) fn sign(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims));
        format!("{message}.{}", self.signature(&message))
    }

    pub(crate) fn signature(&self, message: &str) -> String {
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm);
        signature.expect("a signature")
    }

    /// A good token.
    pub(crate) fn token(&self) -> String {
        self.sign(self.header().to_string(), self.claims().to_string())
    }

    /// A token with one claim changed; none: left out.
    pub(crate) fn claiming(&self, claim: &str, value: Option<Value>) -> String {
        let mut claims = self.claims();
        match value {
            Some(value) => claims[claim] = value,
            None => drop(claims.as_object_mut().expect("an object").remove(claim)),
        }
        self.sign(self.header().to_string(), claims.to_string())
    }

    /// A token with one member of its header changed.
    pub(crate) fn heading(&self, member: &str, value: Value) -> String {
        let mut header = self.header();
        header[member] = value;
        self.sign(header.to_string(), self.claims().to_string())
    }

    pub(crate) fn keys(&self) -> Arc<KeySet> {
        let set = match (self.algorithm, self.kid) {
            (Algorithm::HS256, _) => KeySet::from_secret(SECRET, Default::default()),
            (_, None) => KeySet::from_pem(self.public.as_bytes()),
            (_, Some(_)) => {
                let set = json!({ "keys": [self.jwk()] }).to_string();
                let rules = JwksRules { algorithms: Vec::new(), secrets: false };
                Jwks::parse(set.as_bytes(), &rules).map(|jwks| jwks.set)
            }
        };
        Arc::new(set.expect("keys"))
    }

    /// The public key as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let der = der_of(&self.public);
        let mut jwk = match self.algorithm {
            Algorithm::RS256 => {
                // SubjectPublicKeyInfo of a 2,048-bit key: 256 bytes of modulus, then 65537.
                let modulus = &der[der.len() - 5 - 256..der.len() - 5];
                json!({ "kty": "RSA", "n": base64url(modulus), "e": "AQAB" })
            }
            Algorithm::ES256 => {
                let (x, y) = der[der.len() - 64..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y) })
            }
            _ => {
                let x = &der[der.len() - 32..];
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(x) })
            }
        };
        (jwk["use"], jwk["kid"]) = ("sig".into(), self.kid.into());
        jwk
    }
}

pub(crate) fn der_of(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
    base64::engine::general_purpose::STANDARD.decode(body).expect("PEM")
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// All issuers: two of them have keys of one id, on one curve.
pub(crate) struct Issuers {
    pub(crate) rsa: Issuer,
    pub(crate) ec: Issuer,
    pub(crate) other: Issuer,
    pub(crate) ed: Issuer,
    pub(crate) hs: Issuer,
    pub(crate) stranger: Issuer,
}

pub(crate) static ISSUERS: LazyLock<Issuers> = LazyLock::new(|| Issuers {
    rsa: Issuer::of("https://rsa.example", "r1", Algorithm::RS256, &PKCS_RSA_SHA256),
    ec: Issuer::of("https://ec.example", "k1", Algorithm::ES256, &PKCS_ECDSA_P256_SHA256),
    other: Issuer::of("https://other.example", "k1", Algorithm::ES256, &PKCS_ECDSA_P256_SHA256),
    ed: Issuer::of("https://ed.example", "e1", Algorithm::EdDSA, &PKCS_ED25519),
    hs: Issuer {
        iss: "https://hs.example",
        kid: None,
        algorithm: Algorithm::HS256,
        key: EncodingKey::from_secret(SECRET),
        public: String::from_utf8_lossy(SECRET).into_owned(),
    },
    stranger: Issuer::of("https://evil.example", "k1", Algorithm::ES256, &PKCS_ECDSA_P256_SHA256),
});

impl Issuers {
    /// Those that are trusted.
    pub(crate) fn trusted(&self) -> [&Issuer; 5] {
        [&self.rsa, &self.ec, &self.other, &self.ed, &self.hs]
    }
}

pub(crate) fn rules() -> TokenRules {
    TokenRules { audience: vec!["corecast".to_owned()], ..TokenRules::default() }
}

pub(crate) fn verifier() -> Verifier {
    let sources = ISSUERS
        .trusted()
        .into_iter()
        .map(|issuer| Source::new(&issuer.iss[8..], Some(issuer.iss)).with_keys(issuer.keys()));
    Verifier::new(sources.collect(), rules()).expect("five issuers")
}

/// The token is refused, and for this reason.
#[track_caller]
pub(crate) fn refused(verifier: &Verifier, row: &str, token: &str, reason: &str) {
    match verifier.verify(token, NOW_S) {
        Ok(_) => panic!("{row}: it was taken"),
        Err(denied) => {
            assert_eq!(denied.name(), reason, "{row}: {denied}");
            let told = format!("{denied} {}", denied.challenge().unwrap_or_default());
            assert!(told.len() < 200 && !told.contains("u1"), "{row}: it repeats the token");
        }
    }
}
