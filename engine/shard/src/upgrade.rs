//! The opening handshake: an upgrade to the handler, a plain GET to the pages, anything else to its
//! status.

use std::future::poll_fn;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use corecast_hub::session::ClosedBy;
use corecast_hub::{ConnId, Flush};
use corecast_wire::handshake::{accept_response, response};
use corecast_wire::{CloseCode, HandshakeError, HeadScanner, Request, Upgrade};
use futures_lite::{AsyncRead, AsyncWriteExt};
use glommio::net::TcpStream;

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

/// Performs the handshake. Returns the bytes behind the request's head when the connection is a
/// WebSocket now; they are frames already.
pub(crate) async fn perform<H: Handler>(
    shard: &Shard<H>,
    stream: &mut TcpStream,
    conn: ConnId,
    peer: SocketAddr,
) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let answer = match read_head(shard, stream, conn, &mut head).await? {
        Ok(length) => {
            let rest = head.split_off(length);
            let answer = answer(shard, conn, peer, &head);
            head = rest;
            answer
        }
        Err(error) => Answer::Refuse(error.to_response().into()),
    };
    match answer {
        Answer::Switch(response, data) => {
            stream.write_all(&response).await.ok()?;
            open(shard, conn, peer, data);
            Some(head)
        }
        Answer::Refuse(response) => {
            shard.stats.refused.add(1);
            stream.write_all(&response).await.ok()?;
            // Closing with bytes unread would reset the connection, and the answer with it: the
            // task drains them.
            socket::shut(stream.as_raw_fd(), Shutdown::Write);
            refused(shard, conn);
            None
        }
    }
}

/// Reads up to the end of the head. `None` when the connection is over.
async fn read_head<H: Handler>(
    shard: &Shard<H>,
    stream: &mut TcpStream,
    conn: ConnId,
    head: &mut Vec<u8>,
) -> Option<Result<usize, HandshakeError>> {
    let mut scanner = HeadScanner::new();
    loop {
        let seen = head.len();
        let more = poll_fn(|cx| {
            {
                let mut slots = shard.slots.borrow_mut();
                let Some(slot) = slot_mut(&mut slots, conn) else { return Poll::Ready(false) };
                slot.task = Some(cx.waker().clone());
                if slot.abort {
                    return Poll::Ready(false);
                }
            }
            let mut scratch = shard.scratch.borrow_mut();
            match Pin::new(&mut *stream).poll_read(cx, &mut scratch) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(false),
                Poll::Ready(Ok(read)) => {
                    shard.stats.bytes_in.add(read as u64);
                    head.extend_from_slice(&scratch[..read]);
                    Poll::Ready(true)
                }
            }
        })
        .await;
        if !more {
            return None;
        }
        match scanner.feed(&head[seen..]) {
            Ok(Some(length)) => return Some(Ok(seen + length)),
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
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
        return Ok(Answer::Refuse(shard.pages.answer(request.path())));
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
    let data = slot.data.insert(data);
    let opened = shard.call(conn, peer, |handler, context| handler.on_open(data, context));
    if opened.is_err() {
        let (code, reason) = (CloseCode::INTERNAL_ERROR, "internal error");
        if let Some(close) = slot.session.fail(ClosedBy::Panic, code, reason, now) {
            shard.hub.borrow_mut().close(conn, close, Flush::Now);
        }
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
