//! Where a head ends, found in one pass over any chunking.

use super::HandshakeError;
use crate::limits::{HEAD_BYTES_MAX, REQUEST_LINE_BYTES_MAX};

/// Looks at every byte once and remembers only where it stands. Refuses at once what no strict
/// head contains: bare CR or LF, control characters, folded lines, empty lines before it.
#[derive(Debug, Clone, Default)]
pub struct HeadScanner {
    head_bytes: usize,
    /// Bytes of the current line, its CR included.
    line_bytes: usize,
    after_cr: bool,
    in_fields: bool,
    failed: Option<HandshakeError>,
}

impl HeadScanner {
    /// A scanner before the first byte of a head.
    #[must_use]
    pub const fn new() -> Self {
        Self { head_bytes: 0, line_bytes: 0, after_cr: false, in_fields: false, failed: None }
    }

    /// Looks at the next bytes of the connection, each of which is given once. `Ok(Some(n))`:
    /// the head ends behind the `n`th of them. `Ok(None)`: it goes on; keep them.
    ///
    /// # Errors
    /// When no further byte can make it a valid head, or it is longer than
    /// [`HEAD_BYTES_MAX`] (431) or its first line than [`REQUEST_LINE_BYTES_MAX`] (414); the
    /// same error again if called again.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<Option<usize>, HandshakeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut at = 0;
        while at < chunk.len() {
            at += self.skip_plain(&chunk[at..]);
            let Some(&byte) = chunk.get(at) else { break };
            at += 1;
            match self.step(byte) {
                Ok(false) => {}
                Ok(true) => return Ok(Some(at)),
                Err(error) => {
                    self.failed = Some(error);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Bytes looked at so far.
    #[must_use]
    pub fn scanned_bytes(&self) -> usize {
        self.head_bytes
    }

    /// Takes the bytes in the midst of a line that a [`step`](Self::step) each would only count,
    /// short of the limits; returns how many.
    #[inline]
    fn skip_plain(&mut self, chunk: &[u8]) -> usize {
        if self.after_cr || self.line_bytes == 0 {
            return 0;
        }
        let mut bytes_max = HEAD_BYTES_MAX - 1 - self.head_bytes;
        if !self.in_fields {
            bytes_max = bytes_max.min(REQUEST_LINE_BYTES_MAX - 1 - self.line_bytes);
        }
        let chunk = &chunk[..chunk.len().min(bytes_max)];
        let (blocks, _) = chunk.as_chunks::<BLOCK_BYTES>();
        let plain_blocks = blocks.iter().take_while(|block| is_plain(block)).count();
        let blocks_bytes = plain_blocks * BLOCK_BYTES;
        let rest = chunk[blocks_bytes..].iter().take_while(|&&byte| is_text(byte)).count();
        self.head_bytes += blocks_bytes + rest;
        self.line_bytes += blocks_bytes + rest;
        blocks_bytes + rest
    }

    /// `Ok(true)`: this byte ends the head.
    #[inline]
    fn step(&mut self, byte: u8) -> Result<bool, HandshakeError> {
        self.head_bytes += 1;
        if self.after_cr {
            if byte != b'\n' {
                return Err(HandshakeError::BareLineEnd);
            }
            return self.end_line();
        }
        let first_of_line = self.line_bytes == 0;
        self.line_bytes += 1;
        match byte {
            b'\r' => self.after_cr = true,
            b'\n' => return Err(HandshakeError::BareLineEnd),
            b' ' | b'\t' if first_of_line => return Err(HandshakeError::FoldedHeader),
            b'\t' => {}
            0..=0x1f | 0x7f => return Err(HandshakeError::Malformed),
            _ => {}
        }
        if self.head_bytes >= HEAD_BYTES_MAX {
            return Err(HandshakeError::HeadTooLong);
        }
        if !self.in_fields && self.line_bytes >= REQUEST_LINE_BYTES_MAX {
            return Err(HandshakeError::RequestLineTooLong);
        }
        Ok(false)
    }

    fn end_line(&mut self) -> Result<bool, HandshakeError> {
        let empty = self.line_bytes == 1;
        if empty && !self.in_fields {
            return Err(HandshakeError::Malformed);
        }
        self.line_bytes = 0;
        self.after_cr = false;
        self.in_fields = true;
        Ok(empty)
    }
}

/// So many bytes the compiler looks at together.
const BLOCK_BYTES: usize = 16;

/// Without a branch in between, so that it becomes a comparison of vectors.
#[inline]
fn is_plain(block: &[u8; BLOCK_BYTES]) -> bool {
    block.iter().fold(true, |plain, &byte| plain & is_text(byte))
}

/// What a line is made of, but for tabs: these are rare and may take the long way.
#[inline]
const fn is_text(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f
}
