//! What a stretch of load costs: the server's process, and this one.

use std::time::Duration;

use eyre::Result;

use crate::clock;
use crate::measure::OwnLoad;
use crate::outcome::Cost;
use crate::process::{Usage, sockets_bytes};
use crate::servers::Site;
use crate::swarm::Swarm;

/// Reads a server's usage at the beginning and the end of a stretch.
#[derive(Debug)]
pub struct Meter<'a> {
    site: &'a Site,
    before: Option<Usage>,
    started_ns: u64,
    own: OwnLoad,
    idle_ns: u64,
    sockets_before: u64,
    sockets_max: u64,
    sampled_ns: u64,
}

/// What a stretch has cost.
#[derive(Debug, Clone, Copy)]
pub struct Bill {
    /// The server, where its process is known.
    pub cost: Option<Cost>,
    /// This process as a share of one CPU; asking in vain is not counted.
    pub client_share: f64,
}

impl<'a> Meter<'a> {
    /// Begins a stretch. `sockets_before` is what [`sockets_bytes`] gave before the connections
    /// were opened.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn start(site: &'a Site, swarm: &Swarm, sockets_before: u64) -> Result<Self> {
        let before = site.usage()?;
        let (own, idle_ns, started_ns) = (OwnLoad::start(), swarm.idle_ns(), clock::now_ns());
        let (sockets_max, sampled_ns) = (0, started_ns);
        Ok(Self { site, before, started_ns, own, idle_ns, sockets_before, sockets_max, sampled_ns })
    }

    /// Looks at the memory of sockets when the last look is `SAMPLE_EVERY_NS` ago: once all is
    /// delivered, nothing of it is left to see.
    ///
    /// # Errors
    /// As [`sockets_bytes`].
    pub fn sample(&mut self) -> Result<()> {
        if clock::now_ns() - self.sampled_ns < SAMPLE_EVERY_NS {
            return Ok(());
        }
        self.sample_now()
    }

    /// As [`Meter::sample`], whenever the last look was.
    ///
    /// # Errors
    /// As [`sockets_bytes`].
    pub fn sample_now(&mut self) -> Result<()> {
        self.sampled_ns = clock::now_ns();
        self.sockets_max = self.sockets_max.max(sockets_bytes()?);
        Ok(())
    }

    /// Looks at what the stretch has cost so far, over `deliveries` (or what is counted instead).
    ///
    /// # Errors
    /// When the server has ended.
    pub fn read(&self, swarm: &Swarm, deliveries: u64) -> Result<Bill> {
        let own_share = self.own.share();
        let wall = Duration::from_nanos(clock::now_ns() - self.started_ns);
        let idle_share =
            (swarm.idle_ns() - self.idle_ns) as f64 / self.own.elapsed().as_nanos() as f64;
        let sockets = self.sockets_max.max(sockets_bytes()?).saturating_sub(self.sockets_before);
        let after = self.site.usage()?;
        let cost = self
            .before
            .zip(after)
            .map(|(before, after)| Cost::between(&before, &after, sockets, wall, deliveries));
        Ok(Bill { cost, client_share: (own_share - idle_share).max(0.0) })
    }
}

/// Seldom enough to be no load: a look takes 12 µs.
const SAMPLE_EVERY_NS: u64 = 250_000_000;
