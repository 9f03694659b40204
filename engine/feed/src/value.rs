//! The small values that several messages share.

use core::fmt;
use core::str::FromStr;
use std::borrow::Cow;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::{RATE_HZ_MAX, RATE_HZ_MIN};
use crate::raw::RawJson;

/// A point in time in nanoseconds since 1970-01-01 UTC. In JSON a decimal string, because a
/// JavaScript number is too small for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(pub i64);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let number = text.parse().map_err(|_| D::Error::custom("a time is a string of digits"))?;
        Ok(Self(number))
    }
}

/// Messages per second: a finite number within [`RATE_HZ_MIN`] and [`RATE_HZ_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// `None` when `hz` is out of bounds.
    #[must_use]
    pub fn new(hz: f64) -> Option<Self> {
        (RATE_HZ_MIN..=RATE_HZ_MAX).contains(&hz).then_some(Self(hz))
    }

    /// The rate of a conflated variant; `None` for 0 and for more than a minute.
    #[must_use]
    pub fn of_interval_ms(interval_ms: u32) -> Option<Self> {
        Self::new(1_000.0 / f64::from(interval_ms))
    }

    /// Reads a JSON number. The standard library's parser is exact to the last bit; serde_json's
    /// is not, unless a feature makes it slower for everybody.
    pub(crate) fn parse(json: &str) -> Option<Self> {
        json.parse().ok().and_then(Self::new)
    }

    /// In messages per second.
    #[must_use]
    pub const fn hz(self) -> f64 {
        self.0
    }

    /// The interval of the variant that keeps this rate, rounded up to a millisecond.
    #[must_use]
    pub fn interval_ms(self) -> u32 {
        // 1000 / (1000 / n) may be a little above n: a millionth is not another millisecond.
        // The result is within 1 and 60,000.
        (1_000.0 / self.0 - 1e-6).ceil() as u32
    }
}

impl Serialize for Rate {
    /// Whole numbers stand without a fraction.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 {
            serializer.serialize_u32(self.0 as u32)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = Self::parse(RawJson::deserialize(deserializer)?.get());
        found.ok_or_else(|| D::Error::custom("a rate is a number within 1/60 and 1000"))
    }
}

/// What a backlog does to a subscription's messages: the name of a delivery policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// `lossless`: every message in order; a reader that is too slow is closed with 4407.
    /// `lossless:close` is another name for it.
    Lossless,
    /// `lossless:gap`: at a bound what waits is discarded and told by `gap`.
    LosslessGap,
    /// `lossless:snapshot`: at a bound what waits is discarded, told by `gap`, and replaced by a
    /// snapshot.
    LosslessSnapshot,
    /// `latest`: the newest message replaces the one that waits.
    Latest,
    /// `latest_by_key`: the newest message of a key replaces the one that waits.
    LatestByKey,
    /// `drop_oldest`: at a bound the oldest message that waits makes room.
    DropOldest,
    /// `close`: every message in order; at a bound closed with 4407, and nobody waits for it.
    Close,
}

impl Delivery {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Lossless,
        Self::LosslessGap,
        Self::LosslessSnapshot,
        Self::Latest,
        Self::LatestByKey,
        Self::DropOldest,
        Self::Close,
    ];

    /// The name, the one that [`FromStr`] reads.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lossless => "lossless",
            Self::LosslessGap => "lossless:gap",
            Self::LosslessSnapshot => "lossless:snapshot",
            Self::Latest => "latest",
            Self::LatestByKey => "latest_by_key",
            Self::DropOldest => "drop_oldest",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no delivery policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not one of lossless, lossless:gap, lossless:snapshot, latest, latest_by_key, drop_oldest, \
     close"
)]
pub struct DeliveryError;

impl FromStr for Delivery {
    type Err = DeliveryError;

    fn from_str(text: &str) -> Result<Self, DeliveryError> {
        let text = if text == "lossless:close" { "lossless" } else { text };
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or(DeliveryError)
    }
}

