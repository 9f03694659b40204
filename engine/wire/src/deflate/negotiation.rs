//! Offers of permessage-deflate, and which of them is accepted (RFC 7692 §5, §7.1).

use super::WINDOW_BITS_MAX;
use crate::handshake::ExtensionOffer;

const NAME: &str = "permessage-deflate";

/// What both sides agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    client_takeover: bool,
    server_window_bits: Option<u8>,
}

impl Agreed {
    /// Whether the client's messages may refer back to those before them: then the connection
    /// keeps an inflater of its own. Ours never do.
    #[must_use]
    pub const fn is_client_takeover(&self) -> bool {
        self.client_takeover
    }

    /// The same, but that each of the client's messages stands for itself.
    #[must_use]
    pub const fn without_client_takeover(mut self) -> Self {
        self.client_takeover = false;
        self
    }

    /// Whether the client inflates what was compressed with the longest window. To one that wants
    /// a shorter one, messages are sent as they are: what is compressed is shared by all.
    #[must_use]
    pub const fn takes_shared(&self) -> bool {
        //= RFC 7692 §7.2.1
        //# If the "agreed parameters" contain the "server_max_window_bits"
        //# extension parameter with a value of w, the server MUST NOT use an
        //# LZ77 sliding window longer than the w-th power of 2 bytes to
        //# compress messages to send.
        matches!(self.server_window_bits, None | Some(WINDOW_BITS_MAX))
    }

    /// The value of `Sec-WebSocket-Extensions` that accepts the offer.
    #[must_use]
    pub fn response(&self) -> String {
        //= RFC 7692 §7.1.1.1
        //# A server MAY include the "server_no_context_takeover" extension
        //# parameter in an extension negotiation response even if the extension
        //# negotiation offer being accepted by the extension negotiation
        //# response didn't include the "server_no_context_takeover" extension
        //# parameter.
        let mut out = format!("{NAME}; server_no_context_takeover");
        if !self.client_takeover {
            out.push_str("; client_no_context_takeover");
        }
        //= RFC 7692 §7.1.2.1
        //# A server accepts an extension negotiation offer with this parameter
        //# by including the "server_max_window_bits" extension parameter in
        //# the extension negotiation response to send back to the client with
        //# the same or smaller value as the offer.
        if let Some(bits) = self.server_window_bits {
            out.push_str(&format!("; server_max_window_bits={bits}"));
        }
        //= RFC 7692 §7.1.2.2
        //# If a received extension negotiation offer doesn't have the
        //# "client_max_window_bits" extension parameter, the corresponding
        //# extension negotiation response to the offer MUST NOT include the
        //# "client_max_window_bits" extension parameter.
        // It never does: an inflater has the longest window whatever the client uses.
        out
    }
}

/// The first of a client's offers that can be accepted, of all its extensions in its order of
/// preference. `client_takeover`: whether its messages may refer back to those before them.
pub fn negotiate<'h>(
    mut offers: impl Iterator<Item = ExtensionOffer<'h>>,
    client_takeover: bool,
) -> Option<Agreed> {
    //= RFC 7692 §5
    //# The order of elements is important as it specifies the client's preference.
    offers.find_map(|offer| accept(&offer, client_takeover))
}

//= RFC 7692 §7
//# A server MUST decline an extension negotiation offer for this
//# extension if any of the following conditions are met:
fn accept(offer: &ExtensionOffer<'_>, client_takeover: bool) -> Option<Agreed> {
    if offer.name != NAME {
        return None;
    }
    let mut agreed = Agreed { client_takeover, server_window_bits: None };
    let mut seen = [false; 4];
    for (name, value) in offer.parameters() {
        let parameter = match (name, value) {
            ("server_no_context_takeover", None) => 0,
            ("client_no_context_takeover", None) => {
                // It will not use any: then nothing need be kept for it.
                agreed.client_takeover = false;
                1
            }
            ("server_max_window_bits", Some(bits)) => {
                agreed.server_window_bits = Some(window_bits(bits)?);
                2
            }
            ("client_max_window_bits", bits) => {
                bits.map_or(Some(WINDOW_BITS_MAX), window_bits)?;
                3
            }
            //= RFC 7692 §7
            //# The negotiation offer contains an extension parameter not defined
            //# for use in an offer.
            //= RFC 7692 §7
            //# The negotiation offer contains an extension parameter with an
            //# invalid value.
            _ => return None,
        };
        //= RFC 7692 §7
        //# The negotiation offer contains multiple extension parameters with
        //# the same name.
        if std::mem::replace(&mut seen[parameter], true) {
            return None;
        }
    }
    Some(agreed)
}

//= RFC 7692 §7.1.2.1
//# This parameter has a decimal integer value without leading zeroes between
//# 8 to 15, inclusive, indicating the base-2 logarithm of the LZ77 sliding
//# window size, and MUST conform to the ABNF below.
fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse().ok().filter(|bits| (8..=WINDOW_BITS_MAX).contains(bits))?;
    (value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0')).then_some(bits)
}
