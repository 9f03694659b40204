//! What a publisher writes at the beginning of a payload, so that readers can tell how late a
//! message is and whether one is missing.

/// When a message was due, and which of its publisher's messages it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The moment it should have been sent, in nanoseconds of [`crate::clock::now_ns`]: a publisher
    /// that comes late adds its delay to the latency, instead of hiding it.
    pub due_ns: u64,
    /// 0 for the first message, one more for each.
    pub sequence: u64,
}

/// Bytes of a stamp at the beginning of a payload.
pub const STAMP_BYTES: usize = 16;

impl Stamp {
    /// Overwrites the first [`STAMP_BYTES`] bytes of `payload`.
    ///
    /// # Panics
    /// When the payload is shorter.
    pub fn write(self, payload: &mut [u8]) {
        payload[..8].copy_from_slice(&self.due_ns.to_le_bytes());
        payload[8..STAMP_BYTES].copy_from_slice(&self.sequence.to_le_bytes());
    }

    /// Reads it back; nothing when the payload is too short.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        let (due_ns, rest) = payload.split_first_chunk::<8>()?;
        let (sequence, _) = rest.split_first_chunk::<8>()?;
        let (due_ns, sequence) = (u64::from_le_bytes(*due_ns), u64::from_le_bytes(*sequence));
        Some(Self { due_ns, sequence })
    }
}
