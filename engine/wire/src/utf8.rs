//! UTF-8 checked as it arrives (RFC 6455 §8.1), split at any byte, failing at the first byte
//! that can no longer become valid.

/// The bytes are not UTF-8, or can no longer become it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text is not valid UTF-8")]
pub struct InvalidUtf8;

/// An incremental validator. Holds at most the three bytes of an unfinished character.
#[derive(Debug, Clone, Default)]
pub struct Validator {
    tail: [u8; 3],
    tail_bytes: u8,
}

impl Validator {
    /// A validator at the start of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self { tail: [0; 3], tail_bytes: 0 }
    }

    /// Checks the next `bytes` of the text.
    ///
    /// # Errors
    /// As soon as no continuation of the text can be valid. The validator is of no use then
    /// until it is [`reset`](Self::reset).
    #[inline]
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        self.feed_to(bytes, |_| {})
    }

    /// Checks that the text may end here.
    ///
    /// # Errors
    /// When a character is unfinished.
    #[inline]
    pub fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.tail_bytes == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }

    /// Back to the start of a text.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Bytes of an unfinished character, 0 to 3.
    #[inline]
    pub(crate) fn pending_bytes(&self) -> usize {
        usize::from(self.tail_bytes)
    }

    /// Like [`feed`](Self::feed), and hands every finished stretch of text to `sink`, in order.
    pub(crate) fn feed_to(
        &mut self,
        mut bytes: &[u8],
        mut sink: impl FnMut(&str),
    ) -> Result<(), InvalidUtf8> {
        if self.tail_bytes > 0 {
            bytes = self.complete_tail(bytes, &mut sink)?;
        }
        let (body, tail) = bytes.split_at(bytes.len() - unfinished_bytes(bytes));
        if !body.is_empty() {
            sink(simdutf8::basic::from_utf8(body).map_err(|_| InvalidUtf8)?);
        }
        if !tail.is_empty() {
            check_unfinished(tail)?;
            self.tail[..tail.len()].copy_from_slice(tail);
            self.tail_bytes = tail.len() as u8;
        }
        Ok(())
    }

    /// Adds bytes to the unfinished character until it ends; returns those behind it.
    fn complete_tail<'a>(
        &mut self,
        bytes: &'a [u8],
        sink: &mut impl FnMut(&str),
    ) -> Result<&'a [u8], InvalidUtf8> {
        let mut character = [0; 4];
        let held = self.pending_bytes();
        character[..held].copy_from_slice(&self.tail[..held]);
        let taken = bytes.len().min(character_bytes(character[0]) - held);
        let have = held + taken;
        character[held..have].copy_from_slice(&bytes[..taken]);
        match core::str::from_utf8(&character[..have]) {
            Ok(text) => {
                self.tail_bytes = 0;
                sink(text);
            }
            Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
            // Still unfinished, so it is at most three bytes long and all input is used up.
            Err(_) => {
                self.tail[..have].copy_from_slice(&character[..have]);
                self.tail_bytes = have as u8;
            }
        }
        Ok(&bytes[taken..])
    }
}

/// How many bytes at the end begin a character that does not end here.
#[inline]
fn unfinished_bytes(bytes: &[u8]) -> usize {
    for (back, &byte) in bytes.iter().rev().take(3).enumerate() {
        if byte & 0b1100_0000 != 0b1000_0000 {
            return if character_bytes(byte) > back + 1 { back + 1 } else { 0 };
        }
    }
    0
}

/// The length that a lead byte announces; 1 for anything that is no lead byte.
#[inline]
const fn character_bytes(lead: u8) -> usize {
    match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    }
}

/// An unfinished character is fine only if some continuation makes it valid.
fn check_unfinished(tail: &[u8]) -> Result<(), InvalidUtf8> {
    match core::str::from_utf8(tail) {
        Err(error) if error.error_len().is_none() => Ok(()),
        _ => Err(InvalidUtf8),
    }
}
