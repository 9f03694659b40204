//! What a round of load looks like.

use std::fmt;
use std::time::Duration;

use eyre::{Result, ensure};

use crate::schedule::Pace;
use crate::target::Target;

/// One round of W0: what publishers send on one topic, all subscribers of it receive.
#[derive(Debug, Clone)]
pub struct Shape {
    /// How to speak to the server.
    pub target: Target,
    /// Connections that are to receive every message.
    pub subscribers: usize,
    /// Connections that publish, in turn.
    pub publishers: usize,
    /// Bytes of a message's payload.
    pub payload_bytes: usize,
    /// When messages are sent: the rate is that of all publishers together.
    pub pace: Pace,
    /// Subscribers beside the others, from which nothing is expected.
    pub slow: Slow,
    /// Time of load before the measurement.
    pub warm_up: Duration,
    /// Time measured: what is due in it counts.
    pub measured: Duration,
    /// For the schedule.
    pub seed: u64,
    /// Asks for events again and again instead of sleeping: nearer to the wire, a whole CPU.
    pub busy: bool,
}

/// Slow subscribers: how many, and how slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slow {
    /// These never read.
    pub stalled: usize,
    /// These read a little at a time.
    pub trickling: usize,
    /// Bytes of one such read.
    pub trickle_bytes: usize,
    /// Time between two such reads.
    pub trickle_every: Duration,
}

impl Default for Slow {
    /// None; a trickle would be 10,000 bytes a second.
    fn default() -> Self {
        let trickle_every = Duration::from_millis(10);
        Self { stalled: 0, trickling: 0, trickle_bytes: 100, trickle_every }
    }
}

/// Publishers of a round: their number stands in 16 bits of a stamp.
pub const PUBLISHERS_MAX: usize = 1 << 16;

/// Connections of a round, as many as one core can read from.
pub const CONNECTIONS_MAX: usize = 1_000_000;

/// Time that a round may take.
pub const ROUND_MAX: Duration = Duration::from_secs(24 * 3600);

impl Shape {
    /// # Errors
    /// When it has nobody to publish or subscribe, no time, or a template that cannot be used.
    pub fn check(&self) -> Result<()> {
        self.target.check()?;
        self.pace.check()?;
        let Slow { stalled, trickling, .. } = self.slow;
        ensure!(self.subscribers > 0, "a round has at least one subscriber");
        let publishers = 1..=PUBLISHERS_MAX;
        ensure!(
            publishers.contains(&self.publishers),
            "a round has 1 to {PUBLISHERS_MAX} publishers"
        );
        let all = [self.subscribers, self.publishers, stalled, trickling];
        let all = all.into_iter().fold(0, usize::saturating_add);
        ensure!(all <= CONNECTIONS_MAX, "{all} connections are more than {CONNECTIONS_MAX}");
        ensure!(!self.measured.is_zero(), "a round measures for some time");
        ensure!(self.warm_up + self.measured <= ROUND_MAX, "a round ends within {ROUND_MAX:?}");
        Ok(())
    }
}

impl fmt::Display for Shape {
    /// Such as `1000x128@50`, then what is unusual: `, 4 publishers, 50 stalled`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subscribers, payload_bytes, pace, publishers, slow, .. } = self;
        write!(f, "{subscribers}x{payload_bytes}@{pace}")?;
        for (count, name) in [(slow.stalled, "stalled"), (slow.trickling, "trickling")] {
            if count > 0 {
                write!(f, ", {count} {name}")?;
            }
        }
        if *publishers > 1 {
            write!(f, ", {publishers} publishers")?;
        }
        Ok(())
    }
}
