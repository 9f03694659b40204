//! A connection's socket, and what its watch has told of it.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::Poll;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::socket::{self, Written};

/// An accepted socket. The kernel tells of a change once ([`Watch`](crate::watch::Watch)), so what
/// it told is kept here until the socket itself says otherwise.
#[derive(Debug)]
pub(crate) struct Stream {
    fd: OwnedFd,
    /// There may be bytes to read.
    readable: bool,
    /// The peer's side is shut, or the connection broken: behind the last byte is an end to read.
    hung_up: bool,
    /// The peer has sent urgent data: a read ends in front of it, with more behind.
    urgent: bool,
    pub(crate) watched: Watched,
}

/// What the kernel is to tell of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watched {
    /// Nothing yet.
    No,
    /// That there is something to read.
    Reads,
    /// That as well, and that there is room to write.
    ReadsAndRoom,
}

impl Stream {
    /// A socket just accepted. Its first bytes may have come with it.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd, readable: true, hung_up: false, urgent: false, watched: Watched::No }
    }

    /// Its descriptor, open as long as this turn lasts.
    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.fd)
    }

    /// Takes note of what the kernel told.
    pub(crate) fn note(&mut self, flags: EventFlags) {
        let ends = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        self.hung_up |= flags.intersects(ends);
        self.urgent |= flags.contains(EventFlags::PRI);
        self.readable |= flags.intersects(ends | EventFlags::IN | EventFlags::PRI);
    }

    /// Whether the peer's side is known to be shut, or the connection to be broken.
    pub(crate) fn has_hung_up(&self) -> bool {
        self.hung_up
    }

    /// Reads once, if there may be something. Zero bytes are the peer's end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        while self.readable {
            match rustix::net::recv(&self.fd, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((read, _)) => {
                    // Less than was asked for: that was all, and more is told of anew.
                    let ends = self.hung_up || self.urgent;
                    self.readable = read == 0 || read == buffer.len() || ends;
                    return Poll::Ready(Ok(read));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.readable = false,
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        Poll::Pending
    }

    /// Writes once. The watch tells of room, if it is asked to.
    pub(crate) fn write(&self, bytes: &[u8]) -> Written {
        socket::write(self.raw(), &[IoSlice::new(bytes)])
    }

    /// Shuts our side, or both. The peer being gone already is no error.
    pub(crate) fn shut(&self, how: Shutdown) {
        socket::shut(self.raw(), how);
    }
}
