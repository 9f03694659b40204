//! Answers to requests: the 101, and everything else.

use super::{Upgrade, is_token};
use crate::deflate::Agreed;

/// An answer that must not be sent: a mistake of the caller, never of the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidResponse {
    /// A status outside 200–599.
    #[error("status {0} cannot be sent here")]
    Status(u16),
    /// A name that is no token, or a value with CR, LF or another control character.
    #[error("header {0:?} has an invalid name or value")]
    Header(String),
    /// A header field that this crate writes itself.
    #[error("header {0:?} is not the caller's to set")]
    ReservedHeader(String),
    /// A subprotocol that the client did not offer.
    #[error("subprotocol {0:?} was not offered")]
    NotOffered(String),
}

/// The 101 that accepts `upgrade`, with one of its offered subprotocols, what was
/// [agreed](crate::deflate::negotiate) of compression, and further headers.
/// Frames may follow behind it.
///
/// # Errors
/// [`InvalidResponse`] for a subprotocol that was not offered, or a header that is malformed or
/// belongs to the handshake itself.
pub fn accept_response(
    upgrade: &Upgrade<'_>,
    subprotocol: Option<&str>,
    compression: Option<&Agreed>,
    extra_headers: &[(&str, &str)],
) -> Result<Vec<u8>, InvalidResponse> {
    //= RFC 6455 §4.2.2
    //# If the server chooses to accept the incoming connection, it MUST
    //# reply with a valid HTTP response indicating the following.
    let mut out = Vec::with_capacity(192);
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    out.extend_from_slice(upgrade.accept_key().as_bytes());
    out.extend_from_slice(b"\r\n");
    if let Some(subprotocol) = subprotocol {
        //= RFC 6455 §4.2.2
        //# The value chosen MUST be derived
        //# from the client's handshake, specifically by selecting one of
        //# the values from the |Sec-WebSocket-Protocol| field that the
        //# server is willing to use for this connection (if any).
        //= RFC 6455 §4.2.2
        //# The absence
        //# of such a field is equivalent to the null value (meaning that
        //# if the server does not wish to agree to one of the suggested
        //# subprotocols, it MUST NOT send back a |Sec-WebSocket-Protocol|
        //# header field in its response).
        if !upgrade.protocols().any(|offered| offered == subprotocol) {
            return Err(InvalidResponse::NotOffered(subprotocol.to_owned()));
        }
        push_header(&mut out, "Sec-WebSocket-Protocol", subprotocol)?;
    }
    //= RFC 7692 §5
    //# To accept use of an offered PMCE, a server MUST include a
    //# "Sec-WebSocket-Extensions" header element with the extension name of the
    //# extension in the "Sec-WebSocket-Extensions" header in the server's opening
    //# handshake of the WebSocket connection.
    if let Some(agreed) = compression {
        push_header(&mut out, "Sec-WebSocket-Extensions", &agreed.response())?;
    }
    push_callers(&mut out, extra_headers)?;
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// Any answer but a 101, with `Content-Length` and `Connection: close`.
///
/// # Errors
/// [`InvalidResponse`] for a status outside 200–599, or a header that is malformed or written
/// here anyway.
pub fn response(
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Vec<u8>, InvalidResponse> {
    if !(200..=599).contains(&status) {
        return Err(InvalidResponse::Status(status));
    }
    let mut out = start(status, body.len());
    push_callers(&mut out, headers)?;
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    Ok(out)
}

/// An answer of our own making: its headers are known to be fine.
pub(super) fn plain_response(
    status: u16,
    headers: &[(&'static str, &'static str)],
    reason: &str,
) -> Vec<u8> {
    let mut out = start(status, reason.len() + 1);
    for (name, value) in headers {
        push(&mut out, name, value);
    }
    push(&mut out, "Content-Type", "text/plain; charset=utf-8");
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(reason.as_bytes());
    out.push(b'\n');
    out
}

/// Writes one header line after checking it.
pub(crate) fn push_header(
    out: &mut Vec<u8>,
    name: &str,
    value: &str,
) -> Result<(), InvalidResponse> {
    let printable = value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    if !is_token(name) || !printable {
        return Err(InvalidResponse::Header(name.to_owned()));
    }
    push(out, name, value);
    Ok(())
}

fn start(status: u16, body_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + body_bytes);
    let reason = reason_phrase(status);
    out.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
    push(&mut out, "Connection", "close");
    // RFC 9110 §8.6: none with 204.
    if status != 204 {
        push(&mut out, "Content-Length", &body_bytes.to_string());
    }
    out
}

fn push_callers(out: &mut Vec<u8>, headers: &[(&str, &str)]) -> Result<(), InvalidResponse> {
    for (name, value) in headers {
        let reserved = RESERVED.iter().any(|have| have.eq_ignore_ascii_case(name));
        if reserved {
            return Err(InvalidResponse::ReservedHeader((*name).to_owned()));
        }
        push_header(out, name, value)?;
    }
    Ok(())
}

fn push(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

//= RFC 6455 §4.2.2
//# Extensions not listed by the client MUST NOT be
//# listed.
//= RFC 6455 §9
//# A server MUST NOT respond with any extension not requested
//# by the client.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "transfer-encoding",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
];

const fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}
