//! The parts of a token, and its header (RFC 7515 §4).

use super::object::Object;
use crate::denied::Denied;
use crate::keys::is_kid;
use crate::limits::TOKEN_BYTES_MAX;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// The three parts, still in base64url.
#[derive(Clone, Copy)]
pub(super) struct Parts<'t> {
    pub(super) header: &'t str,
    pub(super) payload: &'t str,
    pub(super) signature: &'t str,
    /// What is signed: header, dot and payload.
    pub(super) message: &'t [u8],
}

impl<'t> Parts<'t> {
    pub(super) fn split(token: &'t str) -> Result<Self, Denied> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Denied::TooLong);
        }
        let wrong = Denied::Malformed("a token has three parts with dots between them");
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong);
        };
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(wrong);
        }
        let message = &token.as_bytes()[..header.len() + 1 + payload.len()];
        Ok(Self { header, payload, signature, message })
    }
}

/// What of the header is looked at. Addresses and keys in it (`jku`, `x5u`, `jwk`, …) are not.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

impl Header {
    pub(super) fn parse(part: &str) -> Result<Self, Denied> {
        let wrong = Denied::Malformed("the token's header is not what RFC 7515 asks for");
        let json = decoded(part).ok_or(wrong.clone())?;
        let Object(header): Object<Self> = serde_json::from_slice(&json).map_err(|_| wrong)?;
        //= RFC 7515 §4.1.11
        //# If any of the listed extension Header Parameters are not understood
        //# and supported by the recipient, then the JWS is invalid.
        if header.crit {
            return Err(Denied::Malformed("the token's header asks for an extension (crit)"));
        }
        if !header.typ.as_deref().is_none_or(is_access_token) {
            return Err(Denied::Malformed("the token is of another type (typ) than JWT"));
        }
        if !header.kid.as_deref().is_none_or(is_kid) {
            return Err(Denied::Malformed("the token's key id (kid) has odd characters"));
        }
        Ok(header)
    }
}

/// Tokens of other types are signed with the same keys, and mean something else (RFC 8725 §3.11).
fn is_access_token(typ: &str) -> bool {
    let typ = typ
        .get(..12)
        .filter(|it| it.eq_ignore_ascii_case("application/"))
        .map_or(typ, |_| typ.get(12..).unwrap_or_default());
    typ.eq_ignore_ascii_case("jwt") || typ.eq_ignore_ascii_case("at+jwt")
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// The bytes of a part: base64url without padding, each text having one meaning.
pub(super) fn decoded(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}
