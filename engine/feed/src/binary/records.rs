//! Reading the records of a frame.

use core::iter::FusedIterator;

use super::{
    FLAG_JSON, HEADER_BYTES, KIND_GAP, KIND_MESSAGE, KIND_SNAPSHOT, LONG_HEADER_BYTES, Payload,
};

/// One record of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'a> {
    /// What was published to a topic.
    Message {
        /// The topic, as `subscribed` said.
        sid: u32,
        /// Its number in the topic.
        seq: u64,
        /// When it was published, in ns since 1970-01-01 UTC.
        ts_ns: i64,
        /// What `data` is.
        payload: Payload,
        /// What was published.
        data: &'a [u8],
    },
    /// The state of a topic as of `seq`.
    Snapshot {
        /// The topic, as `subscribed` said.
        sid: u32,
        /// The last message that it contains.
        seq: u64,
        /// When it was so, in ns since 1970-01-01 UTC.
        ts_ns: i64,
        /// What `data` is.
        payload: Payload,
        /// The state.
        data: &'a [u8],
    },
    /// Messages that this client does not get.
    Gap {
        /// The topic, as `subscribed` said.
        sid: u32,
        /// The first number that is missing.
        from: u64,
        /// The last number that is missing.
        to: u64,
    },
}

/// The records of one frame, in order; records of unknown kinds are passed over. Nothing comes
/// after an error.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    frame: &'a [u8],
    at: usize,
    skipped: usize,
}

impl<'a> Records<'a> {
    /// The records of `frame`, the payload of a binary WebSocket message.
    #[must_use]
    pub const fn new(frame: &'a [u8]) -> Self {
        Self { frame, at: 0, skipped: 0 }
    }

    /// How many records of unknown kinds were passed over so far.
    #[must_use]
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// Reads the record that begins at `self.at`; `None` when its kind is unknown.
    fn record(&mut self) -> Result<Option<Record<'a>>, Fault> {
        let rest = &self.frame[self.at..];
        let Some((header, _)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Fault::Cut { bytes: rest.len(), needed: HEADER_BYTES });
        };
        let [l0, l1, kind, flags, s0, s1, s2, s3, seq @ ..] = *header;
        let (header_bytes, record_bytes) = match u16::from_le_bytes([l0, l1]) {
            0 => {
                let Some(length) = rest[HEADER_BYTES..].first_chunk() else {
                    return Err(Fault::Cut { bytes: rest.len(), needed: LONG_HEADER_BYTES });
                };
                (LONG_HEADER_BYTES, usize_of(u32::from_le_bytes(*length)))
            }
            short => (HEADER_BYTES, usize::from(short)),
        };
        if record_bytes > rest.len() {
            return Err(Fault::Cut { bytes: rest.len(), needed: record_bytes });
        }
        let known = matches!(kind, KIND_MESSAGE | KIND_SNAPSHOT | KIND_GAP);
        let needed = header_bytes + if known { size_of::<u64>() } else { 0 };
        if record_bytes < needed {
            return Err(Fault::Short { bytes: record_bytes, needed });
        }
        let body = &rest[header_bytes..record_bytes];
        self.at += record_bytes;
        let (sid, seq) = (u32::from_le_bytes([s0, s1, s2, s3]), u64::from_le_bytes(seq));
        let Some((first, data)) = body.split_first_chunk().filter(|_| known) else {
            self.skipped += 1;
            return Ok(None);
        };
        let payload = if flags & FLAG_JSON == 0 { Payload::Bytes } else { Payload::Json };
        let ts_ns = i64::from_le_bytes(*first);
        Ok(Some(match kind {
            KIND_MESSAGE => Record::Message { sid, seq, ts_ns, payload, data },
            KIND_SNAPSHOT => Record::Snapshot { sid, seq, ts_ns, payload, data },
            _ => Record::Gap { sid, from: seq, to: u64::from_le_bytes(*first) },
        }))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.frame.len() {
            let offset = self.at;
            match self.record() {
                Ok(Some(record)) => return Some(Ok(record)),
                Ok(None) => {}
                Err(fault) => {
                    self.at = self.frame.len();
                    return Some(Err(RecordError { offset, fault }));
                }
            }
        }
        None
    }
}

impl FusedIterator for Records<'_> {}

/// Bytes that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("record at byte {offset} of the frame: {fault}")]
pub struct RecordError {
    /// Where the record begins in the frame.
    pub offset: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The frame ends before the record does.
    #[error("the frame has {bytes} bytes left, the record needs {needed}")]
    Cut {
        /// Bytes from the record's begin to the frame's end.
        bytes: usize,
        /// Bytes that the record needs.
        needed: usize,
    },
    /// The record's length is below what its header and kind need.
    #[error("its length is {bytes} bytes, its kind needs {needed}")]
    Short {
        /// The length.
        bytes: usize,
        /// The least length.
        needed: usize,
    },
}

/// On a machine with 16-bit addresses no frame is that long.
fn usize_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
