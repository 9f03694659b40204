//! The client's side: the handshake request, the check of its answer, masked frames.

use crate::frame::{HEADER_BYTES_MAX, Header, Opcode};
use crate::handshake::{Fields, HandshakeError, HeadScanner, InvalidResponse, push_header};
use crate::handshake::{accept_key, list};
use crate::limits::HEADERS_MAX;
use crate::mask;

/// A whole, final frame, masked with `key`, which must be fresh and unpredictable for each
/// frame (RFC 6455 §5.3, §10.3).
///
/// # Panics
/// For a control opcode with more than 125 bytes, and for [`Opcode::Continuation`].
#[must_use]
pub fn mask_frame(opcode: Opcode, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    assert!(opcode != Opcode::Continuation, "a final frame alone does not continue a message");
    let mut out = Vec::new();
    //= RFC 6455 §5.1
    //# a client MUST mask all frames that it
    //# sends to the server (see Section 5.3 for further details).
    //= RFC 6455 §6.1
    //# If the data is being sent by the client, the frame(s) MUST be
    //# masked as defined in Section 5.3.
    append_frame(&mut out, opcode, true, payload, key);
    out
}

/// Appends one masked frame, fragment or whole, to `out`.
///
/// # Panics
/// For a control opcode with more than 125 bytes or without `fin`.
pub fn append_frame(out: &mut Vec<u8>, opcode: Opcode, fin: bool, payload: &[u8], key: [u8; 4]) {
    let payload_bytes = payload.len() as u64;
    let header = Header { payload_bytes, mask: Some(key), fin, compressed: false, opcode };
    let mut head = [0; HEADER_BYTES_MAX];
    let head_bytes = header.encode(&mut head);
    out.reserve(head_bytes + payload.len());
    out.extend_from_slice(&head[..head_bytes]);
    let start = out.len();
    out.extend_from_slice(payload);
    mask::apply(&mut out[start..], key, 0);
}

/// The `Sec-WebSocket-Key` for a nonce, which must be random for each connection (§4.1).
#[must_use]
pub fn key(nonce: [u8; 16]) -> String {
    //= RFC 6455 §4.1
    //# The value of this header field MUST be a
    //# nonce consisting of a randomly selected 16-byte value that has
    //# been base64-encoded (see Section 4 of [RFC4648]).
    crate::handshake::encode_key(nonce)
}

/// The opening handshake as bytes: `host` as in the URL with its port, `target` beginning with
/// `/`, `key` from [`key`], the offered subprotocols, and further headers such as `Origin`.
///
/// # Errors
/// [`InvalidResponse::Header`] naming the part that holds control characters or white space
/// where none may be.
pub fn request(
    host: &str,
    target: &str,
    key: &str,
    protocols: &[&str],
    extra_headers: &[(&str, &str)],
) -> Result<Vec<u8>, InvalidResponse> {
    //= RFC 6455 §4.1
    //# The handshake MUST be a valid HTTP request as specified by
    //# [RFC2616].
    let plain = target.starts_with('/') && target.bytes().all(|b| b.is_ascii_graphic());
    if !plain || target.contains('#') {
        return Err(InvalidResponse::Header(target.to_owned()));
    }
    let mut out = Vec::with_capacity(256);
    //= RFC 6455 §4.1
    //# The method of the request MUST be GET, and the HTTP version MUST
    //# be at least 1.1.
    out.extend_from_slice(format!("GET {target} HTTP/1.1\r\n").as_bytes());
    //= RFC 6455 §4.1
    //# The request MUST contain a |Host| header field whose value
    //# contains /host/ plus optionally ":" followed by /port/ (when not
    //# using the default port).
    push_header(&mut out, "Host", host)?;
    //= RFC 6455 §4.1
    //# The request MUST contain an |Upgrade| header field whose value
    //# MUST include the "websocket" keyword.
    push_header(&mut out, "Upgrade", "websocket")?;
    //= RFC 6455 §4.1
    //# The request MUST contain a |Connection| header field whose value
    //# MUST include the "Upgrade" token.
    push_header(&mut out, "Connection", "Upgrade")?;
    //= RFC 6455 §4.1
    //# The request MUST include a header field with the name
    //# |Sec-WebSocket-Key|.
    push_header(&mut out, "Sec-WebSocket-Key", key)?;
    //= RFC 6455 §4.1
    //# The request MUST include a header field with the name
    //# |Sec-WebSocket-Version|.  The value of this header field MUST be
    //# 13.
    push_header(&mut out, "Sec-WebSocket-Version", "13")?;
    if !protocols.is_empty() {
        push_header(&mut out, "Sec-WebSocket-Protocol", &protocols.join(", "))?;
    }
    for (name, value) in extra_headers {
        push_header(&mut out, name, value)?;
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// A server's answer that accepted our handshake.
#[derive(Debug, Clone)]
pub struct Response<'h> {
    /// The subprotocol that the server chose from those offered.
    pub subprotocol: Option<&'h str>,
    fields: Fields<'h>,
}

impl<'h> Response<'h> {
    /// The value of the first header field with this name, without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'h str> {
        self.fields.first(name)
    }
}

