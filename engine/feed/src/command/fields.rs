//! Reading JSON objects and arrays one value at a time, each value as the text that it is.

use core::fmt;
use core::ops::ControlFlow;
use std::borrow::Cow;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Calls `each` for every member of the object in `text`, in their order, doubled names
/// included, until it says stop. Values are checked for JSON's grammar, not read.
///
/// # Errors
/// The text is no JSON object, or `each` said stop. What came before has been passed to `each`.
pub(super) fn members<'a>(
    text: &'a str,
    each: impl FnMut(Cow<'a, str>, &'a RawValue) -> Next,
) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Members(each))?;
    json.end()
}

/// Calls `each` for every element of the array in `text` until it says stop.
///
/// # Errors
/// The text is no JSON array, or `each` said stop.
pub(super) fn elements<'a>(
    text: &'a str,
    each: impl FnMut(&'a RawValue) -> Next,
) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_seq(Elements(each))?;
    json.end()
}

/// Whether to go on. Who says stop keeps the reason.
pub(super) type Next = ControlFlow<()>;

struct Members<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de RawValue) -> Next> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            if (self.0)(name, map.next_value()?).is_break() {
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

struct Elements<F>(F);

impl<'de, F: FnMut(&'de RawValue) -> Next> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element()? {
            if (self.0)(value).is_break() {
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

/// A string, borrowed unless it has escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Cow<'de, str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}
