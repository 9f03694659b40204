//! The task of one connection: handshake, then read, until its session or its socket ends.
//!
//! One flat future for each connection, and no buffer while it is idle: it reads into the shard's
//! scratch buffer, and what it handles there is handled in the turn that read it.

use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use corecast_hub::session::{ClosedBy, Inbound, Phase};
use corecast_hub::{ConnId, Flush};
use corecast_wire::{Frame, Input};
use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;

use crate::closing::{fail, own_close, panicked, shut_if_flushed};
use crate::handler::{Handler, Message};
use crate::shard::{Shard, Slot, slot_mut};
use crate::upgrade::{Handshake, Shaken};
use crate::{flush, limits, pace, socket};

/// One accepted socket, from its handshake to its end. A hand-written future: an `async` one keeps
/// its arguments twice and its handshake for ever, which is half of what an idle connection costs.
pub(crate) struct Connection<H: Handler> {
    shard: Rc<Shard<H>>,
    stream: TcpStream,
    conn: ConnId,
    intake: Intake,
    handshake: Option<Box<Handshake<H::Data>>>,
}

/// What a task knows of the bytes that come in.
#[derive(Default)]
struct Intake {
    /// Bytes that came behind the end, and were thrown away.
    discarded_bytes: usize,
    /// The peer's side of the TCP connection is shut.
    ended: bool,
    /// What was read and not handled within the turn's budget. Owns nothing while it is empty.
    unhandled: Vec<u8>,
}

impl Intake {
    /// Keeps the last `left` bytes of what is not handled.
    fn keep(&mut self, left: usize) {
        self.unhandled.drain(..self.unhandled.len() - left);
        if left == 0 {
            self.unhandled = Vec::new();
        }
    }
}

impl<H: Handler> Connection<H> {
    /// Takes a socket in. Its deadlines run from now.
    pub(crate) fn new(shard: Rc<Shard<H>>, stream: TcpStream, peer: SocketAddr) -> Self {
        let conn = shard.admit(stream.as_raw_fd(), peer);
        Self { shard, stream, conn, intake: Intake::default(), handshake: Some(Box::default()) }
    }

    fn run(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if let Some(handshake) = &mut self.handshake {
            let shaken = handshake.poll(&self.shard, &mut self.stream, self.conn, cx);
            let Poll::Ready(shaken) = shaken else { return Poll::Pending };
            self.handshake = None;
            match shaken {
                Shaken::Open(rest) => self.intake.unhandled = rest,
                Shaken::Refused => {}
                Shaken::Lost => return Poll::Ready(()),
            }
        }
        turn(&self.shard, &mut self.stream, self.conn, &mut self.intake, cx)
    }
}

impl<H: Handler> Drop for Connection<H> {
    /// A task that ends otherwise than by its end, by a panic of the loop, leaves no slot behind
    /// that has its descriptor: the number may belong to another connection soon.
    fn drop(&mut self) {
        if let Ok(mut slots) = self.shard.slots.try_borrow_mut()
            && slot_mut(&mut slots, self.conn).is_some()
            && let Some(place) = slots.get_mut(self.conn.index as usize)
        {
            // What the embedder keeps there may panic when dropped, and this is no place for that.
            std::mem::forget(place.take());
            socket::shut(self.stream.as_raw_fd(), Shutdown::Both);
        }
    }
}

impl<H: Handler> Future for Connection<H> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let connection = self.get_mut();
        if connection.run(cx).is_pending() {
            return Poll::Pending;
        }
        connection.shard.release(connection.conn);
        // glommio closes the descriptor before it cancels its poll, which would keep the socket
        // alive: end it first.
        socket::shut(connection.stream.as_raw_fd(), Shutdown::Both);
        Poll::Ready(())
    }
}

/// One turn: write if the socket had been full, then read what there is. Ready when the connection
/// is over.
fn turn<H: Handler>(
    shard: &Shard<H>,
    stream: &mut TcpStream,
    conn: ConnId,
    intake: &mut Intake,
    cx: &mut TaskContext<'_>,
) -> Poll<()> {
    loop {
        let (blocked, phase) = {
            let mut slots = shard.slots.borrow_mut();
            let Some(slot) = slot_mut(&mut slots, conn) else { return Poll::Ready(()) };
            if slot.abort {
                return Poll::Ready(());
            }
            slot.keep_waker(cx.waker());
            (slot.blocked, slot.session.phase())
        };
        if blocked && let Poll::Ready(Err(error)) = write_head(shard, stream, conn, cx) {
            return lost(shard, conn, &error.to_string());
        }
        // Only messages can be published; who is closing may always say so.
        if phase == Phase::Open && !pace::may_read(shard, conn) {
            return Poll::Pending;
        }
        if !intake.unhandled.is_empty() {
            let left = handle(shard, conn, &mut intake.unhandled);
            intake.keep(left);
            shard.settle();
            if left > 0 {
                pace::next_round(shard, cx.waker());
                return Poll::Pending;
            }
            continue;
        }
        if intake.ended {
            let flushing = is_flushing(shard, conn);
            let reason = "the peer ended the TCP connection";
            return if flushing { Poll::Pending } else { lost(shard, conn, reason) };
        }
        let mut scratch = shard.scratch.borrow_mut();
        let read = match Pin::new(&mut *stream).poll_read(cx, &mut scratch) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => {
                intake.ended = true;
                continue;
            }
            Poll::Ready(Ok(read)) => read,
            Poll::Ready(Err(error)) => return lost(shard, conn, &error.to_string()),
        };
        shard.stats.bytes_in.add(read as u64);
        if phase == Phase::Draining || phase == Phase::Upgrading {
            // Behind the last byte of ours, the peer's are only counted.
            intake.discarded_bytes += read;
            if intake.discarded_bytes > limits::DRAIN_BYTES_MAX {
                return lost(shard, conn, "the peer went on sending after the end");
            }
        } else {
            let left = handle(shard, conn, &mut scratch[..read]);
            intake.unhandled.extend_from_slice(&scratch[read - left..read]);
        }
        let full = read == scratch.len() || !intake.unhandled.is_empty();
        drop(scratch);
        shard.settle();
        if full {
            // There may be more, and others wait for their turn.
            pace::next_round(shard, cx.waker());
            return Poll::Pending;
        }
    }
}

