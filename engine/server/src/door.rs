//! How the commands that serve start their engine: one handler for all paths, one codec.

use crate::cli::exit::Failure;
use crate::config::hook::HookEvent;
use crate::config::reload::Settings;
use crate::doorkeeper::Doorkeeper;
use crate::feed::{Bodies, FeedCodec, FeedHandler, FeedSettings};
use crate::handler::ServerHandler;
use crate::namespaces::are_built_in;
use crate::raw::{Audience, Inbound, RawHandler};
use crate::route::Routes;
use crate::take_over::Bequeathed;
use corecast::{Builder, Engine, StartError};

/// Which paths an engine of this program has, and what becomes of those who come.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    /// Whether `/echo` exists.
    pub(crate) echo: bool,
    /// What becomes of bytes that clients send at `/ws/<topic>`.
    pub(crate) inbound: Inbound,
    /// Counts who has joined a topic.
    pub(crate) audience: Audience,
    /// Layouts of binary payloads.
    pub(crate) bodies: Bodies,
    /// Whether another process has its place: clients publish there.
    pub(crate) bequeathed: Bequeathed,
}

/// Why a door does not open.
#[derive(Debug)]
pub(crate) enum DoorError {
    /// The engine does not start.
    Start(StartError),
    /// Something else.
    Failure(Failure),
}

impl From<StartError> for DoorError {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<Failure> for DoorError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<DoorError> for Failure {
    fn from(error: DoorError) -> Self {
        match error {
            DoorError::Start(error) => error.into(),
            DoorError::Failure(failure) => failure,
        }
    }
}

impl Door {
    /// Starts an engine, its pages being those that `pages` adds.
    ///
    /// # Errors
    ///
    /// When a key cannot be read, a page is none, or the engine does not start.
    pub(crate) fn open<E: From<StartError> + From<Failure>>(
        self,
        settings: &Settings,
        pages: impl FnOnce(Builder) -> Result<Builder, E>,
    ) -> Result<Engine, E> {
        settings.load_keys()?;
        let Self { echo, inbound, audience, bodies, bequeathed } = self;
        let (config, shared) = (settings.engine(), settings.feed());
        let feed = &settings.running().feed;
        let routes = Routes { echo, feed: feed.enabled.then(|| feed.path.as_str().into()) };
        let codec = FeedCodec::new(bodies);
        let sessions = FeedSettings::new(feed, &config, codec.clone(), audience.clone());
        let (auth, hook) = (settings.auth(), settings.hook());
        // What it is asked about one message after the other, it is asked about in the feed alone.
        let asks = settings.running().auth.hook.is_for(HookEvent::Publish);
        let inbound = if asks { Inbound::Refuse } else { inbound };
        let keeps_namespaces = !are_built_in(&config.namespaces);
        let sessions = FeedSettings { bequeathed, ..sessions };
        let known = routes.clone();
        let builder = Engine::builder()
            .config(config)
            .codec(codec)
            .socket_path(move |path| known.is_socket_path(path));
        let engine = pages(builder)?.spawn(move |_| {
            let raw = RawHandler::new(inbound, keeps_namespaces, audience.clone());
            let desk = (auth.gatekeeper(), hook.clerk());
            let feed = FeedHandler::new(shared.clone(), sessions.clone(), desk);
            let door = Doorkeeper::new(auth.gatekeeper(), hook.clerk());
            ServerHandler::new(routes.clone(), door, raw, feed)
        });
        Ok(engine?)
    }
}
