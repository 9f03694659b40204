//! `publish`: from a client to a topic's home, and the number back.

use super::open::{Open, Waiting};
use super::refusal::Refusal;
use super::session::{refuse, reply};
use super::settings::FeedSettings;
use bytes::Bytes;
use corecast::{
    Context, Namespace, Payload, PublishRight, Report, SnapshotKind, Update, UpdateKind,
    UpdateOptions, Updated, check_topic,
};
use corecast_feed::command::Publish;
use corecast_feed::event::{Delivered, Event, Published};
use corecast_feed::json::data_bytes;
use corecast_feed::value::DataEncoding;
use corecast_feed::{ErrorCode, Id, RawJson};
use corecast_gate::Verb;

/// A `publish` on its way.
#[derive(Debug)]
pub(crate) struct Publishing {
    id: Option<Id<'static>>,
    topic: Box<str>,
    /// Whether `published` is wanted.
    ack: bool,
    /// Whether the number has not come yet.
    unnumbered: bool,
    /// Whether `delivered` is wanted, and has not come yet.
    unreported: bool,
}

impl Open {
    /// `publish`.
    pub(super) fn publish(
        &mut self,
        command: &Publish<'_>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        if let Err(refusal) = self.try_publish(command, settings, context) {
            refuse(context, command.id.as_ref(), Some(&command.topic), &refusal);
        }
    }

    fn try_publish(
        &mut self,
        command: &Publish<'_>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        check_topic(&command.topic, settings.topic_bytes_max)
            .map_err(|error| Refusal::from(error).of_field("topic"))?;
        self.may(Verb::Publish, &command.topic)?;
        if settings.bequeathed.is_set() {
            let why = "another process has taken over: publish after you have come back";
            return Err(Refusal::new(ErrorCode::Unavailable, why));
        }
        let update = update(command, context)?;
        let waiting = Publishing {
            id: command.id.clone().map(Id::into_owned),
            topic: update.topic.clone(),
            ack: command.ack,
            unnumbered: true,
            unreported: command.report,
        };
        let token = self.pending.insert(Waiting::Publish(Box::new(waiting)));
        let token = token.ok_or_else(Refusal::in_flight)?;
        let options = UpdateOptions { echo: command.echo, report: command.report };
        match context.feed().update(token, update, options) {
            Ok(Updated::Numbered(seq)) => {
                // A snapshot takes no number: it is told as 0 whichever way it went.
                let seq = if command.snapshot { 0 } else { seq };
                self.published(token, seq, context);
                Ok(())
            }
            Ok(Updated::OnItsWay) => Ok(()),
            Ok(Updated::Refused(error)) => {
                self.pending.remove(token);
                Err(error.into())
            }
            Ok(Updated::Stopped) => {
                self.pending.remove(token);
                Err(Refusal::new(ErrorCode::Unavailable, "the server goes down"))
            }
            Err(error) => {
                self.pending.remove(token);
                Err(error.into())
            }
        }
    }

    /// The number has come: what is queued now stands in the message's place.
    pub(super) fn published(&mut self, token: u64, seq: u64, context: &mut Context<'_>) {
        let Some(Waiting::Publish(publishing)) = self.pending.get_mut(token) else { return };
        publishing.unnumbered = false;
        if publishing.ack {
            let (id, topic) = (publishing.id.clone(), (&*publishing.topic).into());
            reply(context, &Event::Published(Published { id, topic, seq }));
        }
        if !publishing.unreported {
            self.pending.remove(token);
        }
    }

    /// Every shard has queued it.
    pub(super) fn reported(
        &mut self,
        token: u64,
        seq: u64,
        report: Report,
        context: &mut Context<'_>,
    ) {
        let Some(Waiting::Publish(publishing)) = self.pending.get_mut(token) else { return };
        if publishing.unreported {
            publishing.unreported = false;
            let Report { delivered, conflated, dropped } = report;
            let (id, topic) = (publishing.id.clone(), (&*publishing.topic).into());
            let event = Delivered { id, topic, seq, delivered, conflated, dropped };
            reply(context, &Event::Delivered(event));
        }
        if !publishing.unnumbered {
            self.pending.remove(token);
        }
    }

    /// The home did not take it.
    pub(super) fn refused(&mut self, token: u64, refusal: &Refusal, context: &mut Context<'_>) {
        let Some(Waiting::Publish(publishing)) = self.pending.remove(token) else { return };
        refuse(context, publishing.id.as_ref(), Some(&publishing.topic), refusal);
    }
}

/// What is to be published, if this client may.
fn update(command: &Publish<'_>, context: &mut Context<'_>) -> Result<Update, Refusal> {
    let in_topic = |refusal: Refusal| refusal.of_field("topic");
    let Publish { topic, data, .. } = command;
    let feed = context.feed();
    let namespace =
        feed.namespaces().find(topic).ok_or_else(|| in_topic(Refusal::unknown_topic()))?;
    may_publish(command, namespace)?;
    let data = payload(data, command.encoding, namespace.payload)?;
    let kind = if command.snapshot { UpdateKind::Snapshot } else { UpdateKind::Message };
    let key = command.key.as_ref().map(|key| Bytes::copy_from_slice(key.as_bytes()));
    let update = Update { kind, key, ..Update::new(&**topic, data) };
    corecast::check_update(&update, feed.namespaces())?;
    Ok(update)
}

fn may_publish(command: &Publish<'_>, namespace: &Namespace) -> Result<(), Refusal> {
    let topic = &command.topic;
    if namespace.publish != PublishRight::Clients {
        let message = format!("may not publish to {topic}: only the server does");
        return Err(Refusal::new(ErrorCode::Forbidden, message));
    }
    if command.snapshot && namespace.snapshot != SnapshotKind::Published {
        let message = format!("must be false: {topic} takes no snapshots from clients");
        return Err(Refusal::field(ErrorCode::Forbidden, "snapshot", message));
    }
    Ok(())
}

/// The publisher's bytes.
fn payload(
    data: &RawJson<'_>,
    encoding: Option<DataEncoding>,
    payload: Payload,
) -> Result<Bytes, Refusal> {
    let wrong = |message| Err(Refusal::field(ErrorCode::Malformed, "encoding", message));
    match (payload, encoding) {
        (Payload::Json, Some(DataEncoding::Base64)) => {
            return wrong("must be absent: this topic's payload is JSON");
        }
        (Payload::Binary, None) => {
            return wrong("must be `base64`: this topic's payload is binary");
        }
        _ => {}
    }
    let bytes = data_bytes(data, encoding).map_err(|error| {
        Refusal::field(ErrorCode::Malformed, "data", format!("is wrong: {error}"))
    });
    bytes.map(|bytes| Bytes::copy_from_slice(&bytes))
}
