//! A shard leaves: it takes in who had begun to connect, tells everybody, closes one after the
//! other, and refuses who has not ended his handshake.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corecast_hub::session::{ClosedBy, Phase};
use corecast_hub::{ConnId, Flush, Hub, Timestamp};

use crate::closing::{Parting, panicked};
use crate::door::Door;
use crate::handler::Handler;
use crate::leave::{Left, Order};
use crate::limits::{ACCEPTS_PER_TURN_MAX, TURNS_MAX};
use crate::shard::{Shard, Slot, slot_mut};
use crate::{accept, pace, socket};

/// Time between two looks whether all is to end earlier.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How far a shard has come in leaving.
#[derive(Debug, Default)]
pub(crate) struct Departure {
    order: RefCell<Option<Arc<Order>>>,
    /// Connections before this index have been told; none while nobody is to be.
    told_before: Cell<Option<usize>>,
    /// Who is closed when.
    due: RefCell<BinaryHeap<Reverse<(Timestamp, ConnId)>>>,
    random: Cell<u64>,
    /// Handshakes are answered 503 from now on.
    refusing: Cell<bool>,
    left: Cell<Left>,
}

impl Departure {
    /// Takes an order. Of two, the one holds by which the last Close is due earlier.
    pub(crate) fn begin(&self, order: Arc<Order>, shard: u16) {
        let mut held = self.order.borrow_mut();
        if held.is_none() {
            self.random.set(order.leave.seed ^ u64::from(shard) << 48);
        }
        if held.as_ref().is_none_or(|held| order.closed_by() < held.closed_by()) {
            *held = Some(order);
        }
    }

    /// Whether a handshake is to be answered 503.
    pub(crate) fn is_refusing(&self) -> bool {
        self.refusing.get()
    }

    /// What came of it so far.
    pub(crate) fn left(&self) -> Left {
        self.left.get()
    }

    fn order(&self) -> Option<Arc<Order>> {
        self.order.borrow().clone()
    }

    fn count(&self, change: impl FnOnce(&mut Left)) {
        let mut left = self.left.get();
        change(&mut left);
        self.left.set(left);
    }

