//! One topic: its stream, its variants, who is in it, and whether its publisher is heard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use corecast_wire::Frame;

use super::emission::{EmissionKind, Turn};
use super::error::{AttachError, UpdateError};
use super::stream::{Draft, Stream};
use super::variant::Variant;
use crate::codec::{Codec, StreamState};
use crate::encoding::{Encoding, Frames};
use crate::id::Timestamp;
use crate::limits::RETIRED_VARIANTS_MAX;
use crate::message::{Member, Update};
use crate::namespace::{Namespace, SnapshotKind};

/// A topic whose home this is.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) namespace: Arc<Namespace>,
    pub(super) base: Stream,
    /// In the order of their intervals.
    pub(super) variants: Vec<Variant>,
    /// In the order of their ids.
    pub(super) members: BTreeMap<Box<str>, Member>,
    pub(super) state: StreamState,
    /// When its publisher was last heard.
    pub(super) heard_at: Option<Timestamp>,
    /// Which topic this was to be made.
    pub(super) made: u64,
    /// Its place among those that may be forgotten.
    pub(super) idle: Option<u64>,
    retired: Vec<Retired>,
    /// Stream numbers of variants that were forgotten: the next ones get them.
    spare_sids: Vec<u32>,
    /// No variant that was forgotten had a greater number.
    floor: Option<u64>,
}

/// A variant that nobody hears: its numbers go on when somebody does.
#[derive(Debug)]
struct Retired {
    interval_ms: u32,
    sid: u32,
    seq: u64,
}

impl Topic {
    pub(super) fn new(namespace: Arc<Namespace>, base: Stream, made: u64) -> Self {
        Self {
            namespace,
            base,
            variants: Vec::new(),
            members: BTreeMap::new(),
            state: StreamState::Live,
            heard_at: None,
            made,
            idle: None,
            retired: Vec::new(),
            spare_sids: Vec::new(),
            floor: None,
        }
    }

    /// Numbers a message, keeps it and says it; its variants collect it.
    pub(super) fn message(
        &mut self,
        update: &Update,
        turn: &mut Turn<'_>,
    ) -> Result<u64, UpdateError> {
        let draft = draft(update, turn);
        let key = draft.key.clone().unwrap_or_default();
        let keeps_keys = self.namespace.snapshot == SnapshotKind::Keys;
        if keeps_keys && !self.base.put_key(&key, &draft.data) {
            return Err(UpdateError::KeysFull);
        }
        self.heard(turn);
        let message = self.base.say(draft, &self.namespace, turn);
        for variant in &mut self.variants {
            variant.collect(&message, &self.base, &self.namespace, turn);
        }
        turn.encoder.totals.publishes += 1;
        Ok(self.base.seq)
    }

    /// Keeps what stands for all messages up to now, for the variants, too.
    pub(super) fn snapshot(&mut self, update: &Update, turn: &mut Turn<'_>) -> u64 {
        self.heard(turn);
        self.base.set_snapshot(draft(update, turn), &self.namespace, turn);
        for variant in &mut self.variants {
            variant.flush(&self.base, &self.namespace, turn);
            variant.stream.set_snapshot(draft(update, turn), &self.namespace, turn);
        }
        turn.encoder.totals.snapshots_published += 1;
        self.base.seq
    }

    /// Whether anything was published, ever.
    pub(super) fn is_published(&self) -> bool {
        self.heard_at.is_some()
    }

    /// The topic's own stream for 0, else the variant's.
    pub(super) fn stream(&self, interval_ms: u32) -> Option<&Stream> {
        match interval_ms {
            0 => Some(&self.base),
            _ => Some(&self.variants[self.place(interval_ms).ok()?].stream),
        }
    }

    pub(super) fn stream_mut(&mut self, interval_ms: u32) -> Option<&mut Stream> {
        match interval_ms {
            0 => Some(&mut self.base),
            _ => self.place(interval_ms).ok().map(|place| &mut self.variants[place].stream),
        }
    }

    /// Makes a variant that is not there, with a number for its stream from `number`.
    pub(super) fn make_variant(
        &mut self,
        interval_ms: u32,
        name: &str,
        number: impl FnOnce() -> Result<u32, AttachError>,
        turn: &mut Turn<'_>,
    ) -> Result<(), AttachError> {
        let Err(place) = self.place(interval_ms) else { return Ok(()) };
        let variants_max = self.namespace.variants_max;
        if self.variants.len() >= usize::from(variants_max) {
            return Err(AttachError::VariantsFull { variants_max });
        }
        let (sid, seq) = self.numbers(interval_ms, number)?;
        let stream = Stream::new(name.into(), sid, interval_ms, seq);
        let variant = Variant::new(stream, &mut self.base, &self.namespace, turn);
        self.variants.insert(place, variant);
        turn.encoder.totals.variants += 1;
        Ok(())
    }

    /// A shard, of so many, hears a stream from now on.
    pub(super) fn hear(&mut self, interval_ms: u32, (shard, shards): (u16, u16), stamp: u64) {
        match self.place(interval_ms) {
            Ok(place) => {
                let variant = &mut self.variants[place];
                variant.stream.stamp = stamp;
                variant.hear(shard, shards);
            }
            Err(_) if interval_ms == 0 => self.base.stamp = stamp,
            Err(_) => {}
        }
    }

