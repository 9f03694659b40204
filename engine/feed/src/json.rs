//! Encoders of what is sent often: the bytes that the types of [`event`](crate::event) would
//! give, with payloads spliced as they are.
//!
//! Each appends one event to `out`. `data` must be one JSON value ([`payload`] checks that once,
//! when it comes in); the `_base64` forms take any bytes.

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::value::RawValue;

use crate::limits::Limits;
use crate::raw::{Id, RawJson};
use crate::value::DataEncoding;

/// [`Event::Message`](crate::Event::Message).
pub fn message(out: &mut Vec<u8>, topic: &str, seq: u64, ts_ns: i64, data: &[u8]) {
    stream(out, b"{\"type\":\"message\",\"topic\":", topic, seq, ts_ns, Data::Json(data));
}

/// [`Event::Message`](crate::Event::Message) of a binary payload.
pub fn message_base64(out: &mut Vec<u8>, topic: &str, seq: u64, ts_ns: i64, data: &[u8]) {
    stream(out, b"{\"type\":\"message\",\"topic\":", topic, seq, ts_ns, Data::Bytes(data));
}

/// [`Event::Snapshot`](crate::Event::Snapshot).
pub fn snapshot(out: &mut Vec<u8>, topic: &str, seq: u64, ts_ns: i64, data: &[u8]) {
    stream(out, b"{\"type\":\"snapshot\",\"topic\":", topic, seq, ts_ns, Data::Json(data));
}

/// [`Event::Snapshot`](crate::Event::Snapshot) of a binary payload.
pub fn snapshot_base64(out: &mut Vec<u8>, topic: &str, seq: u64, ts_ns: i64, data: &[u8]) {
    stream(out, b"{\"type\":\"snapshot\",\"topic\":", topic, seq, ts_ns, Data::Bytes(data));
}

/// [`Event::Gap`](crate::Event::Gap): `from..=to` are missing.
pub fn gap(out: &mut Vec<u8>, topic: &str, from: u64, to: u64, reason: &str) {
    out.extend_from_slice(b"{\"type\":\"gap\",\"topic\":");
    string(out, topic);
    out.extend_from_slice(b",\"from\":");
    number(out, from);
    out.extend_from_slice(b",\"to\":");
    number(out, to);
    out.extend_from_slice(b",\"reason\":");
    string(out, reason);
    out.push(b'}');
}

/// [`Event::Direct`](crate::Event::Direct): what `client`, who may be a `user`, has sent.
pub fn direct(out: &mut Vec<u8>, client: &str, user: Option<&str>, ts_ns: i64, data: &[u8]) {
    direct_data(out, client, user, ts_ns, Data::Json(data));
}

/// [`Event::Direct`](crate::Event::Direct) of a binary payload.
pub fn direct_base64(out: &mut Vec<u8>, client: &str, user: Option<&str>, ts_ns: i64, data: &[u8]) {
    direct_data(out, client, user, ts_ns, Data::Bytes(data));
}

/// What a `history` answer says beside its messages.
#[derive(Debug, Clone, Copy)]
pub struct HistoryHead<'a> {
    /// Of the command.
    pub id: Option<&'a Id<'a>>,
    /// The topic.
    pub topic: &'a str,
    /// The epoch of the numbers.
    pub epoch: &'a str,
    /// The number of the topic's last message.
    pub seq: u64,
    /// Whether nothing that was asked for is missing.
    pub complete: bool,
    /// Whether the payloads are bytes, and not JSON.
    pub base64: bool,
}

/// [`Event::History`](crate::Event::History); a message is `(seq, ts_ns, data)`.
pub fn history<'m>(
    out: &mut Vec<u8>,
    head: &HistoryHead<'_>,
    messages: impl IntoIterator<Item = (u64, i64, &'m [u8])>,
) {
    out.extend_from_slice(b"{\"type\":\"history\",");
    if let Some(id) = head.id {
        out.extend_from_slice(b"\"id\":");
        out.extend_from_slice(id.get().as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(b"\"topic\":");
    string(out, head.topic);
    out.extend_from_slice(b",\"epoch\":");
    string(out, head.epoch);
    out.extend_from_slice(b",\"seq\":");
    number(out, head.seq);
    out.extend_from_slice(b",\"messages\":[");
    for (index, (seq, ts_ns, data)) in messages.into_iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"seq\":" } else { b",{\"seq\":" });
        number(out, seq);
        time_and_data(out, ts_ns, Data::new(data, head.base64));
        out.push(b'}');
    }
    let end: &[u8] = if head.complete { b"],\"complete\":true}" } else { b"],\"complete\":false}" };
    out.extend_from_slice(end);
}