    /// A number from 0 to 1 (SplitMix64).
    fn random(&self) -> f64 {
        let state = self.random.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Gives each of them an instant of its own between `from` and `to`: one in each of as many
    /// equal parts, so that no second has many more than another.
    fn schedule(&self, mut conns: Vec<ConnId>, from: Timestamp, to: Timestamp) {
        for last in (1..conns.len()).rev() {
            conns.swap(last, (self.random() * (last + 1) as f64) as usize);
        }
        let part = to.since(from).as_secs_f64() / conns.len().max(1) as f64;
        let mut due = self.due.borrow_mut();
        for (place, conn) in conns.into_iter().enumerate() {
            let at = Duration::from_secs_f64((place as f64 + self.random()) * part);
            due.push(Reverse((from.after(at), conn)));
        }
    }
}

/// Leaves, up to the last Close; what follows is to wait for the peers. `accepting` is the task
/// that takes connections in at each door.
pub(crate) async fn run<H: Handler>(
    shard: &Rc<Shard<H>>,
    accepting: Vec<(Door, glommio::Task<()>)>,
) {
    let ends = accepting.into_iter().map(|(door, accepting)| {
        glommio::spawn_local(end_listening(Rc::clone(shard), door, accepting))
    });
    let ending: Vec<_> = ends.collect();
    tell_all(shard).await;
    let lingering = Cell::new(true);
    let until_listened = async {
        for ending in ending {
            ending.await;
        }
        lingering.set(false);
    };
    futures_lite::future::zip(close_all(shard, &lingering), until_listened).await;
    refuse_the_rest(shard);
}

/// Takes in who has begun to connect, and nobody else; then the listener is closed. Nobody is reset
/// who believes that he is connected. Where another process has it, he is that one's.
async fn end_listening<H: Handler>(shard: Rc<Shard<H>>, door: Door, accepting: glommio::Task<()>) {
    if shard.mesh.listeners_held.load(Ordering::SeqCst) {
        accepting.cancel().await;
        // Else they would go on to wake this shard for as long as the other process has them.
        shard.watch.forget(&door);
        // Who was accepted before has no other process: he has time to say what he wants.
        while let Some(order) = shard.departure.order()
            && shard.clock.now() < order.lingers_until()
            && is_upgrading(&shard)
        {
            shard.sleep(LOOK_EVERY).await;
        }
        return;
    }
    for listener in &*door.sockets {
        if let Err(error) = socket::ignore_new(listener) {
            tracing::debug!(shard = shard.id.0, %error, "who comes while it closes may be reset");
        }
    }
    while let Some(order) = shard.departure.order()
        && shard.clock.now() < order.lingers_until()
    {
        let rest = order.lingers_until().since(shard.clock.now());
        shard.sleep(rest.min(LOOK_EVERY)).await;
    }
    accepting.cancel().await;
    let take = |fd, peer| accept::admit(&shard, fd, peer, door.secure);
    for listener in &*door.sockets {
        // Where new ones cannot be ignored, they may never end.
        let in_time = || {
            let order = shard.departure.order();
            order.is_none_or(|order| shard.clock.now() < order.deadline())
        };
        while let Ok(true) = socket::accept_waiting(listener, ACCEPTS_PER_TURN_MAX, take)
            && in_time()
        {
            pace::pause(&shard).await;
        }
        // There are copies of it: who comes now is to be refused, not to wait for a reset.
        socket::shut(listener.as_raw_fd(), Shutdown::Both);
    }
    // What those have sent who were taken in last is read before they are judged.
    pace::pause(&shard).await;
    pace::pause(&shard).await;
}

fn is_upgrading<H: Handler>(shard: &Shard<H>) -> bool {
    let slots = shard.slots.borrow();
    slots.iter().flatten().any(|slot| slot.session.phase() == Phase::Upgrading)
}

/// Tells every open connection, a slice of them in each turn, and gives it its instant.
async fn tell_all<H: Handler>(shard: &Shard<H>) {
    let mut told = Vec::new();
    let mut next = 0;
    loop {
        let end = {
            let capacity = shard.slots.borrow().capacity();
            (next + TURNS_MAX).min(capacity)
        };
        // Who opens behind this index is told in time, and who opens before it, at once.
        shard.departure.told_before.set(Some(end));
        for index in next..end {
            let conn = shard.slots.borrow().get(index).and_then(Option::as_ref).map(|it| it.conn);
            if let Some(conn) = conn.filter(|conn| tell(shard, *conn)) {
                told.push(conn);
            }
        }
        shard.settle();
        if next == end {
            break;
        }
        next = end;
        pace::pause(shard).await;
    }
    shard.departure.told_before.set(Some(usize::MAX));
    if let Some(order) = shard.departure.order() {
        shard.departure.schedule(told, shard.clock.now().min(order.closed_by()), order.closed_by());
    }
}

/// A connection has opened. While the shard leaves, it is told so at once, and closed with the
/// others.
pub(crate) fn opened<H: Handler>(shard: &Shard<H>, conn: ConnId) {
    let told_before = shard.departure.told_before.get();
    if told_before.is_none_or(|before| conn.index as usize >= before) || !tell(shard, conn) {
        return;
    }
    if let Some(order) = shard.departure.order() {
        let (from, to) = (shard.clock.now(), order.closed_by());
        shard.departure.schedule(vec![conn], from.min(to), to);
    }
}

/// Tells one connection, if it is open.
fn tell<H: Handler>(shard: &Shard<H>, conn: ConnId) -> bool {
    let Some(order) = shard.departure.order() else { return false };
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return false };
    if slot.session.phase() != Phase::Open {
        return false;
    }
    let Some(data) = slot.data.as_mut() else { return false };
    let leaving = order.leaving();
    let called = shard.call(conn, slot.peer, |handler, context| {
        handler.on_leaving(data, &leaving, context);
    });
    if called.is_err() {
        panicked(shard, conn, &mut slot.session);
    } else if let Some(Parting { code, reason, flush, .. }) = shard.closes.take(conn)
        && let Some(close) = slot.session.close(ClosedBy::Handler, code, &reason, shard.clock.now())
    {
        shard.hub.borrow_mut().close(conn, close, flush);
    }
    shard.departure.count(|left| left.told += 1);
    true
}

