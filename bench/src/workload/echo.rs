//! Round trips: connections that each have one message on its way.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use corecast_wire::frame::Opcode;
use eyre::{Result, ensure};
use hdrhistogram::Histogram;

use crate::clock;
use crate::load::{Meter, OPEN_WITHIN};
use crate::outcome::{Client, Latency, Outcome, histogram};
use crate::process::sockets_bytes;
use crate::servers::Site;
use crate::stamp::Stamp;
use crate::swarm::{Delivery, Driver, Due, Swarm};
use crate::target::{Message, Target};

/// Who sends what to whom.
#[derive(Debug, Clone)]
pub struct Params {
    /// How to speak to a server that sends back what it gets.
    pub target: Target,
    /// Connections, each with one message on its way.
    pub connections: usize,
    /// Bytes of a payload.
    pub payload_bytes: usize,
    /// Time of load before the measurement.
    pub warm_up: Duration,
    /// Time measured.
    pub measured: Duration,
    /// Asks for events again and again instead of sleeping.
    pub busy: bool,
}

/// Runs one round. A message's latency counts from the moment it is sent, which is when the one
/// before has come back.
///
/// # Errors
/// When the server cannot be reached, ends, or sends nothing back.
pub fn run(site: &Site, params: &Params) -> Result<Outcome> {
    ensure!(params.connections > 0, "there is at least one connection");
    params.target.check()?;
    let sockets_before = sockets_bytes()?;
    let mut swarm = site.swarm()?;
    swarm.set_busy(params.busy);
    let plan = params.target.publisher();
    let all = swarm.open_all(&plan, params.connections, OPEN_WITHIN, &mut |_| {})?;
    let mut echo = Echo {
        ready: all.clone().collect(),
        awaited: vec![0; all.end],
        message: Message::new(&params.target, params.payload_bytes)?,
        printed: params.target.publish.is_some(),
        sequence: 0,
        returned: 0,
        ended: false,
        latency: histogram()?,
    };
    echo.drive_for(&mut swarm, params.warm_up)?;
    let warm = params.warm_up.is_zero() || echo.returned > 0;
    ensure!(warm, "nothing came back while warming up: is {} a path that echoes?", plan.target);

    let meter = Meter::start(site, &swarm, sockets_before)?;
    echo.latency.clear();
    let (sent, returned, started_ns) = (echo.sequence, echo.returned, clock::now_ns());
    let waiting = (params.connections - echo.ready.len()) as u64;
    echo.drive_for(&mut swarm, params.measured)?;
    let seconds = (clock::now_ns() - started_ns) as f64 / 1e9;
    let (published, delivered) = (echo.sequence - sent, echo.returned - returned);
    let bill = meter.read(&swarm, delivered)?;
    echo.ended = true;
    echo.drive_for(&mut swarm, LAST_WITHIN)?;
    let missing = (params.connections - echo.ready.len()) as u64;

    let latency = Latency::from_histogram(&echo.latency);
    let rate = ("round_trips_per_second".to_owned(), delivered as f64 / seconds);
    let ended = ("connections_ended".to_owned(), (params.connections - swarm.live()) as f64);
    Ok(Outcome {
        server: site.name.clone(),
        workload: format!("echo {}x{}", params.connections, params.payload_bytes),
        seconds,
        published,
        // Those on their way at the beginning came back within, those at the end behind it.
        expected: delivered + missing,
        delivered,
        missing,
        client: Client::new(bill.client_share, &histogram()?, &latency),
        latency,
        cost: bill.cost,
        extra: BTreeMap::from([rate, ended, ("on_their_way".to_owned(), waiting as f64)]),
        ..Outcome::default()
    })
}

struct Echo {
    /// Connections that have nothing on its way.
    ready: VecDeque<usize>,
    /// The sequence number that each connection waits for.
    awaited: Vec<u64>,
    message: Message,
    printed: bool,
    sequence: u64,
    returned: u64,
    ended: bool,
    latency: Histogram<u64>,
}

impl Echo {
    fn drive_for(&mut self, swarm: &mut Swarm, time: Duration) -> Result<()> {
        let until_ns = clock::now_ns() + time.as_nanos() as u64;
        while let Some(left) = until_ns.checked_sub(clock::now_ns()).filter(|&left| left > 0) {
            if self.ended && self.ready.len() == swarm.live() {
                break;
            }
            swarm.drive(Duration::from_nanos(left.min(TURN_NS_MAX)), self)?;
        }
        Ok(())
    }
}

impl Driver for Echo {
    fn take(&mut self, delivery: Delivery<'_>) {
        let Delivery { connection, payload, received_ns, .. } = delivery;
        let found = if self.printed {
            Stamp::find(payload, 0).map(|(_, stamp)| stamp)
        } else {
            Stamp::read(payload)
        };
        let Some(stamp) = found else { return };
        // Numbers begin at 1, so that 0 waits for nothing.
        if stamp.sequence == self.awaited[connection] && stamp.sequence > 0 {
            self.awaited[connection] = 0;
            self.latency.saturating_record(received_ns.saturating_sub(stamp.due_ns));
            self.returned += 1;
            self.ready.push_back(connection);
        }
    }

    fn due(&self) -> Option<Due> {
        let connection = self.ready.front().filter(|_| !self.ended)?;
        Some(Due { at_ns: 0, connection: *connection })
    }

    fn message(&mut self, sent_ns: u64) -> Option<(Opcode, &[u8])> {
        let connection = self.ready.pop_front()?;
        self.sequence += 1;
        self.awaited[connection] = self.sequence;
        let opcode = if self.message.is_text() { Opcode::Text } else { Opcode::Binary };
        let stamp = Stamp { due_ns: sent_ns, sequence: self.sequence };
        Some((opcode, self.message.stamped(stamp)))
    }
}

const TURN_NS_MAX: u64 = 20_000_000;
/// For what is on its way at the end.
const LAST_WITHIN: Duration = Duration::from_secs(2);
