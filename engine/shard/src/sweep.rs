//! One timer for all deadlines of a shard: it looks at a slice of the connections each time, and at
//! each of them once a round, so that neither many connections nor many deadlines cost a stall.

use std::rc::Rc;
use std::time::Duration;

use corecast_hub::session::{ClosedBy, Due, Phase};
use corecast_hub::{Flush, Hub, Timestamp};
use corecast_wire::{CloseCode, Frame};

use crate::handler::Handler;
use crate::shard::{Shard, Slot};
use crate::{closing, meter};

/// The time between two looks.
const TICK: Duration = Duration::from_millis(50);

/// Looks that make a round: a deadline is noticed at most `TICK * TICKS_PER_ROUND` late.
const TICKS_PER_ROUND: usize = 10;

/// A connection to which nothing happens is left alone until its next deadline, and not longer than
/// this. That is kept apart from the slots: to look at 10,000 of those twice a second would be most
/// of what idle connections cost.
const QUIET_MAX: Duration = Duration::from_secs(5);

/// Sweeps until the executor ends the task.
pub(crate) async fn run<H: Handler>(shard: Rc<Shard<H>>) {
    let ping = Frame::ping(&[]);
    let mut next = 0;
    loop {
        shard.sleep(TICK).await;
        shard.wakes.look_at_wall(shard.clock);
        shard.edge.lingering.expire(shard.clock.now());
        meter::release(&shard, shard.clock.now());
        closing::cut_off(&shard, shard.clock.now());
        let slots = shard.slots.borrow().capacity();
        if next >= slots {
            next = 0;
        }
        let end = (next + slots.div_ceil(TICKS_PER_ROUND)).min(slots);
        look_at(&shard, next..end, &ping);
        next = end;
        shard.settle();
    }
}

fn look_at<H: Handler>(shard: &Shard<H>, range: std::ops::Range<usize>, ping: &Frame) {
    let now = shard.clock.now();
    let mut slots = shard.slots.borrow_mut();
    let mut hub = shard.hub.borrow_mut();
    let leaving = shard.leaving.get().is_some();
    let mut looks = shard.looks.borrow_mut();
    if looks.len() < range.end {
        looks.resize(range.end, Timestamp(0));
    }
    for index in range {
        if looks[index] > now && !leaving {
            continue;
        }
        let Some(Some(slot)) = slots.get_mut(index) else { continue };
        if slot.session.phase() == Phase::Open {
            // What is closed for its age or its stall is noted with the other slow ones.
            hub.expire(slot.conn, now);
        }
        let blocked = slot.blocked || !slot.stream.is_clear();
        if blocked {
            // It waits for room in its socket, or for memory, of which nobody tells.
            slot.wake(&shard.turns);
        }
        if let Some(tls) = &slot.stream.tls {
            if tls.is_late(now) {
                slot.session.lost(ClosedBy::Timeout, "the TLS handshake took too long");
                slot.abort(&shard.turns);
            } else if tls.is_worn() {
                let (code, reason) = (CloseCode::SERVICE_RESTART, "the TLS key is worn: come back");
                if let Some(close) = slot.session.close(ClosedBy::Transport, code, reason, now) {
                    hub.close(slot.conn, close, Flush::Queued);
                }
            }
        }
        match slot.session.poll_timeout(&shard.sessions, now) {
            None if blocked || !hub.is_quiet(slot.conn) => {}
            None => {
                let until = slot.session.quiet_until(&shard.sessions);
                looks[index] = until.map_or(Timestamp(0), |until| until.min(now.after(QUIET_MAX)));
            }
            // Within a shutdown, what is queued has until the shutdown's deadline.
            Some(Due::Abort(_)) if leaving && is_flushing(&hub, slot) => {}
            Some(Due::Ping) => {
                hub.ping(slot.conn, ping.clone());
            }
            Some(Due::Close(code, reason)) => {
                if let Some(close) = slot.session.close(ClosedBy::Timeout, code, reason, now) {
                    hub.close(slot.conn, close, Flush::Now);
                }
            }
            Some(Due::Abort(reason)) => {
                slot.session.lost(ClosedBy::Timeout, reason);
                slot.abort(&shard.turns);
            }
        }
    }
}

/// Whether something is still queued in front of the Close.
fn is_flushing<D>(hub: &Hub, slot: &Slot<D>) -> bool {
    matches!(slot.session.phase(), Phase::Closing | Phase::Replying)
        && hub.outbox(slot.conn).is_some_and(|outbox| !outbox.is_empty())
}
