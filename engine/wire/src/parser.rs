//! Frames out of bytes: incremental, in place, in any chunking, without a copy of the payload.

use crate::error::ProtocolError;
use crate::frame::{HEADER_BYTES_MAX, Header, Opcode};
use crate::input::Input;
use crate::limits::{LONG_FRAME_BYTES_MIN, PIECE_BYTES, READ_BYTES};
use crate::mask;

/// Which side of the connection *this* endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Receives masked frames and sends unmasked ones.
    Server,
    /// Receives unmasked frames and sends masked ones.
    Client,
}

/// A piece of one frame: as much of its payload as the input held.
#[derive(Debug)]
pub struct Chunk<'a> {
    /// The header of the frame it belongs to.
    pub header: &'a Header,
    /// The payload bytes, unmasked. Empty for an empty frame, and for a header that came
    /// without any of its payload.
    pub payload: &'a mut [u8],
    /// Whether it is the frame's first piece.
    pub first: bool,
    /// Whether it is the frame's last piece.
    pub last: bool,
}

/// The frame level: splits the byte stream into frames and enforces what one frame must obey.
/// Holds at most one partial header; messages are the [`Receiver`](crate::Receiver)'s business.
#[derive(Debug)]
pub struct Parser {
    header: Header,
    /// Payload bytes of the current frame that were handed out.
    offset: u64,
    partial: [u8; HEADER_BYTES_MAX],
    partial_bytes: u8,
    role: Role,
    in_frame: bool,
    /// Whether messages may be compressed.
    deflate: bool,
}

const IDLE: Header =
    Header { payload_bytes: 0, mask: None, fin: true, compressed: false, opcode: Opcode::Binary };

/// Where a piece of payload lies in the input, not yet unmasked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) bytes: usize,
    /// Position of the piece in its frame's payload.
    pub(crate) offset: u64,
    pub(crate) first: bool,
    pub(crate) last: bool,
    /// Bytes of the piece that are unmasked already.
    pub(crate) unmasked: usize,
}

impl Span {
    /// Unmasks the piece, as far as that is not done. One that is larger than the first-level
    /// cache from its end to its beginning: the end is there still from being read, and then the
    /// beginning is there when it is looked at.
    #[inline]
    pub(crate) fn unmask(&self, payload: &mut [u8], key: [u8; 4]) {
        let offset = self.offset as usize + self.unmasked;
        let masked = &mut payload[self.unmasked..];
        if masked.len() <= PIECE_BYTES {
            return mask::apply(masked, key, offset);
        }
        for (at, block) in masked.chunks_mut(UNMASK_BLOCK_BYTES).enumerate().rev() {
            mask::apply(block, key, offset + at * UNMASK_BLOCK_BYTES);
        }
    }
}

const UNMASK_BLOCK_BYTES: usize = 8 * 1024;

