//! The last messages of a stream, for those who come back: bounded in entries, bytes and age.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use corecast_wire::Frame;

use super::emission::Encoder;
use crate::codec::StreamRef;
use crate::encoding::{Encoding, Frames};
use crate::id::Timestamp;
use crate::limits::{HISTORY_REPLY_BYTES_MAX, HISTORY_REPLY_MAX};
use crate::message::Message;
use crate::namespace::Namespace;

/// What a stream still has of its past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The stream: a topic, or a variant of it.
    pub name: Arc<str>,
    /// The stream's number.
    pub sid: u32,
    /// The number of its last message.
    pub seq: u64,
    /// Messages in order, at most [`HISTORY_REPLY_MAX`] and, but for a first that is longer,
    /// [`HISTORY_REPLY_BYTES_MAX`].
    pub messages: Vec<Message>,
    /// Whether nothing is missing between what the asker has and the first of them. Where the
    /// last is not the stream's last, there is more to ask for.
    pub complete: bool,
}

/// The ring. Its messages are numbered without a hole. `history_bytes` bounds the messages and,
/// in what they leave over, the frames kept with them: those can be made again.
#[derive(Debug, Default)]
pub(super) struct Ring {
    entries: VecDeque<Entry>,
    message_bytes: usize,
    frame_bytes: usize,
    /// No message before this number has a frame.
    framed_from: u64,
    /// Whether the sweep knows of this ring.
    pub(super) listed: bool,
}

#[derive(Debug)]
struct Entry {
    message: Message,
    frames: Frames,
    at: Timestamp,
}

impl Ring {
    /// Keeps a message, and lets go of those that there is no more room for.
    pub(super) fn push(
        &mut self,
        message: &Message,
        frames: Frames,
        at: Timestamp,
        namespace: &Namespace,
    ) {
        if namespace.history_entries == 0 {
            return;
        }
        self.expire(at, namespace);
        let next = self.entries.back().map_or(message.seq, |last| last.message.seq + 1);
        assert_eq!(message.seq, next, "a history has no hole");
        self.message_bytes += message.bytes();
        self.frame_bytes += frames.bytes();
        self.entries.push_back(Entry { message: message.clone(), frames, at });
        while self.entries.len() > namespace.history_entries as usize
            || self.message_bytes > namespace.history_bytes
        {
            self.pop();
        }
        self.unframe(namespace.history_bytes);
    }

    /// Lets go of what is too old.
    pub(super) fn expire(&mut self, now: Timestamp, namespace: &Namespace) {
        let Some(age_max) = age_max(namespace) else { return };
        while self.entries.front().is_some_and(|entry| now.since(entry.at) > age_max) {
            self.pop();
        }
    }

    /// When to look for what is too old: late enough that one look takes many.
    pub(super) fn due(&self, namespace: &Namespace) -> Option<Timestamp> {
        let (first, age_max) = (self.entries.front()?, age_max(namespace)?);
        let slack = (age_max / 8).max(Duration::from_secs(1));
        Some(first.at.after(age_max.saturating_add(slack)))
    }

    /// Whether every message behind `since`, up to the stream's last, `seq`, is there.
    pub(super) fn covers(&self, since: u64, seq: u64) -> bool {
        let has_first = |first: &Entry| first.message.seq <= since.saturating_add(1);
        since == seq || (since < seq && self.entries.front().is_some_and(has_first))
    }

    /// The frames of all messages behind `since`. Those that nobody has asked for yet are made,
    /// and kept if there is room.
    pub(super) fn frames_since(
        &mut self,
        since: u64,
        of: StreamRef<'_>,
        (encoding, bytes_max): (Encoding, usize),
        encoder: &mut Encoder,
    ) -> Vec<Frame> {
        let from = self.place_behind(since);
        let mut missed = Vec::with_capacity(self.entries.len() - from);
        for entry in self.entries.range_mut(from..) {
            if let Some(frame) = entry.frames.get(encoding) {
                missed.push(frame.clone());
                continue;
            }
            let frame = encoder.message(of, &entry.message, encoding);
            if self.message_bytes + self.frame_bytes + frame.len() <= bytes_max {
                self.frame_bytes += frame.len();
                self.framed_from = self.framed_from.min(entry.message.seq);
                entry.frames.get_or_encode(encoding, || frame.clone());
            }
            missed.push(frame);
        }
        missed
    }

    /// The messages behind `since`.
    pub(super) fn messages_since(&self, since: u64) -> impl Iterator<Item = &Message> {
        self.entries.range(self.place_behind(since)..).map(|entry| &entry.message)
    }

    /// The messages behind `since`, or else the last ones: at most `limit`.
    pub(super) fn read(&self, since: Option<u64>, limit: usize) -> Vec<Message> {
        let limit = limit.min(HISTORY_REPLY_MAX);
        let mut bytes = 0;
        let mut fits = |entry: &&Entry| {
            let first = bytes == 0;
            bytes += entry.message.bytes().max(1);
            first || bytes <= HISTORY_REPLY_BYTES_MAX
        };
        if let Some(since) = since {
            let entries = self.entries.range(self.place_behind(since)..);
            let entries = entries.take(limit).take_while(|entry| fits(entry));
            return entries.map(|entry| entry.message.clone()).collect();
        }
        let entries = self.entries.iter().rev().take(limit).take_while(|entry| fits(entry));
        let mut messages: Vec<_> = entries.map(|entry| entry.message.clone()).collect();
        messages.reverse();
        messages
    }

    /// All messages, and when they came.
    pub(super) fn messages(&self) -> Vec<(Message, Timestamp)> {
        self.entries.iter().map(|entry| (entry.message.clone(), entry.at)).collect()
    }

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of messages and frames.
    pub(super) fn bytes(&self) -> usize {
        self.message_bytes + self.frame_bytes
    }

    fn place_behind(&self, since: u64) -> usize {
        let Some(first) = self.entries.front() else { return 0 };
        let place = since.saturating_add(1).saturating_sub(first.message.seq);
        usize::try_from(place).unwrap_or(usize::MAX).min(self.entries.len())
    }

    fn pop(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.message_bytes -= entry.message.bytes();
            self.frame_bytes -= entry.frames.bytes();
        }
    }

    /// Drops frames, the oldest first, until the rest fits.
    fn unframe(&mut self, bytes_max: usize) {
        while self.message_bytes + self.frame_bytes > bytes_max {
            let place = self.place_behind(self.framed_from.saturating_sub(1));
            let entry = self.entries.get_mut(place).expect("there are bytes of frames");
            self.frame_bytes -= std::mem::take(&mut entry.frames).bytes();
            self.framed_from = entry.message.seq + 1;
        }
    }
}

fn age_max(namespace: &Namespace) -> Option<Duration> {
    (namespace.history_age_ms > 0).then(|| Duration::from_millis(namespace.history_age_ms))
}
