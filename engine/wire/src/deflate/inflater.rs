//! One inflater: compressed bytes in, pieces of what they stand for out.

use flate2::{Decompress, FlushDecompress, Status};

use super::TAIL;
use crate::error::ProtocolError;

/// Bytes that are handed out at once at most: what is inflated beyond a bound.
const PIECE_BYTES: usize = 4 * 1024;

/// The state of one DEFLATE stream: about 42 KiB, window included.
#[derive(Debug)]
pub(crate) struct Inflater {
    state: Decompress,
    /// DEFLATE streams that ended since the last [`begin`](Self::begin).
    ends: u32,
}

impl Inflater {
    /// With an empty window, the longest there is: it inflates whatever window was used.
    pub(crate) fn new() -> Self {
        Self { state: Decompress::new(false), ends: 0 }
    }

    /// A message begins; the window stays.
    pub(crate) fn begin(&mut self) {
        self.ends = 0;
    }

    /// Inflates all of `input`; `sink` gets what comes out in pieces, and ends it by an error.
    /// `ends_max`: streams that may end within a message.
    pub(crate) fn feed(
        &mut self,
        mut input: &[u8],
        ends_max: u32,
        mut sink: impl FnMut(&[u8]) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        let mut piece = [0; PIECE_BYTES];
        loop {
            let (taken, made) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(input, &mut piece, FlushDecompress::None);
            let status = status.map_err(|_| ProtocolError::Deflate)?;
            let taken = (self.state.total_in() - taken) as usize;
            let made = (self.state.total_out() - made) as usize;
            sink(&piece[..made])?;
            input = &input[taken..];
            if status == Status::StreamEnd {
                // A block with BFINAL (§7.2.3.4): what follows is a stream of its own. Each costs
                // a little and brings nothing, so they are counted like fragments.
                self.ends += 1;
                if self.ends > ends_max {
                    return Err(ProtocolError::TooManyParts { parts_max: ends_max });
                }
                self.state.reset(false);
            } else if input.is_empty() && made < PIECE_BYTES {
                return Ok(());
            } else if taken == 0 && made == 0 {
                return Err(ProtocolError::Deflate);
            }
        }
    }

    /// The message has ended: inflates what is still to come of it.
    pub(crate) fn finish(
        &mut self,
        ends_max: u32,
        sink: impl FnMut(&[u8]) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        //= RFC 7692 §7.2.2
        //# Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the
        //# payload of the message.
        self.feed(&TAIL, ends_max, sink)
    }
}