impl Serialize for Delivery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Delivery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// How `data` is to be read, when it is not the publisher's JSON itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DataEncoding {
    /// `data` is a string: base64 (RFC 4648 §4, with padding) of the publisher's bytes.
    Base64,
}

/// Whether a topic's publisher is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum StreamState {
    /// It publishes.
    Live,
    /// It has been silent for longer than the namespace allows.
    Stale,
}

/// A server's epoch: it changes when the numbering of its topics starts afresh. On the wire an
/// opaque text; this server writes 64 bits in hexadecimal.
pub mod epoch {
    /// The text of an epoch: lower case, no leading zeros.
    #[must_use]
    pub fn text(epoch: u64) -> String {
        format!("{epoch:x}")
    }

    /// The epoch that [`text`] wrote. `None`: none of this server's, so nothing can be resumed.
    #[must_use]
    pub fn read(text: &str) -> Option<u64> {
        let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let canonical = plain && (text == "0" || !text.starts_with('0'));
        canonical.then(|| u64::from_str_radix(text, 16).ok()).flatten()
    }
}

#[cfg(test)]
mod schema {
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::*;

    impl JsonSchema for Nanos {
        fn schema_name() -> Cow<'static, str> {
            "Nanos".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "Nanoseconds since 1970-01-01 UTC, in decimal digits.",
                "type": "string",
                "pattern": "^-?[0-9]{1,19}$",
            })
        }
    }

    impl JsonSchema for Rate {
        fn schema_name() -> Cow<'static, str> {
            "Rate".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "Messages per second, from 1/60.",
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": RATE_HZ_MAX as u32,
            })
        }
    }

    impl JsonSchema for Delivery {
        fn schema_name() -> Cow<'static, str> {
            "Delivery".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "What a backlog does to a subscription's messages.",
                "type": "string",
                "enum": Self::ALL.map(Self::name),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delivery_reads_back_from_its_name() {
        for delivery in Delivery::ALL {
            assert_eq!(delivery.name().parse(), Ok(delivery));
            assert!(DeliveryError.to_string().contains(delivery.name()));
        }
        assert_eq!("lossless:close".parse(), Ok(Delivery::Lossless));
        assert_eq!("Latest".parse::<Delivery>(), Err(DeliveryError));
    }

    #[test]
    fn an_interval_is_rounded_up_and_reads_back() {
        for (hz, interval_ms) in [(10.0, 100), (3.0, 334), (1_000.0, 1), (0.5, 2_000), (700.0, 2)] {
            assert_eq!(Rate::new(hz).map(Rate::interval_ms), Some(interval_ms), "{hz}");
        }
        for interval_ms in (1..5_000).chain([59_999, 60_000]) {
            let rate = Rate::of_interval_ms(interval_ms);
            assert_eq!(rate.map(Rate::interval_ms), Some(interval_ms));
        }
        for hz in [0.0, -1.0, f64::NAN, f64::INFINITY, 1_000.1, 1e-9] {
            assert_eq!(Rate::new(hz), None);
        }
        assert_eq!((Rate::of_interval_ms(0), Rate::of_interval_ms(60_001)), (None, None));
    }

    #[test]
    fn only_canonical_epochs_are_ours() {
        for epoch in [0, 1, 0x9f2c, u64::MAX] {
            assert_eq!(epoch::read(&epoch::text(epoch)), Some(epoch));
        }
        for text in ["", "09", "9F2C", "+1", "0x1", "g", "10000000000000000"] {
            assert_eq!(epoch::read(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_strings_and_whole_rates_have_no_fraction() {
        let json = |rate: f64| serde_json::to_string(&Rate::new(rate)).expect("JSON");
        assert_eq!((json(10.0), json(0.5)), ("10".to_owned(), "0.5".to_owned()));
        assert_eq!(serde_json::to_string(&Nanos(-1)).expect("JSON"), "\"-1\"");
        assert_eq!(serde_json::from_str::<Nanos>("\"17\"").expect("a time"), Nanos(17));
        assert!(serde_json::from_str::<Nanos>("17").is_err());
    }
}
