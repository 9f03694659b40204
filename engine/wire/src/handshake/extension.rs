//! Extension offers (RFC 6455 §9.1): read strictly. Who accepts one: [`crate::deflate`].

use super::{HandshakeError, is_token};
use crate::limits::EXTENSIONS_MAX;

/// One offer of a `Sec-WebSocket-Extensions` header: a name and its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionOffer<'h> {
    /// The registered name, such as `permessage-deflate`.
    pub name: &'h str,
    /// What follows the name, as sent.
    parameters: &'h str,
}

impl<'h> ExtensionOffer<'h> {
    /// The parameters in order, quotes taken off their values.
    pub fn parameters(&self) -> impl Iterator<Item = (&'h str, Option<&'h str>)> + 'h {
        self.parameters.split(';').skip(1).map(|parameter| match parameter.split_once('=') {
            Some((name, value)) => (blank_trimmed(name), Some(unquoted(blank_trimmed(value)))),
            None => (blank_trimmed(parameter), None),
        })
    }
}

/// The offers of one header value. Values in quotes must be tokens when unquoted, so that no
/// comma or semicolon hides in them; backslash escapes are refused.
pub(crate) fn offers(value: &str) -> impl Iterator<Item = ExtensionOffer<'_>> {
    super::list(value).map(|offer| {
        let name_bytes = offer.find(';').unwrap_or(offer.len());
        let (name, parameters) = offer.split_at(name_bytes);
        ExtensionOffer { name: blank_trimmed(name), parameters }
    })
}

//= RFC 6455 §9.1
//# If a value is received by either the client or
//# the server during negotiation that does not conform to the ABNF
//# below, the recipient of such malformed data MUST immediately _Fail
//# the WebSocket Connection_.
//= RFC 6455 §9.1
//# When using the quoted-string syntax variant, the value
//# after quoted-string unescaping MUST conform to the
//# 'token' ABNF.
pub(crate) fn check<'h>(values: impl Iterator<Item = &'h str>) -> Result<(), HandshakeError> {
    let mut count = 0;
    for offer in values.flat_map(offers) {
        count += 1;
        let well_formed = is_token(offer.name)
            && offer.parameters().all(|(name, value)| is_token(name) && value.is_none_or(is_token));
        if count > EXTENSIONS_MAX || !well_formed {
            return Err(HandshakeError::Extensions);
        }
    }
    Ok(())
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value)
}

fn blank_trimmed(text: &str) -> &str {
    text.trim_matches(super::fields::is_blank)
}
