//! JSON objects that are objects: serde's structs would be made of arrays, too.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Something that is made of an object and of nothing else. A name that stands in it twice is an
/// error.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OfMap(PhantomData))
    }
}

struct OfMap<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OfMap<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Pair {
        #[expect(dead_code)]
        a: u8,
    }

    #[test]
    fn an_array_is_no_object_and_a_name_stands_once() {
        let read = serde_json::from_str::<Object<Pair>>;
        assert!(read(r#"{"a":1,"b":[2]}"#).is_ok());
        for text in ["[1]", "1", "null", r#""a""#, r#"{"a":1,"a":1}"#, r#"{"a":1}{}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
