//! The truth about the topics whose home is this shard: numbers, snapshots, history, conflated
//! variants, presence, staleness.
//!
//! A [`Home`] says [`Emission`]s; the [node](crate::node) tells them to all shards. Like the hub,
//! it does no I/O and reads no clock. Topics that were published to stay for as long as the epoch
//! does: a number that was given is never given again. Others make room where it is needed.

mod attach;
mod early;
mod emission;
mod error;
mod forget;
mod held;
mod heritage;
mod history;
mod keyed;
mod presence;
mod stream;
mod suffix;
mod tick;
mod topic;
mod variant;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use attach::{AttachRequest, Attachment, Page, PatternRequest};
pub use early::check_update;
pub use emission::{Emission, EmissionKind, HomeTotals};
pub use error::{AttachError, HistoryError, TopicsFull, UpdateError, check_interval};
pub use heritage::{HeritageError, Tap, TopicImage};
pub use history::History;
pub use stream::{SnapshotImage, StreamImage};
pub use suffix::{VariantError, split_variant, variant_name};
pub use variant::variant_policy;

use crate::codec::{Codec, StreamState};
use crate::encoding::Wanted;
use crate::limits::KEY_BYTES_MAX;
use crate::message::{Now, Update, UpdateKind};
use crate::namespace::{Namespace, Namespaces};
use crate::press::Press;
use crate::topic::check_topic;
use emission::{Encoder, Turn};
use forget::Sids;
use held::HeldPatterns;
use stream::Stream;
use tick::{Chores, Ticks};
use topic::Topic;

/// What a home is told when it is made.
#[derive(Debug, Clone)]
pub struct HomeConfig {
    /// Which shard this is, from 0.
    pub shard: u16,
    /// How many shards there are: stream numbers of two of them are never the same.
    pub shards: u16,
    /// Names the life of this engine: numbers count within it.
    pub epoch: u64,
    /// How often this epoch has changed hands: variants have numbers of their own in each of them.
    pub generation: u32,
    /// The namespaces.
    pub namespaces: Arc<Namespaces>,
    /// Makes the frames.
    pub codec: Arc<dyn Codec>,
    /// Bytes of a topic's name, with the end that names a variant.
    pub topic_bytes_max: usize,
    /// Topics of all namespaces together.
    pub topics_max: usize,
    /// Messages that are told to who comes back, at most: with more it starts anew. They must fit
    /// its outbox.
    pub missed_entries_max: usize,
    /// Bytes of their frames at most.
    pub missed_bytes_max: usize,
}

/// The truth about the topics of one shard.
#[derive(Debug)]
pub struct Home {
    shards: u16,
    epoch: u64,
    /// Variants of all topics are numbered behind this.
    variants_floor: Option<u64>,
    topic_bytes_max: usize,
    topics_max: usize,
    namespaces: Arc<Namespaces>,
    spaces: HashMap<Box<str>, Space>,
    // SipHash: names come from peers.
    numbers: HashMap<Arc<str>, u32>,
    /// The same in order, for patterns. Touched when a topic is made, never on publishing.
    ordered: BTreeMap<Arc<str>, u32>,
    topics: Vec<Topic>,
    /// Places in `topics` that are nobody's.
    free: Vec<u32>,
    sids: Sids,
    /// Counts the topics that were made.
    made: u64,
    stamps: u64,
    held: HeldPatterns,
    ticks: Ticks,
    chores: Chores,
    encoder: Encoder,
    /// Told of each update that is taken.
    tap: Option<Arc<dyn Tap>>,
}

/// A namespace that has topics here.
#[derive(Debug)]
struct Space {
    namespace: Arc<Namespace>,
    topics: usize,
    /// Those of them that may be forgotten, the oldest first.
    idle: BTreeMap<u64, u32>,
}

impl Home {
    /// A home without topics.
    ///
    /// # Panics
    /// When `shard` is not one of `shards`.
    #[must_use]
    pub fn new(config: HomeConfig) -> Self {
        let HomeConfig { shard, shards, epoch, namespaces, codec, .. } = config;
        let missed_max = (config.missed_entries_max, config.missed_bytes_max);
        assert!(shard < shards, "shard {shard} is none of {shards}");
        let variants_floor = heritage::variants_floor(config.generation);
        Self {
            shards,
            epoch,
            variants_floor,
            topic_bytes_max: config.topic_bytes_max,
            topics_max: config.topics_max.min(u32::MAX as usize),
            namespaces,
            spaces: HashMap::new(),
            numbers: HashMap::new(),
            ordered: BTreeMap::new(),
            topics: Vec::new(),
            free: Vec::new(),
            sids: Sids::new(shard, shards),
            made: 0,
            stamps: 0,
            held: HeldPatterns::default(),
            ticks: Ticks::default(),
            chores: Chores::default(),
            encoder: Encoder {
                codec,
                totals: HomeTotals::default(),
                missed_max,
                press: Press::default(),
            },
            tap: None,
        }
    }

    /// Compresses what it says where somebody takes that: by default nothing is.
    #[must_use]
    pub fn press(mut self, press: Press) -> Self {
        self.encoder.press = press;
        self
    }

    /// Puts other namespaces in the place of those, for topics that are made from now on.
    pub fn set_namespaces(&mut self, namespaces: Arc<Namespaces>) {
        self.namespaces = namespaces;
    }

    /// The life of this engine that the numbers belong to.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What was done so far.
    #[must_use]
    pub const fn totals(&self) -> HomeTotals {
        self.encoder.totals
    }

