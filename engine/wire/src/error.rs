//! What a peer can do wrong after the handshake, and the close code each deserves.

use crate::close::CloseCode;
use crate::utf8::InvalidUtf8;

/// The peer broke RFC 6455 or a limit of ours: send a Close with
/// [`close_code`](Self::close_code) and this error's text as the reason (at most 123 bytes of
/// ASCII), then end the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// RSV1, RSV2 or RSV3 was set and nothing that was negotiated gives it a meaning there (§5.2).
    #[error("a reserved bit is set and no extension was negotiated")]
    ReservedBits,
    /// Opcode 3–7 or 11–15 (§5.2).
    #[error("opcode {0} is reserved")]
    ReservedOpcode(u8),
    /// A control frame announced more than 125 bytes (§5.5).
    #[error("a control frame is longer than 125 bytes")]
    ControlTooLong,
    /// A control frame came without FIN (§5.5).
    #[error("a control frame is fragmented")]
    ControlFragmented,
    /// A length that fits a shorter form (§5.2).
    #[error("a payload length is not in its shortest form")]
    LengthNotMinimal,
    /// A 64-bit length with the most significant bit set (§5.2).
    #[error("the most significant bit of a 64-bit length is set")]
    LengthTooBig,
    /// A client's frame without a mask (§5.1).
    #[error("a frame from a client is not masked")]
    Unmasked,
    /// A server's frame with a mask (§5.1).
    #[error("a frame from a server is masked")]
    Masked,
    /// A continuation frame outside a fragmented message (§5.4).
    #[error("a continuation frame has no message to continue")]
    UnexpectedContinuation,
    /// A new message inside a fragmented one (§5.4).
    #[error("a new message began before the fragmented one ended")]
    ExpectedContinuation,
    /// A message exceeds the byte bound: by the lengths its headers declare, or while it is
    /// inflated.
    #[error("a message is longer than {bytes_max} bytes")]
    MessageTooBig {
        /// The bound that was in force.
        bytes_max: usize,
    },
    /// A message consists of too many frames.
    #[error("a message has more than {parts_max} fragments")]
    TooManyParts {
        /// The bound that was in force.
        parts_max: u32,
    },
    /// A text message or a close reason is not UTF-8 (§8.1).
    #[error("text is not valid UTF-8")]
    InvalidUtf8,
    /// A compressed message is no DEFLATE data (RFC 7692 §7.2.2).
    #[error("a compressed message cannot be inflated")]
    Deflate,
    /// A Close frame with a body of one byte (§5.5.1).
    #[error("a close frame has a body of one byte")]
    CloseBody,
    /// A Close frame with a code that must not stand on the wire (§7.4).
    #[error("close code {0} must not be sent")]
    CloseCode(u16),
}

impl ProtocolError {
    /// The code for the Close frame that answers this error; always sendable.
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::MessageTooBig { .. } => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyParts { .. } => CloseCode::POLICY_VIOLATION,
            Self::InvalidUtf8 | Self::Deflate => CloseCode::INVALID_PAYLOAD,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

impl From<InvalidUtf8> for ProtocolError {
    fn from(_: InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}
