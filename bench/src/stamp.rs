//! What a publisher writes into a payload, so that readers can tell how late a message is and
//! whether one is missing: 16 bytes at the beginning, or, where a message must be printable, a
//! marker and 32 hexadecimal digits, found anywhere in what arrives.

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

/// What stands before a printed stamp: nothing that JSON would escape.
pub const MARKER: &[u8; 4] = b"~cb~";

/// Bytes of a printed stamp, its marker included.
pub const PRINTED_BYTES: usize = MARKER.len() + 2 * STAMP_BYTES;

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

    /// Overwrites the first [`PRINTED_BYTES`] bytes of `payload` with the marker and digits.
    ///
    /// # Panics
    /// When the payload is shorter.
    pub fn print(self, payload: &mut [u8]) {
        payload[..MARKER.len()].copy_from_slice(MARKER);
        let digits = &mut payload[MARKER.len()..PRINTED_BYTES];
        let both = u128::from(self.due_ns) << 64 | u128::from(self.sequence);
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[(both >> (4 * place)) as usize & 15];
        }
    }

    /// Finds the first printed stamp at or behind `from`, and where it begins.
    #[must_use]
    pub fn find(bytes: &[u8], from: usize) -> Option<(usize, Self)> {
        let mut at = from;
        loop {
            // Its first byte is rare in texts, so a plain search for it is all that is needed.
            at += bytes.get(at..)?.iter().position(|&byte| byte == MARKER[0])?;
            if let Some(stamp) = Self::read_printed(&bytes[at..]) {
                return Some((at, stamp));
            }
            at += 1;
        }
    }

    /// Reads a printed stamp at the beginning of `bytes`.
    #[must_use]
    pub fn read_printed(bytes: &[u8]) -> Option<Self> {
        let (digits, _) = bytes.strip_prefix(MARKER)?.split_first_chunk::<{ 2 * STAMP_BYTES }>()?;
        let mut both = 0_u128;
        for digit in digits {
            both = both << 4 | u128::from(char::from(*digit).to_digit(16)?);
        }
        Some(Self { due_ns: (both >> 64) as u64, sequence: both as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_stamp_is_found_within_other_text() {
        let stamp = Stamp { due_ns: 0x0123_4567_89ab_cdef, sequence: u64::MAX - 1 };
        let mut message = b"{\"a\":\"~cb\",\"data\":\"".to_vec();
        let at = message.len();
        message.extend([b'x'; 50]);
        stamp.print(&mut message[at..]);
        message.extend_from_slice(b"\"}");
        assert_eq!(Stamp::find(&message, 0), Some((at, stamp)));
        assert_eq!(Stamp::find(&message, at + 1), None);
        assert_eq!(Stamp::find(&message[..at + PRINTED_BYTES - 1], 0), None);
    }

    #[test]
    fn all_stamps_of_one_message_are_found() {
        let stamps = [1, 2, 3].map(|sequence| Stamp { due_ns: 7, sequence });
        let mut message = vec![b'.'; 3 * (PRINTED_BYTES + 5)];
        for (number, stamp) in stamps.iter().enumerate() {
            stamp.print(&mut message[number * (PRINTED_BYTES + 5) + 2..]);
        }
        let (mut found, mut from) = (Vec::new(), 0);
        while let Some((at, stamp)) = Stamp::find(&message, from) {
            found.push(stamp);
            from = at + PRINTED_BYTES;
        }
        assert_eq!(found, stamps);
    }

    #[test]
    fn a_binary_stamp_is_read_back() {
        let stamp = Stamp { due_ns: 5, sequence: 6 };
        let mut payload = [0; 20];
        stamp.write(&mut payload);
        assert_eq!(Stamp::read(&payload), Some(stamp));
        assert_eq!(Stamp::read(&payload[..15]), None);
    }
}
