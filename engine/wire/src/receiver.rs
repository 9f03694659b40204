//! Messages out of frames: fragments, text, control frames in between, the end.

use crate::close::CloseFrame;
use crate::deflate::Inflation;
use crate::error::ProtocolError;
use crate::frame::{Header, Opcode};
use crate::input::Input;
use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_PARTS_MAX};
use crate::mask;
use crate::parser::{Parser, Role, Span};
use crate::partial::Partial;

/// What a [`Receiver`] puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiverLimits {
    /// Payload bytes of one message over all its fragments. Over it: 1009, judged by the
    /// lengths that headers declare, before anything is kept outside of the buffer read into.
    pub message_bytes_max: usize,
    /// Frames of one message, empty ones included. Over it: 1008.
    pub message_parts_max: u32,
}

impl Default for ReceiverLimits {
    fn default() -> Self {
        Self { message_bytes_max: MESSAGE_BYTES_MAX, message_parts_max: MESSAGE_PARTS_MAX }
    }
}

/// Something whole that the peer sent. Borrowed from the input where it lay there in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A Ping: answer it with a Pong of the same payload (at most 125 bytes).
    Ping(&'a [u8]),
    /// A Pong, with its payload (at most 125 bytes).
    Pong(&'a [u8]),
    /// The peer's Close, the last event of a connection. `None`: without a body.
    Close(Option<CloseFrame<'a>>),
}

/// The message level of one connection's inbound side. An idle one is 80 bytes and owns no
/// buffer; only a message or control frame that does not lie whole in one input is kept.
#[derive(Debug)]
pub struct Receiver {
    parser: Parser,
    message_bytes_max: usize,
    message_parts_max: u32,
    ended: bool,
    partial: Option<Box<Partial>>,
    inflation: Option<Box<Inflation>>,
}

impl Receiver {
    /// A receiver at the start of a connection, for the endpoint that plays `role`.
    #[must_use]
    pub fn new(role: Role, limits: ReceiverLimits) -> Self {
        let ReceiverLimits { message_bytes_max, message_parts_max } = limits;
        Self {
            parser: Parser::new(role),
            message_bytes_max,
            message_parts_max,
            ended: false,
            partial: None,
            inflation: None,
        }
    }

    /// From now on the peer may compress messages (RFC 7692), as was agreed to.
    pub fn inflate(&mut self, inflation: Inflation) {
        self.parser.allow_compressed();
        self.inflation = Some(Box::new(inflation));
    }

    /// The next event. `Ok(None)`: the input is used up, but for a frame that it keeps
    /// ([`Input::reading`]): read more. Call it until then, so that
    /// a finished message's buffer is freed. After a Close or an error all input is discarded.
    ///
    /// # Errors
    /// What the peer broke, as soon as its bytes show it; the connection must then be closed
    /// with [`ProtocolError::close_code`].
    #[inline]
    pub fn receive<'a>(
        &'a mut self,
        input: &'a mut Input<'_>,
    ) -> Result<Option<Event<'a>>, ProtocolError> {
        if self.ended {
            //= RFC 6455 §7.1.7
            //# An endpoint MUST NOT continue to attempt to
            //# process data (including a responding Close frame) from the remote
            //# endpoint after being instructed to _Fail the WebSocket Connection_.
            input.consume_all();
            self.partial = None;
            self.inflation = None;
            return Ok(None);
        }
        //= RFC 6455 §10.7
        //# Incoming data MUST always be validated by both clients and servers.
        self.release();
        loop {
            let span = match self.parser.advance(input) {
                Ok(Some(span)) => span,
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.fail(error)),
            };
            let header = *self.parser.header();
            //= RFC 6455 §5.4
            //# Clients and servers MUST support receiving both fragmented and
            //# unfragmented messages.
            let whole_frame = span.first && span.last;
            let whole_message = whole_frame && header.fin && !self.is_mid_message();
            //= RFC 6455 §5.4
            //# An endpoint MUST be capable of handling control frames in the
            //# middle of a fragmented message.
            let borrowable = whole_message && !header.compressed;
            if borrowable || (whole_frame && header.opcode.is_control()) {
                if let Err(error) = self.check_whole(&header) {
                    return Err(self.fail(error));
                }
                let payload = input.slice(span.start, span.bytes);
                if let Some(key) = header.mask {
                    //= RFC 6455 §6.2
                    //# A server MUST remove masking for data frames received from a client
                    //# as described in Section 5.3.
                    span.unmask(payload, key);
                }
                return match borrowed(header.opcode, payload) {
                    Ok(event) => {
                        self.ended = header.opcode == Opcode::Close;
                        Ok(Some(event))
                    }
                    Err(error) => Err(self.fail(error)),
                };
            }
            match self.keep(&header, span, input) {
                Ok(false) => {}
                Ok(true) => return self.assembled(header.opcode),
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    /// Whether a Close or an error has ended the inbound side.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether something has begun and not ended: a header, a frame or a fragmented message.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.parser.is_mid_frame() || self.is_mid_message()
    }

    /// How many bytes the next read should take, for [`Input::room`]: as long a frame as the last
    /// one was, where that was long, or what a frame in progress lacks; else many.
    #[inline]
    #[must_use]
    pub fn expected_bytes(&self) -> usize {
        self.parser.expected_bytes()
    }

    /// Bytes of heap that partial messages and control frames own at the moment, and what
    /// inflates them.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let partial_bytes = self.partial.as_ref().map_or(0, |partial| partial.capacity_bytes());
        let inflation = self.inflation.as_ref();
        partial_bytes + inflation.map_or(0, |inflation| inflation.buffered_bytes())
    }

    #[inline]
    fn is_mid_message(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| partial.is_mid_message())
    }

    #[inline]
    fn release(&mut self) {
        if let Some(partial) = &mut self.partial
            && partial.release()
        {
            self.partial = None;
        }
    }

    /// After this nothing is yielded, and nothing is owned.
    #[cold]
    fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        self.ended = true;
        self.partial = None;
        self.inflation = None;
        error
    }

    /// A frame that lies whole in the input and is all of its message.
    #[inline]
    fn check_whole(&self, header: &Header) -> Result<(), ProtocolError> {
        if header.opcode == Opcode::Continuation {
            return Err(ProtocolError::UnexpectedContinuation);
        }
        let fits = header.payload_bytes <= self.message_bytes_max as u64;
        if fits || header.opcode.is_control() { Ok(()) } else { Err(self.too_big()) }
    }

    /// A piece of what is not whole. `Ok(true)`: now it is.
    #[inline(never)]
    fn keep(
        &mut self,
        header: &Header,
        span: Span,
        input: &mut Input<'_>,
    ) -> Result<bool, ProtocolError> {
        if span.first && !header.opcode.is_control() {
            self.begin_part(header, span.last && header.fin)?;
        }
        let payload = input.slice(span.start, span.bytes);
        let partial = self.partial.get_or_insert_default();
        if header.opcode.is_control() {
            if let Some(key) = header.mask {
                span.unmask(payload, key);
            }
            partial.add_control(payload, span.last);
            return Ok(span.last);
        }
        if partial.is_compressed() {
            return self.inflate_piece(header, span, input);
        }
        let message_bytes_left = header.fin.then_some(header.payload_bytes - span.offset);
        partial.reserve(payload.len(), message_bytes_left);
        let (plain, masked) = payload.split_at_mut(span.unmasked);
        partial.add_payload(plain)?;
        let offset = span.offset as usize + span.unmasked;
        for (at, block) in masked.chunks_mut(KEEP_BLOCK_BYTES).enumerate() {
            if let Some(key) = header.mask {
                mask::apply(block, key, offset + at * KEEP_BLOCK_BYTES);
            }
            partial.add_payload(block)?;
        }
        if !(span.last && header.fin) {
            return Ok(false);
        }
        partial.finish_message()?;
        Ok(true)
    }

    /// Checks a data frame's header against the message that it begins or continues.
    fn begin_part(&mut self, header: &Header, whole: bool) -> Result<(), ProtocolError> {
        let mid_message = self.is_mid_message();
        //= RFC 6455 §5.4
        //# The fragments of one message MUST NOT be interleaved between the
        //# fragments of another message unless an extension has been
        //# negotiated that can interpret the interleaving.
        match (header.opcode, mid_message) {
            (Opcode::Continuation, false) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Continuation, true) => {}
            (_, true) => return Err(ProtocolError::ExpectedContinuation),
            (_, false) => {}
        }
        //= RFC 6455 §10.4
        //# Implementations that have implementation- and/or platform-specific
        //# limitations regarding the frame size or total message size after
        //# reassembly from multiple frames MUST protect themselves against
        //# exceeding those limits.
        let max = self.message_bytes_max;
        let (held_bytes, bytes_max) = match &self.partial {
            Some(partial) if partial.is_compressed() => (partial.packed_bytes(), packed_max(max)),
            Some(partial) if mid_message => (partial.message_bytes(), max),
            _ if header.compressed => (0, packed_max(max)),
            _ => (0, max),
        };
        if header.payload_bytes > bytes_max.saturating_sub(held_bytes) as u64 {
            return Err(self.too_big());
        }
        let partial = self.partial.get_or_insert_default();
        let parts = partial.begin_part(header);
        if parts > self.message_parts_max.max(1) {
            return Err(ProtocolError::TooManyParts { parts_max: self.message_parts_max });
        }
        if header.compressed
            && let Some(inflation) = &mut self.inflation
        {
            inflation.begin(whole);
        }
        Ok(())
    }

    /// A piece of a compressed message: what it stands for is kept, up to the bound.
    fn inflate_piece(
        &mut self,
        header: &Header,
        span: Span,
        input: &mut Input<'_>,
    ) -> Result<bool, ProtocolError> {
        let Self { inflation, partial, message_bytes_max, message_parts_max, .. } = self;
        let (Some(inflation), Some(partial)) = (inflation, partial) else { return Ok(false) };
        let bytes_max = *message_bytes_max;
        let ends_max = (*message_parts_max).max(1);
        let payload = input.slice(span.start, span.bytes);
        if let Some(key) = header.mask {
            span.unmask(payload, key);
        }
        partial.count_packed(payload.len());
        let mut keep = |piece: &[u8]| partial.add_inflated(piece, bytes_max);
        inflation.feed(payload, ends_max, &mut keep)?;
        if !(span.last && header.fin) {
            return Ok(false);
        }
        inflation.finish(ends_max, &mut keep)?;
        partial.finish_message()?;
        Ok(true)
    }

    fn too_big(&self) -> ProtocolError {
        ProtocolError::MessageTooBig { bytes_max: self.message_bytes_max }
    }

    /// What [`keep`](Self::keep) has just finished.
    fn assembled(&mut self, opcode: Opcode) -> Result<Option<Event<'_>>, ProtocolError> {
        if opcode == Opcode::Close {
            self.ended = true;
        }
        let Some(partial) = &self.partial else { return Ok(None) };
        if opcode.is_control() {
            return control_event(opcode, partial.control()).map(Some);
        }
        Ok(Some(partial.message_event()))
    }
}

