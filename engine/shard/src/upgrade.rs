//! The opening handshake: an upgrade to the handler, a plain GET to the pages, anything else to its
//! status.

use std::io::IoSlice;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use corecast_hub::ConnId;
use corecast_hub::session::ClosedBy;
use corecast_wire::handshake::{accept_response, response};
use corecast_wire::{HandshakeError, HeadScanner, Request, Upgrade};
use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;

use crate::closing::panicked;
use crate::handler::{Accept, Handler};
use crate::shard::{Panicked, Shard, slot_mut};
use crate::socket;

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

impl<D: 'static> Handshake<D> {
    /// Reads the request, answers it, and tells the handler when it is accepted.
    pub(crate) fn poll<H: Handler<Data = D>>(
        &mut self,
        shard: &Shard<H>,
        stream: &mut TcpStream,
        conn: ConnId,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Shaken> {
        let Some(peer) = begin_turn(shard, conn, cx) else {
            self.give_up(shard, stream, conn);
            return Poll::Ready(Shaken::Lost);
        };
        while self.answer.is_none() {
            match self.read(shard, stream, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Shaken::Lost),
                Poll::Ready(Some(Ok(None))) => {}
                Poll::Ready(Some(Ok(Some(length)))) => {
                    let rest = self.head.split_off(length);
                    self.answer = Some(answer(shard, conn, peer, &self.head));
                    self.head = rest;
                }
                Poll::Ready(Some(Err(error))) => {
                    self.answer = Some(Answer::Refuse(error.to_response().into()));
                }
            }
        }
        match self.write(stream, cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(_)) => return Poll::Ready(Shaken::Lost),
            Poll::Ready(Ok(())) => {}
        }
        Poll::Ready(match self.answer.take() {
            Some(Answer::Switch(_, data)) => {
                open(shard, conn, peer, data);
                Shaken::Open(std::mem::take(&mut self.head))
            }
            _ => {
                shard.stats.refused.add(1);
                // Closing with bytes unread would reset the connection, and the answer with it:
                // the task drains them.
                socket::shut(stream.as_raw_fd(), Shutdown::Write);
                refused(shard, conn);
                Shaken::Refused
            }
        })
    }

    /// Reads once. `None` is the end of the connection, `Some(length)` the length of a whole head.
    fn read<H: Handler>(
        &mut self,
        shard: &Shard<H>,
        stream: &mut TcpStream,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Option<usize>, HandshakeError>>> {
        let mut scratch = shard.scratch.borrow_mut();
        let read = match Pin::new(stream).poll_read(cx, &mut scratch) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(None),
            Poll::Ready(Ok(read)) => read,
        };
        shard.stats.bytes_in.add(read as u64);
        let seen = self.head.len();
        self.head.extend_from_slice(&scratch[..read]);
        let end = self.scanner.feed(&scratch[..read]);
        Poll::Ready(Some(end.map(|end| end.map(|length| seen + length))))
    }

    /// The connection is to end. A client that began a request and was too slow is told so, as far
    /// as its socket takes it; one that has said nothing has asked for nothing.
    fn give_up<H: Handler<Data = D>>(&self, shard: &Shard<H>, stream: &TcpStream, conn: ConnId) {
        let timed_out = slot_mut(&mut shard.slots.borrow_mut(), conn)
            .and_then(|slot| Some(slot.session.closed()?.by == ClosedBy::Timeout))
            .unwrap_or(false);
        if timed_out && self.answer.is_none() && !self.head.is_empty() {
            shard.stats.refused.add(1);
            let answer = plain(408, "the opening handshake took too long");
            let _ = socket::write(stream.as_raw_fd(), &[IoSlice::new(&answer)]);
        }
    }

    fn write(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut TaskContext<'_>,
    ) -> Poll<std::io::Result<()>> {
        let bytes: &[u8] = match &self.answer {
            Some(Answer::Switch(response, _)) => response,
            Some(Answer::Refuse(response)) => response,
            None => &[],
        };
        while self.sent_bytes < bytes.len() {
            match Pin::new(&mut *stream).poll_write(cx, &bytes[self.sent_bytes..]) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(sent)) => self.sent_bytes += sent,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Leaves the waker with the slot; `None` when the connection is to end.
fn begin_turn<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    cx: &TaskContext<'_>,
) -> Option<SocketAddr> {
    let mut slots = shard.slots.borrow_mut();
    let slot = slot_mut(&mut slots, conn).filter(|slot| !slot.abort)?;
    slot.keep_waker(cx.waker());
    Some(slot.peer)
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
        let page = shard.guard(peer, || shard.pages.answer(request.method, request.path()));
        return Ok(Answer::Refuse(page.unwrap_or_else(|Panicked| plain(500, "internal error"))));
    }
    let upgrade = Upgrade::parse(request)?;
    Ok(match shard.call(conn, peer, |handler, _| handler.on_upgrade(&upgrade)) {
        Ok(Ok(accept)) => switch(&upgrade, accept),
        Ok(Err(reject)) => Answer::Refuse(plain(reject.status, &reject.reason)),
        Err(Panicked) => Answer::Refuse(plain(500, "internal error")),
    })
}

fn switch<D>(upgrade: &Upgrade<'_>, accept: Accept<D>) -> Answer<D> {
    let headers: Vec<(&str, &str)> =
        accept.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    match accept_response(upgrade, accept.subprotocol.as_deref(), &headers) {
        Ok(response) => Answer::Switch(response, accept.data),
        Err(error) => {
            tracing::error!(%error, "the handler accepted with what a response cannot carry");
            Answer::Refuse(plain(500, "internal error"))
        }
    }
}

/// The socket is a WebSocket now.
fn open<H: Handler>(shard: &Shard<H>, conn: ConnId, peer: SocketAddr, data: H::Data) {
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return };
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
    shard.settle();
}

/// The answer is out and our side shut: the peer's end is awaited, for a second.
fn refused<H: Handler>(shard: &Shard<H>, conn: ConnId) {
    if let Some(slot) = slot_mut(&mut shard.slots.borrow_mut(), conn) {
        slot.session.drain(shard.clock.now());
    }
}

fn plain(status: u16, sentence: &str) -> Bytes {
    let headers = [("Content-Type", "text/plain; charset=utf-8")];
    let body = format!("{sentence}\n");
    response(status, &headers, body.as_bytes())
        .unwrap_or_else(|_| unreachable!("a status from 400 to 599 and a header without CR or LF"))
        .into()
}
