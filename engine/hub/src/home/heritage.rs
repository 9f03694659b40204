//! Topics as values, so that another process goes on with their numbers; and who is told of each
//! update that is taken.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use super::error::TopicsFull;
use super::stream::StreamImage;
use super::{Home, split_variant};
use crate::codec::StreamState;
use crate::encoding::Wanted;
use crate::id::Timestamp;
use crate::message::{Now, Update};
use crate::namespace::SnapshotKind;
use crate::topic::check_topic;

/// Numbers that are left out of a variant: more than another process gives while clients leave it.
const VARIANT_HOLE: u64 = 1 << 32;

/// A topic that was published to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// Its name.
    pub name: Box<str>,
    /// When its publisher was last heard.
    pub heard_at: Timestamp,
    /// Whether its publisher counts as silent.
    pub is_stale: bool,
    /// What kind of snapshot it has.
    pub kind: SnapshotKind,
    /// Its stream.
    pub stream: StreamImage,
    /// The greatest number of any of its variants; none: it had none.
    pub variants_seq: Option<u64>,
}

impl TopicImage {
    /// Bytes of names and payloads.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let history = self.stream.history.iter().map(|(message, _)| message.bytes());
        let snapshot = self.stream.snapshot.iter();
        let kept = snapshot.map(|held| {
            let keyed = held.keyed.iter().map(|(key, data)| key.len() + data.len());
            held.message.as_ref().map_or(0, crate::Message::bytes) + keyed.sum::<usize>()
        });
        self.name.len() + history.sum::<usize>() + kept.sum::<usize>()
    }
}

/// Why a topic cannot go on here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeritageError {
    /// Nobody could publish to it.
    #[error("no namespace is for it, or its name is too long")]
    Unknown,
    /// It is there already.
    #[error("it is there already")]
    Twice,
    /// Its numbers do not fit together.
    #[error("its numbers do not fit together")]
    Hole,
    /// What it would have kept is not known.
    #[error("its namespace keeps another kind of snapshot now")]
    Snapshot,
    /// There is no room for its keys.
    #[error("its snapshot is out of bounds")]
    Keys,
    /// There is no room for it.
    #[error(transparent)]
    Full(#[from] TopicsFull),
}

/// Is told of each update that a home has taken, in the order of the topic's numbers.
pub trait Tap: fmt::Debug + Send + Sync {
    /// It was taken, at this time.
    fn taken(&self, update: &Update, now: Now);
}

/// The number behind which all variants begin in that generation: also those of which the process
/// before knew nothing yet may be made on both sides, until its last client has left.
pub(super) fn variants_floor(generation: u32) -> Option<u64> {
    (generation > 0).then(|| u64::from(generation).saturating_mul(VARIANT_HOLE))
}

impl Home {
    /// Its topics that were published to, in the order of their names, behind `after`; as many as
    /// have `bytes_max` bytes together, at least one. And where to go on, if there are more.
    #[must_use]
    pub fn images(
        &self,
        after: Option<&str>,
        bytes_max: usize,
    ) -> (Vec<TopicImage>, Option<Arc<str>>) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut images, mut bytes, mut last) = (Vec::new(), 0, None::<&Arc<str>>);
        for (name, number) in self.ordered.range::<str, _>((from, Bound::Unbounded)) {
            if bytes >= bytes_max {
                return (images, last.cloned());
            }
            last = Some(name);
            let topic = &self.topics[*number as usize];
            let Some(heard_at) = topic.heard_at else { continue };
            let image = TopicImage {
                name: (&**name).into(),
                heard_at,
                is_stale: topic.state == StreamState::Stale,
                kind: topic.namespace.snapshot,
                stream: topic.base.image(),
                variants_seq: topic.variants_seq(),
            };
            // A name alone counts, too.
            bytes += image.bytes();
            images.push(image);
        }
        (images, None)
    }

    /// Goes on with a topic of another process of the same epoch.
    ///
    /// # Errors
    /// When it cannot. Then the epoch cannot go on here: its numbers would be given twice.
    pub fn inherit(&mut self, image: TopicImage, now: Now) -> Result<(), HeritageError> {
        let TopicImage { name, heard_at, is_stale, kind, stream, variants_seq } = image;
        let is_name = check_topic(&name, self.topic_bytes_max).is_ok();
        if !is_name || !matches!(split_variant(&name), Ok((_, 0))) {
            return Err(HeritageError::Unknown);
        }
        if self.numbers.contains_key(&*name) {
            return Err(HeritageError::Twice);
        }
        let namespaces = Arc::clone(&self.namespaces);
        let namespace = namespaces.find(&name).ok_or(HeritageError::Unknown)?;
        let number = self.make(&name, namespace, Wanted::NONE, now, &mut Vec::new())?;
        let topic = &mut self.topics[number as usize];
        topic.base.restore(stream, kind, namespace)?;
        topic.heard_at = Some(heard_at);
        topic.state = if is_stale { StreamState::Stale } else { StreamState::Live };
        topic.raise_floor(variants_seq.map(|seq| seq.saturating_add(VARIANT_HOLE)));
        self.chores.list(number, topic, !is_stale);
        self.list_idle(number);
        Ok(())
    }

    /// Tells `tap` of each update that is taken from now on; none: nobody.
    pub fn set_tap(&mut self, tap: Option<Arc<dyn Tap>>) {
        self.tap = tap;
    }
}
