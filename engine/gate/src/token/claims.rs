//! The claims of a token (RFC 7519 §4.1), and those of ours.

use super::header::decoded;
use super::object::Object;
use crate::denied::Denied;
use crate::identity::Identity;
use crate::limits::{AUDIENCES_MAX, TIME_S_MAX, USER_BYTES_MAX};
use crate::permission::{Permissions, Rights};
use serde::Deserialize;
use serde_json::Number;

/// The claims that are looked at. Others mean nothing here.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    exp: Option<Number>,
    nbf: Option<Number>,
    topics: Option<Object<Rights>>,
}

/// One audience, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What a token must say to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// Who we are: a token is for one of them. None: a token that is for somebody is not for us.
    pub audience: Vec<String>,
    /// How much the clocks of issuers may differ from ours, in seconds, at most
    /// [`LEEWAY_S_MAX`](crate::limits::LEEWAY_S_MAX). 0 by default: a session ends at `exp` and not
    /// later, and clocks that are kept by NTP differ by less than a second.
    pub leeway_s: u32,
    /// Whether a token must have an end (`exp`).
    pub expiry_required: bool,
    /// What a token allows that says nothing of topics.
    pub default_permissions: Permissions,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            audience: Vec::new(),
            leeway_s: 0,
            expiry_required: true,
            default_permissions: Permissions::none(),
        }
    }
}

/// The issuer that a payload names. Nobody has verified it: it chooses among those that are
/// configured, and nothing else.
pub(super) fn claimed_issuer(payload: &str) -> Result<Option<String>, Denied> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: Option<String>,
    }
    let json = decoded(payload).ok_or(NO_CLAIMS)?;
    let Object(Issuer { iss }) = serde_json::from_slice(&json).map_err(|_| NO_CLAIMS)?;
    Ok(iss)
}

impl Claims {
    /// Reads a payload whose signature was verified.
    pub(super) fn parse(payload: &str) -> Result<Self, Denied> {
        let json = decoded(payload).ok_or(NO_CLAIMS)?;
        let Object(claims) = serde_json::from_slice(&json).map_err(|_| NO_CLAIMS)?;
        Ok(claims)
    }

    /// Judges them, and makes an identity of them.
    pub(super) fn judge(
        self,
        issuer: Option<&str>,
        rules: &TokenRules,
        now_s: i64,
    ) -> Result<Identity, Denied> {
        if issuer.is_some() && self.iss.as_deref() != issuer {
            return Err(Denied::Issuer);
        }
        check_audience(self.aud, &rules.audience)?;
        let leeway_s = i64::from(rules.leeway_s);
        let begin_s = self.nbf.map(|nbf| seconds(&nbf, f64::ceil, "nbf")).transpose()?;
        if begin_s.is_some_and(|begin_s| now_s.saturating_add(leeway_s) < begin_s) {
            return Err(Denied::NotYet);
        }
        let end_s = self.exp.map(|exp| seconds(&exp, f64::floor, "exp")).transpose()?;
        if end_s.is_none() && rules.expiry_required {
            return Err(Denied::Claim("exp", "is missing: a token must have an end"));
        }
        let expires_at_s = end_s.map(|end_s| end_s + leeway_s);
        let permissions = match self.topics {
            None => rules.default_permissions.clone(),
            Some(Object(rights)) => Permissions::new(&rights)
                .map_err(|_| Denied::Claim("topics", "has what is no pattern, or too many"))?,
        };
        let identity = Identity { user: user(self.sub)?, expires_at_s, permissions };
        //= RFC 7519 §4.1.4
        //# The "exp" (expiration time) claim identifies the expiration time on
        //# or after which the JWT MUST NOT be accepted for processing.
        if identity.is_expired(now_s) {
            return Err(Denied::Expired);
        }
        Ok(identity)
    }
}

fn check_audience(claimed: Option<Audience>, ours: &[String]) -> Result<(), Denied> {
    let claimed = match claimed {
        None => return if ours.is_empty() { Ok(()) } else { Err(Denied::Audience) },
        Some(Audience::One(one)) => vec![one],
        Some(Audience::Many(many)) => many,
    };
    if claimed.len() > AUDIENCES_MAX {
        return Err(Denied::Claim("aud", "names too many"));
    }
    //= RFC 7519 §4.1.3
    //# If the principal processing the claim does not identify itself with a value in
    //# the "aud" claim when this claim is present, then the JWT MUST be
    //# rejected.
    if claimed.iter().any(|one| ours.contains(one)) { Ok(()) } else { Err(Denied::Audience) }
}

fn user(sub: Option<String>) -> Result<Option<Box<str>>, Denied> {
    let Some(sub) = sub else { return Ok(None) };
    if sub.is_empty() || sub.len() > USER_BYTES_MAX {
        return Err(Denied::Claim("sub", "is empty or too long"));
    }
    if sub.chars().any(char::is_control) {
        return Err(Denied::Claim("sub", "has a control character"));
    }
    Ok(Some(sub.into()))
}

/// A `NumericDate` (RFC 7519 §2), fractions rounded so that a token holds for no longer than it
/// says.
fn seconds(number: &Number, round: fn(f64) -> f64, claim: &'static str) -> Result<i64, Denied> {
    let no_time = Denied::Claim(claim, "is no time between 1970 and 9999");
    let whole = number.as_i64().or_else(|| {
        let seconds = number.as_f64().filter(|it| (0.0..=TIME_S_MAX as f64).contains(it))?;
        Some(round(seconds) as i64)
    });
    whole.filter(|seconds| (0..=TIME_S_MAX).contains(seconds)).ok_or(no_time)
}

const NO_CLAIMS: Denied =
    Denied::Malformed("the token's payload is not an object of claims, each there once");