impl Parser {
    /// A parser at a frame boundary, for the endpoint that plays `role`.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self {
            header: IDLE,
            offset: 0,
            partial: [0; HEADER_BYTES_MAX],
            partial_bytes: 0,
            role,
            in_frame: false,
            deflate: false,
        }
    }

    /// From now on messages may be compressed (RFC 7692): RSV1 may be set where they begin.
    pub const fn allow_compressed(&mut self) {
        self.deflate = true;
    }

    /// The next piece of a frame, `None` when the input is used up. A header is handed out as
    /// soon as it is complete, with what follows of its payload.
    ///
    /// # Errors
    /// A breach of §5.1, §5.2 or §5.5 within one frame. The parser is of no use afterwards.
    #[inline]
    pub fn next<'a>(
        &'a mut self,
        input: &'a mut Input<'_>,
    ) -> Result<Option<Chunk<'a>>, ProtocolError> {
        let Some(span) = self.advance(input)? else { return Ok(None) };
        let payload = input.slice(span.start, span.bytes);
        if let Some(key) = self.header.mask {
            span.unmask(payload, key);
        }
        Ok(Some(Chunk { header: &self.header, payload, first: span.first, last: span.last }))
    }

    /// Whether a header or a payload has begun and not ended.
    #[inline]
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.in_frame || self.partial_bytes > 0
    }

    /// The header of the frame whose piece was last handed out.
    #[inline]
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// How many bytes the next read should take, as far as the frames so far tell.
    #[inline]
    pub(crate) fn expected_bytes(&self) -> usize {
        let offset = if self.in_frame { self.offset } else { 0 };
        let payload_bytes = self.header.payload_bytes - offset;
        if payload_bytes < LONG_FRAME_BYTES_MIN as u64 {
            return READ_BYTES;
        }
        // With its own header and the next one's.
        READ_BYTES.min(payload_bytes.saturating_add(2 * HEADER_BYTES_MAX as u64) as usize)
    }

    #[inline]
    pub(crate) fn advance(&mut self, input: &mut Input<'_>) -> Result<Option<Span>, ProtocolError> {
        let first = !self.in_frame;
        if first {
            if !self.read_header(input)? {
                return Ok(None);
            }
        } else if input.is_empty() {
            return Ok(None);
        }
        let left = self.header.payload_bytes - self.offset;
        let bytes = left.min(input.remaining() as u64) as usize;
        let span = Span {
            start: input.consume(bytes),
            bytes,
            offset: self.offset,
            first,
            last: bytes as u64 == left,
            unmasked: input.take_unmasked(),
        };
        self.offset += bytes as u64;
        self.in_frame = !span.last;
        Ok(Some(span))
    }

    //= RFC 6455 §6.2
    //# Incoming data MUST be parsed as WebSocket frames
    //# as defined in Section 5.2.
    #[inline]
    fn read_header(&mut self, input: &mut Input<'_>) -> Result<bool, ProtocolError> {
        if self.partial_bytes > 0 {
            return self.resume_header(input);
        }
        match Header::parse_with(input.rest(), self.deflate, |m| check_mask(self.role, m))? {
            Some((header, header_bytes)) => {
                let frame_bytes = header.payload_bytes + header_bytes as u64;
                let cut = frame_bytes > input.remaining() as u64;
                if cut && is_whole_message(&header) && input.leave(&header, header_bytes) {
                    return Ok(false);
                }
                input.consume(header_bytes);
                self.begin(header);
                Ok(true)
            }
            None if input.leave_header() => Ok(false),
            None => self.resume_header(input),
        }
    }

    #[inline]
    fn begin(&mut self, header: Header) {
        self.header = header;
        self.offset = 0;
    }

    /// A header that lies in more than one input: gathered byte by byte, at most 14 of them.
    #[cold]
    fn resume_header(&mut self, input: &mut Input<'_>) -> Result<bool, ProtocolError> {
        while let Some(&byte) = input.rest().first() {
            let held = usize::from(self.partial_bytes);
            assert!(held < HEADER_BYTES_MAX, "a header is complete at its longest form");
            self.partial[held] = byte;
            self.partial_bytes += 1;
            input.consume(1);
            let (role, head) = (self.role, &self.partial[..=held]);
            let parsed = Header::parse_with(head, self.deflate, |m| check_mask(role, m))?;
            if let Some((header, header_bytes)) = parsed {
                debug_assert_eq!(header_bytes, held + 1, "it was not complete a byte earlier");
                self.partial_bytes = 0;
                self.begin(header);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Such a frame may stay in the input until all of it is there. A part of a longer message is
/// copied to the other parts anyway.
#[inline]
fn is_whole_message(header: &Header) -> bool {
    header.fin && header.opcode != Opcode::Continuation
}

#[inline]
fn check_mask(role: Role, masked: bool) -> Result<(), ProtocolError> {
    match (role, masked) {
        (Role::Server, true) | (Role::Client, false) => Ok(()),
        //= RFC 6455 §5.1
        //# The server MUST close the connection upon receiving a
        //# frame that is not masked.
        (Role::Server, false) => Err(ProtocolError::Unmasked),
        //= RFC 6455 §5.1
        //# A client MUST close a connection if it detects a masked frame.
        (Role::Client, true) => Err(ProtocolError::Masked),
    }
}
