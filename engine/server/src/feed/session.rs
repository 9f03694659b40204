//! One connection's conversation.
//!
//! A session is [`Upgraded`] until the connection is open, and then [`Open`]: whoever is in that
//! state may give every command. A state for those who must authenticate first goes between the
//! two; [`Session::command`] is the one place that asks in which state a command came.

use super::budget::Spent;
use super::client::client_of;
use super::codec::control;
use super::held::Subscriptions;
use super::limits::BEATS;
use super::pending::Pending;
use super::refusal::Refusal;
use super::settings::FeedSettings;
use super::subscribe::Subscribing;
use crate::config::feed::SendRight;
use corecast::{CloseCode, Context, Encoding, Leaving, Member, Message, Policy, SendStatus};
use corecast_feed::event::{Event, GoingAway, Pong, Welcome};
use corecast_feed::value::Nanos;
use corecast_feed::{Command, ErrorCode, Id, Subprotocol, parse_command};
use std::time::Duration;

/// A connection of the feed.
#[derive(Debug)]
pub(crate) struct Session {
    state: State,
    /// Commands, and those of them that were none.
    commands: Spent,
    errors: Spent,
}

#[derive(Debug)]
enum State {
    Upgraded(Upgraded),
    Open(Box<Open>),
}

/// What the handshake said.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) subprotocol: Subprotocol,
    pub(crate) who: Who,
}

/// Who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Nobody by name.
    Anonymous,
    /// This user.
    Identified(Box<str>),
}

/// A session that may give every command.
#[derive(Debug)]
pub(crate) struct Open {
    pub(super) client: Box<str>,
    pub(super) who: Who,
    pub(super) subscriptions: Subscriptions,
    pub(super) pending: Pending<Waiting>,
    /// Whether it counts as one who has joined a topic.
    pub(super) joined: bool,
}

/// A command that waits for an answer of another shard.
#[derive(Debug)]
pub(super) enum Waiting {
    Subscribe(Box<Subscribing>),
    Publish(Box<super::publish::Publishing>),
    Send(Box<super::send::Sending>),
    Ask(super::ask::Asking),
}

impl Session {
    pub(crate) fn new(upgraded: Upgraded) -> Self {
        let state = State::Upgraded(upgraded);
        Self { state, commands: Spent::default(), errors: Spent::default() }
    }

    /// The connection is open: the client is told what it may do.
    pub(crate) fn open(&mut self, settings: &FeedSettings, context: &mut Context<'_>) {
        let State::Upgraded(Upgraded { subprotocol, who }) = &self.state else { return };
        let id = context.id();
        let mut feed = context.feed();
        feed.speak(match subprotocol {
            Subprotocol::Json => Encoding::Json,
            Subprotocol::Binary => Encoding::Binary,
        });
        let (epoch, time) = (feed.epoch(), Nanos(feed.wall_ns()));
        let open = Open {
            client: client_of(id, epoch),
            who: who.clone(),
            subscriptions: Subscriptions::default(),
            pending: Pending::default(),
            joined: false,
        };
        let welcome = Welcome {
            v: corecast_feed::VERSION,
            client: (&*open.client).into(),
            epoch: settings.codec.epoch(epoch).into(),
            time,
            heartbeat_ms: settings.heartbeat_ms,
            limits: settings.welcome_limits(),
        };
        reply(context, &Event::Welcome(welcome));
        if let Err(refusal) = open.join(id.conn.index, settings, context) {
            context.close(CloseCode::TRY_AGAIN_LATER, &refusal.message);
        }
        self.state = State::Open(Box::new(open));
    }