/// Handles what was read: messages to the handler, pings answered, Close answered. Returns how many
/// bytes are left when the turn's budget of messages is spent.
fn handle<H: Handler>(shard: &Shard<H>, conn: ConnId, bytes: &mut [u8]) -> usize {
    let now = shard.clock.now();
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return 0 };
    slot.session.heard(now);
    let (mut messages, mut left) = (0, 0);
    let mut input = Input::new(bytes);
    let Slot { session, data, peer, fd, .. } = slot;
    loop {
        let message = match session.receive(&mut input, &shard.sessions, now) {
            Ok(None) => break,
            Ok(Some(Inbound::Ignored)) => continue,
            Ok(Some(Inbound::Text(text))) => Message::Text(text),
            Ok(Some(Inbound::Binary(bytes))) => Message::Binary(bytes),
            Ok(Some(Inbound::Ping(payload))) => {
                answer_ping(shard, conn, *fd, payload);
                continue;
            }
            Ok(Some(Inbound::Close { reply })) => {
                if let Some(reply) = reply {
                    shard.hub.borrow_mut().close(conn, reply, Flush::Queued);
                }
                break;
            }
            Err(violation) => {
                let (code, reason) = (violation.close_code(), violation.to_string());
                fail(shard, conn, session, ClosedBy::Violation, code, &reason);
                break;
            }
        };
        shard.stats.messages_in.add(1);
        let Some(data) = data.as_mut() else { break };
        let called = shard.call(conn, *peer, |handler, context| {
            handler.on_message(data, message, context);
        });
        if called.is_err() {
            panicked(shard, conn, session);
            break;
        }
        if let Some((code, reason)) = own_close(shard, conn)
            && let Some(close) = session.close(ClosedBy::Handler, code, &reason, now)
        {
            shard.hub.borrow_mut().close(conn, close, Flush::Queued);
        }
        messages += 1;
        if messages == shard.messages_per_turn {
            left = input.remaining();
            break;
        }
    }
    shut_if_flushed(shard, slot, now);
    left
}

/// Queues a pong. A socket that takes bytes gets a pong for each ping; one that does not, for the
/// latest only.
fn answer_ping<H: Handler>(shard: &Shard<H>, conn: ConnId, fd: RawFd, payload: &[u8]) {
    let replaces = shard.hub.borrow().outbox(conn).is_some_and(|outbox| {
        outbox.is_pong_pending() && !outbox.is_blocked() && !outbox.close_queued()
    });
    if replaces {
        flush::write_now(shard, conn, fd);
    }
    shard.hub.borrow_mut().pong(conn, Frame::pong(payload));
}

/// The socket had been full: writes the head of the queue when there is room, and hands the rest to
/// the flusher.
fn write_head<H: Handler>(
    shard: &Shard<H>,
    stream: &mut TcpStream,
    conn: ConnId,
    cx: &mut TaskContext<'_>,
) -> Poll<io::Result<()>> {
    let mut hub = shard.hub.borrow_mut();
    let mut outcome = Poll::Ready(Ok(0));
    if let Some(head) = hub.outbox(conn).and_then(|outbox| outbox.slices().next()) {
        outcome = Pin::new(&mut *stream).poll_write(cx, head);
    }
    let written = match outcome {
        Poll::Pending => return Poll::Pending,
        Poll::Ready(Err(error)) if socket::is_exhaustion(&error) => {
            // Room for packets comes back without a word from this socket: the sweep looks again.
            return Poll::Pending;
        }
        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
        Poll::Ready(Ok(written)) => written,
    };
    let now = shard.clock.now();
    let sent = hub.sent(conn, written, now);
    hub.set_blocked(conn, false);
    drop(hub);
    shard.stats.writes.add(1);
    shard.stats.deliveries.add(u64::from(sent.frames));
    shard.stats.bytes_out.add(written as u64);
    if let Some(published_at) = sent.published_at {
        shard.stats.latency.record(now.0.saturating_sub(published_at.0));
    }
    let mut slots = shard.slots.borrow_mut();
    if let Some(slot) = slot_mut(&mut slots, conn) {
        slot.blocked = false;
        if sent.finished_close && slot.session.close_sent(now) {
            socket::shut(slot.fd, Shutdown::Write);
        }
    }
    drop(slots);
    shard.settle();
    Poll::Ready(Ok(()))
}

/// Whether our Close is still on its way. A peer that shut its side may well read on: what was
/// queued for it and the Close still leave, within the time of a closing handshake.
fn is_flushing<H: Handler>(shard: &Shard<H>, conn: ConnId) -> bool {
    let phase = slot_mut(&mut shard.slots.borrow_mut(), conn).map(|slot| slot.session.phase());
    matches!(phase, Some(Phase::Closing | Phase::Replying))
        && shard.hub.borrow().outbox(conn).is_some_and(|outbox| !outbox.is_empty())
}

/// The transport ended; what ended the session before stays the cause.
fn lost<H: Handler>(shard: &Shard<H>, conn: ConnId, reason: &str) -> Poll<()> {
    if let Some(slot) = slot_mut(&mut shard.slots.borrow_mut(), conn) {
        slot.session.lost(ClosedBy::Transport, reason);
    }
    Poll::Ready(())
}
