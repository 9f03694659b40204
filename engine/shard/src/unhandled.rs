//! What a turn of a connection has read and not handled, kept for its next turn.

/// What was read and not handled.
pub(crate) struct Unhandled {
    bytes: Vec<u8>,
    handled: usize,
}

impl Unhandled {
    pub(crate) fn new(bytes: Vec<u8>) -> Option<Box<Self>> {
        (!bytes.is_empty()).then(|| Box::new(Self { bytes, handled: 0 }))
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.handled..]
    }

    /// Only the last `left` bytes are still not handled.
    pub(crate) fn leave(&mut self, left: usize) {
        self.handled = self.bytes.len() - left;
    }
}
