//! Wakes of connections: by any thread through the shard's inbox, and by the clock.
//!
//! A connection that asks for neither costs nothing: what there is to keep stands beside the slots.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use corecast_hub::session::Phase;
use corecast_hub::{ConnId, Timestamp};

use crate::carrier;
use crate::clock::Clock;
use crate::handler::Handler;
use crate::limits::WAKES_PER_TURN_MAX;
use crate::mesh::Mesh;
use crate::shard::{Shard, slot_mut};
use crate::{ConnectionId, ShardId};

/// Wakes one connection from any thread: while its handshake waits
/// ([`Reject::later`](crate::Reject::later)), [`on_upgrade`](crate::Handler::on_upgrade) is asked
/// again; once it is open, [`on_wake`](crate::Handler::on_wake) is called.
///
/// All wakers of a connection are one. A connection that has gone is not woken, nor is the one that
/// has its place now.
#[derive(Clone, Debug)]
pub struct Waker {
    mesh: Arc<Mesh>,
    id: ConnectionId,
    pending: Arc<AtomicBool>,
}

impl Waker {
    /// Wakes it soon, on its shard's thread. Never blocks and never fails; to wake it again before
    /// it is awake is to wake it once.
    pub fn wake(&self) {
        if !self.pending.swap(true, Ordering::SeqCst)
            && let Some(inbox) = self.mesh.inboxes.get(usize::from(self.id.shard.0))
        {
            inbox.wake(self.id.conn);
        }
    }

    /// The connection that it wakes.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }
}

/// Which connections of a shard may be woken, and when.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    sleepers: RefCell<HashMap<ConnId, Sleeper>>,
    alarms: RefCell<BTreeSet<(Timestamp, ConnId)>>,
    /// By the wall clock, in nanoseconds since 1970. The sweep looks at it.
    wall_alarms: RefCell<BTreeSet<(i64, ConnId)>>,
    /// Those whose time has come by the wall clock, to be told.
    due: RefCell<Vec<ConnId>>,
}

/// How one connection may be woken.
#[derive(Debug, Default)]
struct Sleeper {
    /// Set while a wake of it is in the inbox: so at most one is.
    pending: Option<Arc<AtomicBool>>,
    at: Option<Timestamp>,
    wall_ns: Option<i64>,
}

impl Wakes {
    /// A waker of a connection that is still there.
    pub(crate) fn waker(&self, shard: ShardId, conn: ConnId, mesh: &Arc<Mesh>) -> Waker {
        let mut sleepers = self.sleepers.borrow_mut();
        let pending = sleepers.entry(conn).or_default().pending.get_or_insert_default();
        let (mesh, pending) = (Arc::clone(mesh), Arc::clone(pending));
        Waker { mesh, id: ConnectionId { shard, conn }, pending }
    }

    /// Sets the one instant at which a connection is woken, in the place of the one before.
    pub(crate) fn wake_at(&self, conn: ConnId, at: Option<Timestamp>) {
        let mut sleepers = self.sleepers.borrow_mut();
        let mut alarms = self.alarms.borrow_mut();
        let before = match at {
            Some(at) => sleepers.entry(conn).or_default().at.replace(at),
            None => sleepers.get_mut(&conn).and_then(|sleeper| sleeper.at.take()),
        };
        if let Some(before) = before {
            alarms.remove(&(before, conn));
        }
        if let Some(at) = at {
            alarms.insert((at, conn));
        }
    }

    /// The same by the wall clock.
    pub(crate) fn wake_at_wall(&self, conn: ConnId, wall_ns: Option<i64>) {
        let mut sleepers = self.sleepers.borrow_mut();
        let mut alarms = self.wall_alarms.borrow_mut();
        let before = match wall_ns {
            Some(wall_ns) => sleepers.entry(conn).or_default().wall_ns.replace(wall_ns),
            None => sleepers.get_mut(&conn).and_then(|sleeper| sleeper.wall_ns.take()),
        };
        if let Some(before) = before {
            alarms.remove(&(before, conn));
        }
        if let Some(wall_ns) = wall_ns {
            alarms.insert((wall_ns, conn));
        }
    }

    /// The connection is gone.
    pub(crate) fn forget(&self, conn: ConnId) {
        let Some(sleeper) = self.sleepers.borrow_mut().remove(&conn) else { return };
        if let Some(at) = sleeper.at {
            self.alarms.borrow_mut().remove(&(at, conn));
        }
        if let Some(wall_ns) = sleeper.wall_ns {
            self.wall_alarms.borrow_mut().remove(&(wall_ns, conn));
        }
    }

