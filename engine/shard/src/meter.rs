//! Messages and bytes of a connection in a second: who sends more is closed, or not read for a
//! while. Where neither is bounded, nothing is kept of it; else 24 bytes for each connection.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use corecast_gate::budget::{Meter, MeterRates, Spending};
use corecast_hub::session::{ClosedBy, Phase, Session};
use corecast_hub::{ConnId, Timestamp};
use corecast_wire::CloseCode;

use crate::closing::fail;
use crate::config::Over;
use crate::handler::Handler;
use crate::shard::{Shard, slot_mut};

/// A budget is spent: the private-use code for HTTP's 429.
pub(crate) const OVER_BUDGET: CloseCode = CloseCode(4_429);

/// Who would take longer to make up for what he sent is closed: nobody listens to him meanwhile, so
/// nobody knows whether he lives.
const HOLD_MAX: Duration = Duration::from_secs(30);

/// What the connections of a shard have sent of late.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    /// Whether anything is bounded.
    is_on: Cell<bool>,
    /// By the index of the connection.
    meters: RefCell<Vec<Meter>>,
    /// Who is not read, and until when.
    held: RefCell<BTreeMap<u32, (ConnId, Timestamp)>>,
}

/// What is to become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Metered {
    /// It is handled.
    Within,
    /// It is handled, and nothing behind it for a while.
    Last,
    /// The connection is to fail, for this reason.
    Over(String),
}

impl Meters {
    /// Whether anything is bounded from now on.
    pub(crate) fn set(&self, rates: &MeterRates) {
        self.is_on.set(rates.is_bounded());
    }

    /// A connection opens: whoever had its index before has nothing to do with it.
    pub(crate) fn opened(&self, conn: ConnId) {
        if let Some(meter) = self.meters.borrow_mut().get_mut(conn.index as usize) {
            *meter = Meter::default();
        }
    }

    fn count(
        &self,
        conn: ConnId,
        rates: &MeterRates,
        messages: u64,
        bytes: usize,
        now: Timestamp,
    ) -> Spending {
        let mut meters = self.meters.borrow_mut();
        let index = conn.index as usize;
        if meters.len() <= index {
            meters.resize(index + 1, Meter::default());
        }
        meters[index].count(rates, messages, bytes as u64, now.0)
    }
}

/// Counts bytes that were read.
#[inline]
pub(crate) fn bytes<H: Handler>(shard: &Shard<H>, conn: ConnId, bytes: usize) {
    if shard.edge.meters.is_on.get() {
        let now = shard.clock.now();
        shard.edge.meters.count(conn, &shard.edge.limits().rates, 0, bytes, now);
    }
}

/// Counts a message that is about to be handled.
#[inline]
pub(crate) fn message<H: Handler>(shard: &Shard<H>, conn: ConnId, now: Timestamp) -> Metered {
    match shard.edge.meters.is_on.get() {
        true => judge(shard, conn, 1, now),
        false => Metered::Within,
    }
}

/// Fails a connection that has sent more bytes than it may, if that is what is to become of it.
#[inline]
pub(crate) fn check_bytes<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    session: &mut Session,
    now: Timestamp,
) {
    if shard.edge.meters.is_on.get()
        && session.phase() == Phase::Open
        && let Metered::Over(reason) = judge(shard, conn, 0, now)
    {
        over(shard, conn, session, &reason);
    }
}

/// Fails a connection that has sent too much.
pub(crate) fn over<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    session: &mut Session,
    reason: &str,
) {
    shard.stats.over_budget.add(1);
    fail(shard, conn, session, ClosedBy::Violation, OVER_BUDGET, reason);
}

/// Whether a connection may be read. If not, it is given a turn when it may.
#[inline]
pub(crate) fn may_read<H: Handler>(shard: &Shard<H>, conn: ConnId) -> bool {
    !shard.edge.meters.is_on.get() || has_made_up(shard, conn)
}

/// Gives those a turn who have made up for what they sent. The rest live, as far as anybody can
/// tell: it is we who do not listen.
pub(crate) fn release<H: Handler>(shard: &Shard<H>, now: Timestamp) {
    let mut held = shard.edge.meters.held.borrow_mut();
    if held.is_empty() {
        return;
    }
    let mut slots = shard.slots.borrow_mut();
    held.retain(|_, (conn, until)| {
        let Some(slot) = slot_mut(&mut slots, *conn) else { return false };
        slot.session.heard(now);
        if *until <= now {
            slot.wake(&shard.turns);
        }
        *until > now
    });
}

fn judge<H: Handler>(shard: &Shard<H>, conn: ConnId, count: u64, now: Timestamp) -> Metered {
    let limits = shard.edge.limits();
    match shard.edge.meters.count(conn, &limits.rates, count, 0, now) {
        Spending::Within => Metered::Within,
        _ if limits.over == Over::Slow => Metered::Last,
        spending => Metered::Over(reason(&limits.rates, spending)),
    }
}

fn has_made_up<H: Handler>(shard: &Shard<H>, conn: ConnId) -> bool {
    let (spending, reason) = {
        let limits = shard.edge.limits();
        if limits.over != Over::Slow {
            return true;
        }
        let now = shard.clock.now();
        let spending = shard.edge.meters.count(conn, &limits.rates, 0, 0, now);
        (spending, reason(&limits.rates, spending))
    };
    let wait = match spending {
        Spending::Within => return true,
        Spending::Messages(wait_ns) | Spending::Bytes(wait_ns) => Duration::from_nanos(wait_ns),
    };
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return false };
    // Nobody waits for who has gone: what it sent before would be a burst beyond its budget.
    if slot.stream.has_hung_up() || wait > HOLD_MAX {
        over(shard, conn, &mut slot.session, &reason);
        drop(slots);
        shard.settle();
        return false;
    }
    let until = shard.clock.now().after(wait);
    if shard.edge.meters.held.borrow_mut().insert(conn.index, (conn, until)).is_none() {
        shard.stats.over_budget.add(1);
    }
    false
}

fn reason(rates: &MeterRates, spending: Spending) -> String {
    let (rate, what) = match spending {
        Spending::Within => return String::new(),
        Spending::Messages(_) => (rates.messages, "messages"),
        Spending::Bytes(_) => (rates.bytes, "bytes"),
    };
    let (per_second, burst) = (rate.per_second(), rate.burst());
    format!("more than {per_second} {what} a second, {burst} at once")
}
