//! A conflated variant: the same topic, but it speaks at most once in an interval.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;

use super::emission::Turn;
use super::stream::{Draft, Stream};
use crate::codec::Codec;
use crate::encoding::Wanted;
use crate::id::Timestamp;
use crate::limits::KEYS_MAX;
use crate::message::Message;
use crate::namespace::{Namespace, SnapshotKind};
use crate::policy::Policy;

/// The stream, who hears it, and what waits for its tick.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) stream: Stream,
    heard: Shards,
    /// The tick that it is listed for.
    pub(super) due: Option<Timestamp>,
    pending: Pending,
}

impl Variant {
    /// A variant that has said all that its topic has said until now.
    pub(super) fn new(
        mut stream: Stream,
        base: &mut Stream,
        namespace: &Namespace,
        turn: &mut Turn<'_>,
    ) -> Self {
        stream.ts = base.ts;
        let (heard, due, pending) = (Shards::default(), None, Pending::default());
        let mut variant = Self { stream, heard, due, pending };
        match namespace.snapshot {
            SnapshotKind::None => {}
            SnapshotKind::Last => variant.seed_last(base, namespace, turn),
            SnapshotKind::Keys => {
                if let Some(keyed) = base.keyed() {
                    variant.stream.set_keyed(keyed.clone());
                }
            }
            SnapshotKind::Published => variant.seed_published(base, namespace, turn),
        }
        variant
    }

    /// A shard of so many hears it from now on.
    pub(super) fn hear(&mut self, shard: u16, shards: u16) {
        self.heard.insert(shard);
        self.stream.heard = self.heard.bits(shards);
    }

    /// A shard hears it no more. True when none is left that does.
    pub(super) fn unhear(&mut self, shard: u16, shards: u16) -> bool {
        self.heard.remove(shard);
        self.stream.heard = self.heard.bits(shards);
        self.heard.is_empty()
    }

    /// Takes a message of the topic. What does not fit beside those that wait sends them off.
    pub(super) fn collect(
        &mut self,
        message: &Message,
        base: &Stream,
        namespace: &Namespace,
        turn: &mut Turn<'_>,
    ) {
        if self.pending.is_full(message, namespace) {
            turn.encoder.totals.early_emissions += 1;
            self.flush(base, namespace, turn);
        }
        self.pending.push(message, namespace.policy);
    }

    /// Whether anything waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.waiting.is_empty()
    }

    /// Says what waits, if anything does.
    pub(super) fn flush(&mut self, base: &Stream, namespace: &Namespace, turn: &mut Turn<'_>) {
        let Some(draft) = self.pending.take(
            namespace.policy,
            |key, data| {
                let keeps_keys = namespace.snapshot == SnapshotKind::Keys;
                if keeps_keys && !self.stream.put_key(key, data) {
                    // Old values of one key and new ones of another may not fit together: those
                    // of the topic do.
                    self.stream.set_keyed(base.keyed().cloned().unwrap_or_default());
                }
            },
            &*turn.encoder.codec,
        ) else {
            return;
        };
        turn.encoder.totals.variant_emissions += 1;
        self.stream.say(draft, namespace, turn);
    }

    /// The topic's last message stands for the variant's last.
    fn seed_last(&mut self, base: &Stream, namespace: &Namespace, turn: &mut Turn<'_>) {
        let Some(last) = base.snapshot_message() else { return };
        let mut last = Message { seq: self.stream.seq, ..last.clone() };
        if namespace.policy != Policy::Latest {
            last.data = turn.encoder.codec.array(&[&last.data]);
            (last.key, last.binary) = (None, None);
        }
        self.stream.hold(Some(last));
    }

    /// The topic's snapshot is the variant's, and the messages since are its first message: too
    /// late to be said to anybody, so they are only kept.
    fn seed_published(&mut self, base: &mut Stream, namespace: &Namespace, turn: &mut Turn<'_>) {
        base.history.expire(turn.now.mono, namespace);
        let Some(snapshot) = base.snapshot_message().cloned() else { return };
        if !base.history.covers(snapshot.seq, base.seq) {
            return;
        }
        let since = snapshot.seq;
        self.stream.hold(Some(Message { seq: self.stream.seq, ..snapshot }));
        let mut unsaid = Vec::new();
        let (encoder, now) = (&mut *turn.encoder, turn.now);
        let counted = encoder.totals;
        let mut quiet = Turn { encoder, wanted: Wanted::NONE, now, out: &mut unsaid };
        for message in base.history.messages_since(since) {
            self.collect(message, base, namespace, &mut quiet);
        }
        self.flush(base, namespace, &mut quiet);
        turn.encoder.totals = counted;
    }
}