    /// Looks at the wall clock, if anybody waits for it: those whose time has come are told next.
    pub(crate) fn look_at_wall(&self, clock: Clock) {
        let mut alarms = self.wall_alarms.borrow_mut();
        if alarms.is_empty() {
            return;
        }
        let wall_ns = clock.wall_ns();
        let mut due = self.due.borrow_mut();
        while let Some(&(at, conn)) = alarms.first().filter(|(at, _)| *at <= wall_ns) {
            alarms.remove(&(at, conn));
            if let Some(sleeper) = self.sleepers.borrow_mut().get_mut(&conn) {
                sleeper.wall_ns = None;
            }
            due.push(conn);
        }
    }

    /// How long nobody's time comes, or `None` where nobody waits for it.
    pub(crate) fn idle(&self, now: Timestamp) -> Option<Duration> {
        if !self.due.borrow().is_empty() {
            return Some(Duration::ZERO);
        }
        self.alarms.borrow().first().map(|(at, _)| at.since(now))
    }

    /// The next whose time has come.
    fn take_due(&self, now: Timestamp) -> Option<ConnId> {
        if let Some(conn) = self.due.borrow_mut().pop() {
            return Some(conn);
        }
        let mut alarms = self.alarms.borrow_mut();
        let (at, conn) = *alarms.first().filter(|(at, _)| *at <= now)?;
        alarms.remove(&(at, conn));
        if let Some(sleeper) = self.sleepers.borrow_mut().get_mut(&conn) {
            sleeper.at = None;
        }
        Some(conn)
    }

    /// A wake of it was taken out of the inbox: the next one may be put in. False where the
    /// connection is gone.
    fn note(&self, conn: ConnId) -> bool {
        let sleepers = self.sleepers.borrow();
        let pending = sleepers.get(&conn).and_then(|sleeper| sleeper.pending.as_ref());
        pending.is_some_and(|pending| pending.swap(false, Ordering::SeqCst))
    }
}

/// Tells those that were woken, or whose time has come: [`WAKES_PER_TURN_MAX`] at most, the rest in
/// the rounds to come.
pub(crate) fn tell<H: Handler>(shard: &Shard<H>, now: Timestamp) {
    let inbox = &shard.mesh.inboxes[usize::from(shard.id.0)];
    let woken = || std::iter::from_fn(|| inbox.take_woken()).find(|conn| shard.wakes.note(*conn));
    let mut told = 0;
    while told < WAKES_PER_TURN_MAX
        && let Some(conn) = woken().or_else(|| shard.wakes.take_due(now))
    {
        tell_one(shard, conn);
        told += 1;
    }
    if told > 0 {
        shard.settle();
    }
}

/// A connection has been woken, by whatever.
pub(crate) fn tell_one<H: Handler>(shard: &Shard<H>, conn: ConnId) {
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return };
    if slot.session.phase() != Phase::Upgrading {
        drop(slots);
        carrier::call_open(shard, conn, |handler, data, context| handler.on_wake(data, context));
    } else if let Some(handshake) = slot.handshake.as_mut() {
        handshake.wake();
        slot.wake(&shard.turns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(index: u32) -> ConnId {
        ConnId { index, generation: 7 }
    }

    #[test]
    fn a_connection_has_one_instant_and_the_last_one_holds() {
        let wakes = Wakes::default();
        wakes.wake_at(conn(1), Some(Timestamp(50)));
        wakes.wake_at(conn(2), Some(Timestamp(40)));
        wakes.wake_at(conn(1), Some(Timestamp(30)));
        assert_eq!(wakes.idle(Timestamp(10)), Some(Duration::from_nanos(20)));
        assert_eq!(wakes.take_due(Timestamp(29)), None);
        assert_eq!(wakes.take_due(Timestamp(60)), Some(conn(1)));
        assert_eq!(wakes.take_due(Timestamp(60)), Some(conn(2)));
        assert_eq!(wakes.take_due(Timestamp(60)), None, "not twice, and not at its first instant");
        wakes.wake_at(conn(1), Some(Timestamp(70)));
        wakes.wake_at(conn(1), None);
        assert_eq!(wakes.idle(Timestamp(0)), None);
    }

    #[test]
    fn what_is_forgotten_leaves_nothing_behind() {
        let wakes = Wakes::default();
        for index in 0..100 {
            wakes.wake_at(conn(index), Some(Timestamp(u64::from(index))));
            wakes.forget(conn(index));
            wakes.wake_at(conn(index), None);
        }
        assert_eq!(wakes.idle(Timestamp(0)), None);
        assert!(wakes.sleepers.borrow().is_empty());
    }
}
