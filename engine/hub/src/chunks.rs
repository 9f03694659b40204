//! A growing array that never moves what it holds.
//!
//! A `Vec` that grows copies everything it holds, at once, and leaves a hole of the old size: a
//! stall and a waste when there are a hundred thousand connections.

/// Elements in a chunk.
const CHUNK: usize = 256;

/// An array of chunks, indexed like a slice.
#[derive(Debug)]
pub struct Chunks<T> {
    chunks: Vec<Box<[T]>>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> Chunks<T> {
    /// The number of elements that there is storage for; it never shrinks.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// The element at `index`, if there is storage for it.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    /// The element at `index`, if there is storage for it.
    #[inline]
    #[must_use]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    /// All elements that there is storage for, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// All elements that there is storage for, in order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flatten()
    }
}

impl<T> core::ops::IndexMut<usize> for Chunks<T> {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.chunks[index / CHUNK][index % CHUNK]
    }
}

impl<T> core::ops::Index<usize> for Chunks<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: usize) -> &T {
        &self.chunks[index / CHUNK][index % CHUNK]
    }
}

impl<T: Default> Chunks<T> {
    /// The element at `index`; storage for it is added where there is none.
    pub fn entry(&mut self, index: usize) -> &mut T {
        while self.capacity() <= index {
            self.chunks.push((0..CHUNK).map(|_| T::default()).collect());
        }
        &mut self.chunks[index / CHUNK][index % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_keep_their_place_while_it_grows() {
        let mut chunks: Chunks<Option<usize>> = Chunks::default();
        assert_eq!(chunks.get(0), None);
        *chunks.entry(0) = Some(0);
        let first: *const _ = chunks.entry(0);
        for index in [1, 255, 256, 257, 70_000] {
            *chunks.entry(index) = Some(index);
        }
        assert!(core::ptr::eq(first, chunks.entry(0)));
        let held: Vec<_> = chunks.iter().flatten().copied().collect();
        assert_eq!(held, [0, 1, 255, 256, 257, 70_000]);
        assert_eq!(chunks.get_mut(2), Some(&mut None));
        assert_eq!(chunks.get(chunks.capacity()), None);
    }
}
