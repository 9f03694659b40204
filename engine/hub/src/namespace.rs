//! What holds for all topics that share their first token.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::limits::{
    HISTORY_BYTES_MAX, HISTORY_ENTRIES_MAX, INTERVAL_MAX_MS, INTERVAL_MIN_MS, MESSAGE_BYTES_MAX,
    NAMESPACE_TIME_MS_CEILING, NAMESPACES_MAX, OUTBOX_BYTES_CEILING, PRESENCE_CEILING,
    PRESENCE_MAX, TOPICS_CEILING, TOPICS_MAX, VARIANTS_CEILING, VARIANTS_MAX,
};
use crate::policy::{Overflow, Policy};
use crate::press::Compress;
use crate::topic::is_token_character;

/// The settings of a namespace: of all topics whose first token is its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Namespace {
    /// First token of its topics; `*`: all topics that no other namespace names.
    pub name: Box<str>,
    /// What a backlog does.
    pub policy: Policy,
    /// Policies that a subscriber may ask for besides.
    pub allow: Vec<Policy>,
    /// What who joins gets first.
    pub snapshot: SnapshotKind,
    /// Messages of a stream kept for those who resume or ask, at most. 0: none.
    pub history_entries: u32,
    /// Bytes of a stream's history at most.
    pub history_bytes: usize,
    /// Age of a message in the history at most, in milliseconds. 0: no bound.
    pub history_age_ms: u64,
    /// Whether who subscribes is announced to the others, and who leaves.
    pub presence: bool,
    /// Members of a topic at most; one more is not subscribed.
    pub presence_max: u32,
    /// Who may publish.
    pub publish: PublishRight,
    /// Whether subscribing makes a topic; else it must have been published to.
    pub open: bool,
    /// What the publishers' bytes are.
    pub payload: Payload,
    /// The smallest interval of a conflated variant, in milliseconds. 0: there are none.
    pub interval_min_ms: u32,
    /// Conflated variants of one topic at a time, at most.
    pub variants_max: u16,
    /// A topic whose publisher is silent that long is called stale, in milliseconds. 0: never.
    pub stale_after_ms: u64,
    /// Bytes of one message's payloads and key at most.
    pub message_bytes_max: usize,
    /// Topics of the namespace at most, of one shard.
    pub topics_max: usize,
    /// What is compressed for those who agreed to that.
    pub compress: Compress,
}

impl Default for Namespace {
    fn default() -> Self {
        Self {
            name: "*".into(),
            policy: Policy::Lossless { overflow: Overflow::Gap },
            allow: Vec::new(),
            snapshot: SnapshotKind::None,
            history_entries: 0,
            history_bytes: 1 << 20,
            history_age_ms: 0,
            presence: false,
            presence_max: PRESENCE_MAX,
            publish: PublishRight::Server,
            open: true,
            payload: Payload::Json,
            interval_min_ms: INTERVAL_MIN_MS,
            variants_max: VARIANTS_MAX,
            stale_after_ms: 0,
            message_bytes_max: MESSAGE_BYTES_MAX,
            topics_max: TOPICS_MAX,
            compress: Compress::Default,
        }
    }
}

/// What who joins a topic gets first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotKind {
    /// Nothing.
    #[default]
    None,
    /// The last message.
    Last,
    /// The last message of each key, as one array.
    Keys,
    /// What the publisher sends as snapshot, and the messages since.
    Published,
}

/// Who may publish to a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishRight {
    /// The program itself, its ingest and its admin port.
    #[default]
    Server,
    /// Clients, too.
    Clients,
}

/// What the publishers' bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// JSON, spliced into JSON messages as it is.
    #[default]
    Json,
    /// Any bytes; in JSON messages they are base64.
    Binary,
}

/// All namespaces, by name. None at all: every topic is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    namespaces: Vec<Namespace>,
    by_name: HashMap<Box<str>, usize>,
}

