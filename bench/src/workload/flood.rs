//! Subscribers beside attackers: what they lose, how much later their messages come, and what the
//! attackers leave behind.

use std::time::Duration;

use eyre::{Result, eyre};
use serde::Serialize;

use crate::clock;
use crate::flood::Tally;
use crate::load::{self, Shape};
use crate::outcome::Outcome;
use crate::process::Usage;
use crate::servers::Site;
use crate::target::Target;

/// The subscribers' time in peace, and beside attackers, on one server.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// In peace.
    pub quiet: Outcome,
    /// Beside the attackers.
    pub flooded: Outcome,
    /// What became of the attackers.
    pub attack: Tally,
    /// What the server used before, with neither subscribers nor attackers.
    pub before: Usage,
    /// What it used when both had gone.
    pub after: Usage,
    /// From the end of the attack until as few files were open as before; none when they never
    /// were, within [`SETTLE_WITHIN`].
    pub settled: Option<Duration>,
}

impl Round {
    /// Messages that subscribers should have got, did not get once, or got out of order, and
    /// subscribers that were cut off.
    #[must_use]
    pub fn lost(&self) -> u64 {
        [&self.quiet, &self.flooded].into_iter().map(lost).sum()
    }

    /// How much later 99 % of the messages came beside the attackers, as a ratio.
    #[must_use]
    pub fn p99_ratio(&self) -> f64 {
        self.flooded.latency.ns_p99 as f64 / (self.quiet.latency.ns_p99 as f64).max(1.0)
    }

    /// Memory of the server's own that it has kept, in bytes.
    #[must_use]
    pub fn kept_bytes(&self) -> u64 {
        self.after.rss_anon_bytes.saturating_sub(self.before.rss_anon_bytes)
    }
}

fn lost(outcome: &Outcome) -> u64 {
    let extra = |name: &str| outcome.extra.get(name).copied().unwrap_or(0.0) as u64;
    let ended = extra("connections_ended") + extra("held_back_messages");
    outcome.missing + outcome.duplicated + outcome.reordered + ended
}

/// The settings of a server with the topic of [`control`].
pub const SETTINGS: &str = r#"
[feed]
heartbeat_ms = 0

[[namespaces]]
name = "control"
policy = "lossless"
publish = "clients"

"#;

/// The default limits of an address, for attackers from 127.1.0.0/16 or elsewhere: by default all
/// of loopback is exempt, here only those are that a [`Swarm`](crate::swarm::Swarm) connects from.
pub const LIMITS: &str = "[address]\nexempt = [\"127.0.0.0/24\"]\n\n";

/// Clients of a lossless topic of the feed.
#[must_use]
pub fn control() -> Target {
    let publish = r#"{"type":"publish","topic":"{topic}","data":"{payload}","ack":false}"#;
    Target {
        path: "/feed".to_owned(),
        topic: "control.bench".to_owned(),
        subscribe: vec![r#"{"type":"subscribe","topics":["{topic}"]}"#.to_owned()],
        subscribed: Some(r#""type":"subscribed""#.to_owned()),
        publish: Some(publish.to_owned()),
        ..Target::default()
    }
}

/// How many clients publish `rate` messages a second together: each of them less than a client may
/// by default.
#[must_use]
pub fn publishers(rate: f64) -> usize {
    (rate / 50.0).ceil().max(1.0) as usize
}

/// Begins an attack; what it gives ends it.
pub type Begin<'a> = dyn Fn() -> Result<Finish> + 'a;

/// Ends an attack, and says what became of it.
pub type Finish = Box<dyn FnOnce() -> Result<Tally>>;

/// Runs one round; with `flooded_first` the peace comes last. A short attack before makes the
/// server allocate what it keeps in any case.
///
/// # Errors
/// When the server's process is not known or ends, or the subscribers cannot connect.
pub fn run(site: &Site, shape: &Shape, attack: &Begin<'_>, flooded_first: bool) -> Result<Round> {
    let fresh = usage(site)?.fds;
    let warm_up = Shape { warm_up: Duration::ZERO, measured: WARM_UP, ..shape.clone() };
    beside(site, &warm_up, attack)?;
    settle(site, fresh)?;
    let before = usage(site)?;
    let quiet = || load::run(site, shape);
    let first = if flooded_first { None } else { Some(quiet()?) };
    let (flooded, attack) = beside(site, shape, attack)?;
    let settled = settle(site, before.fds)?;
    let quiet = first.map_or_else(quiet, Ok)?;
    settle(site, before.fds)?;
    let after = usage(site)?;
    Ok(Round { quiet, flooded, attack, before, after, settled })
}

/// A round of load beside attackers, who begin when the subscribers are connected.
///
/// # Errors
/// As [`load::run`], and those of the attackers.
pub fn beside(site: &Site, shape: &Shape, attack: &Begin<'_>) -> Result<(Outcome, Tally)> {
    let mut finish = None;
    let outcome = load::run_with(site, shape, || {
        finish = Some(attack()?);
        Ok(())
    });
    let tally = finish.map_or_else(|| Ok(Tally::default()), |finish| finish());
    Ok((outcome?, tally?))
}

/// Waits until no more than `fds` files are open; says how long that took.
fn settle(site: &Site, fds: u64) -> Result<Option<Duration>> {
    let started_ns = clock::now_ns();
    loop {
        let waited = Duration::from_nanos(clock::now_ns() - started_ns);
        let rid = usage(site)?.fds <= fds;
        if rid || waited > SETTLE_WITHIN {
            // Memory is given back a little later than files.
            std::thread::sleep(CALM);
            return Ok(rid.then_some(waited));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn usage(site: &Site) -> Result<Usage> {
    site.usage()?.ok_or_else(|| eyre!("the server's process is not known"))
}

/// Longer than the server's deadlines for handshakes and closing, which are 5 s.
pub const SETTLE_WITHIN: Duration = Duration::from_secs(12);
const WARM_UP: Duration = Duration::from_millis(500);
const CALM: Duration = Duration::from_millis(300);
