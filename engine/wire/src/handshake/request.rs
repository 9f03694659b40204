//! A parsed request head: for pages as well as for upgrades.

use super::{Fields, HandshakeError, HeadScanner};
use crate::limits::HEADERS_MAX;

/// The HTTP version of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// A request head that is valid HTTP, borrowed from the received bytes.
#[derive(Debug, Clone)]
pub struct Request<'h> {
    /// The method, in its own case.
    pub method: &'h str,
    /// The request target as it was sent.
    pub target: &'h str,
    /// The HTTP version.
    pub version: Version,
    path: &'h str,
    query: Option<&'h str>,
    fields: Fields<'h>,
}

impl<'h> Request<'h> {
    /// Parses `head`, which is all of a head and nothing else: as many bytes as the
    /// [`HeadScanner`] said.
    ///
    /// # Errors
    /// Whatever keeps it from being strict HTTP/1 within our limits, see [`HandshakeError`].
    pub fn parse(head: &'h [u8]) -> Result<Self, HandshakeError> {
        if HeadScanner::new().feed(head)? != Some(head.len()) {
            return Err(HandshakeError::Malformed);
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HandshakeError::Malformed),
            Err(httparse::Error::TooManyHeaders) => return Err(HandshakeError::TooManyHeaders),
            Err(httparse::Error::Version) => return Err(HandshakeError::UnsupportedHttpVersion),
            Err(_) => return Err(HandshakeError::Malformed),
        }
        let (Some(method), Some(target), Some(minor)) =
            (parsed.method, parsed.path, parsed.version)
        else {
            return Err(HandshakeError::Malformed);
        };
        let (path, query) = split_target(method, target)?;
        let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
        let fields = Fields::parse(parsed.headers)?;
        check_host(&fields, version)?;
        Ok(Self { method, target, version, path, query, fields })
    }

    /// The path of the target, as sent (percent-encoding kept), without query or authority.
    #[must_use]
    pub fn path(&self) -> &'h str {
        self.path
    }

    /// What follows the first `?` of the target.
    #[must_use]
    pub fn query(&self) -> Option<&'h str> {
        self.query
    }

    /// The value of the first header field with this name, without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'h str> {
        self.fields.first(name)
    }

    /// All header fields in order: name as sent, value without surrounding blanks.
    pub fn headers(&self) -> impl Iterator<Item = (&'h str, &'h str)> + '_ {
        self.fields.iter()
    }

    /// Whether the client wants a WebSocket, well-formed or not: `Upgrade` lists `websocket`,
    /// or there is a `Sec-WebSocket-Key`.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        self.fields.lists_token("upgrade", "websocket")
            || self.fields.first("sec-websocket-key").is_some()
    }

    pub(crate) fn fields(&self) -> &Fields<'h> {
        &self.fields
    }
}

/// Path and query of an origin-form or absolute-form target (RFC 9112 §3.2).
fn split_target<'h>(
    method: &str,
    target: &'h str,
) -> Result<(&'h str, Option<&'h str>), HandshakeError> {
    if !target.is_ascii() || target.contains('#') {
        return Err(HandshakeError::InvalidTarget);
    }
    let origin_form = if target.starts_with('/') {
        target
    } else if let Some(rest) = strip_scheme(target) {
        let authority_bytes = rest.find(['/', '?']).unwrap_or(rest.len());
        if authority_bytes == 0 {
            return Err(HandshakeError::InvalidTarget);
        }
        &rest[authority_bytes..]
    } else if (method == "OPTIONS" && target == "*") || method == "CONNECT" {
        return Ok((target, None));
    } else {
        return Err(HandshakeError::InvalidTarget);
    };
    let (path, query) = match origin_form.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (origin_form, None),
    };
    Ok((if path.is_empty() { "/" } else { path }, query))
}

fn strip_scheme(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    let known = ["http", "https", "ws", "wss"];
    known.iter().any(|have| have.eq_ignore_ascii_case(scheme)).then_some(rest)
}

/// RFC 9112 §3.2: exactly one Host from HTTP/1.1 on, at most one before.
fn check_host(fields: &Fields<'_>, version: Version) -> Result<(), HandshakeError> {
    match fields.only("host") {
        Ok(Some(host)) if is_host(host) => Ok(()),
        Ok(None) if version == Version::Http10 => Ok(()),
        _ => Err(HandshakeError::Host),
    }
}

/// A host and optional port, by its characters: what cannot be one is refused.
fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%:[]".contains(&b))
}
