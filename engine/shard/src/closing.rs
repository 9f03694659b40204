//! How a connection comes to its end from our side: by a fault, by the handler, by both Closes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Shutdown;

use corecast_hub::session::{ClosedBy, Phase, Session};
use corecast_hub::{ConnId, Flush, Outbox, Timestamp};
use corecast_wire::CloseCode;

use crate::handler::Handler;
use crate::limits::CLOSE_NOW_WITHIN;
use crate::shard::{Shard, Slot, slot_mut};

/// What handlers have asked for in a call.
#[derive(Debug, Default)]
pub(crate) struct Closes {
    orders: RefCell<Vec<Parting>>,
    /// Those whose Close must have left by then, in the order of their times.
    cuts: RefCell<VecDeque<(Timestamp, ConnId)>>,
}

/// A connection that is to be closed.
#[derive(Debug)]
pub(crate) struct Parting {
    pub(crate) conn: ConnId,
    pub(crate) code: CloseCode,
    pub(crate) reason: Box<str>,
    pub(crate) flush: Flush,
}

impl Closes {
    /// Asks for it, behind the call of now.
    pub(crate) fn push(&self, order: Parting, now: Timestamp) {
        if order.flush == Flush::Now {
            self.cuts.borrow_mut().push_back((now.after(CLOSE_NOW_WITHIN), order.conn));
        }
        self.orders.borrow_mut().push(order);
    }

    /// What is asked for of whatever connection.
    pub(crate) fn pop(&self) -> Option<Parting> {
        self.orders.borrow_mut().pop()
    }

    /// The close that the handler asked for on its own connection: no further message of it is
    /// handled.
    pub(crate) fn take(&self, conn: ConnId) -> Option<Parting> {
        let mut orders = self.orders.borrow_mut();
        let index = orders.iter().position(|order| order.conn == conn)?;
        Some(orders.swap_remove(index))
    }

    fn take_late(&self, now: Timestamp) -> Option<ConnId> {
        let mut cuts = self.cuts.borrow_mut();
        cuts.front().filter(|(until, _)| *until <= now)?;
        cuts.pop_front().map(|(_, conn)| conn)
    }
}

/// Cuts off those whose Close was to leave at once, and did not: their sockets take nothing.
pub(crate) fn cut_off<H: Handler>(shard: &Shard<H>, now: Timestamp) {
    while let Some(conn) = shard.closes.take_late(now) {
        let mut slots = shard.slots.borrow_mut();
        let Some(slot) = slot_mut(&mut slots, conn) else { continue };
        let is_closing = matches!(slot.session.phase(), Phase::Closing | Phase::Replying);
        let hub = shard.hub.borrow();
        if is_closing && hub.outbox(conn).is_some_and(|outbox| !outbox.is_empty()) {
            slot.abort(&shard.turns);
        }
    }
}

/// The handler panicked in a call for this connection.
pub(crate) fn panicked<H: Handler>(shard: &Shard<H>, conn: ConnId, session: &mut Session) {
    fail(shard, conn, session, ClosedBy::Panic, CloseCode::INTERNAL_ERROR, "internal error");
}

/// Fails the connection: nothing more is read, and the Close goes out, behind what was queued
/// before unless the socket takes nothing.
pub(crate) fn fail<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    session: &mut Session,
    by: ClosedBy,
    code: CloseCode,
    reason: &str,
) {
    let Some(close) = session.fail(by, code, reason, shard.clock.now()) else { return };
    let mut hub = shard.hub.borrow_mut();
    let blocked = hub.outbox(conn).is_some_and(Outbox::is_blocked);
    hub.close(conn, close, if blocked { Flush::Now } else { Flush::Queued });
}

/// Both Closes are through, or ours has nothing behind it to wait for: the server ends TCP first.
///
//= RFC 6455 §7.1.1
//# The underlying TCP connection, in most normal cases, SHOULD be closed
//# first by the server
pub(crate) fn shut_if_flushed<H: Handler>(
    shard: &Shard<H>,
    slot: &mut Slot<H::Data>,
    now: Timestamp,
) {
    if slot.session.phase() != Phase::Replying {
        return;
    }
    let hub = shard.hub.borrow();
    if hub.outbox(slot.conn).is_none_or(|outbox| outbox.is_empty()) {
        slot.session.drain(now);
        slot.stream.shut(Shutdown::Write);
    }
}
