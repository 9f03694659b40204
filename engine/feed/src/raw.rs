//! JSON that is passed on as it came: payloads and ids.

use core::fmt;
use std::borrow::Cow;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::limits::ID_BYTES_MAX;

/// One JSON value as the text that it came in; never parsed further, never written anew.
///
/// Two are equal when their texts are: `1.0` is not `1`.
#[derive(Clone)]
pub struct RawJson<'a>(Cow<'a, RawValue>);

impl<'a> RawJson<'a> {
    /// Borrows `text` when it is one JSON value; white space around it is left out.
    ///
    /// # Errors
    /// What is wrong with the text, by line and column.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<&RawValue>(text).map(Self::from)
    }

    /// The JSON of `value`.
    ///
    /// # Errors
    /// `value` is none that JSON has (a map whose keys are no strings, for instance).
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<RawJson<'static>, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(|raw| RawJson(Cow::Owned(raw)))
    }

    /// The text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The same, with a text of its own.
    #[must_use]
    pub fn into_owned(self) -> RawJson<'static> {
        RawJson(Cow::Owned(self.0.into_owned()))
    }
}

impl<'a> From<&'a RawValue> for RawJson<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self(Cow::Borrowed(raw))
    }
}

impl PartialEq for RawJson<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for RawJson<'_> {}

impl fmt::Debug for RawJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({})", self.get())
    }
}

impl Serialize for RawJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawJson<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::from)
    }
}

/// The `id` of a command: a JSON number or string, echoed as the text that it came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Id<'a>(RawJson<'a>);

impl<'a> Id<'a> {
    /// Takes a number or a string of at most [`ID_BYTES_MAX`] bytes, quotes and escapes included.
    #[must_use]
    pub fn new(raw: RawJson<'a>) -> Option<Self> {
        let starts_well = raw.get().starts_with(|c: char| matches!(c, '"' | '-' | '0'..='9'));
        (starts_well && raw.get().len() <= ID_BYTES_MAX).then_some(Self(raw))
    }

    /// An id that is a string; `None` when its JSON is longer than [`ID_BYTES_MAX`].
    #[must_use]
    pub fn text(text: &str) -> Option<Id<'static>> {
        Id::new(RawJson::of(text).ok()?)
    }

    /// The JSON text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The same, with a text of its own: for an answer that comes later.
    #[must_use]
    pub fn into_owned(self) -> Id<'static> {
        Id(self.0.into_owned())
    }
}

impl From<u64> for Id<'static> {
    fn from(number: u64) -> Self {
        let text = RawValue::from_string(number.to_string()).expect("a number is JSON");
        Self(RawJson(Cow::Owned(text)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = Self::new(RawJson::deserialize(deserializer)?);
        found.ok_or_else(|| D::Error::custom("an id is a number or a string of at most 64 bytes"))
    }
}

#[cfg(test)]
mod schema {
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Id, RawJson};

    impl JsonSchema for RawJson<'_> {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Data".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "description": "Any JSON value: what the publisher sent, unchanged." })
        }
    }

    impl JsonSchema for Id<'_> {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Id".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "Chosen by the client, echoed in the answer; at most 64 bytes.",
                "type": ["number", "string"],
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_number_or_a_string() {
        for text in ["1", "-2", "1.5e3", "\"a\"", "\"\\u00e9\"", "18446744073709551616"] {
            let id = RawJson::parse(text).map(Id::new).expect("JSON");
            assert_eq!(id.as_ref().map(Id::get), Some(text));
        }
        let long = format!("\"{}\"", "x".repeat(ID_BYTES_MAX - 1));
        for text in ["null", "true", "[1]", "{}", long.as_str()] {
            assert_eq!(RawJson::parse(text).map(Id::new).expect("JSON"), None, "{text}");
        }
        assert_eq!(Id::from(7).get(), "7");
        assert_eq!(Id::text("a\"b").expect("short").get(), "\"a\\\"b\"");
    }

    #[test]
    fn raw_json_keeps_its_text() {
        let raw = RawJson::parse(" {\"a\" : 1.0}\n").expect("JSON");
        assert_eq!(raw.get(), "{\"a\" : 1.0}");
        assert_eq!(serde_json::to_string(&raw).expect("JSON"), "{\"a\" : 1.0}");
        assert!(RawJson::parse("{} {}").is_err());
    }
}
