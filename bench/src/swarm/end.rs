//! How a connection ended.

use std::fmt;

/// How a connection ended, seen from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The server sent a Close frame and then closed the connection.
    Closed {
        /// The status code; absent when the frame had none.
        code: Option<u16>,
        /// The reason, possibly empty.
        reason: String,
    },
    /// The server answered the handshake, but did not accept it.
    Rejected(String),
    /// The connection ended without a Close frame.
    WithoutClose,
    /// The server reset the connection, or the kernel reported another error.
    Failed(String),
    /// The server broke the protocol.
    Violated(String),
    /// The client let go of it.
    Dropped,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { code: Some(code), reason } => write!(f, "closed: {code} {reason}"),
            Self::Closed { code: None, .. } => f.write_str("closed without a code"),
            Self::Rejected(why) => write!(f, "rejected: {why}"),
            Self::WithoutClose => f.write_str("ended without a Close frame"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Violated(why) => write!(f, "protocol violated: {why}"),
            Self::Dropped => f.write_str("dropped by the client"),
        }
    }
}