impl Namespaces {
    /// Takes the settings.
    ///
    /// # Errors
    /// When a name is none or stands twice, or a value is out of bounds.
    pub fn new(namespaces: Vec<Namespace>) -> Result<Self, NamespaceError> {
        if namespaces.len() > NAMESPACES_MAX {
            return Err(NamespaceError::TooMany);
        }
        let mut by_name = HashMap::new();
        for (index, namespace) in namespaces.iter().enumerate() {
            namespace.check()?;
            if by_name.insert(namespace.name.clone(), index).is_some() {
                return Err(NamespaceError::Twice(namespace.name.clone()));
            }
        }
        Ok(Self { namespaces, by_name })
    }

    /// The namespace of a topic, or of a pattern with a literal first token.
    #[must_use]
    pub fn find(&self, topic: &str) -> Option<&Namespace> {
        let first = topic.split('.').next().unwrap_or(topic);
        let index = self.by_name.get(first).or_else(|| self.by_name.get("*"))?;
        self.namespaces.get(*index)
    }

    /// The namespaces, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Namespace> {
        self.namespaces.iter()
    }
}

impl Namespace {
    /// What a backlog does to a subscription: what was asked for, where that is granted, else the
    /// namespace's own. `interval_ms`: of the conflated variant, 0 for the topic itself.
    ///
    /// A variant of a `latest_by_key` topic is never conflated by key: one array would take the
    /// place of another that has other keys. Who falls behind starts anew from all keys, or is
    /// told the gap where no snapshot is kept.
    #[must_use]
    pub fn policy_for(&self, interval_ms: u32, asked: Option<Policy>) -> Policy {
        let granted = |policy: &Policy| *policy == self.policy || self.allow.contains(policy);
        let policy = asked.filter(granted).unwrap_or(self.policy);
        if policy != Policy::LatestByKey || interval_ms == 0 {
            return policy;
        }
        let overflow = match self.snapshot {
            SnapshotKind::Keys => Overflow::Snapshot,
            _ => Overflow::Gap,
        };
        Policy::Lossless { overflow }
    }

    /// The bounds of all numbers: the setting, its smallest and its largest value. Of a list, its
    /// length.
    #[must_use]
    pub fn bounds() -> Vec<(&'static str, u64, u64)> {
        let default = Self::default();
        default.values().into_iter().map(|(key, _, min, max)| (key, min, max)).collect()
    }

