//! What is published, and what a stream keeps of it.

use bytes::Bytes;

use crate::id::Timestamp;

/// The two clocks, as they stand when something is done: the hub reads neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// The monotonic clock: deadlines, ages, intervals.
    pub mono: Timestamp,
    /// The wall clock in nanoseconds since 1970: what is told to people.
    pub wall_ns: i64,
}

/// A message of a publisher, on its way to the topic's home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The topic.
    pub topic: Box<str>,
    /// What it stands for.
    pub kind: UpdateKind,
    /// The payload: JSON, or any bytes where the namespace's payload is binary.
    pub data: Bytes,
    /// What subscribers with the binary encoding get instead of `data`, if anything.
    pub binary: Option<Bytes>,
    /// What `latest_by_key` conflates by; none is the same as an empty one.
    pub key: Option<Bytes>,
    /// The publisher's time in nanoseconds since 1970; none: the home's, on arrival.
    pub ts: Option<i64>,
}

impl Update {
    /// A message with a payload, and nothing else.
    #[must_use]
    pub fn new(topic: impl Into<Box<str>>, data: impl Into<Bytes>) -> Self {
        let (topic, data) = (topic.into(), data.into());
        Self { topic, kind: UpdateKind::Message, data, binary: None, key: None, ts: None }
    }

    /// Bytes of topic, payloads and key.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let optional = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        self.topic.len() + self.data.len() + optional(&self.binary) + optional(&self.key)
    }
}

/// What an [`Update`] stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UpdateKind {
    /// The next message of the topic: it gets the next number.
    #[default]
    Message,
    /// The whole state after the last message, for those who join. It takes no number.
    Snapshot,
}

/// A message as a stream keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number in the stream, from 1; of a snapshot the number of the last message in it.
    pub seq: u64,
    /// Nanoseconds since 1970.
    pub ts: i64,
    /// What `latest_by_key` conflates by.
    pub key: Option<Bytes>,
    /// The payload.
    pub data: Bytes,
    /// What subscribers with the binary encoding get instead.
    pub binary: Option<Bytes>,
}

impl Message {
    /// The payload for subscribers with the binary encoding.
    #[must_use]
    pub fn binary_data(&self) -> &Bytes {
        self.binary.as_ref().unwrap_or(&self.data)
    }

    /// Bytes of payloads and key.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let optional = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        self.data.len() + optional(&self.binary) + optional(&self.key)
    }
}

/// Who is in a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// The connection's public id.
    pub client: Box<str>,
    /// The user, where the connection has one.
    pub user: Option<Box<str>>,
}
