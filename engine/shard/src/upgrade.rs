//! The opening handshake: an upgrade to the handler, a plain GET to the pages, anything else to its
//! status.

use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::Bytes;
use corecast_hub::ConnId;
use corecast_hub::session::ClosedBy;
use corecast_wire::handshake::{accept_response, response};
use corecast_wire::limits::READ_BYTES;
use corecast_wire::{HandshakeError, HeadScanner, Request, Upgrade};

use crate::closing::panicked;
use crate::connection;
use crate::departure;
use crate::handler::{Accept, Handler};
use crate::shard::{Panicked, Shard, slot_mut};
use crate::socket::Written;
use crate::stream::Watched;

/// What a request came to.
enum Answer<D> {
    /// 101, and the connection's data.
    Switch(Vec<u8>, D),
    /// Any other status; the connection ends behind it.
    Refuse(Bytes),
}

/// How a handshake ended.
pub(crate) enum Shaken {
    /// The connection is a WebSocket; what came behind the request's head are frames already.
    Open(Vec<u8>),
    /// The request was answered and our side is shut.
    Refused,
    /// The connection is over.
    Lost,
}

/// A handshake on its way: the head that came so far, then the answer that left so far.
pub(crate) struct Handshake<D> {
    head: Vec<u8>,
    scanner: HeadScanner,
    answer: Option<Answer<D>>,
    sent_bytes: usize,
}

impl<D> Default for Handshake<D> {
    fn default() -> Self {
        Self { head: Vec::new(), scanner: HeadScanner::new(), answer: None, sent_bytes: 0 }
    }
}

/// Reads the request, answers it, and tells the handler when it is accepted.
pub(crate) fn shake<H: Handler>(shard: &Shard<H>, conn: ConnId) -> Poll<Shaken> {
    let (peer, begun, abort) = {
        let mut slots = shard.slots.borrow_mut();
        let Some(slot) = slot_mut(&mut slots, conn) else { return Poll::Ready(Shaken::Lost) };
        (slot.peer, slot.handshake.take(), slot.abort)
    };
    // Most requests come whole and are answered in one turn: nothing is kept of them.
    let mut handshake = begun.map_or_else(Handshake::default, |begun| *begun);
    if abort {
        handshake.give_up(shard, conn);
        handshake.discard(shard, peer);
        return Poll::Ready(Shaken::Lost);
    }
    let shaken = handshake.go_on(shard, conn, peer);
    if shaken.is_pending() && handshake.has_begun() {
        if let Some(slot) = slot_mut(&mut shard.slots.borrow_mut(), conn) {
            slot.handshake = Some(Box::new(handshake));
        }
    } else {
        handshake.discard(shard, peer);
    }
    shaken
}

impl<D: 'static> Handshake<D> {
    fn has_begun(&self) -> bool {
        !self.head.is_empty() || self.answer.is_some()
    }

    /// Drops it, and with it what the handler gave for a connection that never opened: the
    /// embedder's code, which may panic.
    pub(crate) fn discard<H: Handler<Data = D>>(self, shard: &Shard<H>, peer: SocketAddr) {
        if let Some(Answer::Switch(_, data)) = self.answer {
            discard(shard, peer, data);
        }
    }

    fn go_on<H: Handler<Data = D>>(
        &mut self,
        shard: &Shard<H>,
        conn: ConnId,
        peer: SocketAddr,
    ) -> Poll<Shaken> {
        while self.answer.is_none() {
            match self.read(shard, conn, peer) {
                Poll::Pending if !shard.departure.is_refusing() => return Poll::Pending,
                Poll::Pending if !self.has_begun() => return Poll::Ready(Shaken::Lost),
                Poll::Pending => self.answer = Some(Answer::Refuse(going_away())),
                Poll::Ready(false) => return Poll::Ready(Shaken::Lost),
                Poll::Ready(true) => {}
            }
        }
        match self.write(shard, conn) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(false) => return Poll::Ready(Shaken::Lost),
            Poll::Ready(true) => {}
        }
        Poll::Ready(match self.answer.take() {
            Some(Answer::Switch(_, data)) => {
                open(shard, conn, peer, data);
                Shaken::Open(std::mem::take(&mut self.head))
            }
            _ => {
                shard.stats.refused.add(1);
                refused(shard, conn);
                Shaken::Refused
            }
        })
    }

    /// Reads once, and answers a head that is whole: what is left in `head` came behind it. False
    /// when the connection is over.
    fn read<H: Handler<Data = D>>(
        &mut self,
        shard: &Shard<H>,
        conn: ConnId,
        peer: SocketAddr,
    ) -> Poll<bool> {
        let mut scratch = shard.scratch.borrow_mut();
        let outcome = slot_mut(&mut shard.slots.borrow_mut(), conn)
            .map_or(Poll::Ready(Ok(0)), |slot| slot.stream.read(&mut scratch[..READ_BYTES]));
        let read = match outcome {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(false),
            Poll::Ready(Ok(read)) => &scratch[..read],
        };
        shard.stats.bytes_in.add(read.len() as u64);
        match self.scanner.feed(read) {
            Ok(None) => self.head.extend_from_slice(read),
            Ok(Some(end)) => {
                let (end, rest) = read.split_at(end);
                let head = if self.head.is_empty() {
                    end
                } else {
                    self.head.extend_from_slice(end);
                    &self.head
                };
                self.answer = Some(answer(shard, conn, peer, head));
                self.head = rest.to_vec();
            }
            Err(error) => self.answer = Some(Answer::Refuse(error.to_response().into())),
        }
        Poll::Ready(true)
    }

    /// The connection is to end. A client that began a request and was too slow is told so, as far
    /// as its socket takes it; one that has said nothing has asked for nothing.
    fn give_up<H: Handler<Data = D>>(&self, shard: &Shard<H>, conn: ConnId) {
        let mut slots = shard.slots.borrow_mut();
        let Some(slot) = slot_mut(&mut slots, conn) else { return };
        let timed_out = slot.session.closed().is_some_and(|closed| closed.by == ClosedBy::Timeout);
        if timed_out && self.answer.is_none() && !self.head.is_empty() {
            shard.stats.refused.add(1);
            let answer = plain(408, "the opening handshake took too long");
            let _ = slot.stream.write(&answer);
        }
    }

    /// Writes what is left of the answer. False when the connection is over.
    fn write<H: Handler<Data = D>>(&mut self, shard: &Shard<H>, conn: ConnId) -> Poll<bool> {
        let bytes: &[u8] = match &self.answer {
            Some(Answer::Switch(response, _)) => response,
            Some(Answer::Refuse(response)) => response,
            None => &[],
        };
        while self.sent_bytes < bytes.len() {
            let written = match slot_mut(&mut shard.slots.borrow_mut(), conn) {
                Some(slot) => {
                    let written = slot.stream.write(&bytes[self.sent_bytes..]);
                    // The watch tells of room in the socket. Room for packets comes back without a
                    // word from this socket: the sweep looks again at those that are blocked.
                    slot.blocked = written == Written::WouldBlock;
                    written
                }
                None => Written::Failed(0),
            };
            match written {
                Written::Bytes(sent) => self.sent_bytes += sent,
                Written::Failed(_) => return Poll::Ready(false),
                Written::WouldBlock if connection::watch(shard, conn, Watched::ReadsAndRoom) => {
                    return Poll::Pending;
                }
                Written::WouldBlock => return Poll::Ready(false),
            }
        }
        Poll::Ready(true)
    }
}

