//! Why somebody is not let in.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Why a credential was refused. What it says never repeats what the credential says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There is none, and one is needed.
    Missing,
    /// There are two, and they differ: somebody may have slipped one in.
    Ambiguous,
    /// It has more bytes than [`TOKEN_BYTES_MAX`](crate::limits::TOKEN_BYTES_MAX).
    TooLong,
    /// It is no token: what is wrong with it.
    Malformed(&'static str),
    /// The header says another algorithm than the key has.
    Algorithm,
    /// Its issuer is none of those that are trusted.
    Issuer,
    /// The source has no key of that id. A refresh of the source may bring it.
    UnknownKey {
        /// The configured source.
        source: Arc<str>,
        /// The id, at most [`KID_BYTES_MAX`](crate::limits::KID_BYTES_MAX) bytes of a narrow
        /// alphabet; none where the token names no key, and its source has several.
        kid: Option<Box<str>>,
    },
    /// The keys of its source are not there, or are too old to be trusted.
    Unavailable {
        /// The configured source.
        source: Arc<str>,
    },
    /// It was not signed by that key, or was changed since.
    Signature,
    /// It has ended.
    Expired,
    /// It does not hold yet.
    NotYet,
    /// It is for somebody else.
    Audience,
    /// A claim is missing, or has no meaning: which, and why.
    Claim(&'static str, &'static str),
    /// Too many credentials of its address were refused of late. It may try again after so many
    /// seconds.
    TooOften(u32),
    /// Somebody else than the token's issuer says no: a hook, or a rule.
    Refused(Box<str>),
}

impl Denied {
    /// A sentence fit for a client, at most 120 bytes unless it is [`Refused`](Self::Refused).
    #[must_use]
    pub fn reason(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::Missing => "a token is needed",
            Self::Ambiguous => "the request has two tokens that differ: send one",
            Self::TooLong => "the token is too long",
            Self::Malformed(what) => what,
            Self::Algorithm => "the token's algorithm is not that of its key",
            Self::Issuer => "the token's issuer is not trusted here",
            Self::UnknownKey { kid: Some(_), .. } => "the token's key is not known here",
            Self::UnknownKey { kid: None, .. } => {
                "the token does not say which key has signed it (kid)"
            }
            Self::Unavailable { .. } => "tokens cannot be checked now: try again",
            Self::Signature => "the token's signature is not valid",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
            Self::Audience => "the token is for another audience",
            Self::Claim(claim, why) => return Cow::Owned(format!("the claim {claim} {why}")),
            Self::TooOften(_) => "too many credentials of this address were refused: wait",
            Self::Refused(reason) => return Cow::Borrowed(reason),
        })
    }

    /// The status of the answer before the upgrade: 401 where a token is missing, 503 where it
    /// cannot be judged now, 403 where it is not good enough.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Missing => 401,
            Self::Ambiguous => 400,
            Self::Unavailable { .. } => 503,
            Self::TooOften(_) => 429,
            _ => 403,
        }
    }

    /// The feed's error code for `auth`: 401 where another token of the same issuer may do, 403
    /// where it would be refused as well, 503 where it cannot be judged now.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::Unavailable { .. } => 503,
            Self::TooOften(_) => 429,
            Self::Algorithm | Self::Issuer | Self::Audience | Self::Refused(_) => 403,
            _ => 401,
        }
    }

    /// The code of the close frame of a connection that ends for this: 4401 (come back with
    /// another token), 4403 (do not), 4429 or 1013 (later).
    #[must_use]
    pub const fn close_code(&self) -> u16 {
        match self.code() {
            503 => 1013,
            code => 4000 + code,
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750 §3), where the answer has one.
    #[must_use]
    pub const fn challenge(&self) -> Option<&'static str> {
        match self {
            //= RFC 6750 §3.1
            //# If the request lacks any authentication information (e.g., the client
            //# was unaware that authentication is necessary or attempted using an
            //# unsupported authentication method), the resource server SHOULD NOT
            //# include an error code or other error information.
            Self::Missing => Some("Bearer realm=\"corecast\""),
            Self::Unavailable { .. } | Self::TooOften(_) => None,
            Self::Ambiguous => Some("Bearer realm=\"corecast\", error=\"invalid_request\""),
            _ => Some("Bearer realm=\"corecast\", error=\"invalid_token\""),
        }
    }

    /// All that [`name`](Self::name) can say.
    pub const NAMES: [&str; 15] = [
        "missing",
        "ambiguous",
        "too_long",
        "malformed",
        "algorithm",
        "issuer",
        "unknown_key",
        "unavailable",
        "signature",
        "expired",
        "not_yet",
        "audience",
        "claim",
        "too_often",
        "refused",
    ];

    /// A short name, for counters and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ambiguous => "ambiguous",
            Self::TooLong => "too_long",
            Self::Malformed(_) => "malformed",
            Self::Algorithm => "algorithm",
            Self::Issuer => "issuer",
            Self::UnknownKey { .. } => "unknown_key",
            Self::Unavailable { .. } => "unavailable",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Audience => "audience",
            Self::Claim(..) => "claim",
            Self::TooOften(_) => "too_often",
            Self::Refused(_) => "refused",
        }
    }

    /// Whether it may be a guess at a key: no other refusal says whether one was near. So what an
    /// honest client may send, such as a token of a key that is not fetched yet, is none.
    #[must_use]
    pub const fn is_guess(&self) -> bool {
        matches!(self, Self::Signature)
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason())
    }
}

impl std::error::Error for Denied {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_whether_another_token_helps() {
        let source: Arc<str> = "idp".into();
        for (denied, status, code, close) in [
            (Denied::Missing, 401, 401, 4401),
            (Denied::Ambiguous, 400, 401, 4401),
            (Denied::Expired, 403, 401, 4401),
            (Denied::Signature, 403, 401, 4401),
            (Denied::Issuer, 403, 403, 4403),
            (Denied::Audience, 403, 403, 4403),
            (Denied::Refused("no".into()), 403, 403, 4403),
            (Denied::Unavailable { source }, 503, 503, 1013),
            (Denied::TooOften(3), 429, 429, 4429),
        ] {
            let found = (denied.status(), denied.code(), denied.close_code());
            assert_eq!(found, (status, code, close), "{denied:?}");
        }
    }

    #[test]
    fn only_who_sent_no_token_is_asked_without_an_error() {
        assert_eq!(Denied::Missing.challenge(), Some("Bearer realm=\"corecast\""));
        let bad = Denied::Expired.challenge().expect("a challenge");
        assert!(bad.contains("error=\"invalid_token\""), "{bad}");
    }
}
