//! Why a request is refused, and the answer that says so.

use super::response::plain_response;

/// A refused request. It renders itself as an HTTP answer that closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Not an HTTP/1 head.
    #[error("the request is not valid HTTP/1.1")]
    Malformed,
    /// A CR or LF that is not part of a CRLF.
    #[error("a line of the request does not end with CRLF")]
    BareLineEnd,
    /// A header line begins with white space.
    #[error("a header line begins with white space")]
    FoldedHeader,
    /// A header value is not UTF-8.
    #[error("a header value is not UTF-8")]
    HeaderNotUtf8,
    /// A method, a target or a header name in a form that is not allowed.
    #[error("the request target is not valid")]
    InvalidTarget,
    /// The head is longer than [`HEAD_BYTES_MAX`](crate::limits::HEAD_BYTES_MAX).
    #[error("the request head is longer than {} bytes", crate::limits::HEAD_BYTES_MAX)]
    HeadTooLong,
    /// More than [`HEADERS_MAX`](crate::limits::HEADERS_MAX) header fields.
    #[error("the request has more than {} header fields", crate::limits::HEADERS_MAX)]
    TooManyHeaders,
    /// The first line is longer than
    /// [`REQUEST_LINE_BYTES_MAX`](crate::limits::REQUEST_LINE_BYTES_MAX).
    #[error("the request line is longer than {} bytes", crate::limits::REQUEST_LINE_BYTES_MAX)]
    RequestLineTooLong,
    /// An HTTP version other than 1.0 and 1.1.
    #[error("the HTTP version is not supported")]
    UnsupportedHttpVersion,
    /// No Host field, or more than one, or an invalid one.
    #[error("the request needs exactly one valid Host header")]
    Host,
    /// An upgrade with another method than GET.
    #[error("a WebSocket handshake is a GET request")]
    Method,
    /// An upgrade over HTTP/1.0.
    #[error("a WebSocket handshake needs HTTP/1.1")]
    Http10,
    /// No `websocket` in Upgrade.
    #[error("the Upgrade header does not list websocket")]
    Upgrade,
    /// No `upgrade` in Connection.
    #[error("the Connection header does not list Upgrade")]
    Connection,
    /// No Sec-WebSocket-Key, or more than one, or not 16 bytes.
    #[error("the request needs exactly one Sec-WebSocket-Key of 16 bytes in base64")]
    Key,
    /// Another version than 13, or none.
    #[error("the WebSocket version is not 13")]
    Version,
    /// A plain request for a WebSocket resource.
    #[error("this resource is a WebSocket: send a WebSocket handshake")]
    UpgradeRequired,
    /// More than one Sec-WebSocket-Version field.
    #[error("the request has more than one Sec-WebSocket-Version header")]
    DuplicateVersion,
    /// More than one Origin field.
    #[error("the request has more than one Origin header")]
    DuplicateOrigin,
    /// An upgrade with a body.
    #[error("a WebSocket handshake has no body")]
    Body,
    /// Sec-WebSocket-Protocol is not a list of distinct tokens, or too long.
    #[error("the Sec-WebSocket-Protocol header is not a short list of distinct tokens")]
    Subprotocols,
    /// Sec-WebSocket-Extensions does not follow the grammar of §9.1, or is too long.
    #[error("the Sec-WebSocket-Extensions header is not valid")]
    Extensions,
}

impl HandshakeError {
    /// The HTTP status of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::HeadTooLong | Self::TooManyHeaders => 431,
            Self::RequestLineTooLong => 414,
            Self::UnsupportedHttpVersion => 505,
            Self::Method => 405,
            Self::Version | Self::UpgradeRequired => 426,
            Self::DuplicateOrigin => 403,
            _ => 400,
        }
    }

    /// One plain sentence for the client and the log; the same as `Display`.
    #[must_use]
    pub fn reason(&self) -> String {
        self.to_string()
    }

    /// Header fields that the answer's status calls for.
    #[must_use]
    pub const fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            //= RFC 6455 §4.4
            //# If a server doesn't support the requested version, it MUST respond
            //# with a |Sec-WebSocket-Version| header field (or multiple
            //# |Sec-WebSocket-Version| header fields) containing all versions it is
            //# willing to use.
            Self::Version | Self::UpgradeRequired => {
                &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
            }
            Self::Method => &[("Allow", "GET")],
            _ => &[],
        }
    }

    /// The whole answer, with the reason as its body and `Connection: close`.
    #[must_use]
    pub fn to_response(&self) -> Vec<u8> {
        plain_response(self.status(), self.headers(), &self.reason())
    }
}
