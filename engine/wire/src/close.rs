//! Close status codes (RFC 6455 §7.4) and the body of a Close frame (§5.5.1).

use core::fmt;

use crate::error::ProtocolError;

/// A close status code, as it stands in the first two bytes of a Close frame's body.
///
/// Any `u16` can be held; [`is_receivable`](Self::is_receivable) and
/// [`is_sendable`](Self::is_sendable) tell which may stand on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server goes down, or the browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: the peer sent a type of data that is not accepted here.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: no code was present. Never on the wire.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a Close frame. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: a text message or a close reason was not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a policy was violated.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message was too big.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client misses an extension. Sent by clients only.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server failed.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts (IANA registry).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later (IANA registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got a bad answer (IANA registry).
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never on the wire.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Whether a peer may send this code: 1000–1003, 1007–1014 and 3000–4999.
    #[must_use]
    pub const fn is_receivable(self) -> bool {
        //= RFC 6455 §7.4.1
        //# 1005 is a reserved value and MUST NOT be set as a status code in a
        //# Close control frame by an endpoint.
        //= RFC 6455 §7.4.1
        //# 1006 is a reserved value and MUST NOT be set as a status code in a
        //# Close control frame by an endpoint.
        //= RFC 6455 §7.4.1
        //# 1015 is a reserved value and MUST NOT be set as a status code in a
        //# Close control frame by an endpoint.
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// Whether this side may send this code. The same table: what is never valid to receive
    /// is never valid to send.
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        self.is_receivable()
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

/// The body of a received Close frame that had one: a receivable code and a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// The status code; [`CloseCode::is_receivable`] holds.
    pub code: CloseCode,
    /// The reason, at most 123 bytes, possibly empty.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// Reads the unmasked body of a Close frame. `Ok(None)`: the body was empty.
    ///
    /// # Errors
    /// [`ProtocolError::CloseBody`] for a body of one byte, [`ProtocolError::CloseCode`] for a
    /// code that must not be sent, [`ProtocolError::InvalidUtf8`] for the reason.
    pub fn parse(body: &'a [u8]) -> Result<Option<Self>, ProtocolError> {
        //= RFC 6455 §5.5.1
        //# If there is a body, the first two bytes of
        //# the body MUST be a 2-byte unsigned integer (in network byte order)
        //# representing a status code with value /code/ defined in Section 7.4.
        let (code, reason) = match *body {
            [] => return Ok(None),
            [_] => return Err(ProtocolError::CloseBody),
            [high, low, ref reason @ ..] => (CloseCode(u16::from_be_bytes([high, low])), reason),
        };
        if !code.is_receivable() {
            return Err(ProtocolError::CloseCode(code.0));
        }
        let reason = core::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
        Ok(Some(Self { code, reason }))
    }
}
