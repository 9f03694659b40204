//! Records of `corecast.v1.bin`: what stands in its binary frames. Little-endian.
//!
//! A frame has one or more records. Each has a header of 16 bytes, or 20 when it is longer than
//! 65,535 bytes:
//!
//! | at | what |
//! |---|---|
//! | 0 | `u16` length of the whole record; 0: it stands in the `u32` at 16, and the body at 20 |
//! | 2 | `u8` kind: 1 message, 2 snapshot, 3 gap |
//! | 3 | `u8` flags: bit 0: the payload is JSON text; the others are 0 and to be ignored |
//! | 4 | `u32` sid: the topic, as `subscribed` said |
//! | 8 | `u64` seq; of a gap: the first number that is missing |
//! | 16 | message, snapshot: `i64` time in ns since 1970, then the publisher's bytes |
//! | 16 | gap: `u64` the last number that is missing |
//!
//! Records of other kinds are passed over by their length, and bytes behind what a gap needs are
//! ignored: so the protocol can grow.

mod quote;
mod records;

pub use quote::{QUOTE_BYTES, Quote, QuoteError};
pub use records::{Fault, Record, RecordError, Records};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 16;
/// Bytes of a header with the long length.
pub const LONG_HEADER_BYTES: usize = 20;
/// Bytes of a record with the short length, at most.
pub const SHORT_RECORD_BYTES_MAX: usize = 65_535;

/// What kind of payload a message or snapshot record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payload {
    /// JSON text: flag bit 0.
    Json,
    /// The publisher's bytes.
    Bytes,
}

const FLAG_JSON: u8 = 1;
const KIND_MESSAGE: u8 = 1;
const KIND_SNAPSHOT: u8 = 2;
const KIND_GAP: u8 = 3;

/// Appends a message record.
pub fn message(out: &mut Vec<u8>, sid: u32, seq: u64, ts_ns: i64, payload: Payload, data: &[u8]) {
    with_data(out, KIND_MESSAGE, sid, seq, ts_ns, payload, data);
}

/// Appends a snapshot record.
pub fn snapshot(out: &mut Vec<u8>, sid: u32, seq: u64, ts_ns: i64, payload: Payload, data: &[u8]) {
    with_data(out, KIND_SNAPSHOT, sid, seq, ts_ns, payload, data);
}

/// Appends a gap record: `from..=to` are missing.
pub fn gap(out: &mut Vec<u8>, sid: u32, from: u64, to: u64) {
    header(out, KIND_GAP, 0, sid, from, size_of::<u64>());
    out.extend_from_slice(&to.to_le_bytes());
}

fn with_data(
    out: &mut Vec<u8>,
    kind: u8,
    sid: u32,
    seq: u64,
    ts_ns: i64,
    payload: Payload,
    data: &[u8],
) {
    let flags = match payload {
        Payload::Json => FLAG_JSON,
        Payload::Bytes => 0,
    };
    header(out, kind, flags, sid, seq, size_of::<i64>() + data.len());
    out.extend_from_slice(&ts_ns.to_le_bytes());
    out.extend_from_slice(data);
}

/// # Panics
/// When the record is longer than 4 GiB: no namespace allows such a message.
fn header(out: &mut Vec<u8>, kind: u8, flags: u8, sid: u32, seq: u64, body_bytes: usize) {
    out.reserve(LONG_HEADER_BYTES + body_bytes);
    let short = u16::try_from(HEADER_BYTES + body_bytes);
    out.extend_from_slice(&short.unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&sid.to_le_bytes());
    out.extend_from_slice(&seq.to_le_bytes());
    if short.is_err() {
        let long = u32::try_from(LONG_HEADER_BYTES + body_bytes).expect("a message below 4 GiB");
        out.extend_from_slice(&long.to_le_bytes());
    }
}
