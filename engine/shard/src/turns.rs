//! Whose turn it is: connections that have something to do.

use std::cell::RefCell;

use corecast_hub::ConnId;

use crate::handler::Handler;
use crate::limits::{TURNS_INFLATED_BYTES_MAX, TURNS_MAX};
use crate::shard::{Shard, slot_mut};
use crate::{connection, signal};

/// The connections that are to have a turn, each once.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    due: RefCell<Vec<ConnId>>,
    /// Those that have had theirs, and have more to do.
    put_off: RefCell<Vec<ConnId>>,
}

impl Turns {
    /// Schedules a turn. Only [`Slot::wake`](crate::shard::Slot::wake) calls it, which sees to it
    /// that nobody is scheduled twice.
    #[inline]
    pub(crate) fn push(&self, conn: ConnId) {
        self.due.borrow_mut().push(conn);
        signal::note();
    }

    /// Schedules a turn behind those of all others, those included whose bytes are only just coming
    /// in.
    pub(crate) fn put_off(&self, conn: ConnId) {
        self.put_off.borrow_mut().push(conn);
    }

    /// Whether nobody is to have a turn, now or later.
    pub(crate) fn is_empty(&self) -> bool {
        self.due.borrow().is_empty() && self.put_off.borrow().is_empty()
    }
}

/// The turns of those that were put off are due now.
pub(crate) fn go_on<H: Handler>(shard: &Shard<H>) {
    if shard.turns.put_off.borrow().is_empty() {
        return;
    }
    let conns = shard.turns.put_off.take();
    let mut slots = shard.slots.borrow_mut();
    for conn in conns {
        if let Some(slot) = slot_mut(&mut slots, conn) {
            slot.wake(&shard.turns);
        }
    }
}

/// Gives those their turn that are due, [`TURNS_MAX`] at most, and fewer where they inflate much:
/// the flusher and all tasks have theirs in between.
pub(crate) fn give<H: Handler>(shard: &Shard<H>) {
    if shard.turns.due.borrow().is_empty() {
        return;
    }
    let mut due = shard.turns.due.take();
    let bound = shard.compression.bound(TURNS_INFLATED_BYTES_MAX);
    let mut given = 0;
    while given < due.len().min(TURNS_MAX) && !shard.compression.is_past(bound) {
        connection::turn(shard, due[given]);
        given += 1;
    }
    let rest = due.split_off(given);
    // What came meanwhile is behind the rest; without one, the storage serves again.
    due.clear();
    let mut now = shard.turns.due.borrow_mut();
    if rest.is_empty() {
        due.append(&mut now);
    } else {
        due.extend(rest);
        due.append(&mut now);
        signal::note();
    }
    *now = due;
}