/// Bytes on the wire of a compressed message that may have so many inflated: what cannot be
/// compressed grows, by an eighth where the fixed codes are used. So what comes in is bounded by
/// itself, too, and with it the work on blocks that stand for nothing.
const fn packed_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_add(message_bytes_max / 8).saturating_add(64)
}

/// What is kept is unmasked, checked and copied in blocks of so many bytes: each stays in the
/// first-level cache from one step to the next.
const KEEP_BLOCK_BYTES: usize = 4096;

/// The event of a frame that is whole in the input, and unmasked.
#[inline]
fn borrowed(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, ProtocolError> {
    match opcode {
        //= RFC 6455 §8.1
        //# When an endpoint is to interpret a byte stream as UTF-8 but finds
        //# that the byte stream is not, in fact, a valid UTF-8 stream, that
        //# endpoint MUST _Fail the WebSocket Connection_.
        Opcode::Text => match simdutf8::basic::from_utf8(payload) {
            Ok(text) => Ok(Event::Text(text)),
            Err(_) => Err(ProtocolError::InvalidUtf8),
        },
        Opcode::Binary | Opcode::Continuation => Ok(Event::Binary(payload)),
        control => control_event(control, payload),
    }
}

//= RFC 6455 §6.2
//# If a control frame (Section 5.5) is
//# received, the frame MUST be handled as defined by Section 5.5.
#[inline]
fn control_event(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, ProtocolError> {
    match opcode {
        Opcode::Ping => Ok(Event::Ping(payload)),
        Opcode::Pong => Ok(Event::Pong(payload)),
        _ => Ok(Event::Close(CloseFrame::parse(payload)?)),
    }
}