    /// What a stream holds in memory: a topic, or a variant by its name.
    #[must_use]
    pub fn held_by(&self, name: &str) -> Option<StreamMemory> {
        let (topic, interval_ms) = split_variant(name).ok()?;
        let stream = self.topics[*self.numbers.get(topic)? as usize].stream(interval_ms)?;
        Some(StreamMemory {
            history_entries: stream.history.len(),
            history_bytes: stream.history.bytes(),
            keys: stream.keyed().map_or(0, keyed::Keyed::len),
            keyed_bytes: stream.keyed().map_or(0, keyed::Keyed::bytes),
        })
    }

    /// Takes what is published: a message gets the topic's next number, is kept as the namespace
    /// says, and said to all, encoded for those encodings that are `wanted`. Gives the number; of
    /// a snapshot, that of the last message in it. The topic is made if need be.
    ///
    /// # Errors
    /// When the namespace does not take it, or there is no room: then it has no number, nobody
    /// gets it, and nothing is kept of it.
    pub fn publish(
        &mut self,
        update: &Update,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> Result<u64, UpdateError> {
        let published = self.published(update, wanted, now, out);
        self.encoder.totals.refused += u64::from(published.is_err());
        if let Some(tap) = &self.tap
            && published.is_ok()
        {
            tap.taken(update, now);
        }
        published
    }

    fn published(
        &mut self,
        update: &Update,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> Result<u64, UpdateError> {
        let number = match self.numbers.get(&*update.topic) {
            Some(&number) => {
                let topic = &self.topics[number as usize];
                check(update, &topic.namespace)?;
                if !topic.is_published() {
                    // Its variants may have ended while there was nothing to hear.
                    self.hold_variants(number, wanted, now, out);
                }
                number
            }
            None => self.make_for_update(update, wanted, now, out)?,
        };
        let mut turn = Turn { encoder: &mut self.encoder, wanted, now, out };
        let topic = &mut self.topics[number as usize];
        let unwatched = !topic.is_published() || topic.state == StreamState::Stale;
        let seq = match update.kind {
            UpdateKind::Message => topic.message(update, &mut turn)?,
            UpdateKind::Snapshot => topic.snapshot(update, &mut turn),
        };
        self.ticks.list(number, topic, now.mono);
        self.chores.list(number, topic, unwatched);
        if topic.idle.is_some() {
            self.list_idle(number);
        }
        Ok(seq)
    }

    fn make_for_update(
        &mut self,
        update: &Update,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> Result<u32, UpdateError> {
        check_topic(&update.topic, self.topic_bytes_max)?;
        if !matches!(split_variant(&update.topic), Ok((_, 0))) {
            return Err(UpdateError::Variant);
        }
        let namespaces = Arc::clone(&self.namespaces);
        let namespace = namespaces.find(&update.topic).ok_or(UpdateError::Unknown)?;
        check(update, namespace)?;
        self.make(&update.topic, namespace, wanted, now, out).map_err(UpdateError::Full)
    }

    /// Makes a topic, and the variants of it that somebody waits for.
    fn make(
        &mut self,
        name: &str,
        namespace: &Namespace,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> Result<u32, TopicsFull> {
        self.make_room(namespace, wanted, now, out)?;
        let sid = self.sids.take().ok_or(TopicsFull::Streams)?;
        let space =
            self.spaces.entry(namespace.name.clone()).or_insert_with(|| Space::new(namespace));
        if *space.namespace != *namespace {
            space.namespace = Arc::new(namespace.clone());
        }
        space.topics += 1;
        let name: Arc<str> = name.into();
        let stream = Stream::new(Arc::clone(&name), sid, 0, 0);
        self.made += 1;
        let mut topic = Topic::new(Arc::clone(&space.namespace), stream, self.made);
        topic.raise_floor(self.variants_floor);
        let number = match self.free.pop() {
            Some(number) => {
                self.topics[number as usize] = topic;
                number
            }
            None => {
                self.topics.push(topic);
                self.topics.len() as u32 - 1
            }
        };
        self.numbers.insert(Arc::clone(&name), number);
        self.ordered.insert(Arc::clone(&name), number);
        self.encoder.totals.topics += 1;
        self.list_idle(number);
        self.hold_variants(number, wanted, now, out);
        Ok(number)
    }
}

impl Space {
    fn new(namespace: &Namespace) -> Self {
        Self { namespace: Arc::new(namespace.clone()), topics: 0, idle: BTreeMap::new() }
    }
}

/// What one stream holds in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamMemory {
    /// Messages in the history.
    pub history_entries: usize,
    /// Bytes of the history: messages, and the frames made of them.
    pub history_bytes: usize,
    /// Keys in the snapshot.
    pub keys: usize,
    /// Bytes of those keys and their payloads.
    pub keyed_bytes: usize,
}

fn check(update: &Update, namespace: &Namespace) -> Result<(), UpdateError> {
    let (bytes, bytes_max) = (update.bytes() - update.topic.len(), namespace.message_bytes_max);
    if bytes > bytes_max {
        return Err(UpdateError::TooLarge { bytes, bytes_max });
    }
    let key_bytes = update.key.as_ref().map_or(0, bytes::Bytes::len);
    if key_bytes > KEY_BYTES_MAX {
        return Err(UpdateError::KeyTooLong { bytes: key_bytes });
    }
    let is_snapshot = update.kind == UpdateKind::Snapshot;
    if is_snapshot && namespace.snapshot != crate::namespace::SnapshotKind::Published {
        return Err(UpdateError::NotSupported);
    }
    Ok(())
}
