//! One deflater: a frame in, a shorter one out, which stands for itself.

use flate2::{Compress, Compression, FlushCompress, Status};

use super::{TAIL, WINDOW_BITS_MAX};
use crate::prepared::Frame;

/// Compresses one message after another, each without a context, so that a frame may be shared.
/// About 300 KiB, allocated with the first message.
#[derive(Debug)]
pub struct Deflater {
    level: u8,
    state: Option<Compress>,
    out: Vec<u8>,
}

impl Deflater {
    /// With a level from 1, the fastest, to 9.
    ///
    /// # Panics
    /// When there is no such level.
    #[must_use]
    pub fn new(level: u8) -> Self {
        assert!((1..=9).contains(&level), "a level of compression is from 1 to 9, not {level}");
        Self { level, state: None, out: Vec::new() }
    }

    /// The frame of the same message, compressed; none where that would not be shorter, or the
    /// frame is none of a message.
    pub fn deflate(&mut self, frame: &Frame) -> Option<Frame> {
        //= RFC 7692 §6.1
        //# An endpoint MUST NOT set the "Per-Message Compressed" bit of control
        //# frames and non-first fragments of a data message.
        if frame.opcode().is_control() || frame.is_compressed() {
            return None;
        }
        let payload = frame.payload();
        // Room for any payload: what is left unwritten survives a reset in zlib-rs 0.6, until there
        // is no place for more, and it panics.
        self.out.resize(payload.len() + payload.len() / 8 + ROOM_BYTES, 0);
        let bits = WINDOW_BITS_MAX;
        let level = Compression::new(u32::from(self.level));
        let state =
            self.state.get_or_insert_with(|| Compress::new_with_window_bits(level, false, bits));
        //= RFC 7692 §7.2.1
        //# If the "agreed parameters" contain the "server_no_context_takeover"
        //# extension parameter, the server MUST start compressing each new
        //# message with an empty LZ77 sliding window.
        state.reset();
        let status = state.compress(payload, &mut self.out, FlushCompress::Sync);
        let (taken, made) = (state.total_in() as usize, state.total_out() as usize);
        let done = matches!(status, Ok(Status::Ok)) && made < self.out.len();
        if !done || taken < payload.len() {
            self.state = None;
            return None;
        }
        //= RFC 7692 §7.2.1
        //# Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end.
        let deflated = self.out[..made].strip_suffix(&TAIL)?;
        let deflated = Frame::compressed(frame.opcode(), deflated);
        if self.out.len() > KEPT_BYTES {
            self.out = Vec::new();
        }
        (deflated.len() < frame.len()).then_some(deflated)
    }
}

/// Bytes that blocks and the flush add at most; the fixed codes add an eighth of the payload.
const ROOM_BYTES: usize = 256;

/// Bytes of the buffer that are kept for the next message.
const KEPT_BYTES: usize = 64 * 1024;
