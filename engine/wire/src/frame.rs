//! The frame header (RFC 6455 §5.2): read, checked and written.

use crate::error::ProtocolError;
use crate::limits::CONTROL_BYTES_MAX;
pub use crate::limits::HEADER_BYTES_MAX;

/// What a frame carries (RFC 6455 §5.2). The reserved values do not exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further part of a fragmented message.
    Continuation = 0,
    /// A text message, or its first part.
    Text = 1,
    /// A binary message, or its first part.
    Binary = 2,
    /// The end of the connection.
    Close = 8,
    /// A question whether the peer lives.
    Ping = 9,
    /// The answer to it, or a heartbeat of its own accord.
    Pong = 10,
}

impl Opcode {
    /// The opcode of the four low `bits`, `None` for a reserved value or more than four bits.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// Close, Ping or Pong: at most 125 bytes, never fragmented.
    #[inline]
    #[must_use]
    pub const fn is_control(self) -> bool {
        //= RFC 6455 §5.5
        //# Control frames are identified by opcodes where the most significant
        //# bit of the opcode is 1.
        self as u8 & 0x8 != 0
    }
}

/// A frame header: 2 to 14 bytes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Payload length in bytes, below 2^63.
    pub payload_bytes: u64,
    /// The masking key, where the payload is masked.
    pub mask: Option<[u8; 4]>,
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// Whether it begins a compressed message (RSV1, RFC 7692 §6).
    pub compressed: bool,
    /// What the frame carries.
    pub opcode: Opcode,
}

impl Header {
    /// Reads a header from the start of `bytes`, with its length on the wire.
    /// `Ok(None)`: nothing is wrong so far, but the header is not complete.
    ///
    /// # Errors
    /// The first rule of §5.2 or §5.5 that the bytes break, as soon as it can be seen.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        Self::parse_with(bytes, false, |_| Ok(()))
    }

    /// Like [`parse`](Self::parse), with RSV1 where compression was agreed to, and with a say in
    /// whether the frame may be masked or not, which is asked as soon as the mask bit is there.
    #[inline]
    pub(crate) fn parse_with(
        bytes: &[u8],
        deflate: bool,
        check_mask: impl FnOnce(bool) -> Result<(), ProtocolError>,
    ) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let (fin, compressed, opcode) = parse_first_byte(first, deflate)?;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let short = second & 0x7f;
        if opcode.is_control() && usize::from(short) > CONTROL_BYTES_MAX {
            //= RFC 6455 §5.5
            //# All control frames MUST have a payload length of 125 bytes or less
            //# and MUST NOT be fragmented.
            return Err(ProtocolError::ControlTooLong);
        }
        check_mask(second & 0x80 != 0)?;
        let Some((payload_bytes, mut at)) = parse_length(short, bytes)? else { return Ok(None) };
        let mut mask = None;
        if second & 0x80 != 0 {
            let Some(key) = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>) else {
                return Ok(None);
            };
            mask = Some(*key);
            at += 4;
        }
        Ok(Some((Self { payload_bytes, mask, fin, compressed, opcode }, at)))
    }

    /// Writes the header to the start of `out`, in its shortest form; returns its length.
    ///
    /// # Panics
    /// When `payload_bytes` is 2^63 or more, or the header is that of a control frame over 125
    /// bytes or without FIN, or a compressed one that does not begin a message.
    #[inline]
    pub fn encode(&self, out: &mut [u8; HEADER_BYTES_MAX]) -> usize {
        assert!(self.payload_bytes >> 63 == 0, "a payload length is below 2^63");
        let short = self.payload_bytes <= CONTROL_BYTES_MAX as u64;
        assert!(!self.opcode.is_control() || (short && self.fin), "a control frame is short");
        //= RFC 7692 §6.1
        //# An endpoint MUST NOT set the "Per-Message Compressed" bit of control
        //# frames and non-first fragments of a data message.
        let begins = matches!(self.opcode, Opcode::Text | Opcode::Binary);
        assert!(begins || !self.compressed, "what is compressed begins a message");
        out[0] = u8::from(self.fin) << 7 | u8::from(self.compressed) << 6 | self.opcode as u8;
        let mask_bit = u8::from(self.mask.is_some()) << 7;
        //= RFC 6455 §5.2
        //# Note that in all cases, the minimal number of bytes MUST be used to encode
        //# the length, for example, the length of a 124-byte-long string
        //# can't be encoded as the sequence 126, 0, 124.
        let mut at = match self.payload_bytes {
            0..=125 => {
                out[1] = mask_bit | self.payload_bytes as u8;
                2
            }
            126..=0xffff => {
                out[1] = mask_bit | 126;
                out[2..4].copy_from_slice(&(self.payload_bytes as u16).to_be_bytes());
                4
            }
            _ => {
                out[1] = mask_bit | 127;
                out[2..10].copy_from_slice(&self.payload_bytes.to_be_bytes());
                10
            }
        };
        //= RFC 6455 §5.3
        //# A masked frame MUST have the field frame-masked set to 1, as defined
        //# in Section 5.2.
        if let Some(key) = self.mask {
            out[at..at + 4].copy_from_slice(&key);
            at += 4;
        }
        at
    }
}

