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
        for (at, &byte) in chunk.iter().enumerate() {
            match self.step(byte) {
                Ok(false) => {}
                Ok(true) => return Ok(Some(at + 1)),
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
