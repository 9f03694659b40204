//! The ring: entries by absolute index, the first one inline, the others in pooled storage.

use core::mem;

use crate::limits::{HOLES_MAX, POOL_BYTES_MAX};
use crate::outbox::entry::Entry;

/// A queue of entries in which each keeps its absolute index, until it leaves or the ring is
/// compacted. An index is never used twice, so one that is remembered too long finds nothing.
///
/// Invariant: the front is not a hole; with no entry left there is no span and no storage.
#[derive(Debug)]
pub(crate) struct Ring {
    inline: Entry,
    /// Empty (the one entry is inline), or a power of two of places.
    storage: Box<[Entry]>,
    head: u64,
    span: u32,
    live: u32,
}

impl Ring {
    /// An index at which no ring ever has an entry.
    pub(crate) const NOWHERE: u64 = 0;

    /// An empty ring, without storage.
    pub(crate) fn new() -> Self {
        Self { inline: Entry::HOLE, storage: Box::default(), head: 1, span: 0, live: 0 }
    }

    /// Entries that are not holes.
    #[inline]
    pub(crate) const fn live(&self) -> u32 {
        self.live
    }

    /// Index of the front.
    #[inline]
    pub(crate) const fn head(&self) -> u64 {
        self.head
    }

    /// Index behind the last entry: that of the next one.
    #[inline]
    pub(crate) const fn tail(&self) -> u64 {
        self.head + self.span as u64
    }

    /// Bytes of heap storage.
    pub(crate) const fn storage_bytes(&self) -> usize {
        size_of_val::<[Entry]>(&self.storage)
    }

    /// The entry at `index`, unless it has left.
    #[inline]
    pub(crate) fn get(&self, index: u64) -> Option<&Entry> {
        if index < self.head || index >= self.tail() {
            return None;
        }
        let entry = match self.storage.len() {
            0 => &self.inline,
            len => &self.storage[index as usize & (len - 1)],
        };
        entry.frame.is_some().then_some(entry)
    }

    /// The entry at `index` to be changed, unless it has left.
    #[inline]
    pub(crate) fn get_mut(&mut self, index: u64) -> Option<&mut Entry> {
        if index < self.head || index >= self.tail() {
            return None;
        }
        let entry = self.place(index);
        entry.frame.is_some().then_some(entry)
    }

    /// The entries from front to back.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.iter_from(self.head)
    }

    /// The entries at and behind `index`.
    pub(crate) fn iter_from(&self, index: u64) -> impl Iterator<Item = (u64, &Entry)> {
        (index.max(self.head)..self.tail()).filter_map(|index| Some((index, self.get(index)?)))
    }

    /// Adds an entry at the back; returns its index.
    #[inline]
    pub(crate) fn push_back(&mut self, entry: Entry, pool: &mut Pool) -> u64 {
        let index = self.tail();
        if self.span == 0 && self.storage.is_empty() {
            self.inline = entry;
        } else {
            if self.span as usize >= self.storage.len() {
                self.grow(pool);
            }
            *self.place(index) = entry;
        }
        self.span += 1;
        self.live += 1;
        index
    }

    /// Takes the front entry.
    #[inline(always)]
    pub(crate) fn pop_front(&mut self, pool: &mut Pool) -> Option<Entry> {
        if self.span == 0 {
            return None;
        }
        let entry = mem::replace(self.place(self.head), Entry::HOLE);
        self.live -= 1;
        self.head += 1;
        self.span -= 1;
        self.trim(pool);
        Some(entry)
    }

    /// Makes a hole at `index`. The caller fills it, or calls [`trim`](Self::trim).
    pub(crate) fn vacate(&mut self, index: u64) -> Option<Entry> {
        let entry = mem::replace(self.get_mut(index)?, Entry::HOLE);
        self.live -= 1;
        Some(entry)
    }

    /// Puts an entry into the hole at `index`.
    pub(crate) fn fill(&mut self, index: u64, entry: Entry) {
        debug_assert!(index >= self.head && index < self.tail());
        debug_assert!(self.get(index).is_none());
        *self.place(index) = entry;
        self.live += 1;
    }

    /// Restores the invariant: no hole in front, no storage without entries.
    #[inline]
    pub(crate) fn trim(&mut self, pool: &mut Pool) {
        if self.live == 0 {
            self.head = self.tail();
            self.span = 0;
            if !self.storage.is_empty() {
                pool.give(mem::take(&mut self.storage));
            }
            return;
        }
        while self.place(self.head).frame.is_none() {
            self.head += 1;
            self.span -= 1;
        }
    }

    /// Whether holes outnumber entries by so much that compaction pays for itself.
    #[inline]
    pub(crate) const fn wants_compaction(&self) -> bool {
        self.span - self.live > if self.live > HOLES_MAX { self.live } else { HOLES_MAX }
    }

    /// Closes the holes. Every entry gets a new index, behind all that were used before;
    /// `moved` is told each entry in order with its new index.
    pub(crate) fn compact(&mut self, pool: &mut Pool, mut moved: impl FnMut(&mut Entry, u64)) {
        let (from, to) = (self.head, self.tail());
        let mut packed = Self { head: to, ..Self::new() };
        for index in from..to {
            let Some(mut entry) = self.vacate(index) else { continue };
            moved(&mut entry, packed.tail());
            packed.push_back(entry, pool);
        }
        self.trim(pool);
        *self = packed;
    }

    #[inline]
    fn place(&mut self, index: u64) -> &mut Entry {
        match self.storage.len() {
            0 => &mut self.inline,
            len => &mut self.storage[index as usize & (len - 1)],
        }
    }

    #[cold]
    fn grow(&mut self, pool: &mut Pool) {
        let mut larger = pool.take((self.span as usize + 1).next_power_of_two());
        let mask = larger.len() - 1;
        for index in self.head..self.tail() {
            larger[index as usize & mask] = mem::replace(self.place(index), Entry::HOLE);
        }
        let smaller = mem::replace(&mut self.storage, larger);
        if !smaller.is_empty() {
            pool.give(smaller);
        }
    }
}

