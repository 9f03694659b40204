//! One connection's conversation.
//!
//! A session is [`Upgraded`] until the connection is open. Then it is [`Open`], and gives commands;
//! or it has to say first who it is: so long it is [`Unauthenticated`], a type with no way to do
//! anything else. [`Session::command`] is the one place that asks in which state a command came.

use super::asking::Asking;
use super::budget::Spent;
use super::codec::control;
use super::open::Open;
use super::refusal::Refusal;
use super::settings::FeedSettings;
use super::unauthenticated::{Outcome, Unauthenticated};
use crate::auth::Gatekeeper;
use crate::config::auth::AuthMode;
use crate::config::hook::HookEvent;
use crate::doorkeeper::{Entry, Judged};
use crate::guest::Guest;
use crate::hook::{self, Asked, Clerk, Verdict};
use corecast::{CloseCode, Context, Leaving, Message, SendStatus};
use corecast_feed::event::{Event, GoingAway, Welcome, WelcomeAuth};
use corecast_feed::value::Nanos;
use corecast_feed::{Command, ErrorCode, Id, Subprotocol, parse_command};
use corecast_gate::Denied;
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
pub(super) enum State {
    Upgraded(Box<Upgraded>),
    Unauthenticated(Box<Unauthenticated>),
    Open(Box<Open>),
    /// One of the above, while a command waits for the hook.
    Asking(Box<Asking>),
    /// Nothing: it is on its way from one to another.
    Between,
}

/// What the handshake said.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) subprotocol: Subprotocol,
    /// None: it was taken up.
    pub(crate) judged: Option<Judged>,
}

/// What a shard has for all its sessions.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(super) settings: &'a FeedSettings,
    pub(super) gate: &'a mut Gatekeeper,
    pub(super) clerk: Option<&'a mut Clerk>,
    /// What the hook has said of the command that is done now.
    pub(super) verdict: Option<Verdict>,
}

impl Session {
    pub(crate) fn new(upgraded: Upgraded) -> Self {
        let state = State::Upgraded(Box::new(upgraded));
        Self { state, commands: Spent::default(), errors: Spent::default() }
    }

    /// The connection is open: the client is told what it may do, or what it must do first.
    pub(crate) fn open(&mut self, settings: &FeedSettings, context: &mut Context<'_>) {
        let State::Upgraded(upgraded) = &mut self.state else { return };
        let subprotocol = upgraded.subprotocol;
        let Some(Judged { entry, told }) = upgraded.judged.take() else { return };
        let feed = context.feed();
        let (epoch, time) = (feed.epoch(), Nanos(feed.wall_ns()));
        let client = settings.names.client_of(context.id());
        let auth = match &entry {
            Entry::Known(_) => None,
            Entry::Unknown(within) => {
                let deadline_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
                Some(WelcomeAuth { deadline_ms })
            }
        };
        let welcome = Welcome {
            v: corecast_feed::VERSION,
            client: (&*client).into(),
            epoch: settings.codec.epoch(epoch).into(),
            time,
            heartbeat_ms: settings.heartbeat_ms,
            limits: settings.welcome_limits(),
            auth,
        };
        reply(context, &Event::Welcome(welcome));
        match entry {
            Entry::Known(guest) => {
                match Open::begin((client, told), subprotocol, guest, settings, context) {
                    Ok(open) => self.state = State::Open(Box::new(open)),
                    Err(refusal) => {
                        context.close(CloseCode::TRY_AGAIN_LATER, &refusal.message);
                    }
                }
            }
            Entry::Unknown(within) => {
                let until = context.now().after(within);
                context.wake_at(Some(until));
                let waiting = Unauthenticated { client, told, subprotocol, until };
                self.state = State::Unauthenticated(Box::new(waiting));
            }
        }
    }

