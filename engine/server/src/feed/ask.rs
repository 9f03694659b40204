//! `presence` and `history`: questions to a topic's home.

use super::codec::{member_of, text};
use super::limits::PRESENCE_REPLY_MAX;
use super::open::{Open, Waiting};
use super::refusal::Refusal;
use super::session::{refuse, reply};
use super::settings::FeedSettings;
use super::wish::{Name, Stem};
use corecast::{Answer, Context, Member, Namespace, Payload, Question, SendStatus};
use corecast_feed::command::{History, Presence};
use corecast_feed::event::{self, Event};
use corecast_feed::json::{self, HistoryHead};
use corecast_feed::{ErrorCode, Id};
use corecast_gate::Verb;

/// A question on its way.
#[derive(Debug)]
pub(crate) struct Asking {
    id: Option<Id<'static>>,
    /// Of `history`: the last message that the asker has.
    since: u64,
}

impl Open {
    /// `presence`.
    pub(super) fn presence(
        &mut self,
        command: Presence<'_>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        let Presence { id, topic } = command;
        let question = Question::Presence { topic: (&*topic).into(), limit: PRESENCE_REPLY_MAX };
        let keeps = |namespace: &Namespace| match namespace.presence {
            true => Ok(()),
            false => Err("is of a namespace that keeps no presence"),
        };
        if let Err(refusal) = self.ask(id.as_ref(), question, keeps, settings, context) {
            refuse(context, id.as_ref(), Some(&topic), &refusal);
        }
    }

    /// `history`.
    pub(super) fn history(
        &mut self,
        command: History<'_>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        let History { id, topic, since, limit } = command;
        let limit = limit.unwrap_or(settings.limits.history_max) as usize;
        let question = Question::History { topic: (&*topic).into(), since, limit };
        let keeps = |namespace: &Namespace| match namespace.history_entries {
            0 => Err("is of a namespace that keeps no history"),
            _ => Ok(()),
        };
        if let Err(refusal) = self.ask(id.as_ref(), question, keeps, settings, context) {
            refuse(context, id.as_ref(), Some(&topic), &refusal);
        }
    }

    fn ask(
        &mut self,
        id: Option<&Id<'_>>,
        question: Question,
        keeps: impl Fn(&Namespace) -> Result<(), &'static str>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let in_topic = |refusal: Refusal| refusal.of_field("topic");
        let topic = question.topic();
        let name = Name::read(topic, settings.topic_bytes_max).map_err(in_topic)?;
        let Stem::Topic(stem) = &name.stem else {
            let message = "is a pattern: name one topic";
            return Err(Refusal::field(ErrorCode::Malformed, "topic", message));
        };
        let verb = match &question {
            Question::History { .. } => Verb::History,
            Question::Presence { .. } => Verb::Presence,
        };
        self.may(verb, stem)?;
        let since = match &question {
            Question::History { since, .. } => since.unwrap_or(0),
            Question::Presence { .. } => 0,
        };
        let mut feed = context.feed();
        let namespace = feed.namespaces().find(stem);
        let namespace = namespace.ok_or_else(|| in_topic(Refusal::unknown_topic()))?;
        keeps(namespace)
            .map_err(|message| Refusal::field(ErrorCode::Unsupported, "topic", message))?;
        let waiting = Waiting::Ask(Asking { id: id.cloned().map(Id::into_owned), since });
        let token = self.pending.insert(waiting).ok_or_else(Refusal::in_flight)?;
        if let Err(error) = feed.ask(token, question) {
            self.pending.remove(token);
            return Err(error.into());
        }
        Ok(())
    }

    /// A home has answered.
    pub(super) fn answered(
        &mut self,
        token: u64,
        answer: &Answer,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        let Some(Waiting::Ask(asking)) = self.pending.remove(token) else { return };
        let Asking { id, since } = asking;
        match answer {
            Answer::Presence { topic, members, total } => {
                reply(context, &presence(id, topic, members, *total));
            }
            Answer::History { topic, result: Ok(found) } => {
                tell_history(id.as_ref(), since, topic, found, settings, context);
            }
            Answer::History { topic, result: Err(error) } => {
                refuse(context, id.as_ref(), Some(topic), &(*error).into());
            }
        }
    }
}

fn presence<'a>(
    id: Option<Id<'a>>,
    topic: &'a str,
    members: &'a [Member],
    total: usize,
) -> Event<'a> {
    let members = members.iter().map(member_of).collect();
    let (topic, total) = (topic.into(), total as u64);
    Event::Presence(event::Presence { id, topic, members, total })
}

fn tell_history(
    id: Option<&Id<'_>>,
    since: u64,
    topic: &str,
    found: &corecast::History,
    settings: &FeedSettings,
    context: &mut Context<'_>,
) {
    let payload = context.feed().namespaces().find(topic).map(|namespace| namespace.payload);
    // The home says whether any are missing before the first; here, whether there are more behind.
    let last = found.messages.last().map_or(since, |message| message.seq);
    let head = HistoryHead {
        id,
        topic,
        epoch: settings.codec.known_epoch().unwrap_or_default(),
        seq: found.seq,
        complete: found.complete && last >= found.seq,
        base64: payload == Some(Payload::Binary),
    };
    let messages = found.messages.iter().map(|m| (m.seq, m.ts, &m.data[..]));
    let _: SendStatus = context.reply(&text(|out| json::history(out, &head, messages)));
}