#[inline]
fn parse_first_byte(first: u8, deflate: bool) -> Result<(bool, bool, Opcode), ProtocolError> {
    //= RFC 6455 §5.2
    //# MUST be 0 unless an extension is negotiated that defines meanings
    //# for non-zero values.  If a nonzero value is received and none of
    //# the negotiated extensions defines the meaning of such a nonzero
    //# value, the receiving endpoint MUST _Fail the WebSocket
    //# Connection_.
    let compressed = first & 0x70 == 0x40 && deflate;
    if first & 0x70 != 0 && !compressed {
        return Err(ProtocolError::ReservedBits);
    }
    //= RFC 6455 §5.2
    //# If an unknown opcode is received, the receiving endpoint MUST _Fail the
    //# WebSocket Connection_.
    let bits = first & 0x0f;
    let opcode = Opcode::from_bits(bits).ok_or(ProtocolError::ReservedOpcode(bits))?;
    //= RFC 7692 §6.1
    //# An endpoint MUST NOT set the "Per-Message Compressed" bit of control
    //# frames and non-first fragments of a data message.  An endpoint
    //# receiving such a frame MUST _Fail the WebSocket Connection_.
    if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
        return Err(ProtocolError::ReservedBits);
    }
    let fin = first & 0x80 != 0;
    if opcode.is_control() && !fin {
        //= RFC 6455 §5.4
        //# Control frames themselves MUST NOT be fragmented.
        return Err(ProtocolError::ControlFragmented);
    }
    Ok((fin, compressed, opcode))
}

/// The payload length and where the header goes on, `None` while it is not complete.
#[inline]
fn parse_length(short: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, ProtocolError> {
    //= RFC 6455 §5.2
    //# Note that
    //# in all cases, the minimal number of bytes MUST be used to encode
    //# the length, for example, the length of a 124-byte-long string
    //# can't be encoded as the sequence 126, 0, 124.
    match short {
        126 => {
            let Some(field) = bytes[2..].first_chunk::<2>() else { return Ok(None) };
            match u16::from_be_bytes(*field) {
                0..=125 => Err(ProtocolError::LengthNotMinimal),
                length => Ok(Some((u64::from(length), 4))),
            }
        }
        127 => {
            let Some(field) = bytes[2..].first_chunk::<8>() else { return Ok(None) };
            //= RFC 6455 §5.2
            //# If 127, the following 8 bytes interpreted as a 64-bit unsigned integer (the
            //# most significant bit MUST be 0) are the payload length.
            match u64::from_be_bytes(*field) {
                0..=0xffff => Err(ProtocolError::LengthNotMinimal),
                length if length >> 63 != 0 => Err(ProtocolError::LengthTooBig),
                length => Ok(Some((length, 10))),
            }
        }
        length => Ok(Some((u64::from(length), 2))),
    }
}
