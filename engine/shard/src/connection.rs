//! A turn of one connection: handshake, then read, until its session or its socket ends.
//!
//! No task and no buffer while it is idle: it reads into the shard's scratch buffer, and what it
//! handles there is handled in the turn that read it.

use std::io;
use std::net::Shutdown;
use std::task::Poll;

use corecast_hub::session::{ClosedBy, Inbound, Phase, Session};
use corecast_hub::{ConnId, Flush, Timestamp};
use corecast_wire::{Frame, Input};

use crate::closing::{Parting, fail, panicked, shut_if_flushed};
use crate::compression::InflateBound;
use crate::handler::{Handler, Message};
use crate::meter::{self, Metered};
use crate::shard::{Shard, Slot, slot_mut};
use crate::socket::Written;
use crate::stream::{Stream, Watched};
use crate::unhandled::Unhandled;
use crate::upgrade::{self, Shaken};
use crate::{flush, limits, pace, proxy, tls};

/// Does what there is to do for a connection. With its end its slot is free and its socket closed.
pub(crate) fn turn<H: Handler>(shard: &Shard<H>, conn: ConnId) {
    let (announced, shaking) = {
        let mut slots = shard.slots.borrow_mut();
        let Some(slot) = slot_mut(&mut slots, conn) else { return };
        slot.begin_turn();
        shard.look_again(conn);
        slot.stream.push();
        let announced = match proxy::go_on(shard, slot) {
            Poll::Ready(true) => {
                tls::queue::go_on(slot, shard.departure.is_refusing(), shard.clock)
            }
            other => other,
        };
        (announced, slot.session.phase() == Phase::Upgrading)
    };
    let outcome = match announced {
        Poll::Pending => Poll::Pending,
        Poll::Ready(false) => Poll::Ready(()),
        Poll::Ready(true) if shaking => shake(shard, conn),
        Poll::Ready(true) => go_on(shard, conn),
    };
    let over = match outcome {
        Poll::Ready(()) => true,
        Poll::Pending => !watch(shard, conn, Watched::Reads),
    };
    if over {
        shard.release(conn);
    }
}

/// Goes on with the opening handshake, and then with what came behind it.
fn shake<H: Handler>(shard: &Shard<H>, conn: ConnId) -> Poll<()> {
    let Poll::Ready(shaken) = upgrade::shake(shard, conn) else { return Poll::Pending };
    match shaken {
        Shaken::Open(rest) => {
            if let Some(slot) = slot_mut(&mut shard.slots.borrow_mut(), conn) {
                slot.unhandled = Unhandled::new(rest);
            }
        }
        Shaken::Refused => {}
        Shaken::Lost => return Poll::Ready(()),
    }
    go_on(shard, conn)
}

/// Has the kernel tell of what happens next; false when it cannot: then the connection is over.
pub(crate) fn watch<H: Handler>(shard: &Shard<H>, conn: ConnId, wanted: Watched) -> bool {
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return true };
    let wanted = if slot.stream.is_clear() { wanted } else { Watched::ReadsAndRoom };
    let Err(error) = shard.watch.connection(conn, &mut slot.stream, wanted) else { return true };
    tracing::warn!(shard = shard.id.0, %error, "cannot watch a connection");
    slot.session.lost(ClosedBy::Transport, &error.to_string());
    false
}

