//! What a connection keeps to inflate what comes in: as a rule nothing.

use std::sync::Arc;

use super::inflater::Inflater;
use super::pool::{InflatePool, Seat};
use crate::error::ProtocolError;

/// The inbound side of a connection that agreed to compress.
#[derive(Debug)]
pub struct Inflation {
    pool: Arc<InflatePool>,
    takeover: bool,
    seat: Option<Seat>,
    /// With context takeover from the first compressed message on, else within one alone.
    inflater: Option<Box<Inflater>>,
    /// A message that no inflater was free for, as it came.
    packed: Vec<u8>,
}

impl Inflation {
    /// For a connection whose messages stand for themselves.
    #[must_use]
    pub fn new(pool: &Arc<InflatePool>) -> Self {
        let pool = Arc::clone(pool);
        Self { pool, takeover: false, seat: None, inflater: None, packed: Vec::new() }
    }

    /// For one whose messages refer back to those before them: none when the pool has no seat
    /// left. To be asked before that is agreed to.
    #[must_use]
    pub fn with_takeover(pool: &Arc<InflatePool>) -> Option<Self> {
        let seat = pool.seat()?;
        Some(Self { takeover: true, seat: Some(seat), ..Self::new(pool) })
    }

    /// Whether messages may refer back to those before them.
    #[must_use]
    pub fn is_takeover(&self) -> bool {
        self.takeover
    }

    /// A message begins. `whole`: all of it is there.
    pub(crate) fn begin(&mut self, whole: bool) {
        //= RFC 7692 §7.2.2
        //# If the "agreed parameters" contain the "client_no_context_takeover"
        //# extension parameter, the server MAY decompress each new message with
        //# an empty LZ77 sliding window.  Otherwise, the server MUST decompress
        //# each new message using the LZ77 sliding window used to process the
        //# last compressed message.
        if self.inflater.is_none() {
            if !whole && !self.takeover {
                self.seat = self.pool.seat();
            }
            if whole || self.seat.is_some() {
                self.inflater = Some(Box::new(Inflater::new()));
            }
        }
        if let Some(inflater) = &mut self.inflater {
            inflater.begin();
        }
    }

    /// More of the message, unmasked. `sink` gets what it stands for.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        ends_max: u32,
        sink: impl FnMut(&[u8]) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        let Some(inflater) = &mut self.inflater else {
            self.packed.extend_from_slice(bytes);
            return Ok(());
        };
        let mut counted = Counted { sink, bytes: 0 };
        let fed = inflater.feed(bytes, ends_max, |piece| counted.take(piece));
        self.pool.count(bytes.len(), counted.bytes);
        fed
    }

    /// The message has ended.
    pub(crate) fn finish(
        &mut self,
        ends_max: u32,
        mut sink: impl FnMut(&[u8]) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        if self.inflater.is_none() {
            let packed = std::mem::take(&mut self.packed);
            self.begin(true);
            self.feed(&packed, ends_max, &mut sink)?;
        }
        let Some(mut inflater) = self.inflater.take() else { return Ok(()) };
        let mut counted = Counted { sink, bytes: 0 };
        let finished = inflater.finish(ends_max, |piece| counted.take(piece));
        self.pool.count(0, counted.bytes);
        finished?;
        self.pool.count_message();
        if self.takeover {
            self.inflater = Some(inflater);
        } else {
            self.seat = None;
        }
        Ok(())
    }

    /// Bytes of heap that are owned at the moment, as far as they are known.
    pub(crate) fn buffered_bytes(&self) -> usize {
        let inflater_bytes = if self.inflater.is_some() { INFLATER_BYTES } else { 0 };
        self.packed.capacity() + inflater_bytes
    }
}

/// What zlib-rs allocates for one: the window of 32 KiB, tables, and room to align them.
const INFLATER_BYTES: usize = 42 * 1024;

/// Counts what is inflated.
struct Counted<S> {
    sink: S,
    bytes: usize,
}

impl<S: FnMut(&[u8]) -> Result<(), ProtocolError>> Counted<S> {
    fn take(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        self.bytes += piece.len();
        (self.sink)(piece)
    }
}
