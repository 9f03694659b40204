//! One message to publish, as JSON or as query and body.

use crate::intake::{Fault, own};
use bytes::Bytes;
use corecast::{Payload, Update, UpdateKind};
use corecast_feed::ErrorCode;
use corecast_feed::limits::KEY_BYTES_MAX;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// `{"topic":…,"data":…}`, with `key`, `snapshot` and `ts` where they are wanted. Each field stays
/// text at first, so that an error can name the one that is wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with topic and data")]
struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    topic: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    key: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    snapshot: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    ts: Option<&'a RawValue>,
}

/// The query of a request whose body is the payload itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Target {
    topic: Option<String>,
    key: Option<String>,
    snapshot: bool,
    ts: Option<i64>,
}

/// Reads one message. `payload` gives what the payloads of a topic are. The data is not touched:
/// what arrives at the subscribers is what was sent, byte by byte.
///
/// # Errors
///
/// The first thing that is wrong.
pub(crate) fn parse(
    json: &[u8],
    payload: impl Fn(&str) -> Option<Payload>,
) -> Result<Update, Fault> {
    // serde would take it for the fields in their order.
    if json.trim_ascii_start().starts_with(b"[") {
        let message = "no message: an array; a message is an object with topic and data, and many \
                       of them go to /publish/batch";
        return Err(Fault::whole(400, message));
    }
    let fields: Fields<'_> = serde_json::from_slice(json)
        .map_err(|error| Fault::whole(400, format!("no message: {error}")))?;
    let topic: String = value("topic", fields.topic, "a string")?.ok_or_else(|| absent("topic"))?;
    let data = fields.data.ok_or_else(|| absent("data"))?.get();
    if payload(&topic) == Some(Payload::Binary) {
        let message = "the topic's payloads are binary: POST the bytes to /publish?topic=…";
        return Err(Fault::new(ErrorCode::Malformed, "data", message));
    }
    let ts = match fields.ts {
        // A decimal string as the feed writes it, because 64 bits are too many for JavaScript.
        Some(text) if text.get().starts_with('"') => {
            let digits: Option<String> = value("ts", Some(text), NANOS)?;
            digits.map(|digits| digits.parse().map_err(|_| wrong("ts", NANOS))).transpose()?
        }
        ts => value("ts", ts, NANOS)?,
    };
    let target = Target {
        topic: Some(topic),
        key: value("key", fields.key, "a string")?,
        snapshot: value("snapshot", fields.snapshot, "true or false")?.unwrap_or(false),
        ts,
    };
    target.update(own(data.as_bytes()))
}

impl Target {
    /// Whether the query names anything: then the body is the payload.
    pub(crate) fn is_some(&self) -> bool {
        self.topic.is_some() || self.key.is_some() || self.snapshot || self.ts.is_some()
    }

    /// The update with this payload.
    ///
    /// # Errors
    ///
    /// When the topic is missing or the key is too long.
    pub(crate) fn update(self, data: Bytes) -> Result<Update, Fault> {
        let topic = self.topic.ok_or_else(|| absent("topic"))?;
        if self.key.as_ref().is_some_and(|key| key.len() > KEY_BYTES_MAX) {
            let message = format_args!("a key has at most {KEY_BYTES_MAX} bytes");
            return Err(Fault::new(ErrorCode::TooLarge, "key", message));
        }
        let kind = if self.snapshot { UpdateKind::Snapshot } else { UpdateKind::Message };
        let key = self.key.map(Bytes::from);
        Ok(Update { kind, key, ts: self.ts, ..Update::new(topic, data) })
    }
}

/// A field that is there, `null` included.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn value<'a, T: Deserialize<'a>>(
    field: &'static str,
    text: Option<&'a RawValue>,
    expected: &str,
) -> Result<Option<T>, Fault> {
    text.map(|text| serde_json::from_str(text.get()).map_err(|_| wrong(field, expected)))
        .transpose()
}

fn wrong(field: &'static str, expected: &str) -> Fault {
    Fault::new(ErrorCode::Malformed, field, format_args!("`{field}` must be {expected}"))
}

fn absent(field: &'static str) -> Fault {
    Fault::new(ErrorCode::Malformed, field, format_args!("`{field}` is missing"))
}

const NANOS: &str = "nanoseconds since 1970, as a number or a string of digits";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Update, Fault> {
        parse(json.as_bytes(), |topic| {
            Some(if topic.starts_with("blob") { Payload::Binary } else { Payload::Json })
        })
    }

    #[test]
    fn the_data_is_not_touched() {
        let update = read(r#" {"data": { "b":1.00, "a":"\u00e4" } ,"topic":"quote.X"} "#);
        let expected = Update::new("quote.X", r#"{ "b":1.00, "a":"\u00e4" }"#);
        assert_eq!(update, Ok(expected));
        assert_eq!(read(r#"{"topic":"a","data":null}"#).expect("null is JSON").data, "null");
    }

    #[test]
    fn key_snapshot_and_time_are_read() {
        let update = read(r#"{"topic":"a","data":1,"key":"k","snapshot":true,"ts":"17"}"#);
        let expected = Update {
            kind: UpdateKind::Snapshot,
            key: Some("k".into()),
            ts: Some(17),
            ..Update::new("a", "1")
        };
        assert_eq!(update.as_ref(), Ok(&expected));
        let number = r#"{"topic":"a","data":1,"ts":1700000000000000001}"#;
        assert_eq!(read(number).map(|update| update.ts), Ok(Some(1_700_000_000_000_000_001)));
    }

    #[test]
    fn the_wrong_field_is_named() {
        let long = format!(r#"{{"topic":"a","data":1,"key":"{}"}}"#, "k".repeat(256));
        for (json, code, field, words) in [
            (r#"{"data":1}"#, 400, Some("topic"), "missing"),
            (r#"{"topic":"a"}"#, 400, Some("data"), "missing"),
            (r#"{"topic":1,"data":1}"#, 400, Some("topic"), "a string"),
            (r#"{"topic":"a","data":1,"key":1}"#, 400, Some("key"), "a string"),
            (r#"{"topic":"a","data":1,"snapshot":"yes"}"#, 400, Some("snapshot"), "true or"),
            (r#"{"topic":"a","data":1,"ts":"soon"}"#, 400, Some("ts"), "nanoseconds"),
            (r#"{"topic":"a","data":1,"ts":1.5}"#, 400, Some("ts"), "nanoseconds"),
            (r#"{"topic":"blob.x","data":1}"#, 400, Some("data"), "/publish?topic="),
            (&long, 413, Some("key"), "255"),
            (r#"{"topic":"a","data":1,"payload":2}"#, 400, None, "`payload`"),
            (r#"{"topic":"a","data":1,"data":2}"#, 400, None, "duplicate"),
            (r#"{"topic":"a","data":}"#, 400, None, "column"),
            ("7", 400, None, "an object with topic"),
            (r#" ["a",1]"#, 400, None, "/publish/batch"),
            ("", 400, None, "no message"),
        ] {
            let fault = read(json).expect_err(json);
            assert_eq!((fault.code, fault.field.as_deref()), (code, field), "{json}: {fault:?}");
            assert!(fault.message.contains(words), "{json}: {fault:?}");
        }
    }
}
