//! Error codes and close codes, each with "come back or not". Explained in
//! `docs/protocol/codes.md`, which a test compares with this file.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a command, or one topic of it, was refused. The numbers follow HTTP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum ErrorCode {
    /// 400: bad JSON, a missing or wrong field.
    Malformed = 400,
    /// 401: not authenticated, or the token is not valid.
    Unauthenticated = 401,
    /// 403: authenticated, and still not allowed.
    Forbidden = 403,
    /// 404: no such topic, user or client.
    NotFound = 404,
    /// 405: this server, or this namespace, does not do that.
    Unsupported = 405,
    /// 408: it came too late (the deadline for `auth`).
    Timeout = 408,
    /// 409: already so, or something else stands in its way.
    Conflict = 409,
    /// 413: too large, in bytes or in count.
    TooLarge = 413,
    /// 429: too many, or too often.
    TooMany = 429,
    /// 503: not now.
    Unavailable = 503,
}

impl ErrorCode {
    /// All codes, ascending.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Unsupported,
        Self::Timeout,
        Self::Conflict,
        Self::TooLarge,
        Self::TooMany,
        Self::Unavailable,
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The code of that number.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }

    /// A short name, for counters and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Unsupported => "unsupported",
            Self::Timeout => "timeout",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::TooMany => "too_many",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether the same command may succeed later, unchanged.
    #[must_use]
    pub const fn retry(self) -> bool {
        matches!(self, Self::Timeout | Self::TooMany | Self::Unavailable)
    }

    /// The close code of a connection that ends for this reason, where there is one.
    #[must_use]
    pub const fn close(self) -> Option<CloseCode> {
        match self {
            Self::Unauthenticated => Some(CloseCode::Unauthenticated),
            Self::Forbidden => Some(CloseCode::Forbidden),
            Self::Timeout => Some(CloseCode::AuthTimeout),
            Self::TooMany => Some(CloseCode::TooMany),
            _ => None,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.code())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = u16::deserialize(deserializer)?;
        let unknown = || serde::de::Error::custom(format_args!("{code} is no error code"));
        Self::from_code(code).ok_or_else(unknown)
    }
}

/// Why a connection was closed: the codes that this protocol uses. 1005 and 1006 are never on
/// the wire and stand in no enum; [`Reconnect::after`] knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// 1000: done.
    Normal = 1000,
    /// 1001: the server goes down, or the browser leaves the page.
    GoingAway = 1001,
    /// 1002: the peer broke RFC 6455.
    ProtocolError = 1002,
    /// 1003: a binary frame where only text is understood.
    UnsupportedData = 1003,
    /// 1007: a text that is not UTF-8.
    InvalidPayload = 1007,
    /// 1008: too many errors.
    PolicyViolation = 1008,
    /// 1009: a message longer than `limits.message_bytes`.
    MessageTooBig = 1009,
    /// 1010: an extension that the client insists on. Sent by clients.
    MandatoryExtension = 1010,
    /// 1011: the server failed.
    InternalError = 1011,
    /// 1012: the server restarts.
    Restart = 1012,
    /// 1013: the server is overloaded.
    Overloaded = 1013,
    /// 4401: the token is missing, wrong or expired.
    Unauthenticated = 4401,
    /// 4403: not allowed to be here.
    Forbidden = 4403,
    /// 4407: the client read too slowly.
    Slow = 4407,
    /// 4408: no `auth` within the deadline.
    AuthTimeout = 4408,
    /// 4429: too many connections or commands.
    TooMany = 4429,
}

impl CloseCode {
    /// All codes, ascending.
    pub const ALL: [Self; 16] = [
        Self::Normal,
        Self::GoingAway,
        Self::ProtocolError,
        Self::UnsupportedData,
        Self::InvalidPayload,
        Self::PolicyViolation,
        Self::MessageTooBig,
        Self::MandatoryExtension,
        Self::InternalError,
        Self::Restart,
        Self::Overloaded,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Slow,
        Self::AuthTimeout,
        Self::TooMany,
    ];

    /// The number, as it stands in the Close frame.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The code of that number.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }

    /// What the client should do.
    #[must_use]
    pub const fn reconnect(self) -> Reconnect {
        match self {
            Self::Normal
            | Self::ProtocolError
            | Self::UnsupportedData
            | Self::InvalidPayload
            | Self::PolicyViolation
            | Self::MessageTooBig
            | Self::MandatoryExtension
            | Self::Forbidden => Reconnect::No,
            Self::GoingAway | Self::Restart | Self::Slow | Self::AuthTimeout => Reconnect::Yes,
            Self::InternalError | Self::Overloaded | Self::TooMany => Reconnect::Backoff,
            Self::Unauthenticated => Reconnect::NewToken,
        }
    }
}

/// Whether, and how, to come back after a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reconnect {
    /// Not: the same would happen again, or nothing is wrong.
    No,
    /// Yes, after a random part of a second, or of `going_away.reconnect_ms`; and resume.
    Yes,
    /// Yes, after a pause that doubles each time, with a random part; and resume.
    Backoff,
    /// Only with a new token.
    NewToken,
}

impl Reconnect {
    /// What the client should do after a close with `code`; 1006 stands for a connection that
    /// ended without a Close frame, 1005 for one without a code. Codes that are not of this
    /// protocol (a proxy's) are reasons to come back later.
    #[must_use]
    pub fn after(code: u16) -> Self {
        match (CloseCode::from_code(code), code) {
            (Some(known), _) => known.reconnect(),
            (None, 1005) => Self::Yes,
            (None, _) => Self::Backoff,
        }
    }

    /// The word of the documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Backoff => "back off",
            Self::NewToken => "new token",
        }
    }
}

#[cfg(test)]
mod schema {
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::ErrorCode;

    impl JsonSchema for ErrorCode {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "ErrorCode".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "Explained in codes.md.",
                "type": "integer",
                "enum": Self::ALL.map(Self::code),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_ascending_and_read_back() {
        assert!(ErrorCode::ALL.is_sorted() && CloseCode::ALL.is_sorted());
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.code()), Some(code));
            let close = code.close().map(CloseCode::code);
            assert!(close.is_none_or(|close| close == 4000 + code.code()), "{code}");
        }
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_code(code.code()), Some(code));
            assert_eq!(Reconnect::after(code.code()), code.reconnect());
        }
        assert_eq!(Reconnect::after(1006), Reconnect::Backoff);
        assert_eq!(Reconnect::after(1005), Reconnect::Yes);
        assert_eq!(ErrorCode::from_code(402), None);
    }

    #[test]
    fn an_error_code_is_a_number_in_json() {
        assert_eq!(serde_json::to_string(&ErrorCode::TooMany).expect("JSON"), "429");
        let unknown = serde_json::from_str::<ErrorCode>("402").expect_err("none");
        assert!(unknown.to_string().contains("402 is no error code"), "{unknown}");
    }
}
