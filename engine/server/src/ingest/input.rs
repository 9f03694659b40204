//! What has come in of a connection and is not handled yet, and where in the stream it stands.

use super::limits::READ_BYTES;
use corecast_feed::ingest::{Frame, IngestError, decode};
use corecast_feed::limits::IngestLimits;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes read and not yet handled. Holds one frame and one read at most.
#[derive(Debug)]
pub(crate) struct Input {
    limits: IngestLimits,
    bytes: Vec<u8>,
    /// Bytes of them that are handled.
    done: usize,
    /// Where in the stream `bytes` begins.
    offset: u64,
}

impl Input {
    pub(crate) fn new(limits: IngestLimits) -> Self {
        Self { limits, bytes: Vec::new(), done: 0, offset: 0 }
    }

    /// The first frame that is not handled, and its length; [`done`](Self::done) goes past it.
    ///
    /// # Errors
    ///
    /// When no frame begins here.
    pub(crate) fn frame(&self) -> Result<Option<(Frame<'_>, usize)>, IngestError> {
        self.frame_behind(0)
    }

    /// The first frame so many bytes behind that.
    ///
    /// # Errors
    ///
    /// When no frame begins there.
    pub(crate) fn frame_behind(
        &self,
        bytes: usize,
    ) -> Result<Option<(Frame<'_>, usize)>, IngestError> {
        decode(&self.bytes[self.done + bytes..], &self.limits)
    }

    /// So many bytes are handled.
    pub(crate) fn done(&mut self, bytes: usize) {
        self.done += bytes;
    }

    /// Where in the stream the next frame begins, in bytes.
    pub(crate) fn position(&self) -> u64 {
        self.offset + self.done as u64
    }

    /// Bytes of a frame that has not come to its end.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.bytes.len() - self.done
    }

    /// Reads some more; 0: the end. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    pub(crate) async fn read(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.offset += self.done as u64;
        self.bytes.drain(..self.done);
        self.done = 0;
        if self.bytes.is_empty() && self.bytes.capacity() > 2 * READ_BYTES {
            // A long record has made it grow.
            self.bytes = Vec::new();
        }
        self.bytes.reserve(READ_BYTES);
        from.read_buf(&mut self.bytes).await
    }
}
