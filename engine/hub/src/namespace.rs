//! What holds for all topics that share their first token.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::limits::{
    HISTORY_BYTES_MAX, HISTORY_ENTRIES_MAX, INTERVAL_MIN_MS, MESSAGE_BYTES_MAX, NAMESPACES_MAX,
    PRESENCE_MAX, TOPICS_MAX, VARIANTS_MAX,
};
use crate::policy::{Overflow, Policy};
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
    fn check(&self) -> Result<(), NamespaceError> {
        let out_of_bounds = |key: &'static str, max: usize| NamespaceError::Bound {
            namespace: self.name.clone(),
            key,
            max,
        };
        let is_token = !self.name.is_empty() && self.name.chars().all(is_token_character);
        if !is_token && &*self.name != "*" {
            return Err(NamespaceError::Name(self.name.clone()));
        }
        if self.history_entries > HISTORY_ENTRIES_MAX {
            return Err(out_of_bounds("history_entries", HISTORY_ENTRIES_MAX as usize));
        }
        if self.history_bytes > HISTORY_BYTES_MAX {
            return Err(out_of_bounds("history_bytes", HISTORY_BYTES_MAX));
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
    #[error("namespace `{namespace}`: `{key}` is at most {max}")]
    Bound {
        /// Which namespace.
        namespace: Box<str>,
        /// Which setting.
        key: &'static str,
        /// The largest value.
        max: usize,
    },
    /// Snapshots of the publisher's need the messages since.
    #[error("namespace `{0}`: snapshot = \"published\" needs history_entries above 0")]
    NoHistory(Box<str>),
    /// An array of payloads needs JSON.
    #[error("namespace `{0}`: snapshot = \"keys\" needs payload = \"json\"")]
    BinaryKeys(Box<str>),
}
