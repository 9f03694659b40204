//! A frame as it goes out: encoded once, shared by all that receive it.

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::close::CloseCode;
use crate::deflate::Deflater;
use crate::frame::{HEADER_BYTES_MAX, Header, Opcode};
use crate::limits::{CLOSE_REASON_BYTES_MAX, CONTROL_BYTES_MAX};

/// A whole, final, unmasked frame: header and payload in one allocation, cloned by reference.
#[derive(Clone)]
pub struct Frame {
    bytes: Bytes,
    /// The same message compressed, for those who agreed to that; as it is, where that would not be
    /// shorter: nobody tries again.
    twin: Option<Arc<Self>>,
}

impl Frame {
    /// A text message.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::encode(Opcode::Text, &[text.as_bytes()])
    }

    /// A binary message.
    #[must_use]
    pub fn binary(payload: &[u8]) -> Self {
        Self::encode(Opcode::Binary, &[payload])
    }

    /// A message of either kind, for who has the kind as a value: prepared once, it is published
    /// as often as one likes without being encoded or copied again.
    ///
    /// # Errors
    /// When `opcode` is not that of a message, or the payload of a text is not valid UTF-8.
    pub fn prepare(opcode: Opcode, payload: &[u8]) -> Result<Self, PrepareError> {
        match opcode {
            Opcode::Text => {
                let text = simdutf8::basic::from_utf8(payload);
                text.map(Self::text).map_err(|_| PrepareError::InvalidUtf8)
            }
            Opcode::Binary => Ok(Self::binary(payload)),
            other => Err(PrepareError::NotAMessage(other)),
        }
    }

    /// A Ping.
    ///
    /// # Panics
    /// When `payload` is longer than 125 bytes (RFC 6455 §5.5).
    #[must_use]
    pub fn ping(payload: &[u8]) -> Self {
        Self::encode(Opcode::Ping, &[payload])
    }

    /// A Pong.
    ///
    /// # Panics
    /// When `payload` is longer than 125 bytes (RFC 6455 §5.5).
    #[must_use]
    pub fn pong(payload: &[u8]) -> Self {
        Self::encode(Opcode::Pong, &[payload])
    }

    /// A Close with a code and a reason, which is cut to 123 bytes at a character's border.
    ///
    /// # Panics
    /// When `code` is not [sendable](CloseCode::is_sendable).
    #[must_use]
    pub fn close(code: CloseCode, reason: &str) -> Self {
        //= RFC 6455 §7.1.2
        //# To _Start the WebSocket Closing Handshake_ with a status code
        //# (Section 7.4) /code/ and an optional close reason (Section 7.1.6)
        //# /reason/, an endpoint MUST send a Close control frame, as described
        //# in Section 5.5.1, whose status code is set to /code/ and whose close
        //# reason is set to /reason/.
        assert!(code.is_sendable(), "close code {code} must not be sent");
        let end = reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX);
        //= RFC 6455 §5.5.1
        //# Following the 2-byte integer, the body MAY contain UTF-8-encoded data
        //# with value /reason/, the interpretation of which is not defined by
        //# this specification.
        Self::encode(Opcode::Close, &[&code.0.to_be_bytes(), &reason.as_bytes()[..end]])
    }

    /// A Close without a body: the answer to one without a body.
    #[must_use]
    pub fn close_without_code() -> Self {
        Self::encode(Opcode::Close, &[])
    }

    /// This frame, with the same message compressed beside it where that is shorter: once, for all
    /// that receive it.
    #[must_use]
    pub fn with_twin(mut self, deflater: &mut Deflater) -> Self {
        if self.twin.is_none() {
            let twin = deflater.deflate(&self).unwrap_or_else(|| self.clone());
            self.twin = Some(Arc::new(twin));
        }
        self
    }

    /// Whether it was tried to compress this frame, with or without success.
    #[inline]
    #[must_use]
    pub fn is_tried(&self) -> bool {
        self.twin.is_some()
    }

    /// The same message compressed, if there is such a frame.
    #[inline]
    #[must_use]
    pub fn twin(&self) -> Option<&Self> {
        self.twin.as_deref().filter(|twin| twin.is_compressed())
    }

    /// This frame alone.
    #[inline]
    #[must_use]
    pub fn without_twin(&self) -> Self {
        Self { bytes: self.bytes.clone(), twin: None }
    }

    /// Whether the payload is compressed (RFC 7692 §6).
    #[inline]
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.bytes[0] & 0x40 != 0
    }

    /// The frame as it stands on the wire.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The payload, without the header.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.header_bytes()..]
    }

    /// What the frame carries.
    #[inline]
    #[must_use]
    pub fn opcode(&self) -> Opcode {
        Opcode::from_bits(self.bytes[0] & 0x0f).unwrap_or(Opcode::Binary)
    }

    /// Bytes on the wire, header included; at least 2.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a frame has a header and is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The frame's shared bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    #[inline]
    fn header_bytes(&self) -> usize {
        match self.bytes[1] {
            0..=125 => 2,
            126 => 4,
            _ => 10,
        }
    }

    fn encode(opcode: Opcode, parts: &[&[u8]]) -> Self {
        let payload_bytes: usize = parts.iter().map(|part| part.len()).sum();
        assert!(
            !opcode.is_control() || payload_bytes <= CONTROL_BYTES_MAX,
            "a control frame holds at most {CONTROL_BYTES_MAX} bytes, not {payload_bytes}"
        );
        //= RFC 6455 §5.1
        //# A server MUST NOT mask any frames that it sends to the client.
        //= RFC 6455 §6.1
        //# An endpoint MUST encapsulate the /data/ in a WebSocket frame as
        //# defined in Section 5.2.
        //= RFC 6455 §6.1
        //# The opcode (frame-opcode) of the first frame containing the data
        //# MUST be set to the appropriate value from Section 5.2 for data
        //# that is to be interpreted by the recipient as text or binary
        //# data.
        //= RFC 6455 §6.1
        //# The FIN bit (frame-fin) of the last frame containing the data
        //# MUST be set to 1 as defined in Section 5.2.
        let bytes = write(opcode, false, parts);
        Self { bytes, twin: None }
    }

    /// A frame of a message that is compressed already.
    pub(crate) fn compressed(opcode: Opcode, deflated: &[u8]) -> Self {
        //= RFC 7692 §6.1
        //# Set the "Per-Message Compressed" bit of the first frame to 1.
        Self { bytes: write(opcode, true, &[deflated]), twin: None }
    }
}

fn write(opcode: Opcode, compressed: bool, parts: &[&[u8]]) -> Bytes {
    let payload_bytes: usize = parts.iter().map(|part| part.len()).sum();
    let header =
        Header { payload_bytes: payload_bytes as u64, mask: None, fin: true, compressed, opcode };
    let mut head = [0; HEADER_BYTES_MAX];
    let head_bytes = header.encode(&mut head);
    let mut bytes = Vec::with_capacity(head_bytes + payload_bytes);
    bytes.extend_from_slice(&head[..head_bytes]);
    for part in parts {
        bytes.extend_from_slice(part);
    }
    Bytes::from(bytes)
}

/// The same bytes, and the same compressed; whether that was tried is no difference.
impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.twin() == other.twin()
    }
}

impl Eq for Frame {}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("opcode", &self.opcode()).field("len", &self.len()).finish()
    }
}

/// Why a frame was not prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// Only text and binary frames are messages.
    #[error("{0:?} is not the opcode of a message: it may be Text or Binary")]
    NotAMessage(Opcode),
    /// A text message is UTF-8 (RFC 6455 §8.1).
    #[error("the payload of a text message is not valid UTF-8")]
    InvalidUtf8,
}