fn answer<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    peer: SocketAddr,
    head: &[u8],
) -> Answer<H::Data> {
    match try_answer(shard, conn, peer, head) {
        Ok(answer) => answer,
        Err(error) => Answer::Refuse(error.to_response().into()),
    }
}

fn try_answer<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    peer: SocketAddr,
    head: &[u8],
) -> Result<Answer<H::Data>, HandshakeError> {
    let request = Request::parse(head)?;
    if !request.is_upgrade() {
        // Which paths are WebSocket paths is said by a closure of the embedder's.
        if request.path() == "/healthz" && shard.mesh.draining.load(Ordering::Relaxed) {
            return Ok(Answer::Refuse(plain(503, "draining")));
        }
        let page = shard.guard(peer, || shard.pages.answer(request.method, request.path()));
        return Ok(Answer::Refuse(page.unwrap_or_else(|Panicked| plain(500, "internal error"))));
    }
    if shard.departure.is_refusing() {
        return Ok(Answer::Refuse(going_away()));
    }
    let upgrade = Upgrade::parse(request)?;
    Ok(match shard.call(conn, peer, |handler, _| handler.on_upgrade(&upgrade)) {
        Ok(Ok(accept)) => switch(shard, peer, &upgrade, accept),
        Ok(Err(reject)) => Answer::Refuse(plain(reject.status, &reject.reason)),
        Err(Panicked) => Answer::Refuse(plain(500, "internal error")),
    })
}

fn switch<H: Handler>(
    shard: &Shard<H>,
    peer: SocketAddr,
    upgrade: &Upgrade<'_>,
    accept: Accept<H::Data>,
) -> Answer<H::Data> {
    let headers: Vec<(&str, &str)> =
        accept.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    match accept_response(upgrade, accept.subprotocol.as_deref(), None, &headers) {
        Ok(response) => Answer::Switch(response, accept.data),
        Err(error) => {
            tracing::error!(%error, "the handler accepted with what a response cannot carry");
            discard(shard, peer, accept.data);
            Answer::Refuse(plain(500, "internal error"))
        }
    }
}

/// The socket is a WebSocket now.
fn open<H: Handler>(shard: &Shard<H>, conn: ConnId, peer: SocketAddr, data: H::Data) {
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return discard(shard, peer, data) };
    let now = shard.clock.now();
    slot.session.open(now);
    shard.stats.connections.add(1);
    shard.opened(conn);
    let data = slot.data.insert(data);
    let opened = shard.call(conn, peer, |handler, context| handler.on_open(data, context));
    if opened.is_err() {
        panicked(shard, conn, &mut slot.session);
    }
    drop(slots);
    departure::opened(shard, conn);
    shard.settle();
}

/// Drops what the handler gave for a connection: code of the embedder's.
fn discard<H: Handler>(shard: &Shard<H>, peer: SocketAddr, data: H::Data) {
    let _ = shard.guard(peer, || drop(data));
}

/// The answer is out: our side is shut, and the peer's end is awaited, for a second. Closing with
/// bytes unread would reset the connection, and the answer with it: they are drained.
fn refused<H: Handler>(shard: &Shard<H>, conn: ConnId) {
    if let Some(slot) = slot_mut(&mut shard.slots.borrow_mut(), conn) {
        slot.stream.shut(Shutdown::Write);
        slot.session.drain(shard.clock.now());
    }
}

fn going_away() -> Bytes {
    let headers = [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", "1")];
    response(503, &headers, b"the server is going away\n")
        .unwrap_or_else(|_| unreachable!("a status and headers that are well-formed"))
        .into()
}

fn plain(status: u16, sentence: &str) -> Bytes {
    let headers = [("Content-Type", "text/plain; charset=utf-8")];
    let body = format!("{sentence}\n");
    response(status, &headers, body.as_bytes())
        .unwrap_or_else(|_| unreachable!("a status from 400 to 599 and a header without CR or LF"))
        .into()
}
