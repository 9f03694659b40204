//! Why a home does not do what it was asked for.

use crate::limits::{
    HELD_PATTERNS_MAX, INTERVAL_MAX_MS, KEY_BYTES_MAX, KEYED_BYTES_MAX, KEYS_MAX,
    PATTERN_TOKENS_MAX, PRESENCES_MAX,
};
use crate::namespace::{Namespace, Payload};
use crate::policy::Policy;
use crate::topic::TopicError;

use super::suffix::VariantError;

/// Why an update was not taken: no number was given, nothing was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// No namespace is for this topic.
    #[error("unknown topic: no namespace is for its first token")]
    Unknown,
    /// The name cannot be a topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The name is that of a conflated variant, which only its topic fills.
    #[error("`@…ms` names a conflated variant: publish to the topic itself")]
    Variant,
    /// Payloads and key are longer than the namespace allows.
    #[error("a message has at most {bytes_max} bytes here, this one {bytes}")]
    TooLarge {
        /// Bytes of payloads and key.
        bytes: usize,
        /// The namespace's bound.
        bytes_max: usize,
    },
    /// The key is longer than any.
    #[error("a key has at most {KEY_BYTES_MAX} bytes, this one {bytes}")]
    KeyTooLong {
        /// Bytes of the key.
        bytes: usize,
    },
    /// The topic's snapshot would hold more keys, or more bytes, than there is room for.
    #[error("a topic's snapshot has at most {KEYS_MAX} keys and {KEYED_BYTES_MAX} bytes")]
    KeysFull,
    /// The namespace takes no snapshots from publishers.
    #[error("this namespace takes no snapshots: its `snapshot` is not \"published\"")]
    NotSupported,
    /// There are as many topics as there may be.
    #[error(transparent)]
    Full(#[from] TopicsFull),
}

/// Why there is no room for one topic more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicsFull {
    /// In the namespace.
    #[error("the namespace has {topics_max} topics on this shard: `topics_max`")]
    Namespace {
        /// The bound.
        topics_max: usize,
    },
    /// In all namespaces together.
    #[error("this shard is home to {topics_max} topics, and to no more")]
    Home {
        /// The bound.
        topics_max: usize,
    },
    /// All numbers of streams are given away: only a restart helps.
    #[error("this epoch has no number left for a stream")]
    Streams,
}

/// Why somebody is not attached to a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// There is no such topic, and subscribing makes none here.
    #[error("unknown topic")]
    Unknown,
    /// The name cannot be a topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The name ends like that of a variant, but names none.
    #[error(transparent)]
    Variant(#[from] VariantError),
    /// A variant was asked for by its name: ask for its topic, and the interval.
    #[error("`@…ms` names a conflated variant: it is asked for by topic and interval")]
    VariantAsTopic,
    /// The interval is out of bounds. An `interval_min_ms` of 0: this topic has no variants.
    #[error(
        "an interval of {interval_ms} ms is not allowed here: from {interval_min_ms} to \
         {INTERVAL_MAX_MS} ms (0: none at all)"
    )]
    NotAllowed {
        /// What was asked for.
        interval_ms: u32,
        /// The smallest that is allowed.
        interval_min_ms: u32,
    },
    /// The topic has as many intervals at a time as it may have.
    #[error("the topic has {variants_max} intervals already, and may have no more")]
    VariantsFull {
        /// The namespace's bound.
        variants_max: u16,
    },
    /// The topic has as many members as it may have.
    #[error("the topic has {presence_max} members already, and may have no more")]
    PresenceFull {
        /// The namespace's bound.
        presence_max: u32,
    },
    /// There are as many topics as there may be.
    #[error(transparent)]
    Full(#[from] TopicsFull),
    /// The pattern has more tokens than may be.
    #[error("a pattern has at most {PATTERN_TOKENS_MAX} tokens, this one {tokens}")]
    PatternTokens {
        /// How many it has.
        tokens: usize,
    },
    /// The connection is in as many topics with presence as it may.
    #[error("a connection is in at most {PRESENCES_MAX} topics with presence")]
    JoinedFull,
    /// The connection is gone.
    #[error("the connection is gone")]
    Gone,
    /// As many patterns are held as may be.
    #[error("too many patterns are subscribed ({HELD_PATTERNS_MAX} with an interval at most)")]
    PatternsFull,
    /// The ways between the shards are full: try again.
    #[error("busy: try again")]
    Busy,
}

/// Why there is no history to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// There is no such topic or variant.
    #[error("unknown topic")]
    Unknown,
    /// Its namespace keeps none.
    #[error("this namespace keeps no history: its `history_entries` is 0")]
    NotSupported,
}

/// Whether the topics of a namespace may have a variant of this interval; 0 is the topic itself.
///
/// # Errors
/// [`AttachError::NotAllowed`], with the smallest interval that is.
pub fn check_interval(namespace: &Namespace, interval_ms: u32) -> Result<(), AttachError> {
    // Several messages become one array, which any bytes cannot.
    let none = namespace.payload == Payload::Binary && namespace.policy != Policy::Latest;
    let interval_min_ms = if none { 0 } else { namespace.interval_min_ms };
    let allowed = interval_min_ms > 0 && (interval_min_ms..=INTERVAL_MAX_MS).contains(&interval_ms);
    if interval_ms == 0 || allowed {
        return Ok(());
    }
    Err(AttachError::NotAllowed { interval_ms, interval_min_ms })
}
