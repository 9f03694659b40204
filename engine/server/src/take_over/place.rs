//! What a process leaves to its heir, step by step; and what it takes back when the heir fails.

use super::offer::{Candidate, Offer};
use super::{Bequeathed, Holdings, Listeners};
use crate::cli::exit::Failure;
use crate::config::ServerConfig;
use crate::control::Control;
use crate::gateways::Gateways;
use crate::ingest::Publishers;
use crate::secrets::Passes;
use corecast::Engine;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

/// A running program, for who takes its place.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) control: &'a Control,
    pub(crate) config: &'a ServerConfig,
    pub(crate) passes: Passes,
    pub(crate) bequeathed: Bequeathed,
    pub(crate) publishers: Arc<Publishers>,
}

impl Place<'_> {
    /// Opens the ways in for publishers.
    ///
    /// # Errors
    ///
    /// When an address or a path cannot be listened on.
    pub(crate) fn open_gateways(&self, inherited: &mut Listeners) -> Result<Gateways, Failure> {
        self.open(self.config, inherited)
    }

    /// Offers the place, where the configuration says.
    ///
    /// # Errors
    ///
    /// When the path cannot be listened on.
    pub(crate) fn open_offer(
        &self,
        inherited: Option<UnixListener>,
    ) -> Result<Option<Offer>, Failure> {
        let path = self.config.take_over.unix.as_deref();
        let open = |path| Offer::open(path, inherited, &self.bequeathed, self.control);
        path.map(open).transpose()
    }

    /// Leaves the place to who asks for it: then the program is told to stop. Where that one fails
    /// before it serves, everything goes on here.
    ///
    /// # Errors
    ///
    /// When it cannot go on.
    pub(crate) fn leave_to(
        &self,
        stream: UnixStream,
        offer: &Offer,
        mut gateways: Gateways,
    ) -> Result<Gateways, Failure> {
        let mut listeners = gateways.take_copies();
        listeners.offer = offer.listener().ok();
        let candidate = match Candidate::meet(stream, self.engine, &listeners) {
            Ok(candidate) => candidate,
            Err(error) => {
                tracing::warn!(%error, "somebody wanted to take over, and does not");
                gateways.put_copies(listeners);
                return Ok(gateways);
            }
        };
        tracing::info!("another process takes over: nobody is accepted here any more");
        self.bequeathed.set(true);
        self.engine.hold_listeners(true);
        gateways.end(self.control);
        // A request that is slow may have begun to publish before.
        self.control.pass();
        let (publishers, drain) = (self.publishers.export(), self.config.shutdown.drain());
        match candidate.bequeath(self.engine, &publishers, drain) {
            Ok(goes_on) => {
                offer.close();
                tracing::info!(goes_on, "another process has taken over");
                self.control.stop_for_heir();
                // Nothing is left of them but that they are to end.
                self.open_nothing()
            }
            Err(error) => {
                tracing::error!(%error, "the other process has failed: going on");
                self.bequeathed.set(false);
                self.engine.hold_listeners(false);
                self.open_gateways(&mut listeners).or_else(|failure| {
                    // Its clients are not to pay for it.
                    tracing::error!("no publisher or operator gets in before a restart: {failure}");
                    self.open_nothing()
                })
            }
        }
    }

    fn open_nothing(&self) -> Result<Gateways, Failure> {
        let mut config = self.config.clone();
        config.admin.listen = None;
        (config.ingest.tcp, config.ingest.unix) = (None, None);
        self.open(&config, &mut Listeners::default())
    }

    fn open(&self, config: &ServerConfig, listeners: &mut Listeners) -> Result<Gateways, Failure> {
        let (bequeathed, publishers) = (&self.bequeathed, &self.publishers);
        let holdings = Holdings { listeners, bequeathed, publishers };
        Gateways::start(self.control, config, &self.passes, self.engine, holdings)
    }
}