    /// Every number with its bounds.
    fn values(&self) -> [(&'static str, u64, u64, u64); 10] {
        let time = NAMESPACE_TIME_MS_CEILING;
        [
            ("allow", self.allow.len() as u64, 0, Policy::ALL.len() as u64),
            ("history_entries", self.history_entries.into(), 0, HISTORY_ENTRIES_MAX.into()),
            ("history_bytes", self.history_bytes as u64, 0, HISTORY_BYTES_MAX as u64),
            ("history_age_ms", self.history_age_ms, 0, time),
            ("presence_max", self.presence_max.into(), 1, PRESENCE_CEILING.into()),
            ("interval_min_ms", self.interval_min_ms.into(), 0, INTERVAL_MAX_MS.into()),
            ("variants_max", self.variants_max.into(), 0, VARIANTS_CEILING.into()),
            ("stale_after_ms", self.stale_after_ms, 0, time),
            ("message_bytes_max", self.message_bytes_max as u64, 1, OUTBOX_BYTES_CEILING as u64),
            ("topics_max", self.topics_max as u64, 1, TOPICS_CEILING as u64),
        ]
    }

    fn check(&self) -> Result<(), NamespaceError> {
        let is_token = !self.name.is_empty() && self.name.chars().all(is_token_character);
        if !is_token && &*self.name != "*" {
            return Err(NamespaceError::Name(self.name.clone()));
        }
        for (key, value, min, max) in self.values() {
            if !(min..=max).contains(&value) {
                let namespace = self.name.clone();
                return Err(NamespaceError::Bound { namespace, key, value, min, max });
            }
        }
        if self.snapshot == SnapshotKind::Published && self.history_entries == 0 {
            return Err(NamespaceError::NoHistory(self.name.clone()));
        }
        if self.snapshot == SnapshotKind::Keys && self.payload == Payload::Binary {
            return Err(NamespaceError::BinaryKeys(self.name.clone()));
        }
        Ok(())
    }
}

/// Why namespaces cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// The name is no token.
    #[error("namespace `{0}`: a name is `*`, or letters, digits and _-:/+=@~ without a dot")]
    Name(Box<str>),
    /// Two namespaces have one name.
    #[error("namespace `{0}` stands twice")]
    Twice(Box<str>),
    /// There are too many.
    #[error("at most {NAMESPACES_MAX} namespaces")]
    TooMany,
    /// A value is out of bounds.
    #[error(
        "namespace `{namespace}`: `{key}` = {value} is out of bounds; it may be from {min} to {max}"
    )]
    Bound {
        /// Which namespace.
        namespace: Box<str>,
        /// Which setting.
        key: &'static str,
        /// What it was to be.
        value: u64,
        /// The smallest value.
        min: u64,
        /// The largest value.
        max: u64,
    },
    /// Snapshots of the publisher's need the messages since.
    #[error("namespace `{0}`: snapshot = \"published\" needs history_entries above 0")]
    NoHistory(Box<str>),
    /// An array of payloads needs JSON.
    #[error("namespace `{0}`: snapshot = \"keys\" needs payload = \"json\"")]
    BinaryKeys(Box<str>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(change: impl FnOnce(&mut Namespace)) -> NamespaceError {
        let mut namespace = Namespace { name: "quote".into(), ..Namespace::default() };
        change(&mut namespace);
        Namespaces::new(vec![namespace]).expect_err("no namespace")
    }

    #[test]
    fn a_topic_has_the_namespace_of_its_first_token() {
        let named = |name: &str| Namespace { name: name.into(), ..Namespace::default() };
        let all = Namespaces::new(vec![named("quote"), named("*")]).expect("namespaces");
        let name = |topic| all.find(topic).map(|namespace| &*namespace.name);
        assert_eq!(name("quote.BTCUSDT"), Some("quote"));
        assert_eq!(name("quote"), Some("quote"));
        assert_eq!(name("quotes.BTCUSDT"), Some("*"));
        let one = Namespaces::new(vec![named("quote")]).expect("namespaces");
        assert!(one.find("trade.BTCUSDT").is_none());
        let twice = Namespaces::new(vec![named("a"), named("a")]);
        assert_eq!(twice, Err(NamespaceError::Twice("a".into())));
    }

    #[test]
    fn every_bound_is_held_and_named() {
        let key = |error: NamespaceError| match error {
            NamespaceError::Bound { key, .. } => key,
            other => panic!("{other}"),
        };
        let found = [
            key(error(|n| n.allow = vec![Policy::Latest; Policy::ALL.len() + 1])),
            key(error(|n| n.history_entries = HISTORY_ENTRIES_MAX + 1)),
            key(error(|n| n.history_bytes = HISTORY_BYTES_MAX + 1)),
            key(error(|n| n.history_age_ms = u64::MAX)),
            key(error(|n| n.presence_max = 0)),
            key(error(|n| n.interval_min_ms = INTERVAL_MAX_MS + 1)),
            key(error(|n| n.variants_max = VARIANTS_CEILING + 1)),
            key(error(|n| n.stale_after_ms = NAMESPACE_TIME_MS_CEILING + 1)),
            key(error(|n| n.message_bytes_max = 0)),
            key(error(|n| n.topics_max = 0)),
        ];
        assert_eq!(found, Namespace::bounds().iter().map(|bound| bound.0).collect::<Vec<_>>()[..]);
        let text = error(|n| n.topics_max = 0).to_string();
        assert!(text.contains("`quote`: `topics_max` = 0") && text.contains("from 1 to"), "{text}");
    }

    #[test]
    fn settings_that_exclude_each_other_are_refused() {
        for name in ["", "a.b", "quote ", ">"] {
            let error = error(|n| n.name = name.into());
            assert_eq!(error, NamespaceError::Name(name.into()));
        }
        let published = error(|n| n.snapshot = SnapshotKind::Published);
        assert_eq!(published, NamespaceError::NoHistory("quote".into()));
        let keys = error(|n| {
            n.snapshot = SnapshotKind::Keys;
            n.payload = Payload::Binary;
        });
        assert_eq!(keys, NamespaceError::BinaryKeys("quote".into()));
    }
}