    /// Says what waits in a variant whose tick has come.
    pub(super) fn tick(&mut self, interval_ms: u32, due: Timestamp, turn: &mut Turn<'_>) {
        let Ok(place) = self.place(interval_ms) else { return };
        let variant = &mut self.variants[place];
        // It may be another one than that which was listed, or listed twice.
        if variant.due == Some(due) {
            variant.due = None;
            variant.flush(&self.base, &self.namespace, turn);
        }
    }

    /// A shard, of so many, hears a variant no more. True when no shard does, and it is gone.
    pub(super) fn unheard(
        &mut self,
        interval_ms: u32,
        stamp: u64,
        (shard, shards): (u16, u16),
    ) -> bool {
        let Ok(place) = self.place(interval_ms) else { return false };
        let variant = &mut self.variants[place];
        if variant.stream.stamp != stamp || !variant.unhear(shard, shards) {
            return false;
        }
        let Stream { sid, seq, .. } = self.variants.remove(place).stream;
        if self.retired.len() == RETIRED_VARIANTS_MAX {
            let Retired { sid, seq, .. } = self.retired.remove(0);
            self.floor = self.floor.max(Some(seq));
            self.spare_sids.push(sid);
        }
        self.retired.push(Retired { interval_ms, sid, seq });
        true
    }

    /// Tells the subscribers of the topic and of its variants something that has no number.
    pub(super) fn notify(
        &self,
        turn: &mut Turn<'_>,
        encode: impl Fn(&dyn Codec, &str, Encoding) -> Frame,
    ) {
        let variants = self.variants.iter().map(|variant| &variant.stream);
        for stream in [&self.base].into_iter().chain(variants) {
            let mut frames = Frames::default();
            for encoding in turn.wanted_but_raw() {
                turn.encoder.totals.notices_encoded += 1;
                let frame = encode(&*turn.encoder.codec, &stream.name, encoding);
                frames = frames.with(encoding, frame);
            }
            if frames.bytes() > 0 {
                stream.emit(EmissionKind::Notice, (0, None), frames, &self.namespace, turn);
            }
        }
    }

    /// The greatest number that any of its variants has given; none: it had none.
    pub(super) fn variants_seq(&self) -> Option<u64> {
        let live = self.variants.iter().map(|variant| variant.stream.seq);
        live.chain(self.retired.iter().map(|old| old.seq)).chain(self.floor).max()
    }

    /// Lets variants go on behind this number at least.
    pub(super) fn raise_floor(&mut self, floor: Option<u64>) {
        self.floor = self.floor.max(floor);
    }

    /// When the publisher counts as silent, if it says nothing until then.
    pub(super) fn stale_at(&self) -> Option<Timestamp> {
        let stale_after_ms = self.namespace.stale_after_ms;
        let heard_at = self.heard_at.filter(|_| stale_after_ms > 0)?;
        Some(heard_at.after(Duration::from_millis(stale_after_ms)))
    }

    pub(super) fn set_state(&mut self, state: StreamState, turn: &mut Turn<'_>) {
        if self.state != state {
            self.state = state;
            let at_ns = turn.now.wall_ns;
            self.notify(turn, |codec, name, encoding| codec.state(name, state, at_ns, encoding));
        }
    }

    fn heard(&mut self, turn: &mut Turn<'_>) {
        self.heard_at = Some(turn.now.mono);
        self.set_state(StreamState::Live, turn);
    }

    /// The numbers of all its streams: it speaks no more.
    pub(super) fn take_sids(&mut self) -> impl Iterator<Item = u32> {
        let variants = self.variants.drain(..).map(|variant| variant.stream.sid);
        let retired = self.retired.drain(..).map(|old| old.sid);
        [self.base.sid].into_iter().chain(variants).chain(retired).chain(self.spare_sids.drain(..))
    }

    fn place(&self, interval_ms: u32) -> Result<usize, usize> {
        self.variants.binary_search_by_key(&interval_ms, |variant| variant.stream.interval_ms)
    }

    /// The numbers from which a new variant goes on. One that there was before leaves a number
    /// out: who comes back with the last one has missed what was said in between. As long as
    /// nothing was published, nothing was: all numbers of a topic that is forgotten are 0.
    fn numbers(
        &mut self,
        interval_ms: u32,
        number: impl FnOnce() -> Result<u32, AttachError>,
    ) -> Result<(u32, u64), AttachError> {
        let hole = u64::from(self.is_published());
        if let Some(place) = self.retired.iter().position(|old| old.interval_ms == interval_ms) {
            let Retired { sid, seq, .. } = self.retired.remove(place);
            return Ok((sid, seq + hole));
        }
        let sid = self.spare_sids.pop().map_or_else(number, Ok)?;
        Ok((sid, self.floor.map_or(0, |floor| floor + hole)))
    }
}

fn draft(update: &Update, turn: &Turn<'_>) -> Draft {
    let key = update.key.clone().filter(|key: &Bytes| !key.is_empty());
    let ts = update.ts.unwrap_or(turn.now.wall_ns);
    Draft { ts, key, data: update.data.clone(), binary: update.binary.clone() }
}
