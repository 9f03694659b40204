//! One numbered stream of messages: a topic, or a conflated variant of one.

mod image;

use std::sync::Arc;

use bytes::Bytes;
use corecast_wire::Frame;

use super::emission::{Emission, EmissionKind, Turn};
use super::history::Ring;
use super::keyed::Keyed;
use crate::codec::StreamRef;
use crate::encoding::{Encoding, Frames};
use crate::message::Message;
use crate::namespace::{Namespace, SnapshotKind};
use crate::policy::Policy;

pub use image::{SnapshotImage, StreamImage};

/// The numbers, the snapshot and the history.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) name: Arc<str>,
    pub(super) sid: u32,
    pub(super) interval_ms: u32,
    /// Which attach was the last.
    pub(super) stamp: u64,
    /// The shards that hear it: see [`Emission::heard`].
    pub(super) heard: u64,
    /// The number of the last message.
    pub(super) seq: u64,
    /// The time of the last message.
    pub(super) ts: i64,
    pub(super) history: Ring,
    /// None as long as there is nothing to tell those who join.
    snapshot: Option<Box<Snapshot>>,
}

/// A message that has no number yet.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) ts: i64,
    pub(super) key: Option<Bytes>,
    pub(super) data: Bytes,
    pub(super) binary: Option<Bytes>,
}

/// What who attaches is told of the past.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) resumed: bool,
    pub(super) snapshot: Option<Frame>,
    pub(super) missed: Vec<Frame>,
    pub(super) snapshot_follows: bool,
}

#[derive(Debug, Default)]
struct Snapshot {
    /// What is told: the last message, the publisher's snapshot, or all keys as one array, which
    /// is made when somebody asks.
    message: Option<Message>,
    /// It, encoded, until it changes.
    frames: Frames,
    keyed: Keyed,
    /// Somebody attached and got none: the next one is told to all.
    unsynced: bool,
    /// Since this message there were some who got none.
    stateless_from: Option<u64>,
    /// When this was the last message, one was told to all.
    told_at: u64,
}

impl Stream {
    pub(super) fn new(name: Arc<str>, sid: u32, interval_ms: u32, seq: u64) -> Self {
        let (stamp, heard, ts) = (0, u64::MAX, 0);
        let (history, snapshot) = (Ring::default(), None);
        Self { name, sid, interval_ms, stamp, heard, seq, ts, history, snapshot }
    }

    /// Gives a message its number, keeps it and says it.
    pub(super) fn say(
        &mut self,
        draft: Draft,
        namespace: &Namespace,
        turn: &mut Turn<'_>,
    ) -> Message {
        let Draft { ts, key, data, binary } = draft;
        let message = Message { seq: self.seq + 1, ts, key, data, binary };
        let of = StreamRef { name: &self.name, sid: self.sid, payload: namespace.payload };
        let is_batch = self.interval_ms > 0;
        let frames = Frames::encode(turn.wanted, |encoding| {
            let frame = turn.encoder.message(of, &message, encoding);
            if !turn.wanted.has_twin(encoding) {
                return frame;
            }
            turn.encoder.press.press(frame, is_batch, namespace.compress)
        });
        // Only now: a codec that panics takes no number.
        (self.seq, self.ts) = (message.seq, ts);
        let key = message.key.clone();
        self.emit(EmissionKind::Message, (self.seq, key), frames.clone(), namespace, turn);
        match namespace.snapshot {
            SnapshotKind::Last => self.hold(Some(message.clone())),
            SnapshotKind::Keys => self.hold(None),
            SnapshotKind::None | SnapshotKind::Published => {}
        }
        self.history.push(&message, frames, turn.now.mono, namespace);
        message
    }

    /// Says something that is no message of the stream.
    pub(super) fn emit(
        &self,
        kind: EmissionKind,
        (seq, key): (u64, Option<Bytes>),
        frames: Frames,
        namespace: &Namespace,
        turn: &mut Turn<'_>,
    ) {
        turn.out.push(Emission {
            name: Arc::clone(&self.name),
            sid: self.sid,
            payload: namespace.payload,
            seq,
            interval_ms: self.interval_ms,
            stamp: self.stamp,
            heard: self.heard,
            key,
            frames,
            kind,
        });
    }

    /// Keeps what stands for all messages up to now. The first that there is, and one that somebody
    /// has waited for, is said to all: who has the stream by a pattern never attached to it, and
    /// has nothing yet.
    pub(super) fn set_snapshot(
        &mut self,
        draft: Draft,
        namespace: &Namespace,
        turn: &mut Turn<'_>,
    ) {
        let Draft { ts, key, data, binary } = draft;
        let is_first = self.snapshot.is_none();
        self.hold(Some(Message { seq: self.seq, ts, key, data, binary }));
        let Some(held) = self.snapshot.as_mut().filter(|held| held.unsynced || is_first) else {
            return;
        };
        (held.unsynced, held.told_at) = (false, self.seq);
        // Nobody who was here before the first has it, wherever it began.
        held.stateless_from = held.stateless_from.or(Some(0));
        let mut frames = Frames::default();
        for encoding in turn.wanted_but_raw() {
            if let Some(frame) = self.snapshot_frame(encoding, namespace, turn) {
                frames = frames.with(encoding, frame);
            }
        }
        self.emit(EmissionKind::Snapshot, (self.seq, None), frames, namespace, turn);
    }

