//! One attacking connection.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Fate, Script};

/// From the socket's creation to its end.
pub(super) struct Connection {
    socket: Socket,
    /// The place of what it does.
    pub(super) script: usize,
    connected: bool,
    /// Bytes of its script that the socket has taken.
    sent: usize,
    /// What it may send so far.
    allowed: usize,
    /// The beginning of what the server has said.
    answer: [u8; ANSWER_BYTES],
    answered: usize,
}

/// `HTTP/1.1 429`, or the beginning of a TLS record.
const ANSWER_BYTES: usize = 12;

impl Connection {
    /// Begins to connect, from `source` when given.
    pub(super) fn begin(
        place: usize,
        script: &Script,
        source: Option<IpAddr>,
    ) -> Result<Self, Errno> {
        let socket = connect(script.server, source)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let allowed = script.drip.map_or(script.bytes.len(), |_| 0);
        let (answer, answered) = ([0; ANSWER_BYTES], 0);
        Ok(Self { socket, script: place, connected: false, sent: 0, allowed, answer, answered })
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The socket is connected, has failed, or takes more; gives its fate where that is certain.
    pub(super) fn on_writable(&mut self, script: &Script) -> Option<Fate> {
        if !self.connected {
            match self.socket.take_error() {
                Ok(None) => self.connected = true,
                Ok(Some(error)) | Err(error) => return Some(Fate::Refused(error.to_string())),
            }
        }
        self.write(script);
        None
    }

    /// The server has said something, or has ended the connection.
    pub(super) fn on_readable(&mut self, script: &Script) -> Option<Fate> {
        let mut scratch = [0; 4_096];
        loop {
            let read = match recv(&self.socket, &mut scratch[..], RecvFlags::empty()) {
                Ok((0, _)) => return Some(self.ended(Fate::Ended)),
                Ok((read, _)) => read,
                Err(Errno::AGAIN) => return None,
                Err(Errno::INTR) => continue,
                Err(_) => return Some(self.ended(Fate::Reset)),
            };
            let room = read.min(ANSWER_BYTES - self.answered);
            self.answer[self.answered..][..room].copy_from_slice(&scratch[..room]);
            self.answered += room;
            // An alert has 7 bytes, and a status line at least 12.
            let known = self.answered == ANSWER_BYTES || self.answer[0] != b'H';
            if script.goes_when_answered && known {
                return Some(self.fate());
            }
        }
    }

    /// Sends some bytes more.
    pub(super) fn drip(&mut self, script: &Script, bytes: usize) {
        self.allowed = (self.allowed + bytes).min(script.bytes.len());
        self.write(script);
    }

    /// What can be said of it now.
    pub(super) fn fate(&self) -> Fate {
        Fate::of_answer(&self.answer[..self.answered])
    }

    /// Closes it with a RST: nothing of it waits out a minute on this side.
    pub(super) fn reset(self) {
        // On failure the kernel sends a FIN.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    fn ended(&self, otherwise: Fate) -> Fate {
        if self.answered > 0 { self.fate() } else { otherwise }
    }

    fn write(&mut self, script: &Script) {
        if !self.connected {
            return;
        }
        while self.sent < self.allowed {
            match send(&self.socket, &script.bytes[self.sent..self.allowed], SendFlags::NOSIGNAL) {
                Ok(sent) => self.sent += sent,
                Err(Errno::INTR) => {}
                // What the server said before it ended the connection is still to be read.
                Err(_) => return,
            }
        }
    }
}

fn connect(server: SocketAddr, source: Option<IpAddr>) -> std::io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(server), kind, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        if source.is_ipv6() {
            // A network that is routed to this machine need not be assigned to it.
            socket.set_freebind_v6(true)?;
        }
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&server.into()) {
        Ok(()) => Ok(socket),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}
