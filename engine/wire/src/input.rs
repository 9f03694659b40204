//! Received bytes, worked on in place.

use crate::frame::Header;
use crate::limits::{HEADER_BYTES_MAX, PIECE_BYTES, READ_BYTES, READ_BYTES_MIN};
use crate::mask;

/// A cursor over received bytes, which are unmasked where they lie and lent out in events.
///
/// Over a buffer that is still being [read into](Self::reading), a frame that does not end where
/// the bytes do is left there until it has: nothing is copied out of the buffer, and nothing
/// allocated, as long as there is more to read and the frame fits.
#[derive(Debug)]
pub struct Input<'b> {
    buffer: &'b mut [u8],
    position: usize,
    filled: usize,
    /// Bytes that the frame at `position` lacks, as far as its header says; else 0.
    missing: usize,
    /// Bytes of its payload that are unmasked already.
    unmasked: usize,
    may_grow: bool,
}

impl<'b> Input<'b> {
    /// All of `bytes`, nothing consumed, and no more to come.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'b mut [u8]) -> Self {
        let filled = bytes.len();
        Self { buffer: bytes, position: 0, filled, missing: 0, unmasked: 0, may_grow: false }
    }

    /// Nothing as yet: what is read goes to [`room`](Self::room) and is told of with
    /// [`fill`](Self::fill); behind the last of it comes [`complete`](Self::complete). The buffer
    /// holds the longest frame that is received in place, header included.
    ///
    /// # Panics
    /// When the buffer is shorter than [`READ_BYTES`].
    #[must_use]
    pub fn reading(buffer: &'b mut [u8]) -> Self {
        assert!(buffer.len() >= READ_BYTES, "a buffer to read into has {READ_BYTES} bytes");
        Self { buffer, position: 0, filled: 0, missing: 0, unmasked: 0, may_grow: true }
    }

    /// Where the next read goes, never empty: `expected_bytes` as
    /// [`Receiver::expected_bytes`](crate::Receiver::expected_bytes) says, or what the frame in
    /// progress lacks and the next one's header, so that the next begins where a read does and
    /// need not be moved.
    #[must_use]
    pub fn room(&mut self, expected_bytes: usize) -> &mut [u8] {
        self.move_to_front();
        let rest_bytes = match self.missing + HEADER_BYTES_MAX {
            long if long > READ_BYTES => PIECE_BYTES,
            rest => rest.max(expected_bytes.saturating_sub(self.filled)).max(READ_BYTES_MIN),
        };
        let end = self.buffer.len().min(self.filled + rest_bytes);
        &mut self.buffer[self.filled..end]
    }

    /// Where to read just what the frame in progress lacks: empty if none is, or if its header is
    /// not complete.
    #[must_use]
    pub fn room_for_frame(&mut self) -> &mut [u8] {
        self.move_to_front();
        &mut self.buffer[self.filled..self.filled + self.missing]
    }

    /// So many bytes were read into the room.
    ///
    /// # Panics
    /// When there was not so much room.
    pub fn fill(&mut self, count: usize) {
        assert!(count <= self.buffer.len() - self.filled, "no more is read than there is room");
        self.filled += count;
        self.missing = 0;
    }

    /// There is nothing more to read for now: from here on nothing is left in the buffer.
    pub fn complete(&mut self) {
        self.may_grow = false;
        self.missing = 0;
    }

    /// Whether everything is consumed.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.position == self.filled
    }

    /// How many bytes are not consumed yet.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.filled - self.position
    }

    /// The bytes that are not consumed yet.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.position..self.filled]
    }

    /// Consumes `count` bytes and says where they begin.
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) -> usize {
        debug_assert!(count <= self.remaining(), "no more is consumed than there is");
        let start = self.position;
        self.position += count;
        start
    }

    #[inline]
    pub(crate) fn consume_all(&mut self) {
        self.position = self.filled;
        self.missing = 0;
    }

    /// Leaves the frame at the cursor, of which more is to come; false where it cannot stay.
    /// What there is of a very long one is unmasked while it is in the cache.
    pub(crate) fn leave(&mut self, header: &Header, header_bytes: usize) -> bool {
        let frame_bytes = header.payload_bytes + header_bytes as u64;
        if !self.may_grow || frame_bytes > self.buffer.len() as u64 {
            return false;
        }
        self.missing = frame_bytes as usize - self.remaining();
        if frame_bytes > READ_BYTES as u64
            && let Some(key) = header.mask
        {
            let start = self.position + header_bytes + self.unmasked;
            let piece = &mut self.buffer[start..self.filled];
            mask::apply(piece, key, self.unmasked);
            self.unmasked += piece.len();
        }
        true
    }

    /// Takes how many bytes of the payload at the cursor are unmasked already.
    #[inline]
    pub(crate) fn take_unmasked(&mut self) -> usize {
        std::mem::take(&mut self.unmasked)
    }

    /// Leaves the beginning of a header at the cursor; false where it cannot stay.
    #[inline]
    pub(crate) fn leave_header(&mut self) -> bool {
        self.may_grow && !self.is_empty()
    }

    #[inline]
    pub(crate) fn slice(&mut self, start: usize, count: usize) -> &mut [u8] {
        &mut self.buffer[start..start + count]
    }

    /// What is left is mostly a frame's beginning, and each byte of it is moved once.
    fn move_to_front(&mut self) {
        if self.position > 0 {
            self.buffer.copy_within(self.position..self.filled, 0);
            self.filled -= self.position;
            self.position = 0;
        }
    }
}