/// Writes if the socket had been full, then reads what there is. Ready when the connection is over.
fn go_on<H: Handler>(shard: &Shard<H>, conn: ConnId) -> Poll<()> {
    let bound = shard.compression.bound(limits::TURN_INFLATED_BYTES_MAX);
    for _ in 0..limits::READS_PER_TURN_MAX {
        let (blocked, phase, unhandled, ended) = {
            let mut slots = shard.slots.borrow_mut();
            let Some(slot) = slot_mut(&mut slots, conn) else { return Poll::Ready(()) };
            if slot.abort {
                return Poll::Ready(());
            }
            (slot.blocked, slot.session.phase(), slot.unhandled.is_some(), slot.ended)
        };
        if blocked && let Err(error) = write_head(shard, conn) {
            return lost(shard, conn, &error.to_string());
        }
        // Only messages can be published; who is closing may always say so.
        if phase == Phase::Open && !(pace::may_read(shard, conn) && meter::may_read(shard, conn)) {
            return Poll::Pending;
        }
        if shard.compression.is_past(bound) {
            shard.turns.put_off(conn);
            return Poll::Pending;
        }
        if unhandled {
            if handle_rest(shard, conn, bound) {
                shard.turns.put_off(conn);
                return Poll::Pending;
            }
            continue;
        }
        if ended {
            let flushing = is_flushing(shard, conn);
            let reason = "the peer ended the TCP connection";
            return if flushing { Poll::Pending } else { lost(shard, conn, reason) };
        }
        match read(shard, conn, phase, bound) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(false)) => {}
            Poll::Ready(Ok(true)) => {
                // There may be more, and others wait for their turn.
                shard.turns.put_off(conn);
                return Poll::Pending;
            }
            Poll::Ready(Err(error)) => return lost(shard, conn, &error.to_string()),
        }
    }
    // Where urgent data may cut a read short, none of them is known to be the last.
    shard.turns.put_off(conn);
    Poll::Pending
}

/// Handles what an earlier turn had no budget for. Says whether there is still some.
fn handle_rest<H: Handler>(shard: &Shard<H>, conn: ConnId, bound: InflateBound) -> bool {
    let rest = slot_mut(&mut shard.slots.borrow_mut(), conn).and_then(|slot| slot.unhandled.take());
    let Some(mut rest) = rest else { return false };
    let mut input = Input::new(rest.bytes());
    let mut budget = Budget { messages_left: shard.messages_per_turn, bound };
    let some = handle(shard, conn, &mut input, &mut budget) == Handled::Some;
    let left = input.remaining();
    if some {
        rest.leave(left);
        if let Some(slot) = slot_mut(&mut shard.slots.borrow_mut(), conn) {
            slot.unhandled = Some(rest);
        }
    }
    shard.settle();
    some
}

/// Reads a turn's worth, and handles it. Says whether there may be so much more that others come
/// first.
fn read<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    phase: Phase,
    bound: InflateBound,
) -> Poll<io::Result<bool>> {
    let mut scratch = shard.scratch.borrow_mut();
    if matches!(phase, Phase::Draining | Phase::Upgrading) {
        return discard(shard, conn, &mut scratch);
    }
    let mut input = Input::reading(&mut scratch);
    let outcome = read_turn(shard, conn, &mut input, bound);
    drop(scratch);
    if outcome.is_ready() {
        shard.settle();
    }
    outcome
}

/// Reads until the socket is empty or the turn is over. A frame in progress stays in the buffer
/// from one read to the next, but not from one turn to the next: the buffer is everybody's.
fn read_turn<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    input: &mut Input<'_>,
    bound: InflateBound,
) -> Poll<io::Result<bool>> {
    let mut turn_bytes = 0;
    let mut budget = Budget { messages_left: shard.messages_per_turn, bound };
    loop {
        let spent = turn_bytes >= limits::TURN_BYTES_MAX;
        let (mut room_bytes, mut has_more) = (0, false);
        let outcome = read_once(shard, conn, &mut has_more, |session| {
            let room = match spent {
                true => input.room_for_frame(),
                false => input.room(session.expected_bytes()),
            };
            room_bytes = room.len();
            room
        });
        let read = match outcome {
            Poll::Pending if turn_bytes == 0 => return Poll::Pending,
            Poll::Pending => 0,
            Poll::Ready(Ok(read)) => read,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
        };
        turn_bytes += read;
        input.fill(read);
        let last = read < room_bytes || room_bytes == 0;
        if last {
            input.complete();
            if input.is_empty() {
                return Poll::Ready(Ok(room_bytes == 0 || has_more));
            }
        }
        let handled = handle(shard, conn, input, &mut budget);
        if handled == Handled::Some {
            let unhandled = Unhandled::new(input.rest().to_vec());
            if let Some(slot) = slot_mut(&mut shard.slots.borrow_mut(), conn) {
                slot.unhandled = unhandled;
            }
        }
        if last || handled != Handled::All || budget.messages_left == 0 {
            // There may be more, and others wait for their turn.
            let more = read == room_bytes || handled == Handled::Some || has_more;
            return Poll::Ready(Ok(more));
        }
    }
}

