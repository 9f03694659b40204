//! What a receiver must keep between inputs: the message and the control frame in progress.

use crate::error::ProtocolError;
use crate::frame::{Header, Opcode};
use crate::receiver::Event;
use crate::utf8::Validator;

/// Owned only while something is incomplete, and until the event made of it was looked at.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    message: Body,
    validator: Validator,
    parts: u32,
    /// Of a compressed message: its bytes on the wire so far.
    packed_bytes: Option<usize>,
    message_done: bool,
    control_done: bool,
    control: Vec<u8>,
}

#[derive(Debug, Default)]
enum Body {
    #[default]
    None,
    Text(String),
    Binary(Vec<u8>),
}

impl Partial {
    /// Whether a message has begun and not ended.
    pub(crate) fn is_mid_message(&self) -> bool {
        !self.message_done && !matches!(self.message, Body::None)
    }

    /// Payload bytes of the message so far.
    pub(crate) fn message_bytes(&self) -> usize {
        match &self.message {
            Body::None => 0,
            Body::Text(text) => text.len() + self.validator.pending_bytes(),
            Body::Binary(bytes) => bytes.len(),
        }
    }

    pub(crate) fn capacity_bytes(&self) -> usize {
        let message = match &self.message {
            Body::None => 0,
            Body::Text(text) => text.capacity(),
            Body::Binary(bytes) => bytes.capacity(),
        };
        size_of::<Self>() + message + self.control.capacity()
    }

    /// A data frame begins; returns how many the message now has.
    pub(crate) fn begin_part(&mut self, header: &Header) -> u32 {
        //= RFC 6455 §6.2
        //# Upon
        //# receiving a data frame (Section 5.6), the endpoint MUST note the
        //# /type/ of the data as defined by the opcode (frame-opcode) from
        //# Section 5.2.
        match header.opcode {
            Opcode::Text => self.message = Body::Text(String::new()),
            Opcode::Binary => self.message = Body::Binary(Vec::new()),
            _ => {}
        }
        if header.compressed {
            self.packed_bytes = Some(0);
        }
        self.parts = self.parts.saturating_add(1);
        self.parts
    }

    /// Whether the message in progress is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.packed_bytes.is_some()
    }

    /// Bytes on the wire of the compressed message in progress.
    pub(crate) fn packed_bytes(&self) -> usize {
        self.packed_bytes.unwrap_or(0)
    }

    pub(crate) fn count_packed(&mut self, added: usize) {
        self.packed_bytes = Some(self.packed_bytes().saturating_add(added));
    }

    /// Adds what a piece of a compressed message stands for, as long as there may be so much.
    pub(crate) fn add_inflated(
        &mut self,
        piece: &[u8],
        bytes_max: usize,
    ) -> Result<(), ProtocolError> {
        if piece.len() > bytes_max.saturating_sub(self.message_bytes()) {
            return Err(ProtocolError::MessageTooBig { bytes_max });
        }
        self.reserve(piece.len(), None);
        self.add_payload(piece)
    }

    /// Makes room for `added` bytes of payload; `message_bytes_left` counts them and what the
    /// message still declares, where this is its last frame.
    pub(crate) fn reserve(&mut self, added: usize, message_bytes_left: Option<u64>) {
        if added == 0 {
            return;
        }
        let step = growth(self.message_bytes(), added, message_bytes_left);
        match &mut self.message {
            // Three more: the beginning of a character is held elsewhere until it ends.
            Body::Text(text) if text.capacity() - text.len() < added + 3 => {
                text.reserve_exact(step + 3);
            }
            Body::Binary(bytes) if bytes.capacity() - bytes.len() < added => {
                bytes.reserve_exact(step);
            }
            _ => {}
        }
    }

    /// Adds unmasked payload, for which there is [room](Self::reserve).
    pub(crate) fn add_payload(&mut self, payload: &[u8]) -> Result<(), ProtocolError> {
        //= RFC 6455 §5.4
        //# Message fragments MUST be delivered to the recipient in the order
        //# sent by the sender.
        match &mut self.message {
            Body::Text(text) => self.validator.feed_to(payload, |piece| text.push_str(piece))?,
            Body::Binary(bytes) => bytes.extend_from_slice(payload),
            Body::None => unreachable!("a part was begun before it got payload"),
        }
        Ok(())
    }

    /// The last frame of the message has ended.
    pub(crate) fn finish_message(&mut self) -> Result<(), ProtocolError> {
        //= RFC 6455 §5.6
        //# Note that a
        //# particular text frame might include a partial UTF-8 sequence;
        //# however, the whole message MUST contain valid UTF-8.
        self.validator.finish()?;
        self.message_done = true;
        Ok(())
    }

    pub(crate) fn message_event(&self) -> Event<'_> {
        debug_assert!(self.message_done, "only a finished message is an event");
        match &self.message {
            Body::Text(text) => Event::Text(text),
            Body::Binary(bytes) => Event::Binary(bytes),
            Body::None => unreachable!("a finished message has a body"),
        }
    }

    /// Adds unmasked payload of the control frame in progress, at most 125 bytes in all.
    pub(crate) fn add_control(&mut self, payload: &[u8], last: bool) {
        self.control.extend_from_slice(payload);
        self.control_done = last;
    }

    pub(crate) fn control(&self) -> &[u8] {
        &self.control
    }

    /// Frees what its event has been made of; `true` when nothing is left.
    pub(crate) fn release(&mut self) -> bool {
        if self.control_done {
            self.control = Vec::new();
            self.control_done = false;
        }
        //= RFC 6455 §6.2
        //# Subsequent data frames MUST be interpreted as belonging to a new
        //# WebSocket message.
        if self.message_done {
            self.message = Body::None;
            self.parts = 0;
            self.packed_bytes = None;
            self.message_done = false;
        }
        !self.is_mid_message() && self.control.is_empty()
    }
}

/// How much room to add for `added` bytes: doubling, so that the copies stay linear. Where the last
/// frame says what is still to come, as much of that as has arrived so far, and never more than
/// that: a declared length alone gets nothing, and most of what lies in two inputs is copied once.
fn growth(held: usize, added: usize, message_bytes_left: Option<u64>) -> usize {
    let Some(left) = message_bytes_left else { return held.max(added) };
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    held.saturating_add(added.saturating_mul(2)).min(left).max(added)
}

#[cfg(test)]
mod tests {
    use super::growth;

    #[test]
    fn growth_follows_what_arrives_and_stops_at_the_end_of_the_message() {
        assert_eq!(growth(0, 10, Some(1 << 40)), 20);
        assert_eq!(growth(0, 10, Some(15)), 15);
        assert_eq!(growth(1000, 10, Some(1 << 40)), 1020);
        assert_eq!(growth(1000, 10, Some(300)), 300);
        assert_eq!(growth(1000, 10, Some(10)), 10);
        assert_eq!(growth(1000, 10, None), 1000);
        assert_eq!(growth(0, 10, None), 10);
    }
}
