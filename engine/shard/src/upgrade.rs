//! The opening handshake: an upgrade to the handler, a plain GET to the pages, anything else to its
//! status.

use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::Bytes;
use corecast_hub::ConnId;
use corecast_hub::session::ClosedBy;
use corecast_wire::handshake::{InvalidResponse, accept_response, response};
use corecast_wire::limits::READ_BYTES;
use corecast_wire::{HandshakeError, HeadScanner, Request, Upgrade};

use crate::arrival::{Arrival, Kept};
use crate::closing::panicked;
use crate::handler::{Accept, Handler, Refusal};
use crate::shard::{Panicked, Shard, slot_mut};
use crate::socket::Written;
use crate::stream::Watched;
use crate::{connection, departure, proxy, wake};

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
    /// The request is whole, and its answer not known yet.
    later: Option<Box<Later>>,
    /// The connection was woken, and nobody told of it yet.
    woken: bool,
}

/// A request whose answer is not known yet.
#[derive(Default)]
struct Later {
    /// How much of what was read it takes.
    head_bytes: usize,
    /// What the handler keeps until it is asked again.
    kept: Kept,
}

impl<D> Default for Handshake<D> {
    fn default() -> Self {
        let (head, scanner) = (Vec::new(), HeadScanner::new());
        Self { head, scanner, answer: None, sent_bytes: 0, later: None, woken: false }
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

    /// The connection is woken: the handler is asked again, or told as soon as it is open.
    pub(crate) fn wake(&mut self) {
        self.woken = true;
    }

    /// Drops it, and with it what the handler gave for a connection that never opened: the
    /// embedder's code, which may panic.
    pub(crate) fn discard<H: Handler<Data = D>>(self, shard: &Shard<H>, peer: SocketAddr) {
        if let Some(later) = self.later {
            discard(shard, peer, later);
        }
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
            let heard = match self.later.take() {
                Some(later) => self.ask_again(later, shard, conn, peer),
                None => self.read(shard, conn, peer),
            };
            match heard {
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
                if self.woken {
                    wake::tell_one(shard, conn);
                }
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
                let kept = Kept::default();
                self.answer = answer(shard, conn, head, &kept);
                if self.answer.is_some() {
                    discard(shard, peer, kept);
                    self.head = rest.to_vec();
                } else {
                    self.later = Some(Box::new(Later { head_bytes: head.len(), kept }));
                    self.head = [head, rest].concat();
                }
            }
            Err(error) => self.answer = Some(Answer::Refuse(error.to_response().into())),
        }
        Poll::Ready(true)
    }

    /// Asks the handler again if the connection was woken. Nothing is read meanwhile, so what a
    /// client can make us keep is one read. False when the connection is over.
    fn ask_again<H: Handler<Data = D>>(
        &mut self,
        later: Box<Later>,
        shard: &Shard<H>,
        conn: ConnId,
        peer: SocketAddr,
    ) -> Poll<bool> {
        let has_gone = slot_mut(&mut shard.slots.borrow_mut(), conn)
            .is_none_or(|slot| slot.stream.has_hung_up());
        if !has_gone && std::mem::take(&mut self.woken) {
            self.answer = answer(shard, conn, &self.head[..later.head_bytes], &later.kept);
        }
        if self.answer.is_some() {
            self.head.drain(..later.head_bytes);
            discard(shard, peer, later);
            return Poll::Ready(true);
        }
        self.later = Some(later);
        if has_gone { Poll::Ready(false) } else { Poll::Pending }
    }