/// Reads once, if there is room. Zero bytes are then the peer's end, which is noted.
fn read_once<'b, H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    has_more: &mut bool,
    room: impl FnOnce(&Session) -> &'b mut [u8],
) -> Poll<io::Result<usize>> {
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return Poll::Pending };
    let room = room(&slot.session);
    if room.is_empty() {
        return Poll::Ready(Ok(0));
    }
    let outcome = slot.stream.read(room);
    *has_more = slot.stream.has_more();
    if let Poll::Ready(Ok(read)) = outcome {
        slot.ended |= read == 0;
        shard.stats.bytes_in.add(read as u64);
        meter::bytes(shard, conn, read);
    }
    outcome
}

/// Behind the last byte of ours, the peer's are only counted.
fn discard<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    scratch: &mut [u8],
) -> Poll<io::Result<bool>> {
    let mut has_more = false;
    let read = match read_once(shard, conn, &mut has_more, |_| &mut *scratch) {
        Poll::Pending => return Poll::Pending,
        Poll::Ready(Ok(read)) => read,
        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
    };
    if let Some(slot) = slot_mut(&mut shard.slots.borrow_mut(), conn) {
        slot.discarded_bytes += read;
        if slot.discarded_bytes > limits::DRAIN_BYTES_MAX {
            let error = io::Error::other("the peer went on sending after the end");
            return Poll::Ready(Err(error));
        }
    }
    shard.settle();
    Poll::Ready(Ok(read == scratch.len() || has_more))
}

/// What is handled of a connection before others get their turn.
struct Budget {
    messages_left: usize,
    bound: InflateBound,
}

impl Budget {
    fn is_spent<H: Handler>(&self, shard: &Shard<H>) -> bool {
        self.messages_left == 0 || shard.compression.is_past(self.bound)
    }

    /// The turn is over, whatever is left.
    fn end(&mut self, input: &Input<'_>) -> Handled {
        self.messages_left = 0;
        if input.is_empty() { Handled::All } else { Handled::Some }
    }
}

/// What became of input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handled {
    /// All of it is handled, or waits in the buffer for the rest of its frame.
    All,
    /// The turn's budget of messages is spent, and something is left.
    Some,
    /// The session takes no more: what is left is of no interest.
    Ended,
}

