//! What the two processes say to each other: a kind, a length, a body. Numbers are little-endian.

use std::io;

/// The version of all this: two processes of different ones do not understand each other.
pub(super) const VERSION: u16 = 3;
/// What an heir says first.
pub(super) const GREETING: &[u8] = b"corecast takes over";
/// Bytes of one message: of a topic with all its history.
pub(super) const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The heir: [`GREETING`] and its version.
    Hello = 1,
    /// Why there is nothing to be had: a text.
    Refused,
    /// A byte for each listener, by its use; the descriptors follow.
    Listeners,
    /// The heir: leave now.
    Take,
    /// The epoch, and how often it has changed hands.
    Epoch,
    /// A topic.
    Topic,
    /// How far a publisher has come.
    Publisher,
    /// That was all: the clock, how many topics, how many publishers.
    End,
    /// The heir serves: 1 where it goes on in the epoch.
    Serving,
    /// It does: there is no way back.
    Yours,
    /// The heir has taken updates, in this order.
    Updates,
    /// The heir has nothing to tell.
    Alive,
}

impl Kind {
    /// The kind of that number.
    pub(super) fn of(number: u8) -> Option<Self> {
        use Kind::*;
        let before = [Hello, Refused, Listeners, Take, Epoch, Topic, Publisher, End];
        let after = [Serving, Yours, Updates, Alive];
        before.into_iter().chain(after).find(|kind| *kind as u8 == number)
    }
}

/// Reads a body from its front. What is missing is an error.
#[derive(Debug)]
pub(super) struct Body<'a>(pub(super) &'a [u8]);

impl<'a> Body<'a> {
    /// So many bytes.
    ///
    /// # Errors
    ///
    /// When there are fewer.
    pub(super) fn take(&mut self, bytes: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> io::Result<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> io::Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> io::Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> io::Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> io::Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// A yes or a no.
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub(super) fn bool(&mut self) -> io::Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Bytes with their length before them.
    ///
    /// # Errors
    ///
    /// When there are fewer.
    pub(super) fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    /// Something that may be absent.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    /// Nothing may be left.
    ///
    /// # Errors
    ///
    /// When something is.
    pub(super) fn end(&self) -> io::Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// Writes bytes with their length before them.
pub(super) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A body is bounded far below that.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend(length.to_le_bytes());
    out.extend(bytes);
}

/// Writes something that may be absent.
pub(super) fn option<T>(out: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(out, value);
    }
}