    /// A message came in.
    pub(crate) fn message(
        &mut self,
        message: Message<'_>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                let what = "a command is a text message, this one is binary";
                let refusal = Refusal::new(ErrorCode::Malformed, what);
                return self.malformed(&refusal.event(None, None), settings, context);
            }
        };
        match parse_command(text, &settings.limits) {
            Ok(command) => self.command(command, settings, context),
            Err(error) => self.malformed(&Event::Error(error.to_event()), settings, context),
        }
    }

    /// Something that was asked of other shards is answered.
    pub(crate) fn event(
        &mut self,
        event: corecast::Event,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        if let State::Open(open) = &mut self.state {
            open.event(event, settings, context);
        }
    }

    /// The server ends: the client is told when, and when to come back.
    pub(crate) fn leaving(&mut self, leaving: &Leaving, context: &mut Context<'_>) {
        let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let deadline_ms = millis(leaving.deadline);
        let reconnect_ms = [0, millis(leaving.reconnect)];
        reply(context, &Event::GoingAway(GoingAway { deadline_ms, reconnect_ms }));
    }

    /// The connection is over.
    pub(crate) fn close(self, settings: &FeedSettings) {
        if let State::Open(open) = self.state
            && open.joined
        {
            settings.audience.leave();
        }
    }

    fn command(
        &mut self,
        command: Command<'_>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        if !settings.commands.spend(&mut self.commands, context.now()) {
            let rate = settings.made_of.commands_per_second_max;
            let message = format!("more than {rate} commands in a second: slow down");
            let refusal = Refusal::new(ErrorCode::TooMany, message);
            return refuse(context, command.id(), None, &refusal);
        }
        match &mut self.state {
            State::Open(open) => open.command(command, settings, context),
            // No message comes before the connection is open.
            State::Upgraded(_) => {}
        }
    }

    /// Answers what is no command. Who does not stop is closed: nobody reads the answers.
    fn malformed(&mut self, error: &Event<'_>, settings: &FeedSettings, context: &mut Context<'_>) {
        reply(context, error);
        if !settings.errors.spend(&mut self.errors, context.now()) {
            let errors_max = settings.made_of.errors_max;
            let reason = format!("more than {errors_max} malformed commands in a minute");
            context.close(CloseCode::POLICY_VIOLATION, &reason);
        }
    }
}

impl Open {
    /// Joins what every session hears: heartbeats, and what is sent to it by name.
    fn join(
        &self,
        index: u32,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let mut feed = context.feed();
        feed.join_internal(super::beat::name(index % BEATS), Policy::Latest)?;
        if settings.made_of.send == SendRight::Users {
            feed.join_internal(&super::send::client_topic(&self.client), Policy::Close)?;
        }
        if let Who::Identified(user) = &self.who {
            feed.identify(user)?;
        }
        Ok(())
    }

    fn command(
        &mut self,
        command: Command<'_>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        match command {
            Command::Auth(auth) => {
                let message = "this server asks nobody who he is: go on without `auth`";
                let refusal = Refusal::new(ErrorCode::Unsupported, message);
                refuse(context, auth.id.as_ref(), None, &refusal);
            }
            Command::Subscribe(subscribe) => self.subscribe(&subscribe, settings, context),
            Command::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe, settings, context),
            Command::Publish(publish) => self.publish(&publish, settings, context),
            Command::Send(send) => self.send(&send, settings, context),
            Command::Presence(presence) => self.presence(presence, settings, context),
            Command::History(history) => self.history(history, settings, context),
            Command::Ping(ping) => reply(context, &Event::Pong(Pong { id: ping.id })),
        }
    }

    /// This connection in a topic with presence.
    pub(super) fn member(&self) -> Member {
        let user = match &self.who {
            Who::Anonymous => None,
            Who::Identified(user) => Some(user.clone()),
        };
        Member { client: self.client.clone(), user }
    }
}

/// Queues an event for this connection. Where its own queue is full the engine closes it, and says
/// why.
pub(super) fn reply(context: &mut Context<'_>, event: &Event<'_>) {
    let _: SendStatus = context.reply(&control(event));
}

/// Answers a command with why it was refused.
pub(super) fn refuse(
    context: &mut Context<'_>,
    id: Option<&Id<'_>>,
    topic: Option<&str>,
    refusal: &Refusal,
) {
    reply(context, &refusal.event(id, topic));
}
