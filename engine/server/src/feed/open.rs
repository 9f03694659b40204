//! A session that may give commands, each as far as its guest may.

use super::held::Subscriptions;
use super::limits::BEATS;
use super::pending::Pending;
use super::refusal::Refusal;
use super::session::{Desk, refuse, reply};
use super::settings::FeedSettings;
use super::subscribe::Subscribing;
use crate::clock;
use crate::config::feed::SendRight;
use crate::guest::Guest;
use crate::hook::{self, Verdict};
use corecast::{Context, Encoding, Member, Policy};
use corecast_feed::event::{Event, Pong};
use corecast_feed::{Command, ErrorCode, Subprotocol};
use corecast_gate::{Permissions, Verb};

/// Somebody who is known, as far as he must be.
#[derive(Debug)]
pub(crate) struct Open {
    pub(super) client: Box<str>,
    /// What the hook is told of the request that it came with.
    pub(super) told: Option<Box<hook::Request>>,
    pub(super) guest: Guest,
    pub(super) subscriptions: Subscriptions,
    pub(super) pending: Pending<Waiting>,
    /// Whether it counts as one who has joined a topic.
    pub(super) joined: bool,
    /// What the hook allows of the command that is done now; none: it sets no bound.
    only: Option<Permissions>,
    /// Until when the hook allows it, in seconds since 1970; none: it sets no end.
    pub(super) until_s: Option<i64>,
}

/// A command that waits for an answer of another shard.
#[derive(Debug)]
pub(super) enum Waiting {
    Subscribe(Box<Subscribing>),
    Publish(Box<super::publish::Publishing>),
    Send(Box<super::send::Sending>),
    Ask(super::ask::Asking),
}

impl Open {
    /// Begins: from here on the client is somebody. It hears heartbeats and what is sent to it by
    /// name, and ends when its guest does.
    ///
    /// # Errors
    ///
    /// When a bound is reached.
    pub(super) fn begin(
        (client, told): (Box<str>, Option<Box<hook::Request>>),
        subprotocol: Subprotocol,
        guest: Guest,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) -> Result<Self, Refusal> {
        let open = Self {
            client,
            told,
            guest,
            subscriptions: Subscriptions::default(),
            pending: Pending::default(),
            joined: false,
            only: None,
            until_s: None,
        };
        context.feed().speak(match subprotocol {
            Subprotocol::Json => Encoding::Json,
            Subprotocol::Binary => Encoding::Binary,
        });
        open.join(settings, context)?;
        open.wake_in_time(context);
        Ok(open)
    }

    /// Does a command. Says whether it counts as one that was none.
    pub(super) fn command(
        &mut self,
        command: &Command<'_>,
        desk: &mut Desk<'_>,
        context: &mut Context<'_>,
    ) -> bool {
        if let Command::Auth(auth) = command {
            return self.renew(auth, desk, context);
        }
        match desk.verdict.take() {
            None => {}
            Some(verdict) if verdict.has_ended(clock::wall_s()) => {
                let refusal = Refusal::new(ErrorCode::Forbidden, "it was allowed, until just now");
                refuse(context, command.id(), None, &refusal);
                return false;
            }
            Some(Verdict::Allowed(allowed)) => {
                (self.only, self.until_s) = (allowed.rights, allowed.expires_at_s);
            }
            Some(Verdict::Denied(reason)) => {
                let refusal = Refusal::new(ErrorCode::Forbidden, reason);
                refuse(context, command.id(), None, &refusal);
                return false;
            }
            Some(Verdict::Unavailable(why)) => {
                tracing::debug!(why, "a command was refused");
                let message = "nobody can say now whether this is allowed: try again";
                let refusal = Refusal::new(ErrorCode::Unavailable, message);
                refuse(context, command.id(), None, &refusal);
                return false;
            }
        }
        self.act(command.clone(), desk.settings, context);
        (self.only, self.until_s) = (None, None);
        false
    }

    fn act(&mut self, command: Command<'_>, settings: &FeedSettings, context: &mut Context<'_>) {
        match command {
            // Its own.
            Command::Auth(_) => {}
            Command::Subscribe(subscribe) => self.subscribe(&subscribe, settings, context),
            Command::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe, settings, context),
            Command::Publish(publish) => self.publish(&publish, settings, context),
            Command::Send(send) => self.send(&send, settings, context),
            Command::Presence(presence) => self.presence(presence, settings, context),
            Command::History(history) => self.history(history, settings, context),
            Command::Ping(ping) => reply(context, &Event::Pong(Pong { id: ping.id })),
        }
    }

    /// Refuses what the guest has no right to.
    pub(super) fn may(&self, verb: Verb, name: &str) -> Result<(), Refusal> {
        let only = self.only.as_ref();
        if self.guest.may(verb, name) && only.is_none_or(|only| only.may(verb, name)) {
            return Ok(());
        }
        let may_not = match verb {
            Verb::Subscribe => "may not subscribe to",
            Verb::Publish => "may not publish to",
            Verb::Presence => "may not ask who is in",
            Verb::History => "may not ask for the history of",
        };
        Err(Refusal::new(ErrorCode::Forbidden, format!("this client {may_not} {name}")))
    }

    /// This connection in a topic with presence.
    pub(super) fn member(&self) -> Member {
        Member { client: self.client.clone(), user: self.guest.user.clone() }
    }

    fn join(&self, settings: &FeedSettings, context: &mut Context<'_>) -> Result<(), Refusal> {
        let index = context.id().conn.index;
        let mut feed = context.feed();
        feed.join_internal(super::beat::name(index % BEATS), Policy::Latest)?;
        if settings.made_of.send == SendRight::Users {
            feed.join_internal(&super::send::client_topic(&self.client), Policy::Close)?;
        }
        if let Some(user) = &self.guest.user {
            feed.identify(user)?;
        }
        Ok(())
    }
}