/// What a backlog does where the subscriber asks for nothing.
#[must_use]
pub fn variant_policy(namespace: &Namespace, interval_ms: u32) -> Policy {
    namespace.policy_for(interval_ms, None)
}

/// The tick of an interval's class that comes after `now`: ticks are multiples of the interval,
/// so that all topics of the class leave together.
pub(super) fn tick_after(now: Timestamp, interval_ms: u32) -> Timestamp {
    let interval = Duration::from_millis(interval_ms.into());
    let nanos = u64::from(interval_ms).max(1) * 1_000_000;
    Timestamp(now.0 / nanos * nanos).after(interval)
}

/// What waits: the newest message, the newest of each key in the order of the first change, or
/// all messages.
#[derive(Debug, Default)]
struct Pending {
    waiting: Vec<Waiting>,
    // SipHash: keys come from peers.
    by_key: HashMap<Bytes, usize>,
    /// Bytes of the payloads and their commas.
    bytes: usize,
    /// The time of the newest.
    ts: i64,
}

#[derive(Debug)]
struct Waiting {
    key: Bytes,
    data: Bytes,
    binary: Option<Bytes>,
}

impl Pending {
    fn is_full(&self, message: &Message, namespace: &Namespace) -> bool {
        if self.waiting.is_empty() || namespace.policy == Policy::Latest {
            return false;
        }
        let replaced = match namespace.policy {
            Policy::LatestByKey => self.by_key.get(key_of(message).as_ref()),
            _ => None,
        };
        let replaced_bytes = replaced.map_or(0, |place| self.waiting[*place].data.len() + 1);
        let bytes = self.bytes - replaced_bytes + message.data.len() + 1;
        bytes > namespace.message_bytes_max || self.waiting.len() >= KEYS_MAX
    }

    fn push(&mut self, message: &Message, policy: Policy) {
        self.ts = message.ts;
        let (key, data) = (key_of(message), message.data.clone());
        let place = match policy {
            Policy::Latest => (!self.waiting.is_empty()).then_some(0),
            Policy::LatestByKey => {
                let next = self.waiting.len();
                let place = *self.by_key.entry(key.clone()).or_insert(next);
                (place < next).then_some(place)
            }
            _ => None,
        };
        self.bytes += data.len() + 1;
        let waiting = Waiting { key, data, binary: message.binary.clone() };
        match place {
            Some(place) => {
                let old = std::mem::replace(&mut self.waiting[place], waiting);
                self.bytes -= old.data.len() + 1;
            }
            None => self.waiting.push(waiting),
        }
    }

    /// All that waits as one message; each is shown before.
    fn take(
        &mut self,
        policy: Policy,
        mut show: impl FnMut(&Bytes, &Bytes),
        codec: &dyn Codec,
    ) -> Option<Draft> {
        let Self { waiting, ts, .. } = std::mem::take(self);
        waiting.iter().for_each(|one| show(&one.key, &one.data));
        let payloads: Vec<_> = waiting.iter().map(|one| &one.data).collect();
        if policy == Policy::Latest {
            let newest = waiting.into_iter().next()?;
            let key = (!newest.key.is_empty()).then_some(newest.key);
            return Some(Draft { ts, key, data: newest.data, binary: newest.binary });
        }
        let data = (!payloads.is_empty()).then(|| codec.array(&payloads))?;
        Some(Draft { ts, key: None, data, binary: None })
    }
}

/// The key of a message: none is an empty one.
pub(super) fn key_of(message: &Message) -> Bytes {
    message.key.clone().unwrap_or_default()
}

/// A set of shards.
#[derive(Debug, Default)]
pub(super) struct Shards(Vec<u64>);

impl Shards {
    pub(super) fn insert(&mut self, shard: u16) {
        let (word, bit) = (usize::from(shard / 64), shard % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << bit;
    }

    pub(super) fn remove(&mut self, shard: u16) {
        if let Some(word) = self.0.get_mut(usize::from(shard / 64)) {
            *word &= !(1 << (shard % 64));
        }
    }

    /// A bit for each of so many shards; all ones where they are too many for that.
    fn bits(&self, shards: u16) -> u64 {
        let bits = self.0.first().copied().unwrap_or(0);
        if u32::from(shards) > u64::BITS { u64::MAX } else { bits }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}
