//! Messages and descriptors over a Unix socket, between two processes of one user.

use super::wire::{Kind, MESSAGE_BYTES_MAX};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// One side of the conversation. Neither waits longer than [`PATIENCE`] for the other, unless told
/// otherwise.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
}

impl Channel {
    /// A conversation with a process of the same user, and nobody else.
    ///
    /// # Errors
    ///
    /// When it is another's, or the socket is broken.
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        let peer = rustix::net::sockopt::socket_peercred(&stream)?;
        if peer.uid != rustix::process::geteuid() {
            let message = "the other process is another user's";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        stream.set_nonblocking(false)?;
        let channel = Self { stream };
        channel.wait_at_most(PATIENCE)?;
        Ok(channel)
    }

    /// Waits no longer for the other from here on.
    ///
    /// # Errors
    ///
    /// When the socket is broken.
    pub(super) fn wait_at_most(&self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))?;
        self.stream.set_write_timeout(Some(patience))
    }

    /// Says something.
    ///
    /// # Errors
    ///
    /// When the other does not take it.
    pub(super) fn say(&mut self, kind: Kind, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut head = [kind as u8, 0, 0, 0, 0];
        head[1..].copy_from_slice(&length.to_le_bytes());
        self.stream.write_all(&head)?;
        self.stream.write_all(body)
    }

    /// Hears something.
    ///
    /// # Errors
    ///
    /// When the other says nothing, or nonsense.
    pub(super) fn hear(&mut self) -> io::Result<(Kind, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        let kind = Kind::of(kind).filter(|_| length <= MESSAGE_BYTES_MAX);
        let kind = kind.ok_or_else(|| io::Error::other("the other process says nonsense"))?;
        let mut body = Vec::new();
        // Memory is taken as it is filled.
        let read = (&mut self.stream).take(length as u64).read_to_end(&mut body)?;
        if read < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((kind, body))
    }

    /// Passes descriptors. The other knows how many.
    ///
    /// # Errors
    ///
    /// When the other does not take them.
    pub(super) fn pass(&self, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        for part in fds.chunks(FDS_MAX) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(control.push(SendAncillaryMessage::ScmRights(part)), "there is space for them");
            let sent = [IoSlice::new(&[FDS])];
            rustix::net::sendmsg(&self.stream, &sent, &mut control, SendFlags::NOSIGNAL)?;
        }
        Ok(())
    }

    /// Takes so many descriptors.
    ///
    /// # Errors
    ///
    /// When others come, or none.
    pub(super) fn take(&self, count: usize) -> io::Result<Vec<OwnedFd>> {
        let mut fds = Vec::with_capacity(count);
        while fds.len() < count {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut byte = [0];
            let flags = RecvFlags::CMSG_CLOEXEC;
            let mut into = [IoSliceMut::new(&mut byte)];
            let received = rustix::net::recvmsg(&self.stream, &mut into, &mut control, flags)?;
            let before = fds.len();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(passed) = message {
                    fds.extend(passed);
                }
            }
            if received.bytes != 1 || byte != [FDS] || fds.len() == before {
                return Err(io::Error::other("descriptors were expected"));
            }
        }
        if fds.len() > count {
            return Err(io::Error::other("more descriptors came than were told"));
        }
        Ok(fds)
    }
}

/// How long one waits for the other's next word: a start of an engine lies between two of them.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Descriptors that are passed together.
const FDS_MAX: usize = 64;
/// The byte that goes with them.
const FDS: u8 = b'#';
