//! The bytes that one read brought, worked on in place.

/// A cursor over received bytes, which are unmasked where they lie and lent out in events.
#[derive(Debug)]
pub struct Input<'b> {
    bytes: &'b mut [u8],
    position: usize,
}

impl<'b> Input<'b> {
    /// All of `bytes`, nothing consumed.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Whether everything is consumed.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.position == self.bytes.len()
    }

    /// How many bytes are not consumed yet.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// The bytes that are not consumed yet.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.position..]
    }

    /// Consumes `count` bytes and says where they begin.
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) -> usize {
        debug_assert!(count <= self.remaining(), "no more is consumed than there is");
        let start = self.position;
        self.position += count;
        start
    }

    #[inline]
    pub(crate) fn consume_all(&mut self) {
        self.position = self.bytes.len();
    }

    #[inline]
    pub(crate) fn slice(&mut self, start: usize, count: usize) -> &mut [u8] {
        &mut self.bytes[start..start + count]
    }
}
