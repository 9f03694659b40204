//! Reading frames, as they come in.

use super::{
    ACK_BYTES, Ack, ERROR_BYTES, FLAG_BINARY, FLAG_CLOSING, FLAG_KEY, FLAG_TOKEN, FLAG_TS,
    FLAGS_KNOWN, Frame, HELLO_BYTES, Hello, LENGTH_BYTES, RECORD_BYTES, RECORD_MESSAGE,
    RECORD_SNAPSHOT, Record, RecordKind, Refusal, TYPE_ACK, TYPE_ERROR, TYPE_HELLO, TYPE_RECORD,
};
use crate::limits::{
    INGEST_MESSAGE_BYTES_MAX, IngestLimits, KEY_BYTES_MAX, PUBLISHER_BYTES_MAX,
    PUBLISHER_TOKEN_BYTES_MAX,
};

/// Reads the first frame of `bytes`, and says how many bytes it takes. `Ok(None)`: it is not all
/// there yet.
///
/// # Errors
/// What no publisher and no server of this version sends; the connection is of no more use.
pub fn decode<'a>(
    bytes: &'a [u8],
    limits: &IngestLimits,
) -> Result<Option<(Frame<'a>, usize)>, IngestError> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length > limits.frame_bytes_max {
        return Err(IngestError::TooLong { bytes: length, bytes_max: limits.frame_bytes_max });
    }
    if length == 0 {
        return Err(IngestError::Short { what: "frame", bytes: 0, needed: 1 });
    }
    // A wrong type is told at once, not when all of the frame has come.
    let Some(&kind) = rest.first() else { return Ok(None) };
    if !matches!(kind, TYPE_HELLO | TYPE_RECORD | TYPE_ACK | TYPE_ERROR) {
        return Err(IngestError::Type(kind));
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let frame = match kind {
        TYPE_HELLO => hello(body)?,
        TYPE_RECORD => record(body, limits)?,
        TYPE_ACK => ack(body)?,
        _ => error(body)?,
    };
    Ok(Some((frame, LENGTH_BYTES + length)))
}

/// Keeps what has come of a frame until the rest is there.
///
/// Holds at most one frame and the bytes of one [`feed`](Self::feed); nothing between frames.
#[derive(Debug)]
pub struct Decoder {
    limits: IngestLimits,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are done with.
    done: usize,
    failed: Option<IngestError>,
}

impl Decoder {
    /// A decoder that has read nothing.
    #[must_use]
    pub const fn new(limits: IngestLimits) -> Self {
        Self { limits, buffer: Vec::new(), done: 0, failed: None }
    }

    /// Takes what has come in. Ask [`next`](Self::next) until it gives `None` before the next.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if self.done == self.buffer.len() {
            self.buffer = Vec::new();
        } else {
            self.buffer.drain(..self.done);
        }
        self.done = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame that is all there.
    ///
    /// # Errors
    /// As [`decode`]; from then on always the same.
    #[expect(clippy::should_implement_trait, reason = "a frame borrows from the decoder")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, IngestError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match decode(&self.buffer[self.done..], &self.limits) {
            Ok(Some((frame, bytes))) => {
                self.done += bytes;
                Ok(Some(frame))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Bytes that wait for the rest of their frame: not 0 at the end of the stream means cut.
    #[must_use]
    pub const fn pending_bytes(&self) -> usize {
        self.buffer.len() - self.done
    }
}

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// More than the limit. HTTP on this port looks like a frame of 500 MB.
    #[error("a frame of {bytes} bytes, allowed are {bytes_max}: is this the ingest protocol?")]
    TooLong {
        /// The frame's length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// A type that this version does not have.
    #[error("a frame of type {0}: known are 1 hello, 2 record, 3 ack, 4 error")]
    Type(u8),
    /// Fewer bytes than the type, or the lengths in it, need.
    #[error("a {what} of {bytes} bytes needs {needed}")]
    Short {
        /// `frame`, `hello`, `record`, `ack` or `error`.
        what: &'static str,
        /// The frame's length.
        bytes: usize,
        /// The least length.
        needed: usize,
    },
    /// A part that is shorter or longer than allowed.
    #[error("a {part} of {bytes} bytes, allowed are {bytes_min} to {bytes_max}")]
    Part {
        /// `name`, `token`, `topic`, `key` or `message`.
        part: &'static str,
        /// How long it is.
        bytes: usize,
        /// The least it may be.
        bytes_min: usize,
        /// The most it may be.
        bytes_max: usize,
    },
    /// A name, token, topic or message that is not UTF-8.
    #[error("a {0} that is not UTF-8")]
    Utf8(&'static str),
    /// A record that is neither message nor snapshot.
    #[error("a record of kind {0}: known are 1 message, 2 snapshot")]
    Kind(u8),
    /// Flags that this version does not have: what they mean for the layout is not known.
    #[error("record flags {0:#06x}: known are 1 ts, 2 key, 4 binary")]
    Flags(u16),
    /// Bytes where a flag says that there is nothing.
    #[error("a record without {0} in its flags has {0}")]
    Unflagged(&'static str),
}

fn hello(body: &[u8]) -> Result<Frame<'_>, IngestError> {
    let (fixed, rest) = fixed::<HELLO_BYTES>("hello", body)?;
    let [_, flags, v0, v1, e0, e1, e2, e3, e4, e5, e6, e7, n0, n1] = *fixed;
    let name_bytes = usize::from(u16::from_le_bytes([n0, n1]));
    let range = 1..=PUBLISHER_BYTES_MAX;
    let (name, rest) = part("hello", "name", rest, body.len(), name_bytes, range)?;
    Ok(Frame::Hello(Hello {
        version: u16::from_le_bytes([v0, v1]),
        epoch: u64::from_le_bytes([e0, e1, e2, e3, e4, e5, e6, e7]),
        name: text("name", name)?,
        token: if flags & FLAG_TOKEN == 0 { None } else { Some(token(rest, body.len())?) },
    }))
}

/// What stands behind the name of a hello of `whole` bytes, with its length in front.
fn token(rest: &[u8], whole: usize) -> Result<&str, IngestError> {
    let short = IngestError::Short { what: "hello", bytes: whole, needed: whole - rest.len() + 3 };
    let (length, rest) = rest.split_first_chunk().ok_or(short)?;
    let bytes = usize::from(u16::from_le_bytes(*length));
    let (token, _) = part("hello", "token", rest, whole, bytes, 1..=PUBLISHER_TOKEN_BYTES_MAX)?;
    text("token", token)
}

fn record<'a>(body: &'a [u8], limits: &IngestLimits) -> Result<Frame<'a>, IngestError> {
    let (fixed, rest) = fixed::<RECORD_BYTES>("record", body)?;
    let kind = match fixed[1] {
        RECORD_MESSAGE => RecordKind::Message,
        RECORD_SNAPSHOT => RecordKind::Snapshot,
        other => return Err(IngestError::Kind(other)),
    };
    let flags = u16::from_le_bytes(at(fixed, 2));
    if flags & !FLAGS_KNOWN != 0 {
        return Err(IngestError::Flags(flags));
    }
    let topic_bytes = usize::from(u16::from_le_bytes(at(fixed, 20)));
    let key_bytes = usize::from(u16::from_le_bytes(at(fixed, 22)));
    let data_bytes = u32::from_le_bytes(at(fixed, 24)) as usize;
    let has = |flag| flags & flag != 0;
    let key_range = usize::from(has(FLAG_KEY))..=KEY_BYTES_MAX;

    let whole = body.len();
    let range = 1..=limits.topic_bytes_max;
    let (topic, rest) = part("record", "topic", rest, whole, topic_bytes, range)?;
    let (key, rest) = part("record", "key", rest, whole, key_bytes, key_range)?;
    let range = 0..=limits.frame_bytes_max;
    let (data, binary) = part("record", "data", rest, whole, data_bytes, range)?;
    let ts_ns = i64::from_le_bytes(at(fixed, 12));
    Ok(Frame::Record(Record {
        seq: u64::from_le_bytes(at(fixed, 4)),
        kind,
        topic: text("topic", topic)?,
        key: flagged("key", has(FLAG_KEY), key, key.is_empty())?,
        ts_ns: flagged("ts", has(FLAG_TS), ts_ns, ts_ns == 0)?,
        data,
        binary: flagged("binary", has(FLAG_BINARY), binary, binary.is_empty())?,
    }))
}

