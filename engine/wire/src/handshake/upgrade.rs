//! A request that is a valid WebSocket handshake (RFC 6455 §4.2.1).

use super::accept::{accept_key, is_key};
use super::extension::{self, ExtensionOffer};
use super::{HandshakeError, Request, Version, is_token};
use crate::limits::SUBPROTOCOLS_MAX;

/// A request whose every part of the handshake was checked: what is left is to accept it or not.
#[derive(Debug, Clone)]
pub struct Upgrade<'h> {
    request: Request<'h>,
    key: &'h str,
}

impl<'h> Upgrade<'h> {
    /// Checks `request` against §4.2.1.
    ///
    /// # Errors
    /// The first requirement that it does not meet.
    pub fn parse(request: Request<'h>) -> Result<Self, HandshakeError> {
        //= RFC 6455 §4.2.1
        //# If
        //# the server, while reading the handshake, finds that the client did
        //# not send a handshake that matches the description below (note that as
        //# per [RFC2616], the order of the header fields is not important),
        //# including but not limited to any violations of the ABNF grammar
        //# specified for the components of the handshake, the server MUST stop
        //# processing the client's handshake and return an HTTP response with an
        //# appropriate error code (such as 400 Bad Request).
        check_method_and_body(&request)?;
        let fields = request.fields();
        //= RFC 6455 §4.2.1
        //# An |Upgrade| header field containing the value "websocket",
        //# treated as an ASCII case-insensitive value.
        if !fields.lists_token("upgrade", "websocket") {
            return Err(HandshakeError::Upgrade);
        }
        //= RFC 6455 §4.2.1
        //# A |Connection| header field that includes the token "Upgrade",
        //# treated as an ASCII case-insensitive value.
        if !fields.lists_token("connection", "upgrade") {
            return Err(HandshakeError::Connection);
        }
        //= RFC 6455 §4.2.1
        //# A |Sec-WebSocket-Version| header field, with a value of 13.
        match fields.only("sec-websocket-version") {
            Ok(Some("13")) => {}
            //= RFC 6455 §4.2.2
            //# If this
            //# version does not match a version understood by the server, the
            //# server MUST abort the WebSocket handshake described in this
            //# section and instead send an appropriate HTTP error code (such
            //# as 426 Upgrade Required) and a |Sec-WebSocket-Version| header
            //# field indicating the version(s) the server is capable of
            //# understanding.
            Ok(_) => return Err(HandshakeError::Version),
            Err(()) => return Err(HandshakeError::DuplicateVersion),
        }
        //= RFC 6455 §4.2.1
        //# A |Sec-WebSocket-Key| header field with a base64-encoded (see
        //# Section 4 of [RFC4648]) value that, when decoded, is 16 bytes in
        //# length.
        let key = match fields.only("sec-websocket-key") {
            Ok(Some(key)) if is_key(key) => key,
            _ => return Err(HandshakeError::Key),
        };
        if fields.only("origin").is_err() {
            return Err(HandshakeError::DuplicateOrigin);
        }
        check_subprotocols(&request)?;
        extension::check(fields.all("sec-websocket-extensions"))?;
        Ok(Self { request, key })
    }

    /// The path of the target, as sent, without query.
    #[must_use]
    pub fn path(&self) -> &'h str {
        self.request.path()
    }

    /// What follows the first `?` of the target.
    #[must_use]
    pub fn query(&self) -> Option<&'h str> {
        self.request.query()
    }

    /// The offered subprotocols in the client's order of preference: distinct tokens, at most
    /// [`SUBPROTOCOLS_MAX`].
    pub fn protocols(&self) -> impl Iterator<Item = &'h str> + '_ {
        self.request.fields().list("sec-websocket-protocol")
    }

    /// The offered extensions in the client's order of preference.
    pub fn extensions(&self) -> impl Iterator<Item = ExtensionOffer<'h>> + '_ {
        self.request.fields().all("sec-websocket-extensions").flat_map(extension::offers)
    }

    /// The one Origin, as sent. Browsers always send it.
    #[must_use]
    pub fn origin(&self) -> Option<&'h str> {
        self.header("origin")
    }

    /// The value of the first header field with this name, without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'h str> {
        self.request.header(name)
    }

    /// All header fields in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'h str, &'h str)> + '_ {
        self.request.headers()
    }

    /// The value for `Sec-WebSocket-Accept`.
    #[must_use]
    pub fn accept_key(&self) -> String {
        accept_key(self.key)
    }

    /// The request beneath.
    #[must_use]
    pub fn request(&self) -> &Request<'h> {
        &self.request
    }
}

fn check_method_and_body(request: &Request<'_>) -> Result<(), HandshakeError> {
    if request.method != "GET" {
        return Err(HandshakeError::Method);
    }
    if request.version < Version::Http11 {
        return Err(HandshakeError::Http10);
    }
    // A body would be read as frames here and as a body by a proxy in front: smuggling.
    let fields = request.fields();
    let no_length = fields.all("content-length").all(|length| length == "0");
    if no_length && fields.first("transfer-encoding").is_none() {
        Ok(())
    } else {
        Err(HandshakeError::Body)
    }
}

//= RFC 6455 §4.1
//# The elements that comprise this value
//# MUST be non-empty strings with characters in the range U+0021 to
//# U+007E not including separator characters as defined in
//# [RFC2616] and MUST all be unique strings.
fn check_subprotocols(request: &Request<'_>) -> Result<(), HandshakeError> {
    let mut seen: Vec<&str> = Vec::new();
    for protocol in request.fields().list("sec-websocket-protocol") {
        if !is_token(protocol) || seen.contains(&protocol) || seen.len() == SUBPROTOCOLS_MAX {
            return Err(HandshakeError::Subprotocols);
        }
        seen.push(protocol);
    }
    Ok(())
}
