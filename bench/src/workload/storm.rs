//! W5: every client drops at once and returns within some seconds. When has each got a message
//! again?

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use corecast_wire::frame::Opcode;
use eyre::{Result, ensure};
use hdrhistogram::Histogram;

use crate::clock;
use crate::load::{Meter, OPEN_WITHIN};
use crate::outcome::{Client, Latency, Outcome, histogram};
use crate::process::sockets_bytes;
use crate::random::SplitMix64;
use crate::schedule::{Moments, Schedule};
use crate::servers::Site;
use crate::stamp::Stamp;
use crate::swarm::{Change, Delivery, Driver, Due, Plan, Swarm};
use crate::target::{Message, Target};

/// Who returns, and what there is to receive.
#[derive(Debug, Clone)]
pub struct Params {
    /// How to speak to the server.
    pub target: Target,
    /// Clients that drop and return.
    pub clients: usize,
    /// They return at random moments within this time.
    pub within: Duration,
    /// Messages a second that are published meanwhile. 0 is for servers that answer a subscription
    /// themselves, with a snapshot: then the answer is what a client waits for.
    pub rate: f64,
    /// Bytes of a message's payload.
    pub payload_bytes: usize,
    /// For the moments of return.
    pub seed: u64,
}

/// Runs the storm. Latency counts from the moment a client is due to return to its first message;
/// `extra` has `all_back_seconds` from the drop (absent while some are missing), `errors` of
/// connections, each of which was tried again, and `ns_late_max`, how late the client itself was.
///
/// # Errors
/// When the server ends, or connections fail before the storm.
pub fn run(site: &Site, params: &Params) -> Result<Outcome> {
    ensure!(params.clients > 0, "there is at least one client");
    params.target.check()?;
    let sockets_before = sockets_bytes()?;
    let mut swarm = site.swarm()?;
    let publisher = match params.rate {
        0.0 => None,
        _ => Some(swarm.open_all(&params.target.publisher(), 1, OPEN_WITHIN, &mut |_| {})?.start),
    };
    let mut storm = Storm::new(params, publisher)?;
    let all = swarm.open_all(&storm.plan, params.clients, OPEN_WITHIN, &mut |_| {})?;
    for index in all.clone() {
        storm.subscribe(&mut swarm, index);
    }
    drive_for(&mut swarm, &mut storm, WARM_UP)?;

    let meter = Meter::start(site, &swarm, sockets_before)?;
    let dropped_ns = clock::now_ns();
    storm.begin(dropped_ns, params, all.end);
    for index in all {
        swarm.abandon(index, false);
    }
    let give_up_ns = dropped_ns + params.within.as_nanos() as u64 + GIVE_UP_NS;
    while storm.back < params.clients as u64 && clock::now_ns() < give_up_ns {
        storm.return_due(&mut swarm)?;
        swarm.drive(TURN, &mut storm)?;
        storm.take_changes(&mut swarm);
    }
    let bill = meter.read(&swarm, storm.back)?;
    let latency = Latency::from_histogram(&storm.times);
    let (expected, delivered) = (params.clients as u64, storm.back);
    let mut extra = BTreeMap::from([
        ("errors".to_owned(), storm.errors as f64),
        ("ns_late_max".to_owned(), storm.late.max() as f64),
    ]);
    if delivered == expected {
        let seconds = (storm.last_back_ns - dropped_ns) as f64 / 1e9;
        extra.insert("all_back_seconds".to_owned(), seconds);
    }
    Ok(Outcome {
        server: site.name.clone(),
        workload: format!("storm {} within {:?}", params.clients, params.within),
        seconds: (clock::now_ns() - dropped_ns) as f64 / 1e9,
        published: storm.sent,
        expected,
        delivered,
        missing: expected - delivered,
        client: Client::new(bill.client_share, &storm.late, &latency),
        latency,
        cost: bill.cost,
        extra,
        ..Outcome::default()
    })
}

fn drive_for(swarm: &mut Swarm, storm: &mut Storm, time: Duration) -> Result<()> {
    let until_ns = clock::now_ns() + time.as_nanos() as u64;
    while clock::now_ns() < until_ns {
        swarm.drive(TURN, storm)?;
    }
    drop(swarm.take_changes());
    Ok(())
}

