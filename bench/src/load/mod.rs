//! W0: one topic, its publishers and its subscribers, on any server; and the parts that other
//! workloads share.

mod audience;
mod meter;
mod round;
mod shape;
mod tracker;

use std::time::Duration;

use eyre::Result;

pub use audience::{Audience, OPEN_WITHIN};
pub use meter::{Bill, Meter};
use round::Round;
pub use shape::{CONNECTIONS_MAX, PUBLISHERS_MAX, ROUND_MAX, Shape, Slow};

use crate::clock;
use crate::outcome::{Client, Outcome};
use crate::process::sockets_bytes;
use crate::servers::Site;
use crate::swarm::Swarm;

/// Runs one round: connects, warms up, measures, waits for what is on its way.
///
/// Latency counts from the moment a message was due. The cost is that of everything the clients
/// received from the beginning of the measurement to its last delivery.
///
/// # Errors
/// When the shape cannot be run, the server cannot be reached, or it ends.
pub fn run(site: &Site, shape: &Shape) -> Result<Outcome> {
    run_with(site, shape, || Ok(()))
}

/// As [`run`]; `opened` is called once everybody is connected, before anything is published.
///
/// # Errors
/// As [`run`], and those of `opened`.
pub fn run_with(
    site: &Site,
    shape: &Shape,
    opened: impl FnOnce() -> Result<()>,
) -> Result<Outcome> {
    shape.check()?;
    let sockets_before = sockets_bytes()?;
    let mut swarm = site.swarm()?;
    let audience = Audience::open(&mut swarm, shape)?;
    opened()?;
    swarm.set_busy(shape.busy);
    let mut round = Round::begin(shape, &audience)?;
    drive_until(&mut swarm, &mut round, None, clock::now_ns() + nanoseconds(shape.warm_up))?;

    let mut meter = Meter::start(site, &swarm, sockets_before)?;
    let already = round.received();
    let from_ns = clock::now_ns() + SETTLE_NS;
    let until_ns = from_ns + nanoseconds(shape.measured);
    round.measure(from_ns, until_ns);
    swarm.forget_lag();
    drive_until(&mut swarm, &mut round, Some(&mut meter), until_ns)?;
    meter.sample_now()?;
    round.end_publishing();
    let bill = drain(&mut swarm, &mut round, &meter, already)?;

    let mut outcome = round.outcome();
    outcome.client =
        Client::new(bill.client_share, round.late(), &outcome.latency).lagging(swarm.lag());
    let extra = &mut outcome.extra;
    extra.insert("connections_ended".into(), audience.ended(&swarm) as f64);
    extra.insert("slow_connections_ended".into(), audience.slow_ended(&swarm) as f64);
    Ok(Outcome {
        server: site.name.clone(),
        workload: format!("load {shape}"),
        seconds: shape.measured.as_secs_f64(),
        cost: bill.cost,
        ..outcome
    })
}

/// Waits until everything has arrived, or nothing has for [`QUIET_NS_MAX`]; says what was spent
/// until the last delivery.
fn drain(swarm: &mut Swarm, round: &mut Round, meter: &Meter<'_>, already: u64) -> Result<Bill> {
    let give_up_ns = clock::now_ns() + DRAIN_NS_MAX;
    let (mut seen, mut quiet_since, mut bill) = (0, clock::now_ns(), None);
    loop {
        let (now, received) = (clock::now_ns(), round.received() - already);
        if received != seen {
            (seen, quiet_since) = (received, now);
            bill = None;
        }
        let over = round.is_complete() || now > give_up_ns;
        if bill.is_none() && (over || now - quiet_since > LOOK_AFTER_NS) {
            bill = Some(meter.read(swarm, received)?);
        }
        if let Some(bill) = bill.filter(|_| over || now - quiet_since > QUIET_NS_MAX) {
            return Ok(bill);
        }
        swarm.drive(Duration::from_millis(5), round)?;
    }
}

fn drive_until(
    swarm: &mut Swarm,
    round: &mut Round,
    mut meter: Option<&mut Meter<'_>>,
    until_ns: u64,
) -> Result<()> {
    while let Some(left) = until_ns.checked_sub(clock::now_ns()).filter(|&left| left > 0) {
        swarm.drive(Duration::from_nanos(left.min(TURN_NS_MAX)), round)?;
        meter.as_deref_mut().map_or(Ok(()), Meter::sample)?;
    }
    // What became due in the last sleep.
    swarm.drive(Duration::ZERO, round)
}

fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos() as u64
}

/// For what has piled up while the server's usage was read.
const SETTLE_NS: u64 = 50_000_000;
/// Without a delivery for this long, the server's usage is read.
const LOOK_AFTER_NS: u64 = 100_000_000;
/// Without a delivery for this long after the last publication, what is missing will not come.
const QUIET_NS_MAX: u64 = 2_000_000_000;
/// What a server delivers later than this after the last publication is missing.
const DRAIN_NS_MAX: u64 = 60_000_000_000;
const TURN_NS_MAX: u64 = 20_000_000;