fn ack(body: &[u8]) -> Result<Frame<'_>, IngestError> {
    let (fixed, _) = fixed::<ACK_BYTES>("ack", body)?;
    Ok(Frame::Ack(Ack {
        code: u16::from_le_bytes(at(fixed, 2)),
        epoch: u64::from_le_bytes(at(fixed, 4)),
        seq: u64::from_le_bytes(at(fixed, 12)),
    }))
}

fn error(body: &[u8]) -> Result<Frame<'_>, IngestError> {
    let (fixed, rest) = fixed::<ERROR_BYTES>("error", body)?;
    let bytes = usize::from(u16::from_le_bytes(at(fixed, 12)));
    let range = 0..=INGEST_MESSAGE_BYTES_MAX;
    let (message, _) = part("error", "message", rest, body.len(), bytes, range)?;
    Ok(Frame::Error(Refusal {
        closing: fixed[1] & FLAG_CLOSING != 0,
        code: u16::from_le_bytes(at(fixed, 2)),
        seq: u64::from_le_bytes(at(fixed, 4)),
        message: text("message", message)?,
    }))
}

fn fixed<'a, const N: usize>(
    what: &'static str,
    body: &'a [u8],
) -> Result<(&'a [u8; N], &'a [u8]), IngestError> {
    let short = IngestError::Short { what, bytes: body.len(), needed: N };
    body.split_first_chunk().ok_or(short)
}

/// The bytes of `fixed` from `start`: a place in one of the layouts above, so always there.
fn at<const N: usize>(fixed: &[u8], start: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&fixed[start..start + N]);
    bytes
}

/// Splits off the next `bytes` bytes of a frame of `whole` bytes.
fn part<'a>(
    what: &'static str,
    part: &'static str,
    rest: &'a [u8],
    whole: usize,
    bytes: usize,
    allowed: core::ops::RangeInclusive<usize>,
) -> Result<(&'a [u8], &'a [u8]), IngestError> {
    if !allowed.contains(&bytes) {
        let (bytes_min, bytes_max) = allowed.into_inner();
        return Err(IngestError::Part { part, bytes, bytes_min, bytes_max });
    }
    let needed = whole - rest.len() + bytes;
    rest.split_at_checked(bytes).ok_or(IngestError::Short { what, bytes: whole, needed })
}

fn text<'a>(part: &'static str, bytes: &'a [u8]) -> Result<&'a str, IngestError> {
    core::str::from_utf8(bytes).map_err(|_| IngestError::Utf8(part))
}

/// What a flag says is there; without the flag there must be nothing.
fn flagged<T>(
    what: &'static str,
    is_set: bool,
    value: T,
    is_nothing: bool,
) -> Result<Option<T>, IngestError> {
    match (is_set, is_nothing) {
        (true, _) => Ok(Some(value)),
        (false, true) => Ok(None),
        (false, false) => Err(IngestError::Unflagged(what)),
    }
}
