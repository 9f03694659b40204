//! TLS of one connection: first its handshake, then its records.
//!
//! A write may find the socket full when its bytes are encrypted already, and those must leave as
//! they are. So the last plaintext byte of a write counts as taken only when all of its ciphertext
//! has left: to whoever writes it is a short write like any other, and the frame with that byte is
//! one that is partly sent, which no policy touches.

mod reading;

use std::rc::Rc;
use std::task::Poll;

use corecast_hub::{ConnId, Timestamp};
use rustls::HandshakeKind;
use rustls::server::UnbufferedServerConnection;

use super::desk::{Desk, Drafts, Place};
use super::records::{self, RECORD_BYTES};
use crate::clock::Clock;
use crate::limits::TLS_RECORDS_SPARE;
use crate::socket::Written;
use crate::stream::Socket;

/// A connection's TLS. Between two turns it owns no bytes, but for what a peer has sent in part, or
/// takes too slowly.
pub(crate) struct Tls {
    desk: Rc<Desk>,
    state: State,
    /// When the handshake must be done.
    deadline: Timestamp,
    /// What was received and not worked off: a record in part, or more than there was room for.
    input: Vec<u8>,
    /// Plaintext for which there was no room.
    plain: Vec<u8>,
    /// Ciphertext that the socket did not take.
    unsent: Vec<u8>,
    /// There may be a whole record in `input`.
    is_whole: bool,
    /// Where it stands in line.
    line: Line,
    /// The last byte of an earlier write is encrypted, and not counted as taken.
    holds_back: bool,
    /// The socket took ciphertext since it was last asked.
    has_moved: bool,
    /// The peer sends nothing more.
    has_ended: bool,
    /// The last read ended before the socket did: it was much work for little plaintext.
    has_more: bool,
    /// Records that its key may still encrypt, where that is bounded.
    records_left: Option<u64>,
}

/// Where it stands.
enum State {
    /// Nothing was read yet.
    Waiting,
    /// The handshake is under way.
    Shaking(Box<UnbufferedServerConnection>, Place),
    /// Records flow.
    Open(Box<UnbufferedServerConnection>),
    /// It failed: what comes in is no longer understood.
    Failed,
}

/// A list of the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// None.
    No,
    /// Those who wait for a place.
    Waiting,
    /// Those whose handshake can go on.
    Due,
}

/// What receiving a part of a handshake came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    /// More must come.
    Nothing,
    /// There is no place for another handshake.
    NoPlace,
    /// It can go on.
    Due,
    /// The peer has gone, or sends more than a handshake has.
    Ended,
}

/// What is to be written to a socket, in the buffer that it was prepared in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prepared {
    /// Bytes of ciphertext.
    pub(crate) sealed: usize,
    /// Plaintext bytes that they stand for; none where they are an earlier write's.
    plain: usize,
    /// Plaintext bytes that count as taken in any case.
    told: usize,
}

impl Tls {
    pub(crate) fn new(desk: &Rc<Desk>, now: Timestamp) -> Box<Self> {
        Box::new(Self {
            desk: Rc::clone(desk),
            state: State::Waiting,
            deadline: now.after(desk.handshake_timeout),
            input: Vec::new(),
            plain: Vec::new(),
            unsent: Vec::new(),
            is_whole: false,
            line: Line::No,
            holds_back: false,
            has_moved: false,
            has_ended: false,
            has_more: false,
            records_left: None,
        })
    }

    /// Whether the handshake is not done.
    pub(crate) fn is_shaking(&self) -> bool {
        matches!(self.state, State::Waiting | State::Shaking(..))
    }

    /// Whether the handshake is not done, and should be.
    pub(crate) fn is_late(&self, now: Timestamp) -> bool {
        self.is_shaking() && now > self.deadline
    }

