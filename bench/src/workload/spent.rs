//! What a played round costs, read when the last delivery has come.

use std::time::Duration;

use eyre::{Result, WrapErr};

use super::play::Watched;
use crate::clock;
use crate::measure::OwnLoad;
use crate::outcome::Cost;
use crate::process::{Usage, sockets_bytes};

/// The server's process and this one since the beginning of a round.
#[derive(Debug)]
pub(super) struct Spent {
    pub(super) started_ns: u64,
    before: Usage,
    own: OwnLoad,
    /// What had been used when nothing came any more: of the server, and of this process.
    after: Option<(Usage, Duration)>,
    sockets_before: u64,
    sockets_max: u64,
}

impl Spent {
    /// Begins a round, whose connections are open already.
    pub(super) fn begin(watched: &Watched<'_>) -> Result<Self> {
        let (before, sockets_before) = ((watched.usage)()?, sockets_bytes()?);
        let (own, started_ns) = (OwnLoad::start(), clock::now_ns());
        Ok(Self { started_ns, before, own, after: None, sockets_before, sockets_max: 0 })
    }

    /// Looks at the memory of sockets.
    pub(super) fn sample(&mut self) -> Result<()> {
        self.sockets_max = self.sockets_max.max(sockets_bytes()?);
        Ok(())
    }

    /// Deliveries still come: what was read is too early.
    pub(super) fn goes_on(&mut self) {
        self.after = None;
    }

    /// Reads what was spent, once: whoever waits from now on costs nothing of the round.
    pub(super) fn read(&mut self, watched: &Watched<'_>) -> Result<()> {
        if self.after.is_none() {
            let usage = (watched.usage)().wrap_err("the server has ended")?;
            self.after = Some((usage, self.own.elapsed().mul_f64(self.own.share())));
        }
        Ok(())
    }

    /// The cost of the server, and the share of a CPU that this process used: both over `wall`,
    /// which ended with the last of `deliveries`.
    pub(super) fn over(
        mut self,
        watched: &Watched<'_>,
        wall: Duration,
        deliveries: u64,
    ) -> Result<(Cost, f64)> {
        self.read(watched)?;
        let (after, own) = self.after.unwrap_or_default();
        let sockets = self.sockets_max.saturating_sub(self.sockets_before);
        let cost = Cost::between(&self.before, &after, sockets, wall, deliveries);
        Ok((cost, own.as_secs_f64() / wall.as_secs_f64()))
    }
}
