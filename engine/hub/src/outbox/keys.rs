//! Where the pending frame of a key stands.

use rustc_hash::FxHashMap;

use crate::id::TopicId;
use crate::limits::KEY_SEARCH_MAX;
use crate::outbox::Outbox;
use crate::outbox::entry::{Entry, Kind};

/// (topic, key) → absolute index, for every pending `Keyed` entry of an outbox. Exists only
/// while some subscription has more pending keys than are searched one by one.
#[derive(Debug, Default)]
pub(crate) struct KeyIndex {
    places: FxHashMap<(u32, u64), u64>,
}

impl KeyIndex {
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.places.capacity() * size_of::<((u32, u64), u64)>()
    }

    pub(crate) fn insert(&mut self, entry: &Entry, index: u64) {
        if is_indexed(entry) {
            self.places.insert((entry.topic.0, entry.detail), index);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.places.clear();
    }
}

impl Outbox {
    /// Index of the pending frame of `key`, where `pending` is the newest entry of the
    /// subscription.
    pub(crate) fn find_key(&mut self, pending: u64, topic: TopicId, key: u64) -> Option<u64> {
        if self.keys.is_none() {
            let mut index = pending;
            for _ in 0..KEY_SEARCH_MAX {
                let entry = self.ring.get(index)?;
                if entry.detail == key {
                    return Some(index);
                }
                if entry.back == 0 {
                    return None;
                }
                index -= u64::from(entry.back);
            }
            self.index_keys();
        }
        self.keys.as_ref()?.places.get(&(topic.0, key)).copied()
    }

    /// Forgets the place of an entry that leaves the ring.
    #[inline]
    pub(crate) fn forget_key(&mut self, entry: &Entry) {
        if self.keys.is_some() && is_indexed(entry) {
            self.forget_indexed_key(entry);
        }
    }

    #[cold]
    fn forget_indexed_key(&mut self, entry: &Entry) {
        if let Some(keys) = &mut self.keys {
            keys.places.remove(&(entry.topic.0, entry.detail));
            if keys.places.is_empty() {
                self.keys = None;
            }
        }
    }

    #[cold]
    fn index_keys(&mut self) {
        let mut keys = Box::<KeyIndex>::default();
        for (index, entry) in self.ring.iter() {
            keys.insert(entry, index);
        }
        self.keys = Some(keys);
    }
}

fn is_indexed(entry: &Entry) -> bool {
    entry.kind == Kind::Keyed && entry.topic != TopicId::NONE
}