/// Closes each at its instant, until nobody is left who may still be due.
async fn close_all<H: Handler>(shard: &Shard<H>, lingering: &Cell<bool>) {
    let Departure { due, .. } = &shard.departure;
    while let Some(order) = shard.departure.order() {
        let now = shard.clock.now();
        let over = now >= order.closed_by();
        let mut closed = 0;
        while closed < TURNS_MAX
            && due.borrow().peek().is_some_and(|Reverse((at, _))| over || *at <= now)
        {
            let Some(Reverse((_, conn))) = due.borrow_mut().pop() else { break };
            let (code, reason) = (order.leave.code, &order.leave.reason);
            shard.close(conn, ClosedBy::Shutdown, code, reason, Flush::Queued);
            closed += 1;
        }
        shard.settle();
        let next = due.borrow().peek().map(|Reverse((at, _))| at.since(now));
        if closed == TURNS_MAX {
            pace::pause(shard).await;
        } else if !lingering.get() && (next.is_none() || shard.live.get() == 0) {
            return;
        } else {
            shard.sleep(next.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)).await;
        }
    }
}

/// Who has not ended his handshake by now is told 503; who has said nothing, nothing.
fn refuse_the_rest<H: Handler>(shard: &Shard<H>) {
    shard.departure.refusing.set(true);
    let Some(order) = shard.departure.order() else { return };
    for conn in shard.connections() {
        let mut slots = shard.slots.borrow_mut();
        let Some(slot) = slot_mut(&mut slots, conn) else { continue };
        if slot.session.phase() == Phase::Upgrading {
            slot.wake(&shard.turns);
            continue;
        }
        drop(slots);
        let leave = &order.leave;
        shard.close(conn, ClosedBy::Shutdown, leave.code, &leave.reason, Flush::Queued);
    }
    shard.settle();
}

/// Counts how a connection ended that is about to be released.
pub(crate) fn note_end<D>(departure: &Departure, slot: &Slot<D>, hub: &Hub) {
    let by_us = slot.session.closed().is_some_and(|closed| closed.by == ClosedBy::Shutdown);
    if slot.data.is_none() || !by_us {
        return;
    }
    let outbox = hub.outbox(slot.conn);
    let frames = outbox.map_or(0, |outbox| {
        // The Close is the last of them.
        outbox.frames().saturating_sub(u32::from(outbox.close_queued()))
    });
    let is_empty = outbox.is_none_or(|outbox| outbox.is_empty());
    departure.count(|left| {
        if is_empty && !slot.abort {
            left.closed += 1;
        } else {
            left.cut += 1;
            left.frames_dropped += u64::from(frames);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(index: u32) -> ConnId {
        ConnId { index, generation: 1 }
    }

    #[test]
    fn closes_are_spread_evenly_and_no_two_seeds_agree() {
        let order_of = |seed| {
            let departure = Departure::default();
            departure.random.set(seed);
            let (from, to) = (Timestamp(1_000), Timestamp(1_000).after(Duration::from_secs(10)));
            departure.schedule((0..10_000).map(conn).collect(), from, to);
            let mut due = departure.due.borrow_mut();
            let mut order = Vec::new();
            let mut seconds = [0; 10];
            while let Some(Reverse((at, conn))) = due.pop() {
                assert!(from <= at && at <= to, "{at:?}");
                seconds[at.since(from).as_secs().min(9) as usize] += 1;
                order.push(conn.index);
            }
            assert!(seconds.iter().all(|&count| (999..=1_001).contains(&count)), "{seconds:?}");
            order
        };
        let (first, second) = (order_of(1), order_of(2));
        assert_eq!(first, order_of(1));
        assert_ne!(first, second);
        let in_place = first.iter().enumerate().filter(|(i, n)| *i as u32 == **n).count();
        assert!(in_place < 20, "{in_place} of 10,000 are closed in the order in which they came");
        let mut sorted = first;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..10_000), "each is closed once");
    }

    #[test]
    fn of_two_orders_the_earlier_holds() {
        let departure = Departure::default();
        let order = |spread: u64| {
            let spread = Duration::from_secs(spread);
            let leave = crate::Leave { spread, ..crate::Leave::within(Duration::from_secs(30)) };
            Order::new(leave, Timestamp(0))
        };
        let spread = || departure.order().map(|order| order.leave.spread.as_secs());
        for (given, holds) in [(10, 10), (20, 10), (0, 0), (5, 0)] {
            departure.begin(order(given), 0);
            assert_eq!(spread(), Some(holds));
        }
    }
}