/// Ring storage that waits for the next backlog: bounded in bytes, by size.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    classes: [Vec<Box<[Entry]>>; CLASSES],
    bytes: usize,
}

/// The smallest storage, in entries: 256 bytes.
const ENTRIES_MIN: usize = 8;
/// 8, 16, 32 and 64 entries are kept; what is larger goes back to the allocator.
const CLASSES: usize = 4;

impl Pool {
    /// Bytes that wait.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(&mut self, entries: usize) -> Box<[Entry]> {
        let entries = entries.max(ENTRIES_MIN);
        debug_assert!(entries.is_power_of_two());
        if let Some(storage) = self.classes.get_mut(class(entries)).and_then(Vec::pop) {
            self.bytes -= size_of_val::<[Entry]>(&storage);
            return storage;
        }
        core::iter::repeat_with(|| Entry::HOLE).take(entries).collect()
    }

    /// Takes storage of holes back, or frees it.
    fn give(&mut self, storage: Box<[Entry]>) {
        debug_assert!(storage.iter().all(|entry| entry.frame.is_none()));
        let bytes = size_of_val::<[Entry]>(&storage);
        if self.bytes + bytes > POOL_BYTES_MAX {
            return;
        }
        if let Some(class) = self.classes.get_mut(class(storage.len())) {
            class.push(storage);
            self.bytes += bytes;
        }
    }
}

const fn class(entries: usize) -> usize {
    (entries / ENTRIES_MIN).trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use corecast_wire::Frame;

    use super::*;
    use crate::frame::SharedFrame;
    use crate::id::Timestamp;

    fn entry(detail: u64) -> Entry {
        let frame = SharedFrame::new(Frame::binary(&detail.to_be_bytes()), Timestamp(0));
        Entry { frame: Some(frame), detail, ..Entry::HOLE }
    }

    fn details(ring: &Ring) -> Vec<u64> {
        ring.iter().map(|(_, entry)| entry.detail).collect()
    }

    #[test]
    fn one_entry_needs_no_storage_and_the_last_one_gives_it_back() {
        let (mut ring, mut pool) = (Ring::new(), Pool::default());
        for round in 0..20 {
            ring.push_back(entry(round), &mut pool);
            assert_eq!(ring.storage_bytes(), 0);
            assert_eq!(ring.pop_front(&mut pool).map(|entry| entry.detail), Some(round));
        }
        for detail in 0..20 {
            ring.push_back(entry(detail), &mut pool);
        }
        assert_eq!(details(&ring), (0..20).collect::<Vec<_>>());
        assert_eq!(ring.storage_bytes(), 32 * size_of::<Entry>());
        while ring.pop_front(&mut pool).is_some() {}
        assert_eq!(ring.storage_bytes(), 0);
        assert_eq!(pool.bytes(), (8 + 16 + 32) * size_of::<Entry>());
    }

    #[test]
    fn an_index_is_never_used_twice() {
        let (mut ring, mut pool) = (Ring::new(), Pool::default());
        let indices: Vec<u64> = (0..100).map(|d| ring.push_back(entry(d), &mut pool)).collect();
        for index in &indices[10..99] {
            ring.vacate(*index);
        }
        assert!(ring.wants_compaction());
        let mut seen = Vec::new();
        ring.compact(&mut pool, |entry, index| seen.push((entry.detail, index)));
        assert!(seen.iter().all(|(_, index)| *index > indices[99]));
        assert!(indices.iter().all(|index| ring.get(*index).is_none()));
        assert_eq!(details(&ring), [(0..10).collect(), vec![99]].concat());
        assert_eq!(ring.get(seen[10].1).map(|entry| entry.detail), Some(99));
        assert!(!ring.wants_compaction());
    }

    #[test]
    fn the_front_is_never_a_hole() {
        let (mut ring, mut pool) = (Ring::new(), Pool::default());
        let indices: Vec<u64> = (0..9).map(|d| ring.push_back(entry(d), &mut pool)).collect();
        for index in &indices[..8] {
            ring.vacate(*index);
            ring.trim(&mut pool);
            assert!(ring.get(ring.head()).is_some());
        }
        ring.vacate(indices[8]);
        ring.trim(&mut pool);
        assert_eq!((ring.live(), ring.storage_bytes()), (0, 0));
    }

    #[test]
    fn the_pool_is_bounded() {
        let mut pool = Pool::default();
        let storages: Vec<_> = (0..20_000).map(|_| pool.take(8)).collect();
        for storage in storages {
            pool.give(storage);
        }
        assert!(pool.bytes() <= POOL_BYTES_MAX);
        let large = pool.take(1024);
        let before = pool.bytes();
        pool.give(large);
        assert_eq!(pool.bytes(), before);
    }
}
