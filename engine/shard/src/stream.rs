//! A connection's socket, and what its watch has told of it; with TLS in between, where the peer
//! came in by a listener that speaks it.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::Poll;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::socket::{self, Written};
use crate::tls::Tls;

/// What a connection reads from and writes to: bytes of the WebSocket, whatever they travel in.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) socket: Socket,
    /// Absent where the peer speaks plainly.
    pub(crate) tls: Option<Box<Tls>>,
}

/// An accepted socket. The kernel tells of a change once ([`Watch`](crate::watch::Watch)), so what
/// it told is kept here until the socket itself says otherwise.
#[derive(Debug)]
pub(crate) struct Socket {
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
    pub(crate) fn new(fd: OwnedFd, tls: Option<Box<Tls>>) -> Self {
        let socket =
            Socket { fd, readable: true, hung_up: false, urgent: false, watched: Watched::No };
        Self { socket, tls }
    }

    /// Its descriptor, open as long as this turn lasts.
    pub(crate) fn raw(&self) -> RawFd {
        self.socket.raw()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.socket.fd)
    }

    /// Whether nobody between the peer and here reads along: it speaks TLS.
    #[inline]
    pub(crate) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The certificate that the peer has shown and that was verified, in DER.
    pub(crate) fn client_certificate(&self) -> Option<&[u8]> {
        self.tls.as_deref().and_then(Tls::client_certificate)
    }

    /// Takes note of what the kernel told.
    pub(crate) fn note(&mut self, flags: EventFlags) {
        let socket = &mut self.socket;
        let ends = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        socket.hung_up |= flags.intersects(ends);
        socket.urgent |= flags.contains(EventFlags::PRI);
        socket.readable |= flags.intersects(ends | EventFlags::IN | EventFlags::PRI);
    }

    /// Whether the peer's side is known to be shut, or the connection to be broken.
    pub(crate) fn has_hung_up(&self) -> bool {
        self.socket.has_hung_up()
    }

    /// Reads once, if there may be something. Zero bytes are the peer's end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match &mut self.tls {
            None => self.socket.read(buffer),
            Some(tls) => tls.read(&mut self.socket, buffer),
        }
    }

    /// Whether the last read left bytes behind that others are to come before.
    #[inline]
    pub(crate) fn has_more(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_more())
    }

    /// Writes once. The watch tells of room, if it is asked to. What was taken was taken whole, and
    /// the next write begins with the byte behind it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Written {
        match &mut self.tls {
            None => self.socket.write(bytes),
            Some(tls) => tls.write(&self.socket, bytes),
        }
    }

    /// Writes what the peer is still to be sent of earlier bytes, of TLS's own included. Says
    /// whether none of it is left.
    pub(crate) fn push(&mut self) -> bool {
        match &mut self.tls {
            None => true,
            Some(tls) => tls.push(&self.socket),
        }
    }

    /// Whether the socket has taken all that `write` took.
    #[inline]
    pub(crate) fn is_clear(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.is_clear())
    }

    /// Whether the socket took bytes that no write told of, since this was last asked.
    pub(crate) fn take_moved(&mut self) -> bool {
        self.tls.as_mut().is_some_and(|tls| tls.take_moved())
    }

    /// Shuts our side, or both. The peer being gone already is no error.
    pub(crate) fn shut(&mut self, how: Shutdown) {
        if let Some(tls) = &mut self.tls {
            tls.say_end(&self.socket);
        }
        socket::shut(self.raw(), how);
    }
}

impl Socket {
    /// Whether the peer's side is known to be shut, or the connection to be broken.
    pub(crate) fn has_hung_up(&self) -> bool {
        self.hung_up
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
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

    /// Writes once.
    pub(crate) fn write(&self, bytes: &[u8]) -> Written {
        socket::write(self.raw(), &[IoSlice::new(bytes)])
    }
}