    /// Whether its key is soon to encrypt no more. In TLS 1.3 keys change by themselves; in 1.2 the
    /// connection would end.
    pub(crate) fn is_worn(&self) -> bool {
        self.records_left.is_some_and(|left| left <= TLS_RECORDS_SPARE)
    }

    /// The certificate that the peer has shown and that was verified, in DER.
    pub(crate) fn client_certificate(&self) -> Option<&[u8]> {
        let State::Open(connection) = &self.state else { return None };
        connection.peer_certificates()?.first().map(AsRef::as_ref)
    }

    /// Whether it was resumed by a ticket.
    pub(super) fn is_resumed(&self) -> bool {
        let State::Open(connection) = &self.state else { return false };
        connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether it owns no bytes.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.input.capacity() + self.plain.capacity() + self.unsent.capacity() == 0
    }

    /// Puts the connection into a line of the desk, unless it stands there. Who goes from one to
    /// the other leaves an entry behind, which [`unlist`](Self::unlist) does not take for its own.
    pub(super) fn list(&mut self, conn: ConnId, line: Line) {
        if self.line != line {
            self.line = line;
            let list = if line == Line::Due { &self.desk.due } else { &self.desk.waiting };
            list.borrow_mut().push_back(conn);
        }
    }

    /// It was taken out of a line. False when it does not stand there any more.
    pub(super) fn unlist(&mut self, line: Line) -> bool {
        let stands = self.line == line;
        if stands {
            self.line = Line::No;
        }
        stands
    }

    /// Receives what there is of the handshake.
    pub(super) fn gather(&mut self, socket: &mut Socket, conn: ConnId, clock: Clock) -> Gathered {
        if socket.has_hung_up() && self.is_unanswered() {
            // It cannot be finished: no work for it, if it stands in line already.
            return Gathered::Ended;
        }
        let desk = Rc::clone(&self.desk);
        let mut scratch = desk.scratch.borrow_mut();
        while !self.is_whole {
            if matches!(self.state, State::Waiting) && desk.free_places() == 0 {
                return Gathered::NoPlace;
            }
            let room = desk.handshake_bytes_max().saturating_sub(self.input.len());
            let read = match socket.read(&mut scratch[..room]) {
                Poll::Pending => return Gathered::Nothing,
                Poll::Ready(Ok(0) | Err(_)) => return Gathered::Ended,
                Poll::Ready(Ok(read)) => read,
            };
            let is_first = matches!(self.state, State::Waiting);
            if is_first && !self.begin(conn, clock.now()) {
                return Gathered::Ended;
            }
            self.input.extend_from_slice(&scratch[..read]);
            // A hello in pieces costs nothing but its bytes until it is whole.
            self.is_whole = !self.is_unanswered() || is_whole(&self.input);
        }
        Gathered::Due
    }

    /// Takes a place for a handshake.
    fn begin(&mut self, conn: ConnId, now: Timestamp) -> bool {
        let settings = self.desk.settings();
        match UnbufferedServerConnection::new(settings.server()) {
            Ok(connection) => {
                let place = Place::take(&self.desk, conn, now);
                self.state = State::Shaking(Box::new(connection), place);
                true
            }
            Err(error) => {
                tracing::error!(%error, "cannot begin a TLS handshake");
                false
            }
        }
    }

    /// Whether nothing of the peer's was worked off yet: without an answer of ours there can be no
    /// handshake.
    fn is_unanswered(&self) -> bool {
        match &self.state {
            State::Waiting => true,
            State::Shaking(connection, _) => connection.protocol_version().is_none(),
            State::Open(_) | State::Failed => false,
        }
    }

    /// When it took its place, where it has one and the peer is to go on.
    pub(super) fn has_waited_since(&self) -> Option<Timestamp> {
        match &self.state {
            State::Shaking(_, place) if self.line == Line::No => Some(place.since),
            _ => None,
        }
    }

    /// A step is done: see [`Place::answered`](super::desk::Place::answered).
    pub(super) fn answered(&mut self, now: Timestamp) {
        if let State::Shaking(_, place) = &mut self.state {
            place.answered(now);
        }
    }

