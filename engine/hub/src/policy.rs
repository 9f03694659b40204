//! What a backlog does to a subscription's frames.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What happens to the frames of a subscription while its socket takes none.
///
/// As text (configuration, command line): `lossless`, `lossless:gap`, `lossless:snapshot`,
/// `latest`, `latest_by_key`, `drop_oldest`, `close`; `lossless:close` is read as `lossless`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Every frame, in order, up to the outbox bounds; then what `overflow` says. These frames
    /// hold publishers back ([`Hub::congested`](crate::Hub::congested)).
    Lossless {
        /// What happens at a bound.
        overflow: Overflow,
    },
    /// One slot: the newest frame replaces the one that waits, in its place.
    Latest,
    /// One slot per key: the newest frame of a key replaces the one that waits, in its place.
    LatestByKey,
    /// A ring: at a bound, the oldest waiting frame of such topics makes room.
    DropOldest,
    /// Every frame, in order; at a bound the socket is closed. Unlike `lossless`, nobody waits
    /// for such a reader: it does not hold publishers back.
    Close,
}

/// What a lossless subscription does at a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// The waiting frames of the topic are discarded and a notice of the lost range stands in
    /// their place; then delivery goes on.
    Gap,
    /// The waiting frames of the topic are discarded and the subscription pauses, until the
    /// reader has caught up; then a notice of the lost range, a snapshot and what came behind it
    /// stand for them ([`Hub::resync`](crate::Hub::resync)).
    Snapshot,
    /// The socket is closed.
    Close,
}

impl Policy {
    /// All policies, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Lossless { overflow: Overflow::Close },
        Self::Lossless { overflow: Overflow::Gap },
        Self::Lossless { overflow: Overflow::Snapshot },
        Self::Latest,
        Self::LatestByKey,
        Self::DropOldest,
        Self::Close,
    ];

    /// The policy's text, the one that [`FromStr`] reads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lossless { overflow: Overflow::Close } => "lossless",
            Self::Lossless { overflow: Overflow::Gap } => "lossless:gap",
            Self::Lossless { overflow: Overflow::Snapshot } => "lossless:snapshot",
            Self::Latest => "latest",
            Self::LatestByKey => "latest_by_key",
            Self::DropOldest => "drop_oldest",
            Self::Close => "close",
        }
    }
}

/// `lossless`, closing at a bound: nothing is ever lost in silence.
impl Default for Policy {
    fn default() -> Self {
        Self::Lossless { overflow: Overflow::Close }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no policy: it is one of lossless, lossless:gap, lossless:snapshot, latest, \
     latest_by_key, drop_oldest, close"
)]
pub struct PolicyError(String);

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        if text == "lossless:close" {
            return Ok(Self::default());
        }
        let found = Self::ALL.into_iter().find(|policy| policy.as_str() == text);
        found.ok_or_else(|| PolicyError(text.chars().take(40).collect()))
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    #[test]
    fn every_policy_reads_back_from_its_text() {
        for policy in Policy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
            let source: StrDeserializer<'_, Error> = policy.as_str().into_deserializer();
            assert_eq!(Policy::deserialize(source), Ok(policy));
        }
        assert_eq!("lossless:close".parse(), Ok(Policy::default()));
    }

    #[test]
    fn an_unknown_policy_is_named_in_the_error() {
        let error = "newest".parse::<Policy>().expect_err("no such policy");
        assert!(error.to_string().starts_with("`newest` is no policy"), "{error}");
        assert!("Latest".parse::<Policy>().is_err());
        assert!("x".repeat(10_000).parse::<Policy>().expect_err("none").to_string().len() < 200);
    }
}