    /// The connection is to end. A client that began a request and was too slow is told so, as far
    /// as its socket takes it; one that has said nothing has asked for nothing.
    fn give_up<H: Handler<Data = D>>(&self, shard: &Shard<H>, conn: ConnId) {
        let mut slots = shard.slots.borrow_mut();
        let Some(slot) = slot_mut(&mut slots, conn) else { return };
        let timed_out = slot.session.closed().is_some_and(|closed| closed.by == ClosedBy::Timeout);
        if timed_out && self.answer.is_none() && !self.head.is_empty() {
            shard.stats.refused.add(1);
            let answer = match self.later {
                None => plain(408, "the opening handshake took too long"),
                Some(_) => plain(503, "to answer the opening handshake took too long: try again"),
            };
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
    head: &[u8],
    kept: &Kept,
) -> Option<Answer<H::Data>> {
    match try_answer(shard, conn, head, kept) {
        Ok(answer) => answer,
        Err(error) => Some(Answer::Refuse(error.to_response().into())),
    }
}

fn try_answer<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    head: &[u8],
    kept: &Kept,
) -> Result<Option<Answer<H::Data>>, HandshakeError> {
    let request = Request::parse(head)?;
    let (peer, proxy) = match proxy::client_of(shard, conn, &request) {
        Ok(found) => found,
        Err(answer) => return Ok(Some(Answer::Refuse(answer))),
    };
    if !request.is_upgrade() {
        // Which paths are WebSocket paths is said by a closure of the embedder's.
        if request.path() == "/healthz" && shard.mesh.draining.load(Ordering::Relaxed) {
            return Ok(Some(Answer::Refuse(plain(503, "draining"))));
        }
        let page = shard.guard(peer, || shard.pages.answer(request.method, request.path()));
        let page = page.unwrap_or_else(|Panicked| plain(500, "internal error"));
        return Ok(Some(Answer::Refuse(page)));
    }
    if shard.departure.is_refusing() {
        return Ok(Some(Answer::Refuse(going_away())));
    }
    let upgrade = Upgrade::parse(request)?;
    let (is_secure, certificate) = came_in_by(shard, conn);
    let arrival = Arrival {
        peer,
        proxy,
        is_secure,
        client_certificate: certificate.as_deref(),
        shard: shard.id,
        conn,
        wakes: &shard.wakes,
        mesh: &shard.mesh,
        kept,
        edge: &shard.edge,
        now_ns: shard.clock.now().0,
    };
    Ok(match shard.call(conn, peer, |handler, _| handler.on_upgrade(&upgrade, &arrival)) {
        Ok(Ok(accept)) => Some(switch(shard, (conn, peer), &upgrade, accept)),
        Ok(Err(reject)) => reject.into_refusal().map(refuse),
        Err(Panicked) => Some(Answer::Refuse(plain(500, "internal error"))),
    })
}

/// Whether the client came by TLS, to us or to a proxy that is believed, and its certificate in
/// DER, if it has shown one.
fn came_in_by<H: Handler>(shard: &Shard<H>, conn: ConnId) -> (bool, Option<Vec<u8>>) {
    let slots = shard.slots.borrow();
    let slot = slots.get(conn.index as usize).and_then(Option::as_ref);
    slot.map_or((false, None), |slot| {
        let said = slot.entrance.as_ref().and_then(|entrance| entrance.is_secure);
        (
            said.unwrap_or(slot.stream.is_secure()),
            slot.stream.client_certificate().map(<[u8]>::to_vec),
        )
    })
}

/// The answer of a handler that rejects.
fn refuse<D>(refusal: Refusal) -> Answer<D> {
    let Refusal { status, reason, headers } = refusal;
    Answer::Refuse(with_headers(status, &reason, &headers).unwrap_or_else(|error| {
        tracing::error!(%error, "the handler rejected with what a response cannot carry");
        plain(500, "internal error")
    }))
}

fn switch<H: Handler>(
    shard: &Shard<H>,
    (conn, peer): (ConnId, SocketAddr),
    upgrade: &Upgrade<'_>,
    accept: Accept<H::Data>,
) -> Answer<H::Data> {
    let headers: Vec<(&str, &str)> =
        accept.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (mut slots, mut hub) = (shard.slots.borrow_mut(), shard.hub.borrow_mut());
    let agreed = shard.compression.agree(upgrade, &mut slots, &mut hub, conn);
    drop((slots, hub));
    match accept_response(upgrade, accept.subprotocol.as_deref(), agreed.as_ref(), &headers) {
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
    // The request may have named another than the one that has connected.
    let (now, peer) = (shard.clock.now(), slot.peer);
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
fn discard<H: Handler>(shard: &Shard<H>, peer: SocketAddr, what: impl Sized) {
    let _ = shard.guard(peer, || drop(what));
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
    with_headers(status, sentence, &[])
        .unwrap_or_else(|_| unreachable!("a status from 400 to 599 and a header without CR or LF"))
}

fn with_headers(
    status: u16,
    sentence: &str,
    more: &[(String, String)],
) -> Result<Bytes, InvalidResponse> {
    let mut headers = vec![("Content-Type", "text/plain; charset=utf-8")];
    headers.extend(more.iter().map(|(name, value)| (&**name, &**value)));
    Ok(response(status, &headers, format!("{sentence}\n").as_bytes())?.into())
}
