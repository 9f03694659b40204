//! A stream as a value, for a process that takes over.

use bytes::Bytes;

use super::{Snapshot, Stream};
use crate::encoding::Frames;
use crate::home::heritage::HeritageError;
use crate::id::Timestamp;
use crate::message::Message;
use crate::namespace::{Namespace, SnapshotKind};

/// What a stream keeps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamImage {
    /// The number of its last message.
    pub seq: u64,
    /// The time of its last message, in nanoseconds since 1970.
    pub ts: i64,
    /// Its last messages without a hole, each with when it came.
    pub history: Vec<(Message, Timestamp)>,
    /// What is told to those who join, of this kind.
    pub snapshot: Option<SnapshotImage>,
}

/// What is told to those who join.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotImage {
    /// The last message, or the publisher's snapshot.
    pub message: Option<Message>,
    /// The last payload of each key.
    pub keyed: Vec<(Bytes, Bytes)>,
    /// Somebody attached and got none.
    pub unsynced: bool,
    /// Since this message there were some who got none.
    pub stateless_from: Option<u64>,
    /// When this was the last message, one was told to all.
    pub told_at: u64,
}

impl Stream {
    /// All that it keeps. Payloads are shared.
    pub(in crate::home) fn image(&self) -> StreamImage {
        let snapshot = self.snapshot.as_deref().map(|held| SnapshotImage {
            // That of keys is made of them.
            message: held.message.clone().filter(|_| held.keyed.len() == 0),
            keyed: held.keyed.pairs().map(|(key, data)| (key.clone(), data.clone())).collect(),
            unsynced: held.unsynced,
            stateless_from: held.stateless_from,
            told_at: held.told_at,
        });
        StreamImage { seq: self.seq, ts: self.ts, history: self.history.messages(), snapshot }
    }

    /// Goes on where another stopped, of which it has nothing yet. `kind`: what kind of snapshot
    /// the other had.
    ///
    /// # Errors
    /// When that does not fit together, or is out of bounds here.
    pub(in crate::home) fn restore(
        &mut self,
        image: StreamImage,
        kind: SnapshotKind,
        namespace: &Namespace,
    ) -> Result<(), HeritageError> {
        let StreamImage { seq, ts, history, snapshot } = image;
        let first = history.first().map_or(seq, |(message, _)| message.seq.wrapping_sub(1));
        let numbers = history.iter().map(|(message, _)| message.seq);
        if first.checked_add(history.len() as u64) != Some(seq)
            || !numbers.eq(first.wrapping_add(1)..=seq)
        {
            return Err(HeritageError::Hole);
        }
        (self.seq, self.ts) = (seq, ts);
        let last = history.last().map(|(message, _)| message.clone());
        for (message, at) in history {
            self.history.push(&message, Frames::default(), at, namespace);
        }
        if kind != namespace.snapshot {
            // What the new kind would have kept is known of the last message alone.
            self.hold(last.filter(|_| namespace.snapshot == SnapshotKind::Last));
            let fits = namespace.snapshot != SnapshotKind::Keys;
            return if fits { Ok(()) } else { Err(HeritageError::Snapshot) };
        }
        let Some(image) = snapshot else { return Ok(()) };
        let SnapshotImage { message, keyed, unsynced, stateless_from, told_at } = image;
        if message.as_ref().is_some_and(|message| message.seq > seq) {
            return Err(HeritageError::Hole);
        }
        self.snapshot = Some(Box::new(Snapshot {
            message,
            unsynced,
            stateless_from,
            told_at,
            ..Snapshot::default()
        }));
        let fits = keyed.iter().all(|(key, data)| self.put_key(key, data));
        if fits { Ok(()) } else { Err(HeritageError::Keys) }
    }
}
