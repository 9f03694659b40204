//! One shard's part of the feed.

use super::beat::Beat;
use super::session::{Desk, Session};
use super::settings::FeedSettings;
use super::upgrade::{Accepted, accept, named};
use crate::auth::Gatekeeper;
use crate::config::feed::FeedConfig;
use crate::config::shared::{Cache, Shared};
use crate::doorkeeper::Judged;
use crate::guest::Guest;
use crate::hook::Clerk;
use corecast::{Context, Event, Message, Reject, TimerContext, Upgrade};
use std::time::Duration;

/// How soon a heartbeat that is switched on at run time begins.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Serves the connections of one shard.
#[derive(Debug)]
pub(crate) struct FeedHandler {
    shared: Shared<FeedConfig>,
    cache: Cache<FeedConfig>,
    settings: FeedSettings,
    gate: Gatekeeper,
    clerk: Option<Clerk>,
    beat: Beat,
}

impl FeedHandler {
    /// What may change at run time is taken from `shared`.
    pub(crate) fn new(
        shared: Shared<FeedConfig>,
        settings: FeedSettings,
        (gate, clerk): (Gatekeeper, Option<Clerk>),
    ) -> Self {
        let cache = shared.cache();
        let settings = settings.renewed(cache.value());
        Self { shared, cache, settings, gate, clerk, beat: Beat::default() }
    }

    /// Who comes where nobody is asked for a token.
    ///
    /// # Errors
    ///
    /// 400 when the request names nobody.
    pub(crate) fn named(&mut self, request: &Upgrade<'_>) -> Result<Guest, Reject> {
        named(request, self.settings().made_of.identity)
    }

    /// Accepts who was let in, or is to say who he is.
    pub(crate) fn accept(&self, request: &Upgrade<'_>, judged: Judged) -> Accepted {
        accept(request, judged)
    }

    /// See [`corecast::Handler::on_open`].
    pub(crate) fn on_open(&mut self, session: &mut Session, context: &mut Context<'_>) {
        session.open(self.settings(), context);
    }

    /// See [`corecast::Handler::on_message`].
    pub(crate) fn on_message(
        &mut self,
        session: &mut Session,
        message: Message<'_>,
        context: &mut Context<'_>,
    ) {
        session.message(message, &mut self.desk(), context);
    }

    /// See [`corecast::Handler::on_event`].
    pub(crate) fn on_event(
        &mut self,
        session: &mut Session,
        event: Event,
        context: &mut Context<'_>,
    ) {
        session.event(event, self.settings(), context);
    }

    /// See [`corecast::Handler::on_wake`].
    pub(crate) fn on_wake(&mut self, session: &mut Session, context: &mut Context<'_>) {
        session.wake(&mut self.desk(), context);
    }

    /// See [`corecast::Handler::on_close`].
    pub(crate) fn on_close(&mut self, session: Session) {
        session.close(&self.settings);
    }

    /// See [`corecast::Handler::on_timer`].
    pub(crate) fn on_timer(&mut self, context: &mut TimerContext<'_>) -> Option<Duration> {
        let Some(each) = self.settings().beat() else { return Some(LOOK_AGAIN) };
        self.beat.strike(context);
        Some(each)
    }

    /// The settings of now.
    fn settings(&mut self) -> &FeedSettings {
        self.renew();
        &self.settings
    }

    fn desk(&mut self) -> Desk<'_> {
        self.renew();
        let clerk = self.clerk.as_mut();
        Desk { settings: &self.settings, gate: &mut self.gate, clerk, verdict: None }
    }

    fn renew(&mut self) {
        if let Some(config) = self.shared.changed(&mut self.cache) {
            self.settings = self.settings.clone().renewed(config);
        }
    }
}