/// Why an answer does not open the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// Not an HTTP/1.1 head within our limits.
    #[error("the answer is not a valid HTTP/1.1 head: {0}")]
    Malformed(HandshakeError),
    /// Any other status than 101.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// No `websocket` in Upgrade.
    #[error("the answer's Upgrade header is not websocket")]
    Upgrade,
    /// No `upgrade` in Connection.
    #[error("the answer's Connection header does not list Upgrade")]
    Connection,
    /// Sec-WebSocket-Accept is missing, doubled or does not match our key.
    #[error("the answer's Sec-WebSocket-Accept does not match the key")]
    Accept,
    /// An extension although none was offered.
    #[error("the server chose extension {0:?}, which was not offered")]
    Extension(String),
    /// A subprotocol that was not offered, or more than one.
    #[error("the server chose subprotocol {0:?}, which was not offered")]
    Subprotocol(String),
}

/// Checks a server's answer (RFC 6455 §4.1): `head` is all of it as found by a
/// [`HeadScanner`], `key` and `protocols` are what the request offered.
///
/// # Errors
/// The first requirement that it does not meet.
pub fn verify<'h>(
    head: &'h [u8],
    key: &str,
    protocols: &[&str],
) -> Result<Response<'h>, ResponseError> {
    //= RFC 6455 §4.1
    //# The client MUST validate the server's response as follows:
    //= RFC 6455 §4.1
    //# If the server's response does not conform to the requirements for the
    //# server's handshake as defined in this section and in Section 4.2.2,
    //# the client MUST _Fail the WebSocket Connection_.
    let (status, fields) = parse_head(head).map_err(ResponseError::Malformed)?;
    if status != 101 {
        return Err(ResponseError::Status(status));
    }
    //= RFC 6455 §4.1
    //# If the response lacks an |Upgrade| header field or the |Upgrade|
    //# header field contains a value that is not an ASCII case-
    //# insensitive match for the value "websocket", the client MUST
    //# _Fail the WebSocket Connection_.
    let upgrade = fields.only("upgrade").ok().flatten();
    if !upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return Err(ResponseError::Upgrade);
    }
    //= RFC 6455 §4.1
    //# If the response lacks a |Connection| header field or the
    //# |Connection| header field doesn't contain a token that is an
    //# ASCII case-insensitive match for the value "Upgrade", the client
    //# MUST _Fail the WebSocket Connection_.
    if !fields.lists_token("connection", "upgrade") {
        return Err(ResponseError::Connection);
    }
    //= RFC 6455 §4.1
    //# If the response lacks a |Sec-WebSocket-Accept| header field or
    //# the |Sec-WebSocket-Accept| contains a value other than the
    //# base64-encoded SHA-1 of the concatenation of the |Sec-WebSocket-
    //# Key| (as a string, not base64-decoded) with the string "258EAFA5-
    //# E914-47DA-95CA-C5AB0DC85B11" but ignoring any leading and
    //# trailing whitespace, the client MUST _Fail the WebSocket
    //# Connection_.
    if fields.only("sec-websocket-accept") != Ok(Some(accept_key(key).as_str())) {
        return Err(ResponseError::Accept);
    }
    //= RFC 6455 §4.1
    //# If the response includes a |Sec-WebSocket-Extensions| header
    //# field and this header field indicates the use of an extension
    //# that was not present in the client's handshake (the server has
    //# indicated an extension not requested by the client), the client
    //# MUST _Fail the WebSocket Connection_.
    if let Some(extension) = fields.all("sec-websocket-extensions").flat_map(list).next() {
        return Err(ResponseError::Extension(extension.to_owned()));
    }
    let subprotocol = check_subprotocol(&fields, protocols)?;
    Ok(Response { subprotocol, fields })
}

fn check_subprotocol<'h>(
    fields: &Fields<'h>,
    protocols: &[&str],
) -> Result<Option<&'h str>, ResponseError> {
    //= RFC 6455 §4.1
    //# If the response includes a |Sec-WebSocket-Protocol| header field
    //# and this header field indicates the use of a subprotocol that was
    //# not present in the client's handshake (the server has indicated a
    //# subprotocol not requested by the client), the client MUST _Fail
    //# the WebSocket Connection_.
    match fields.only("sec-websocket-protocol") {
        Ok(None) => Ok(None),
        Ok(Some(chosen)) if protocols.contains(&chosen) => Ok(Some(chosen)),
        Ok(Some(chosen)) => Err(ResponseError::Subprotocol(chosen.to_owned())),
        Err(()) => Err(ResponseError::Subprotocol("more than one".to_owned())),
    }
}

fn parse_head(head: &[u8]) -> Result<(u16, Fields<'_>), HandshakeError> {
    if HeadScanner::new().feed(head)? != Some(head.len()) {
        return Err(HandshakeError::Malformed);
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HandshakeError::TooManyHeaders),
        _ => return Err(HandshakeError::Malformed),
    }
    let (Some(status), Some(1)) = (parsed.code, parsed.version) else {
        return Err(HandshakeError::UnsupportedHttpVersion);
    };
    Ok((status, Fields::parse(parsed.headers)?))
}
