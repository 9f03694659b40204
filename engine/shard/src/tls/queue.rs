//! Whose TLS handshake goes on. A step of one takes as long as hundreds of deliveries, so they have
//! a queue of their own: one step in a round of the shard (or some that are short), and while there
//! is other work, at most half of the time.

use std::net::Shutdown;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use corecast_hub::session::{ClosedBy, Phase};
use corecast_hub::{ConnId, Timestamp};

use super::desk::Desk;
use super::link::{Gathered, Line, Tls};
use crate::clock::Clock;
use crate::handler::Handler;
use crate::shard::{Shard, Slot, Slots, slot_mut};
use crate::signal;

/// Connections that get a place in one round of the shard.
const LET_IN_MAX: u32 = 64;

/// Steps that together take less have a round in common: what a slow peer sends byte by byte is no
/// work, and must not take the rounds of others.
const SHORT: Duration = Duration::from_micros(50);

/// Goes on with a handshake, as far as that costs nothing. Ready(true): it is done, or was done
/// before. Ready(false): the connection is over.
pub(crate) fn go_on<D>(slot: &mut Slot<D>, is_leaving: bool, clock: Clock) -> Poll<bool> {
    let stream = &mut slot.stream;
    let Some(tls) = stream.tls.as_deref_mut().filter(|tls| tls.is_shaking()) else {
        return Poll::Ready(true);
    };
    if slot.abort {
        return Poll::Ready(false);
    }
    if slot.session.phase() != Phase::Upgrading {
        // It was refused before it began: what still comes in is thrown away.
        tls.give_up();
        return Poll::Ready(true);
    }
    match tls.gather(&mut stream.socket, slot.conn, clock) {
        Gathered::Nothing if is_leaving => return Poll::Ready(false),
        Gathered::Nothing => {}
        Gathered::NoPlace if is_leaving => return Poll::Ready(false),
        Gathered::NoPlace => tls.list(slot.conn, Line::Waiting),
        Gathered::Due => {
            tls.list(slot.conn, Line::Due);
            signal::note();
        }
        Gathered::Ended => return Poll::Ready(false),
    }
    Poll::Pending
}

/// Lets one handshake go on, or several whose steps are short, if it is time to.
pub(crate) fn give<H: Handler>(shard: &Shard<H>) {
    let Some(desk) = &shard.tls else { return };
    if desk.due.borrow().is_empty() {
        return let_in(shard, desk);
    }
    let begun = shard.clock.now();
    if !idle(shard, begun).is_some_and(|pause| pause.is_zero()) {
        return;
    }
    loop {
        let Some(conn) = desk.due.borrow_mut().pop_front() else { break };
        if step(shard, conn) && shard.clock.now().since(begun) >= SHORT {
            break;
        }
    }
    let ended = shard.clock.now();
    desk.rest_until.set(ended.after(ended.since(begun)));
    desk.work_before.set(work(shard));
    let_in(shard, desk);
}

/// How long no handshake is to go on, or `None` where none can.
pub(crate) fn idle<H: Handler>(shard: &Shard<H>, now: Timestamp) -> Option<Duration> {
    let desk = shard.tls.as_ref()?;
    if desk.due.borrow().is_empty() {
        let some_get_in = !desk.waiting.borrow().is_empty() && desk.free_places() > 0;
        return some_get_in.then_some(Duration::ZERO);
    }
    let others_work = work(shard) != desk.work_before.get();
    Some(if others_work { desk.rest_until.get().since(now) } else { Duration::ZERO })
}

/// What the shard has done for others so far.
fn work<H: Handler>(shard: &Shard<H>) -> u64 {
    shard.stats.writes.read().wrapping_add(shard.stats.messages_in.read())
}

/// Those who wait for a place get their turn while there is one.
fn let_in<H: Handler>(shard: &Shard<H>, desk: &Rc<Desk>) {
    if desk.has_stale_holders() {
        let mut slots = shard.slots.borrow_mut();
        let mut is_shaking = |conn| {
            let tls = slot_mut(&mut slots, conn).and_then(|slot| slot.stream.tls.as_ref());
            tls.is_some_and(|tls| tls.is_shaking())
        };
        desk.holders.borrow_mut().retain(|conn| is_shaking(*conn));
    }
    let mut waiting = desk.waiting.borrow_mut();
    if waiting.is_empty() {
        return;
    }
    let mut slots = shard.slots.borrow_mut();
    if desk.free_places() == 0 {
        return push_out(shard, desk, &mut slots, waiting.len());
    }
    let mut free = desk.free_places().min(LET_IN_MAX);
    while free > 0 {
        let Some(conn) = waiting.pop_front() else { return };
        if let Some(slot) = slot_mut(&mut slots, conn)
            && let Some(tls) = &mut slot.stream.tls
            && tls.unlist(Line::Waiting)
        {
            slot.wake(&shard.turns);
            free -= 1;
        }
    }
    // Those who have gone meanwhile are no more than those who are there.
    if waiting.len() > 2 * shard.live.get() as usize + LET_IN_MAX as usize {
        waiting.retain(|conn| slot_mut(&mut slots, *conn).is_some());
    }
}

/// Others wait, and there is no place: takes them from those who have had one the longest, and have
/// not gone on for a while. Who is to be worked for keeps his. All are looked at only now and then.
fn push_out<H: Handler>(
    shard: &Shard<H>,
    desk: &Rc<Desk>,
    slots: &mut Slots<H::Data>,
    waiting: usize,
) {
    let now = shard.clock.now();
    if now < desk.push_out_at.get() {
        return;
    }
    let mut holders = desk.holders.borrow_mut();
    let mut wanted = waiting.min(LET_IN_MAX as usize);
    for _ in 0..holders.len() {
        if wanted == 0 {
            return;
        }
        let Some(conn) = holders.pop_front() else { return };
        let slot = slot_mut(slots, conn);
        let tls = slot.as_ref().and_then(|slot| slot.stream.tls.as_deref());
        match tls.filter(|tls| tls.is_shaking()).map(Tls::has_waited_since) {
            None => {}
            Some(Some(since)) if now.since(since) >= desk.patience() => {
                wanted -= 1;
                if let Some(slot) = slot {
                    let reason = "the TLS handshake stood still, and others wanted its place";
                    slot.session.lost(ClosedBy::Timeout, reason);
                    slot.abort(&shard.turns);
                }
            }
            // Out of order, where an answer has come late.
            Some(_) => holders.push_back(conn),
        }
    }
    desk.push_out_at.set(now.after(desk.patience() / 8));
}

/// One step of one handshake; false where there is no such connection any more.
fn step<H: Handler>(shard: &Shard<H>, conn: ConnId) -> bool {
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return false };
    let Slot { stream, session, .. } = slot;
    let Some(tls) = &mut stream.tls else { return false };
    if !tls.unlist(Line::Due) {
        return false;
    }
    match tls.step(&stream.socket) {
        Ok(()) if tls.is_shaking() => tls.answered(shard.clock.now()),
        Ok(()) => {
            shard.stats.tls_handshakes.add(1);
            shard.stats.tls_resumed.add(u64::from(tls.is_resumed()));
        }
        Err(error) => {
            shard.stats.tls_failed.add(1);
            tracing::debug!(shard = shard.id.0, peer = %slot.peer, %error, "TLS handshake failed");
            session.lost(ClosedBy::Transport, &format!("the TLS handshake failed: {error}"));
            // As behind a refusal: the alert is to arrive.
            session.drain(shard.clock.now());
            stream.shut(Shutdown::Write);
        }
    }
    slot.wake(&shard.turns);
    true
}
