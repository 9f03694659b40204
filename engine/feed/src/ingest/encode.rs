//! Appending frames.

use super::{
    ACK_BYTES, Ack, ERROR_BYTES, FLAG_BINARY, FLAG_CLOSING, FLAG_KEY, FLAG_TOKEN, FLAG_TS,
    HELLO_BYTES, Hello, RECORD_BYTES, RECORD_MESSAGE, RECORD_SNAPSHOT, Record, RecordKind, Refusal,
    TYPE_ACK, TYPE_ERROR, TYPE_HELLO, TYPE_RECORD,
};
use crate::limits::{
    INGEST_MESSAGE_BYTES_MAX, IngestLimits, KEY_BYTES_MAX, PUBLISHER_BYTES_MAX,
    PUBLISHER_TOKEN_BYTES_MAX,
};

/// Appends a hello.
///
/// # Errors
/// The name or the token is empty or too long; `out` is as it was.
pub fn hello(out: &mut Vec<u8>, hello: &Hello<'_>) -> Result<(), EncodeError> {
    check("name", hello.name.len(), 1, PUBLISHER_BYTES_MAX)?;
    let mut bytes = HELLO_BYTES + hello.name.len();
    if let Some(token) = hello.token {
        check("token", token.len(), 1, PUBLISHER_TOKEN_BYTES_MAX)?;
        bytes += 2 + token.len();
    }
    length(out, bytes);
    out.extend_from_slice(&[TYPE_HELLO, if hello.token.is_some() { FLAG_TOKEN } else { 0 }]);
    out.extend_from_slice(&hello.version.to_le_bytes());
    out.extend_from_slice(&hello.epoch.to_le_bytes());
    short(out, hello.name.len());
    out.extend_from_slice(hello.name.as_bytes());
    if let Some(token) = hello.token {
        short(out, token.len());
        out.extend_from_slice(token.as_bytes());
    }
    Ok(())
}

/// Appends a record.
///
/// # Errors
/// It is out of the server's `limits`; `out` is as it was.
pub fn record(
    out: &mut Vec<u8>,
    record: &Record<'_>,
    limits: &IngestLimits,
) -> Result<(), EncodeError> {
    let key = record.key.unwrap_or_default();
    let binary = record.binary.unwrap_or_default();
    let topic_bytes_max = limits.topic_bytes_max.min(usize::from(u16::MAX));
    check("topic", record.topic.len(), 1, topic_bytes_max)?;
    check("key", key.len(), usize::from(record.key.is_some()), KEY_BYTES_MAX)?;
    let parts = [record.topic.len(), key.len(), record.data.len(), binary.len()];
    let bytes = parts.into_iter().fold(RECORD_BYTES, usize::saturating_add);
    let frame_bytes_max = limits.frame_bytes_max.min(u32::MAX as usize);
    check("frame", bytes, RECORD_BYTES, frame_bytes_max)?;
    let mut flags = 0;
    for (flag, is_set) in [
        (FLAG_TS, record.ts_ns.is_some()),
        (FLAG_KEY, record.key.is_some()),
        (FLAG_BINARY, record.binary.is_some()),
    ] {
        flags |= if is_set { flag } else { 0 };
    }
    let kind = match record.kind {
        RecordKind::Message => RECORD_MESSAGE,
        RecordKind::Snapshot => RECORD_SNAPSHOT,
    };
    length(out, bytes);
    out.extend_from_slice(&[TYPE_RECORD, kind]);
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&record.seq.to_le_bytes());
    out.extend_from_slice(&record.ts_ns.unwrap_or(0).to_le_bytes());
    short(out, record.topic.len());
    short(out, key.len());
    out.extend_from_slice(&(record.data.len() as u32).to_le_bytes());
    for part in [record.topic.as_bytes(), key, record.data, binary] {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// Appends an ack.
pub fn ack(out: &mut Vec<u8>, ack: &Ack) {
    length(out, ACK_BYTES);
    out.extend_from_slice(&[TYPE_ACK, 0]);
    out.extend_from_slice(&ack.code.to_le_bytes());
    out.extend_from_slice(&ack.epoch.to_le_bytes());
    out.extend_from_slice(&ack.seq.to_le_bytes());
}

/// Appends an error; a message that is too long is cut.
pub fn error(out: &mut Vec<u8>, refusal: &Refusal<'_>) {
    let message = refusal.message;
    let message = &message[..message.floor_char_boundary(INGEST_MESSAGE_BYTES_MAX)];
    length(out, ERROR_BYTES + message.len());
    out.extend_from_slice(&[TYPE_ERROR, if refusal.closing { FLAG_CLOSING } else { 0 }]);
    out.extend_from_slice(&refusal.code.to_le_bytes());
    out.extend_from_slice(&refusal.seq.to_le_bytes());
    short(out, message.len());
    out.extend_from_slice(message.as_bytes());
}

/// What does not fit a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {part} has {bytes} bytes, allowed are {bytes_min} to {bytes_max}")]
pub struct EncodeError {
    /// `name`, `token`, `topic`, `key` or `frame`.
    pub part: &'static str,
    /// How long it is.
    pub bytes: usize,
    /// The least it may be.
    pub bytes_min: usize,
    /// The most it may be.
    pub bytes_max: usize,
}

fn check(
    part: &'static str,
    bytes: usize,
    bytes_min: usize,
    bytes_max: usize,
) -> Result<(), EncodeError> {
    let fits = (bytes_min..=bytes_max).contains(&bytes);
    if fits { Ok(()) } else { Err(EncodeError { part, bytes, bytes_min, bytes_max }) }
}

/// The bounds above keep `bytes` within 32 bits.
fn length(out: &mut Vec<u8>, bytes: usize) {
    out.reserve(super::LENGTH_BYTES + bytes);
    out.extend_from_slice(&(bytes as u32).to_le_bytes());
}

/// The bounds above keep `bytes` within 16 bits.
fn short(out: &mut Vec<u8>, bytes: usize) {
    out.extend_from_slice(&(bytes as u16).to_le_bytes());
}
