//! A session whose command waits for the hook. What the client sends meanwhile waits behind it, so
//! that commands are done in the order in which they came.

use super::limits::{ASKING_BYTES_MAX, COMMANDS_IN_FLIGHT_MAX};
use super::session::{Desk, State};
use crate::config::hook::HookEvent;
use crate::hook::{Asked, Question, Ticket, Verdict};
use corecast::Context;
use corecast_feed::Command;
use corecast_feed::command::{History, Presence, Publish};
use std::collections::VecDeque;

/// A session, the command that waits for the hook, and those behind it.
#[derive(Debug)]
pub(super) struct Asking {
    /// What it is and goes on to be.
    pub(super) state: State,
    pub(super) ticket: Ticket,
    commands: VecDeque<Box<str>>,
    bytes: usize,
}

impl Asking {
    pub(super) fn new(state: State, ticket: Ticket, command: &str) -> Self {
        let (commands, bytes) = (VecDeque::from([command.into()]), command.len());
        Self { state, ticket, commands, bytes }
    }

    /// Puts a command behind those that wait. False: there are too many.
    pub(super) fn put(&mut self, command: &str) -> bool {
        let fits = self.commands.len() < COMMANDS_IN_FLIGHT_MAX
            && self.bytes + command.len() <= ASKING_BYTES_MAX;
        if fits {
            self.bytes += command.len();
            self.commands.push_back(command.into());
        }
        fits
    }

    /// What it was, and what waits: the command that was asked about first.
    pub(super) fn into_parts(self) -> (State, VecDeque<Box<str>>) {
        (self.state, self.commands)
    }
}

impl Desk<'_> {
    /// Asks the hook about a command, if it is to be asked about it. The connection is woken when
    /// an answer comes that is not there yet.
    pub(super) fn ask(
        &mut self,
        command: &Command<'_>,
        state: &State,
        context: &Context<'_>,
    ) -> Option<Asked> {
        let question = self.question(command, state)?;
        let clerk = self.clerk.as_deref_mut()?;
        Some(clerk.ask(question, context.now(), context.waker()))
    }

    /// The hook's answer, if it is there.
    pub(super) fn answer(&mut self, ticket: &Ticket, context: &Context<'_>) -> Option<Verdict> {
        self.clerk.as_deref_mut()?.take(ticket, context.now())
    }

    fn question(&mut self, command: &Command<'_>, state: &State) -> Option<String> {
        let event = match command {
            Command::Auth(_) => HookEvent::Connect,
            // Who reads a topic's past or its members reads the topic.
            Command::Subscribe(_) | Command::Presence(_) | Command::History(_) => {
                HookEvent::Subscribe
            }
            Command::Publish(_) => HookEvent::Publish,
            _ => return None,
        };
        self.clerk.as_deref().filter(|clerk| clerk.is_for(event))?;
        let (user, client) = state.who()?;
        Some(match command {
            Command::Auth(auth) => {
                if self.asks_nobody() {
                    return None;
                }
                // A token that is no good is refused without a question.
                let guest = self.verified(&auth.token).ok()?;
                Question::stay(guest.user.as_deref(), client, state.told()).to_json()
            }
            // Who is not known yet is refused without a question.
            _ if !matches!(state, State::Open(_)) => return None,
            Command::Subscribe(subscribe) => {
                let topics = subscribe.topics.iter().map(|topic| &**topic).collect();
                Question::topics(event, user, client, topics).to_json()
            }
            Command::Publish(Publish { topic, .. })
            | Command::Presence(Presence { topic, .. })
            | Command::History(History { topic, .. }) => {
                Question::topics(event, user, client, vec![&**topic]).to_json()
            }
            _ => return None,
        })
    }
}
