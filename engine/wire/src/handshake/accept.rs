//! The proof that the server read the handshake (RFC 6455 §4.2.2).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// §4.2.1 asks for 16 bytes after decoding and nothing of the two unused bits.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The value of `Sec-WebSocket-Accept` for that of `Sec-WebSocket-Key`: 28 characters.
#[must_use]
pub fn accept_key(key: &str) -> String {
    //= RFC 6455 §4.2.2
    //# The value of this header field is constructed by concatenating
    //# /key/, defined above in step 4 in Section 4.2.2, with the
    //# string "258EAFA5-
    //# E914-47DA-95CA-C5AB0DC85B11", taking the SHA-1 hash of this
    //# concatenated value to obtain a 20-byte value and base64-
    //# encoding (see Section 4 of [RFC4648]) this 20-byte hash.
    let mut sha1 = sha1_smol::Sha1::new();
    sha1.update(key.as_bytes());
    sha1.update(GUID);
    STANDARD.encode(sha1.digest().bytes())
}

/// Whether a `Sec-WebSocket-Key` decodes to 16 bytes.
pub(crate) fn is_key(key: &str) -> bool {
    let mut nonce = [0; 18];
    key.len() == 24 && KEY_BASE64.decode_slice(key, &mut nonce) == Ok(16)
}

/// A `Sec-WebSocket-Key` for a random nonce.
pub(crate) fn encode_key(nonce: [u8; 16]) -> String {
    STANDARD.encode(nonce)
}