    /// A message came in.
    pub(crate) fn message(
        &mut self,
        message: Message<'_>,
        desk: &mut Desk<'_>,
        context: &mut Context<'_>,
    ) {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                let what = "a command is a text message, this one is binary";
                let refusal = Refusal::new(ErrorCode::Malformed, what);
                reply(context, &refusal.event(None, None));
                return self.count_error(desk.settings, context);
            }
        };
        match parse_command(text, &desk.settings.limits) {
            Ok(command) => self.command(&command, text, desk, context),
            Err(error) => {
                reply(context, &Event::Error(error.to_event()));
                self.count_error(desk.settings, context);
            }
        }
    }

    /// Something that was asked of other shards is answered.
    pub(crate) fn event(
        &mut self,
        event: corecast::Event,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        if let State::Open(open) = self.state.settled_mut() {
            open.event(event, settings, context);
        }
    }

    /// A time has come, that of the guest or that for `auth`; or the hook has answered.
    pub(crate) fn wake(&mut self, desk: &mut Desk<'_>, context: &mut Context<'_>) {
        let is_over = match self.state.settled_mut() {
            State::Unauthenticated(waiting) => waiting.wake(context),
            State::Open(open) => open.wake(desk.settings, context),
            _ => false,
        };
        if let State::Asking(asking) = &self.state
            && !is_over
            && let Some(verdict) = desk.answer(&asking.ticket, context)
        {
            self.answered(verdict, desk, context);
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
        if let State::Open(open) = self.state.settled()
            && open.joined
        {
            settings.audience.leave();
        }
    }

    fn command(
        &mut self,
        command: &Command<'_>,
        text: &str,
        desk: &mut Desk<'_>,
        context: &mut Context<'_>,
    ) {
        let settings = desk.settings;
        if !settings.commands.spend(&mut self.commands, context.now()) {
            let rate = settings.made_of.commands_per_second_max;
            let message = format!("more than {rate} commands in a second: slow down");
            let refusal = Refusal::new(ErrorCode::TooMany, message);
            return refuse(context, command.id(), None, &refusal);
        }
        match &mut self.state {
            State::Asking(asking) => {
                if !asking.put(text) {
                    refuse(context, command.id(), None, &Refusal::in_flight());
                }
            }
            _ => self.ask_and_do(command, text, desk, context),
        }
    }

    /// Does a command; where the hook is to be asked about it, as soon as it has answered.
    fn ask_and_do(
        &mut self,
        command: &Command<'_>,
        text: &str,
        desk: &mut Desk<'_>,
        context: &mut Context<'_>,
    ) {
        match desk.ask(command, &self.state, context) {
            Some(Asked::Pending(ticket)) => {
                let state = std::mem::replace(&mut self.state, State::Between);
                self.state = State::Asking(Box::new(Asking::new(state, ticket, text)));
            }
            Some(Asked::Known(verdict)) => {
                desk.verdict = Some(verdict);
                self.act(command, desk, context);
            }
            None => self.act(command, desk, context),
        }
    }

    /// The hook has answered: the command that has waited is done, and those behind it.
    fn answered(&mut self, verdict: Verdict, desk: &mut Desk<'_>, context: &mut Context<'_>) {
        let State::Asking(asking) = std::mem::replace(&mut self.state, State::Between) else {
            return;
        };
        let (state, commands) = asking.into_parts();
        self.state = state;
        desk.verdict = Some(verdict);
        for (place, text) in commands.iter().enumerate() {
            // Each was a command when it came.
            let Ok(command) = parse_command(text, &desk.settings.limits) else { continue };
            match &mut self.state {
                State::Asking(asking) => {
                    asking.put(text);
                }
                _ if place == 0 => self.act(&command, desk, context),
                _ => self.ask_and_do(&command, text, desk, context),
            }
        }
    }

    fn act(&mut self, command: &Command<'_>, desk: &mut Desk<'_>, context: &mut Context<'_>) {
        let is_error = match &mut self.state {
            // No message comes before the connection is open.
            State::Upgraded(_) | State::Asking(_) | State::Between => false,
            State::Unauthenticated(waiting) => match waiting.command(command, desk, context) {
                Outcome::Answered => false,
                Outcome::Refused => true,
                Outcome::Opened(open) => {
                    self.state = State::Open(open);
                    false
                }
            },
            State::Open(open) => open.command(command, desk, context),
        };
        desk.verdict = None;
        if is_error {
            self.count_error(desk.settings, context);
        }
    }

    /// What was answered was no command, or none that this client may give. Who does not stop is
    /// closed: nobody reads the answers.
    fn count_error(&mut self, settings: &FeedSettings, context: &mut Context<'_>) {
        if !settings.errors.spend(&mut self.errors, context.now()) {
            let errors_max = settings.made_of.errors_max;
            let reason = format!("more than {errors_max} malformed commands in a minute");
            context.close(CloseCode::POLICY_VIOLATION, &reason);
        }
    }
}

impl State {
    /// What it is beneath what it waits for.
    fn settled_mut(&mut self) -> &mut Self {
        match self {
            Self::Asking(asking) => &mut asking.state,
            other => other,
        }
    }

    fn settled(self) -> Self {
        match self {
            Self::Asking(asking) => asking.into_parts().0,
            other => other,
        }
    }

    /// The user and the name of a connection that may give commands.
    pub(super) fn who(&self) -> Option<(Option<&str>, &str)> {
        match self {
            Self::Unauthenticated(waiting) => Some((None, &waiting.client)),
            Self::Open(open) => Some((open.guest.user.as_deref(), &open.client)),
            _ => None,
        }
    }

    /// What the hook is told of the request that it came with.
    pub(super) fn told(&self) -> Option<&hook::Request> {
        match self {
            Self::Unauthenticated(waiting) => waiting.told.as_deref(),
            Self::Open(open) => open.told.as_deref(),
            _ => None,
        }
    }
}

impl Desk<'_> {
    /// Whether nobody is asked who he is.
    pub(super) fn asks_nobody(&mut self) -> bool {
        self.gate.access().mode == AuthMode::Off
    }

    /// Says who sent a token.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub(super) fn guest(&mut self, token: &str, context: &Context<'_>) -> Result<Guest, Denied> {
        let guest = self.judged(token);
        guest.map_err(|denied| self.gate.bounded(denied, context.may_try(), || context.failed()))
    }

    fn judged(&mut self, token: &str) -> Result<Guest, Denied> {
        let guest = self.gate.verify(token).map(Guest::from)?;
        let asks_hook = |clerk: &&mut Clerk| clerk.is_for(HookEvent::Connect);
        match self.verdict.take() {
            Some(verdict) => guest.judged(verdict),
            // It was no good when the hook was to be asked about it, and is good now.
            None if self.clerk.as_ref().is_some_and(asks_hook) => {
                Err(Denied::Unavailable { source: "hook".into() })
            }
            None => Ok(guest),
        }
    }

    /// Says who sent a token, before the hook is asked about him, and it is judged.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub(super) fn verified(&mut self, token: &str) -> Result<Guest, Denied> {
        self.gate.look_at(token).map(Guest::from)
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