/// Checks that `data` is one JSON value that may be spliced into events, and leaves out the
/// white space around it.
///
/// # Errors
/// It is not UTF-8, not JSON, or nests deeper than `limits.depth_max`.
pub fn payload<'a>(data: &'a [u8], limits: &Limits) -> Result<&'a str, DataError> {
    let raw: &RawValue = serde_json::from_slice(data).map_err(DataError::Json)?;
    if depth_is_at_most(raw.get(), limits.depth_max) {
        Ok(raw.get())
    } else {
        Err(DataError::Depth { depth_max: limits.depth_max })
    }
}

/// The bytes that `data` stands for: itself, or what its base64 means.
///
/// # Errors
/// `encoding` is base64, and `data` is no string of that.
pub fn data_bytes<'a>(
    data: &'a RawJson<'_>,
    encoding: Option<DataEncoding>,
) -> Result<Cow<'a, [u8]>, DataError> {
    match encoding {
        None => Ok(Cow::Borrowed(data.get().as_bytes())),
        Some(DataEncoding::Base64) => {
            // Base64 has nothing that JSON must escape; a `/` may be.
            let text: Cow<'_, str> = match data.get().as_bytes() {
                [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => {
                    Cow::Borrowed(&data.get()[1..=inner.len()])
                }
                _ => Cow::Owned(serde_json::from_str(data.get()).map_err(DataError::Json)?),
            };
            let bytes = BASE64_STANDARD.decode(text.as_bytes());
            bytes.map(Cow::Owned).map_err(|_| DataError::Base64)
        }
    }
}

/// Why bytes are no payload.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Not one JSON value.
    #[error("the payload is not JSON: {0}")]
    Json(serde_json::Error),
    /// More arrays and objects within each other than clients can be expected to read.
    #[error("the payload nests more than {depth_max} deep")]
    Depth {
        /// The bound.
        depth_max: usize,
    },
    /// Not a string of base64.
    #[error("the payload is not base64 (RFC 4648 §4, with padding)")]
    Base64,
}

/// Whether at most `depth_max` arrays and objects of `text`, which is JSON, lie within each other.
pub(crate) fn depth_is_at_most(text: &str, depth_max: usize) -> bool {
    // What opens must close: so short a text cannot be too deep.
    if text.len() < 2 * (depth_max + 1) {
        return true;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if in_string {
            (in_string, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > depth_max {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[derive(Clone, Copy)]
enum Data<'a> {
    Json(&'a [u8]),
    Bytes(&'a [u8]),
}

impl<'a> Data<'a> {
    const fn new(data: &'a [u8], base64: bool) -> Self {
        if base64 { Self::Bytes(data) } else { Self::Json(data) }
    }
}

/// The longest of what stands around topic and data.
const FIXED_BYTES: usize = 128;

fn stream(out: &mut Vec<u8>, head: &[u8], topic: &str, seq: u64, ts_ns: i64, data: Data<'_>) {
    let data_bytes = match data {
        Data::Json(json) => json.len(),
        Data::Bytes(bytes) => bytes.len().div_ceil(3) * 4,
    };
    out.reserve(FIXED_BYTES + topic.len() + data_bytes);
    out.extend_from_slice(head);
    string(out, topic);
    out.extend_from_slice(b",\"seq\":");
    number(out, seq);
    time_and_data(out, ts_ns, data);
    out.push(b'}');
}

fn direct_data(out: &mut Vec<u8>, client: &str, user: Option<&str>, ts_ns: i64, data: Data<'_>) {
    out.extend_from_slice(b"{\"type\":\"direct\",\"from\":{\"client\":");
    string(out, client);
    if let Some(user) = user {
        out.extend_from_slice(b",\"user\":");
        string(out, user);
    }
    out.push(b'}');
    time_and_data(out, ts_ns, data);
    out.push(b'}');
}

/// `,"ts":"…","data":…` and, for bytes, `,"encoding":"base64"`.
fn time_and_data(out: &mut Vec<u8>, ts_ns: i64, data: Data<'_>) {
    out.extend_from_slice(b",\"ts\":\"");
    number(out, ts_ns);
    out.extend_from_slice(b"\",\"data\":");
    match data {
        Data::Json(json) => out.extend_from_slice(json),
        Data::Bytes(bytes) => {
            out.push(b'"');
            let start = out.len();
            out.resize(start + bytes.len().div_ceil(3) * 4, 0);
            let written = BASE64_STANDARD.encode_slice(bytes, &mut out[start..]);
            out.truncate(start + written.expect("four characters for each three bytes"));
            out.extend_from_slice(b"\",\"encoding\":\"base64\"");
        }
    }
}

fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A JSON string. Topics have nothing to escape; names and reasons may.
fn string(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("a string is JSON, and a Vec takes it");
    }
}