    /// One step of the handshake: all the work that what has come asks for.
    ///
    /// # Errors
    /// What the peer did wrong. It is told so by an alert.
    pub(super) fn step(&mut self, socket: &Socket) -> Result<(), rustls::Error> {
        self.is_whole = false;
        let State::Shaking(connection, _) = &mut self.state else { return Ok(()) };
        let plain = &mut self.plain;
        let opened = records::open(connection, &mut self.input, &mut self.unsent, |bytes| {
            plain.extend_from_slice(bytes);
            true
        });
        match opened {
            Ok(opened) => {
                self.input.drain(..opened.used);
                self.has_ended |= opened.ended;
                if !connection.is_handshaking()
                    && let State::Shaking(connection, _) =
                        std::mem::replace(&mut self.state, State::Failed)
                {
                    self.records_left = records::records_max(&connection);
                    self.state = State::Open(connection);
                }
                if self.input.is_empty() {
                    self.input = Vec::new();
                }
                self.push(socket);
                Ok(())
            }
            Err(error) => {
                self.fail(socket);
                Err(error)
            }
        }
    }

    /// There will be no handshake.
    pub(super) fn give_up(&mut self) {
        self.state = State::Failed;
        self.input = Vec::new();
    }

    /// The peer broke TLS: what is to be said of it leaves as far as the socket takes it.
    fn fail(&mut self, socket: &Socket) {
        self.push(socket);
        self.state = State::Failed;
        (self.input, self.plain, self.unsent) = (Vec::new(), Vec::new(), Vec::new());
    }

    /// Writes one slice.
    pub(crate) fn write(&mut self, socket: &Socket, bytes: &[u8]) -> Written {
        self.write_all(socket, std::iter::once(bytes))
    }