/// Handles what was read: messages to the handler, pings answered, Close answered.
fn handle<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    input: &mut Input<'_>,
    budget: &mut Budget,
) -> Handled {
    let now = shard.clock.now();
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return Handled::Ended };
    let Slot { session, data, peer, stream, .. } = slot;
    session.heard(now);
    meter::check_bytes(shard, conn, session, now);
    let mut inflating = shard.compression.watch();
    let mut handled = Handled::Ended;
    loop {
        let message = match session.receive(input, &shard.sessions, now) {
            Ok(None) => {
                if matches!(session.phase(), Phase::Open | Phase::Closing) {
                    handled = Handled::All;
                }
                break;
            }
            // Behind our own Close, messages are inflated all the same.
            Ok(Some(Inbound::Ignored)) if budget.is_spent(shard) => {
                handled = budget.end(input);
                break;
            }
            Ok(Some(Inbound::Ignored)) => continue,
            Ok(Some(Inbound::Text(text))) => Message::Text(text),
            Ok(Some(Inbound::Binary(bytes))) => Message::Binary(bytes),
            Ok(Some(Inbound::Ping(payload))) => {
                answer_ping(shard, conn, stream, payload);
                continue;
            }
            Ok(Some(Inbound::Close { reply })) => {
                answer_close(shard, conn, reply);
                break;
            }
            Err(violation) => {
                let code = violation.close_code();
                fail(shard, conn, session, ClosedBy::Violation, code, &violation.to_string());
                break;
            }
        };
        shard.stats.messages_in.add(1);
        let Some(data) = data.as_mut() else { break };
        inflating.charge(shard, conn);
        let metered = meter::message(shard, conn, now);
        if let Metered::Over(reason) = metered {
            meter::over(shard, conn, session, &reason);
            break;
        }
        let called = shard.call(conn, *peer, |handler, context| {
            handler.on_message(data, message, context);
        });
        if called.is_err() {
            panicked(shard, conn, session);
            break;
        }
        close_if_asked(shard, conn, session, now);
        budget.messages_left -= 1;
        if budget.is_spent(shard) || metered == Metered::Last {
            handled = budget.end(input);
            break;
        }
    }
    inflating.charge(shard, conn);
    shut_if_flushed(shard, slot, now);
    handled
}

/// Queues the answer to the peer's Close, unless ours went out first.
fn answer_close<H: Handler>(shard: &Shard<H>, conn: ConnId, reply: Option<Frame>) {
    if let Some(reply) = reply {
        shard.hub.borrow_mut().close(conn, reply, Flush::Queued);
    }
}

/// The handler may have closed its connection in this call.
fn close_if_asked<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    session: &mut Session,
    now: Timestamp,
) {
    if let Some(Parting { code, reason, flush, .. }) = shard.closes.take(conn)
        && let Some(close) = session.close(ClosedBy::Handler, code, &reason, now)
    {
        shard.hub.borrow_mut().close(conn, close, flush);
    }
}

/// Queues a pong. A socket that takes bytes gets a pong for each ping; one that does not, for the
/// latest only.
fn answer_ping<H: Handler>(shard: &Shard<H>, conn: ConnId, stream: &mut Stream, payload: &[u8]) {
    let replaces = shard.hub.borrow().outbox(conn).is_some_and(|outbox| {
        outbox.is_pong_pending() && !outbox.is_blocked() && !outbox.close_queued()
    });
    if replaces {
        flush::write_now(shard, conn, stream);
    }
    shard.hub.borrow_mut().pong(conn, Frame::pong(payload));
}

/// The socket had been full: writes the head of the queue when there is room, and hands the rest to
/// the flusher.
fn write_head<H: Handler>(shard: &Shard<H>, conn: ConnId) -> io::Result<()> {
    let mut hub = shard.hub.borrow_mut();
    let mut outcome = Written::Bytes(0);
    if let Some(head) = hub.outbox(conn).and_then(|outbox| outbox.slices().next())
        && let Some(slot) = slot_mut(&mut shard.slots.borrow_mut(), conn)
    {
        outcome = slot.stream.write(head);
        if slot.stream.take_moved() {
            hub.progressed(conn, shard.clock.now());
        }
    }
    let written = match outcome {
        // The watch tells of room in the socket. Room for packets comes back without a word from
        // this socket: the sweep looks again.
        Written::WouldBlock if watch(shard, conn, Watched::ReadsAndRoom) => return Ok(()),
        Written::WouldBlock => return Err(io::ErrorKind::OutOfMemory.into()),
        Written::Failed(error) => return Err(io::Error::from_raw_os_error(error)),
        Written::Bytes(written) => written,
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
            slot.stream.shut(Shutdown::Write);
        }
    }
    drop(slots);
    shard.settle();
    Ok(())
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
