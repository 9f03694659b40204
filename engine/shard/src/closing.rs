//! How a connection comes to its end from our side: by a fault, by the handler, by both Closes.

use std::net::Shutdown;

use corecast_hub::session::{ClosedBy, Phase, Session};
use corecast_hub::{ConnId, Flush, Outbox, Timestamp};
use corecast_wire::CloseCode;

use crate::handler::Handler;
use crate::shard::{Shard, Slot};

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

/// The close that the handler asked for on its own connection: no further message of it is handled.
pub(crate) fn own_close<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
) -> Option<(CloseCode, Box<str>)> {
    let mut closes = shard.closes.borrow_mut();
    let index = closes.iter().position(|(target, ..)| *target == conn)?;
    let (_, code, reason) = closes.swap_remove(index);
    Some((code, reason))
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