    /// Writes once what of the slices makes a write.
    pub(crate) fn write_all<'a>(
        &mut self,
        socket: &Socket,
        slices: impl Iterator<Item = &'a [u8]>,
    ) -> Written {
        let desk = Rc::clone(&self.desk);
        let mut drafts = desk.drafts.borrow_mut();
        let Drafts { plain, sealed } = &mut *drafts;
        let prepared = self.prepare(slices, plain, sealed);
        let sealed = &sealed[..prepared.sealed];
        let outcome = if sealed.is_empty() { Written::Bytes(0) } else { socket.write(sealed) };
        self.settle(outcome, prepared, sealed)
    }

    /// Encrypts what makes a write into `out`; or puts there what is left of an earlier one.
    /// [`settle`](Self::settle) must follow.
    pub(crate) fn prepare<'a>(
        &mut self,
        slices: impl Iterator<Item = &'a [u8]>,
        staging: &mut [u8],
        out: &mut [u8],
    ) -> Prepared {
        let mut prepared = Prepared::default();
        if self.unsent.is_empty() && !self.holds_back {
            prepared = self.seal(slices, staging, out);
            if self.unsent.is_empty() {
                return prepared;
            }
            // TLS has something to say in front of it.
            self.unsent.extend_from_slice(&out[..prepared.sealed]);
            self.holds_back = prepared.plain > 0;
            prepared.told = prepared.plain.saturating_sub(1);
            prepared.plain = 0;
        }
        prepared.sealed = self.unsent.len().min(out.len());
        out[..prepared.sealed].copy_from_slice(&self.unsent[..prepared.sealed]);
        prepared
    }

    fn seal<'a>(
        &mut self,
        slices: impl Iterator<Item = &'a [u8]>,
        staging: &mut [u8],
        out: &mut [u8],
    ) -> Prepared {
        let State::Open(connection) = &mut self.state else { return Prepared::default() };
        let Self { input, plain, has_ended, unsent, .. } = self;
        let sealed = records::write(connection, input, (plain, has_ended), unsent, |traffic| {
            records::seal(traffic, slices, staging, out)
        });
        match sealed {
            Ok(Ok((plain, sealed))) => {
                if let Some(left) = &mut self.records_left {
                    *left = left.saturating_sub(plain.div_ceil(RECORD_BYTES) as u64);
                }
                Prepared { sealed, plain, told: 0 }
            }
            Ok(Err(error)) => {
                tracing::info!(%error, "TLS can encrypt no more");
                (self.state, self.has_ended) = (State::Failed, true);
                Prepared::default()
            }
            Err(error) => {
                tracing::debug!(%error, "TLS failed while writing");
                (self.state, self.has_ended) = (State::Failed, true);
                Prepared::default()
            }
        }
    }

    /// Takes note of what became of a write. Returns it as one of plaintext.
    pub(crate) fn settle(
        &mut self,
        written: Written,
        prepared: Prepared,
        sealed: &[u8],
    ) -> Written {
        if matches!(self.state, State::Failed) {
            return Written::Failed(rustix::io::Errno::PROTO.raw_os_error());
        }
        let left = match written {
            Written::Failed(error) => return Written::Failed(error),
            Written::Bytes(count) => count,
            Written::WouldBlock => 0,
        };
        self.has_moved |= left > 0;
        if prepared.plain == 0 {
            // An earlier write's; or nothing at all.
            self.unsent.drain(..left.min(self.unsent.len()));
            return self.settle_unsent(prepared.told);
        }
        if left == sealed.len() {
            return Written::Bytes(prepared.plain);
        }
        self.unsent.extend_from_slice(&sealed[left..]);
        self.holds_back = true;
        match prepared.plain - 1 {
            0 => Written::WouldBlock,
            told => Written::Bytes(told),
        }
    }

    fn settle_unsent(&mut self, told: usize) -> Written {
        if !self.unsent.is_empty() {
            return if told > 0 { Written::Bytes(told) } else { Written::WouldBlock };
        }
        self.unsent = Vec::new();
        Written::Bytes(told + usize::from(std::mem::take(&mut self.holds_back)))
    }

    /// Writes what the socket did not take before. Says whether none of it is left.
    pub(crate) fn push(&mut self, socket: &Socket) -> bool {
        while !self.unsent.is_empty() {
            match socket.write(&self.unsent) {
                Written::Bytes(count) => {
                    self.has_moved |= count > 0;
                    self.unsent.drain(..count);
                }
                Written::WouldBlock => return false,
                // Reading finds the same.
                Written::Failed(_) => break,
            }
        }
        self.unsent = Vec::new();
        true
    }

    /// Whether the socket has taken all ciphertext.
    pub(crate) fn is_clear(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Whether the socket took ciphertext since this was last asked.
    pub(crate) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.has_moved)
    }

    /// Tells the peer that nothing follows, as far as the socket takes it.
    pub(crate) fn say_end(&mut self, socket: &Socket) {
        if let State::Open(connection) = &mut self.state {
            let Self { input, plain, has_ended, unsent, .. } = self;
            let mut alert = [0; 256];
            let ending = (plain, has_ended);
            let length = records::write(connection, input, ending, unsent, |mut traffic| {
                traffic.queue_close_notify(&mut alert).unwrap_or(0)
            });
            unsent.extend_from_slice(&alert[..length.unwrap_or(0)]);
        }
        self.push(socket);
    }
}

/// Whether a record is whole, or none at all: then there is no need to wait for its end.
fn is_whole(bytes: &[u8]) -> bool {
    const HANDSHAKE: u8 = 22;
    match *bytes {
        [kind, ..] if kind != HANDSHAKE => true,
        [_, _, _, high, low, ref rest @ ..] => {
            rest.len() >= usize::from(u16::from_be_bytes([high, low]))
        }
        _ => false,
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("is_shaking", &self.is_shaking()).finish_non_exhaustive()
    }
}
