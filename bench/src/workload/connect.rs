//! Opening handshakes: how many a second, how long each takes, what each costs the server.

use std::collections::BTreeMap;
use std::time::Duration;

use eyre::{Result, bail, ensure};

use crate::clock;
use crate::load::Meter;
use crate::outcome::{Client, Latency, Outcome, histogram};
use crate::process::sockets_bytes;
use crate::servers::Site;
use crate::swarm::{Change, Swarm};
use crate::target::Target;

/// How many connections are opened, and how.
#[derive(Debug, Clone)]
pub struct Params {
    /// Where, and with which headers.
    pub target: Target,
    /// Connections to open and keep until the end.
    pub connections: usize,
    /// Handshakes under way at once.
    pub concurrency: usize,
    /// Connections opened and closed before, so that what happens once is not counted.
    pub warm_up: usize,
}

/// Opens all connections. Latency counts from the beginning of the TCP connection to the end of
/// the handshake; `cpu_ns_per_delivery` is the server's CPU time for a handshake.
///
/// # Errors
/// When the server cannot be reached or ends, or a connection is refused.
pub fn run(site: &Site, params: &Params) -> Result<Outcome> {
    ensure!(params.connections > 0, "there is at least one connection");
    ensure!(params.concurrency > 0, "at least one handshake is under way");
    let sockets_before = sockets_bytes()?;
    let mut swarm = site.swarm()?;
    open(&mut swarm, params, params.warm_up)?;
    swarm.close_all(1000);
    let until_ns = clock::now_ns() + STUCK_NS;
    while swarm.live() > 0 && clock::now_ns() < until_ns {
        swarm.poll(Duration::from_millis(20), &mut |_| {})?;
    }
    swarm.poll_for(SETTLE, &mut |_| {})?;
    drop(swarm.take_changes());

    let meter = Meter::start(site, &swarm, sockets_before)?;
    let resumed_before = swarm.resumed();
    let started_ns = clock::now_ns();
    let times = open(&mut swarm, params, params.connections)?;
    let seconds = (clock::now_ns() - started_ns) as f64 / 1e9;
    let client_share = meter.read(&swarm, 1)?.client_share;
    // The server may do for a handshake what comes after its answer.
    swarm.poll_for(SETTLE, &mut |_| {})?;
    let bill = meter.read(&swarm, params.connections as u64)?;

    let latency = Latency::from_histogram(&times);
    let opened = params.connections as u64;
    let extra = [
        ("handshakes_per_second", opened as f64 / seconds),
        ("sessions_resumed", (swarm.resumed() - resumed_before) as f64),
    ];
    Ok(Outcome {
        server: site.name.clone(),
        workload: format!("connect {}, {} at once", opened, params.concurrency),
        seconds,
        published: opened,
        expected: opened,
        delivered: opened,
        client: Client::new(client_share, &histogram()?, &latency),
        latency,
        cost: bill.cost,
        extra: BTreeMap::from(extra.map(|(name, value)| (name.to_owned(), value))),
        ..Outcome::default()
    })
}

/// Opens `count` connections; gives how long each took.
fn open(swarm: &mut Swarm, params: &Params, count: usize) -> Result<hdrhistogram::Histogram<u64>> {
    let plan = params.target.publisher();
    let (mut begun_ns, mut times) = (Vec::new(), histogram()?);
    let (mut begun, mut open) = (0, 0);
    let mut moved_ns = clock::now_ns();
    while open < count {
        while begun < count && begun - open < params.concurrency {
            let now_ns = clock::now_ns();
            let index = swarm.open(&plan)?;
            begun_ns.resize(begun_ns.len().max(index + 1), 0);
            begun_ns[index] = now_ns;
            begun += 1;
        }
        swarm.poll(Duration::from_millis(50), &mut |_| {})?;
        for change in swarm.take_changes() {
            moved_ns = clock::now_ns();
            match change {
                Change::Opened(index) => {
                    let opened_ns = swarm.opened_ns(index).unwrap_or(moved_ns);
                    times.saturating_record(opened_ns - begun_ns[index]);
                    open += 1;
                }
                Change::Ended(index) => match swarm.end(index) {
                    Some(end) => bail!("connection {index} of {count}: {end}"),
                    None => bail!("connection {index} of {count} has ended"),
                },
                Change::Halted(_) => {}
            }
        }
        let stuck = clock::now_ns() - moved_ns > STUCK_NS;
        ensure!(!stuck, "{open} of {count} connections are open, and no more for 10 s");
    }
    Ok(times)
}

const STUCK_NS: u64 = 10_000_000_000;
const SETTLE: Duration = Duration::from_millis(200);