    /// Puts a payload in the place of its key's last; false when there is no room for it.
    pub(super) fn put_key(&mut self, key: &Bytes, data: &Bytes) -> bool {
        self.snapshot.get_or_insert_default().keyed.put(key, data)
    }

    pub(super) fn keyed(&self) -> Option<&Keyed> {
        self.snapshot.as_ref().map(|snapshot| &snapshot.keyed)
    }

    /// Takes over all keys.
    pub(super) fn set_keyed(&mut self, keyed: Keyed) {
        self.snapshot.get_or_insert_default().keyed = keyed;
        self.hold(None);
    }

    /// What stands for the messages up to its number: the last message, or the publisher's
    /// snapshot.
    pub(super) fn snapshot_message(&self) -> Option<&Message> {
        self.snapshot.as_ref()?.message.as_ref()
    }

    /// What is told to one who joins, or comes back and has all up to `resume`. `published`:
    /// whether anything was, ever.
    pub(super) fn past(
        &mut self,
        encoding: Encoding,
        resume: Option<u64>,
        published: bool,
        namespace: &Namespace,
        turn: &mut Turn<'_>,
    ) -> Past {
        self.history.expire(turn.now.mono, namespace);
        let held = self.snapshot.as_deref();
        let can_resume = |since: &u64| {
            let has_state = held.is_none_or(|held| !held.may_lack_state(*since));
            let in_order = namespace.policy != Policy::LatestByKey;
            has_state && in_order && self.history.covers(*since, self.seq)
        };
        if let Some(since) = resume.filter(can_resume)
            && let Some(missed) = self.missed(since, encoding, namespace, turn)
        {
            return Past { resumed: true, missed, ..Past::default() };
        }
        if namespace.snapshot != SnapshotKind::Published {
            let snapshot = self.snapshot_frame(encoding, namespace, turn);
            return Past { snapshot, ..Past::default() };
        }
        let since = self.snapshot_message().map(|message| message.seq);
        let since = since.filter(|since| self.history.covers(*since, self.seq));
        let missed = since.and_then(|since| self.missed(since, encoding, namespace, turn));
        let Some(missed) = missed else {
            if since.is_none() {
                self.hold(None);
            }
            // Even who is here before the publisher needs its first snapshot: it has no number.
            let held = self.snapshot.get_or_insert_default();
            held.unsynced = true;
            held.stateless_from = Some(held.stateless_from.unwrap_or(self.seq));
            let snapshot_follows = published && encoding != Encoding::Raw;
            return Past { snapshot_follows, ..Past::default() };
        };
        let snapshot = self.snapshot_frame(encoding, namespace, turn);
        Past { snapshot, missed, ..Past::default() }
    }

    /// The messages behind `since`; none when they are more than may be told at once.
    fn missed(
        &mut self,
        since: u64,
        encoding: Encoding,
        namespace: &Namespace,
        turn: &mut Turn<'_>,
    ) -> Option<Vec<Frame>> {
        let (entries_max, missed_bytes_max) = turn.encoder.missed_max;
        if self.seq - since > entries_max as u64 {
            return None;
        }
        let of = StreamRef { name: &self.name, sid: self.sid, payload: namespace.payload };
        let bytes_max = namespace.history_bytes;
        let missed = self.history.frames_since(since, of, (encoding, bytes_max), turn.encoder);
        let bytes: usize = missed.iter().map(Frame::len).sum();
        (bytes <= missed_bytes_max).then_some(missed)
    }

    /// Changes what is told to those who join.
    pub(super) fn hold(&mut self, message: Option<Message>) {
        if message.is_none() && self.snapshot.is_none() {
            return;
        }
        let snapshot = self.snapshot.get_or_insert_default();
        snapshot.message = message;
        snapshot.frames = Frames::default();
    }

    fn snapshot_frame(
        &mut self,
        encoding: Encoding,
        namespace: &Namespace,
        turn: &mut Turn<'_>,
    ) -> Option<Frame> {
        let encoder = &mut *turn.encoder;
        let held = self.snapshot.as_deref_mut()?;
        if held.message.is_none() && held.keyed.len() > 0 {
            let data = encoder.codec.array(&held.keyed.payloads());
            let (seq, ts) = (self.seq, self.ts);
            held.message = Some(Message { seq, ts, key: None, data, binary: None });
        }
        let message = held.message.as_ref()?;
        let of = StreamRef { name: &self.name, sid: self.sid, payload: namespace.payload };
        let frames = &mut held.frames;
        frames.get_or_encode(encoding, || encoder.snapshot(of, message, encoding));
        if turn.wanted.has_twin(encoding) {
            frames.change(encoding, |frame| encoder.press.press(frame, true, namespace.compress));
        }
        frames.get(encoding).cloned()
    }
}

impl Snapshot {
    /// Whether one who has all messages up to `since` may be one of those who got no snapshot,
    /// and was away when it was told to all.
    fn may_lack_state(&self, since: u64) -> bool {
        let from = self.stateless_from.unwrap_or(u64::MAX);
        !self.unsynced && (from..=self.told_at).contains(&since)
    }
}