struct Storm {
    plan: Plan,
    subscriptions: Vec<String>,
    publisher: Option<usize>,
    message: Message,
    moments: Moments,
    started_ns: u64,
    next_ns: u64,
    sent: u64,
    /// When which client is due to return (or to try again), and when it was due first.
    returns: BinaryHeap<Reverse<(u64, u64)>>,
    /// For each connection, when its client was due; 0 when it waits for nothing.
    due_ns: Vec<u64>,
    back: u64,
    last_back_ns: u64,
    errors: u64,
    times: Histogram<u64>,
    late: Histogram<u64>,
}

impl Storm {
    fn new(params: &Params, publisher: Option<usize>) -> Result<Self> {
        let rate = if publisher.is_some() { params.rate } else { 1.0 };
        let schedule = Schedule::Constant { rate };
        schedule.check()?;
        let started_ns = clock::now_ns();
        Ok(Self {
            plan: params.target.subscriber(Plan::reader("/")),
            subscriptions: params.target.subscriptions().collect(),
            publisher,
            message: Message::new(&params.target, params.payload_bytes)?,
            moments: schedule.moments(params.seed),
            started_ns,
            next_ns: started_ns,
            sent: 0,
            returns: BinaryHeap::new(),
            due_ns: Vec::new(),
            back: 0,
            last_back_ns: 0,
            errors: 0,
            times: histogram()?,
            late: histogram()?,
        })
    }

    /// Draws the moments at which the clients return.
    fn begin(&mut self, dropped_ns: u64, params: &Params, connections: usize) {
        let mut random = SplitMix64::new(params.seed);
        self.due_ns = vec![0; connections];
        self.sent = 0;
        for _ in 0..params.clients {
            let offset_ns = random.next_unit() * params.within.as_nanos() as f64;
            let due_ns = dropped_ns + offset_ns as u64;
            self.returns.push(Reverse((due_ns, due_ns)));
        }
    }

    fn subscribe(&self, swarm: &mut Swarm, index: usize) {
        for text in &self.subscriptions {
            swarm.send(index, Opcode::Text, text.as_bytes());
        }
    }

    fn return_due(&mut self, swarm: &mut Swarm) -> Result<()> {
        while let Some(&Reverse((at_ns, due_ns))) = self.returns.peek() {
            let now_ns = clock::now_ns();
            if at_ns > now_ns {
                break;
            }
            self.returns.pop();
            self.late.saturating_record(now_ns - at_ns);
            let index = swarm.open(&self.plan)?;
            self.due_ns.resize(self.due_ns.len().max(index + 1), 0);
            self.due_ns[index] = due_ns;
        }
        Ok(())
    }

    fn take_changes(&mut self, swarm: &mut Swarm) {
        for change in swarm.take_changes() {
            match change {
                Change::Opened(index) => self.subscribe(swarm, index),
                Change::Halted(_) => {}
                Change::Ended(index) => {
                    let due_ns = self.due_ns.get_mut(index).map_or(0, std::mem::take);
                    if due_ns > 0 {
                        self.errors += 1;
                        self.returns.push(Reverse((clock::now_ns() + RETRY_NS, due_ns)));
                    }
                    swarm.release(index);
                }
            }
        }
    }
}

impl Driver for Storm {
    fn take(&mut self, delivery: Delivery<'_>) {
        let due_ns = self.due_ns.get_mut(delivery.connection).map_or(0, std::mem::take);
        if due_ns > 0 {
            self.times.saturating_record(delivery.received_ns.saturating_sub(due_ns));
            self.back += 1;
            self.last_back_ns = delivery.received_ns;
        }
    }

    fn due(&self) -> Option<Due> {
        self.publisher.map(|connection| Due { at_ns: self.next_ns, connection })
    }

    fn message(&mut self, _sent_ns: u64) -> Option<(Opcode, &[u8])> {
        let stamp = Stamp { due_ns: self.next_ns, sequence: self.sent };
        self.next_ns = self.started_ns + self.moments.next()?;
        self.sent += 1;
        let opcode = if self.message.is_text() { Opcode::Text } else { Opcode::Binary };
        Some((opcode, self.message.stamped(stamp)))
    }
}

const WARM_UP: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_millis(1);
/// A client whose connection failed tries again after this.
const RETRY_NS: u64 = 100_000_000;
/// Who is not back so long after the last was due stays away.
const GIVE_UP_NS: u64 = 30_000_000_000;
