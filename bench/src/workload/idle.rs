//! Quiet connections: what each holds, and what all of them cost while nothing happens.

use std::collections::BTreeMap;
use std::time::Duration;

use eyre::{Result, ensure, eyre};

use crate::clock;
use crate::load::{Meter, OPEN_WITHIN};
use crate::outcome::{Client, Latency, Outcome, histogram};
use crate::process::{Usage, sockets_bytes};
use crate::servers::Site;
use crate::swarm::Swarm;
use crate::target::Target;

/// How many connections, for how long.
#[derive(Debug, Clone)]
pub struct Params {
    /// Where, and with which headers.
    pub target: Target,
    /// Connections to hold; each takes one open file here and one in the server.
    pub connections: usize,
    /// Connections made and closed before, so that what is allocated once is not counted.
    pub warm_up: usize,
    /// Time that the connections are left alone.
    pub quiet: Duration,
}

/// The name of what a connection takes, in [`Outcome::extra`].
pub const BYTES_PER_CONNECTION: &str = "rss_anon_bytes_per_connection";

/// Holds the connections and looks at the server's process: `extra` has
/// [`BYTES_PER_CONNECTION`], `rss_anon_bytes_kept_after_close`, and `files_before`,
/// `files_connected` and `files_after_close`. The cost is that of the quiet time.
///
/// # Errors
/// When the server's process is not known or ends, or connections are lost.
pub fn run(site: &Site, params: &Params) -> Result<Outcome> {
    ensure!(params.connections > 0, "there is at least one connection");
    ensure!(!params.quiet.is_zero(), "connections are left alone for some time");
    let mut swarm = site.swarm()?;
    let empty_fds = usage(site)?.fds;
    hold(&mut swarm, params, params.warm_up)?;
    close_all(&mut swarm, site, empty_fds)?;

    let sockets_before = sockets_bytes()?;
    let before = usage(site)?;
    hold(&mut swarm, params, params.connections)?;
    let meter = Meter::start(site, &swarm, sockets_before)?;
    swarm.poll_for(params.quiet, &mut |_| {})?;
    let bill = meter.read(&swarm, 0)?;
    let connected = usage(site)?;
    let (live, count) = (swarm.live(), params.connections);
    ensure!(live == count, "{live} of {count} connections are left");
    close_all(&mut swarm, site, empty_fds)?;
    let after = usage(site)?;

    let grown = connected.rss_anon_bytes.saturating_sub(before.rss_anon_bytes);
    let kept = after.rss_anon_bytes as f64 - before.rss_anon_bytes as f64;
    let extra = [
        (BYTES_PER_CONNECTION, grown as f64 / count as f64),
        ("rss_anon_bytes_kept_after_close", kept),
        ("files_before", before.fds as f64),
        ("files_connected", connected.fds as f64),
        ("files_after_close", after.fds as f64),
    ];
    Ok(Outcome {
        server: site.name.clone(),
        workload: format!("idle {count}"),
        seconds: params.quiet.as_secs_f64(),
        client: Client::new(bill.client_share, &histogram()?, &Latency::default()),
        cost: bill.cost,
        extra: BTreeMap::from(extra.map(|(name, value)| (name.to_owned(), value))),
        ..Outcome::default()
    })
}

fn usage(site: &Site) -> Result<Usage> {
    site.usage()?.ok_or_else(|| eyre!("the server's process is not known: give its id (--pid)"))
}

/// Opens connections and leaves them alone for a moment.
fn hold(swarm: &mut Swarm, params: &Params, count: usize) -> Result<()> {
    let plan = params.target.publisher();
    swarm.open_all(&plan, count, OPEN_WITHIN, &mut |_| {})?;
    swarm.poll_for(SETTLE, &mut |_| {})
}

/// Ends all connections with a closing handshake and waits until the server has let go of them.
fn close_all(swarm: &mut Swarm, site: &Site, empty_fds: u64) -> Result<()> {
    swarm.close_all(1000);
    let until_ns = clock::now_ns() + CLOSE_WITHIN_NS;
    loop {
        swarm.poll_for(Duration::from_millis(50), &mut |_| {})?;
        let fds = usage(site)?.fds;
        if swarm.live() == 0 && fds <= empty_fds {
            return swarm.poll_for(Duration::from_millis(500), &mut |_| {});
        }
        let live = swarm.live();
        ensure!(
            clock::now_ns() < until_ns,
            "after closing all, {live} connections live, {fds} server files are open"
        );
    }
}

const SETTLE: Duration = Duration::from_secs(2);
const CLOSE_WITHIN_NS: u64 = 15_000_000_000;
