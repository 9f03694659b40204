//! `subscribe` and `unsubscribe`. An answer has a part for each home that had to be asked; each
//! topic stands in exactly one of them.

use super::codec::{delivery, state_of};
use super::open::{Open, Waiting};
use super::refusal::Refusal;
use super::session::{refuse, reply};
use super::settings::FeedSettings;
use super::wish::{Name, Stem, Terms, conflict};
use corecast::{
    AttachRequest, AttachResult, Attachment, Context, PatternWish, Policy, StreamState,
    variant_name,
};
use corecast_feed::command::{Resume, Subscribe, Unsubscribe};
use corecast_feed::event::{Event, Granted, Refused, Subscribed, Unsubscribed, Wanted};
use corecast_feed::value::epoch;
use corecast_feed::{ErrorCode, Id};
use corecast_gate::Verb;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A `subscribe` on its way.
#[derive(Debug)]
pub(crate) struct Subscribing {
    id: Option<Id<'static>>,
    /// Those that are not answered yet, by the name under which they will be granted.
    wishes: BTreeMap<Box<str>, Wish>,
}

/// What was asked for with a topic.
#[derive(Debug)]
struct Wish {
    asked_as: Box<str>,
    terms: Terms,
    resume: bool,
}

/// One part of an answer.
#[derive(Debug, Default)]
struct Part {
    ok: Vec<Granted<'static>>,
    errors: Vec<Refused<'static>>,
}

impl Open {
    /// `subscribe`.
    pub(super) fn subscribe(
        &mut self,
        command: &Subscribe<'_>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        let id = command.id.clone().map(Id::into_owned);
        let subscribing = Subscribing { id, wishes: BTreeMap::new() };
        let waiting = Waiting::Subscribe(Box::new(subscribing));
        let Some(token) = self.pending.insert(waiting) else {
            return refuse(context, command.id.as_ref(), None, &Refusal::in_flight());
        };
        let (mut part, mut requests) = (Part::default(), Vec::new());
        for asked_as in &command.topics {
            match self.wish(asked_as, command, token, settings, context) {
                Ok(Asked::Topic(request)) => requests.push(request),
                Ok(Asked::Pattern(granted)) => part.ok.push(granted),
                Err(refusal) => part.refuse(asked_as, refusal),
            }
        }
        if !self.joined && !self.subscriptions.is_empty() {
            self.joined = true;
            settings.audience.join();
        }
        if self.until_s.is_some() {
            self.wake_in_time(context);
        }
        let results = context.feed().attach(token, requests);
        self.attached(token, results, part, settings, context);
    }

    /// `unsubscribe`.
    pub(super) fn unsubscribe(
        &mut self,
        command: Unsubscribe<'_>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        let Unsubscribe { id, topics } = command;
        let (mut ok, mut part) = (Vec::new(), Part::default());
        for asked_as in topics {
            match self.leave(&asked_as, settings, context) {
                Ok(()) => ok.push(asked_as),
                Err(refusal) => part.refuse(&asked_as, refusal),
            }
        }
        reply(
            context,
            &Event::Unsubscribed(Unsubscribed { id, ok, code: None, errors: part.errors }),
        );
    }

    /// A home has answered, or this part needs none.
    pub(super) fn home_answered(
        &mut self,
        token: u64,
        results: Vec<AttachResult>,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        self.attached(token, results, Part::default(), settings, context);
    }

    /// Judges one name, and notes that this connection will have it.
    fn wish(
        &mut self,
        asked_as: &str,
        command: &Subscribe<'_>,
        token: u64,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) -> Result<Asked, Refusal> {
        let name = Name::read(asked_as, settings.topic_bytes_max)?;
        // Who may not have it is not told whether it is there.
        self.may(Verb::Subscribe, name.stem.as_str())?;
        let feed = context.feed();
        let terms = Terms::of(&name, command.policy, feed.namespaces())?;
        let named = name.granted();
        let name = Name { interval_ms: terms.interval_ms, ..name };
        let granted_as = name.granted();
        if self.subscriptions.has(&named, &granted_as) {
            return Err(conflict());
        }
        let subscriptions_max = settings.subscriptions_max;
        if self.subscriptions.len() >= subscriptions_max {
            let message = format!("at most {subscriptions_max} subscriptions of one connection");
            return Err(Refusal::new(ErrorCode::TooMany, message));
        }
        let (seq, resume) = resume(command.resume.as_ref(), asked_as, &granted_as);
        let Stem::Topic(topic) = name.stem else {
            let granted = self.pattern(&name, asked_as, &terms, resume, context)?;
            self.hold(&named, granted_as, None);
            return Ok(Asked::Pattern(granted));
        };
        let presence = terms.interval_ms == 0
            && feed.namespaces().find(&topic).is_some_and(|namespace| namespace.presence);
        let request = AttachRequest {
            interval_ms: terms.interval_ms,
            resume: seq,
            member: presence.then(|| self.member()),
            ..AttachRequest::new(&topic, feed.encoding())
        };
        if let Some(Waiting::Subscribe(subscribing)) = self.pending.get_mut(token) {
            let wish = Wish { asked_as: asked_as.into(), terms, resume };
            subscribing.wishes.insert(granted_as.clone(), wish);
        }
        self.hold(&named, granted_as, Some(token));
        Ok(Asked::Topic(request))
    }

    /// Notes a name, for as long as it is allowed.
    fn hold(&mut self, asked_as: &str, granted_as: Box<str>, waits_for: Option<u64>) {
        if let Some(end_s) = self.until_s {
            self.subscriptions.end_at(&granted_as, end_s);
        }
        self.subscriptions.hold(asked_as, granted_as, waits_for);
    }

    fn pattern(
        &self,
        name: &Name,
        asked_as: &str,
        terms: &Terms,
        resume: bool,
        context: &mut Context<'_>,
    ) -> Result<Granted<'static>, Refusal> {
        let Stem::Pattern(pattern) = &name.stem else { return Err(Refusal::unknown_topic()) };
        let mut feed = context.feed();
        let encoding = feed.encoding();
        feed.attach_pattern(&PatternWish {
            client: &self.client,
            pattern,
            interval_ms: terms.interval_ms,
            policy: terms.policy,
            encoding,
        })?;
        let granted_as = name.granted();
        let granted = Granted {
            requested: requested(asked_as, &granted_as),
            topic: Cow::Owned(granted_as.into()),
            pattern: true,
            policy: terms.policy.map(delivery),
            // What matches is told of one by one: there is nothing to go on from.
            resumed: resume.then_some(false),
            ..grant(terms)
        };
        Ok(granted)
    }

    /// Tells what became of some topics of a command, and lets those that were granted begin.
    fn attached(
        &mut self,
        token: u64,
        results: Vec<AttachResult>,
        mut part: Part,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) {
        let Some(Waiting::Subscribe(subscribing)) = self.pending.get_mut(token) else { return };
        let mut starting = Vec::new();
        for AttachResult { topic, interval_ms, result } in results {
            let granted_as = variant_name(&topic, interval_ms);
            let Some(wish) = subscribing.wishes.remove(&*granted_as) else { continue };
            let is_held = self.subscriptions.answered(&granted_as, token);
            match (result, is_held) {
                (Ok(attachment), true) => {
                    part.ok.push(granted(&wish, &attachment, settings));
                    let policy = wish.terms.policy.unwrap_or(attachment.policy);
                    starting.push((attachment, policy));
                }
                (Ok(_), false) => {
                    let message = "unsubscribed before it began";
                    let refusal = Refusal::new(ErrorCode::Conflict, message);
                    part.refuse(&wish.asked_as, refusal);
                }
                (Err(error), is_held) => {
                    if is_held {
                        self.subscriptions.remove(&granted_as);
                    }
                    part.refuse(&wish.asked_as, error.into());
                }
            }
        }
        let id = subscribing.id.clone();
        let remaining = u32::try_from(subscribing.wishes.len()).unwrap_or(u32::MAX);
        if remaining == 0 || !part.is_empty() {
            let Part { ok, errors } = part;
            let event = Subscribed { id: id.clone(), pattern: None, ok, errors, remaining };
            reply(context, &Event::Subscribed(event));
        }
        if remaining == 0 {
            self.pending.remove(token);
        }
        for (attachment, policy) in starting {
            self.start(&attachment, policy, id.as_ref(), context);
        }
    }

    /// Behind the answer: snapshot, what was missed, and from there on everything.
    fn start(
        &mut self,
        attachment: &Attachment,
        policy: Policy,
        id: Option<&Id<'_>>,
        context: &mut Context<'_>,
    ) {
        if let Err(error) = context.feed().start(attachment, policy) {
            // This shard knows as many topics as it may: only now could that be told.
            let Attachment { topic, name, .. } = attachment;
            self.subscriptions.remove(name);
            context.feed().detach(topic, name);
            refuse(context, id, Some(name), &error.into());
        }
    }

    pub(super) fn leave(
        &mut self,
        asked_as: &str,
        settings: &FeedSettings,
        context: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let name = Name::read(asked_as, settings.topic_bytes_max)?;
        let Some(held_as) = self.subscriptions.take(&name.granted()) else {
            return Err(Refusal::new(ErrorCode::NotFound, "not subscribed to it by this name"));
        };
        let name = Name::read(&held_as, settings.topic_bytes_max)?;
        let mut feed = context.feed();
        match &name.stem {
            Stem::Topic(topic) => feed.detach(topic, &held_as),
            Stem::Pattern(pattern) => feed.detach_pattern(pattern, name.interval_ms),
        };
        Ok(())
    }
}

/// What a name of a `subscribe` came to.
enum Asked {
    /// A topic, whose home is to be asked.
    Topic(AttachRequest),
    /// A pattern, which holds from here on.
    Pattern(Granted<'static>),
}

impl Part {
    fn refuse(&mut self, asked_as: &str, refusal: Refusal) {
        let (code, message) = (refusal.code, refusal.message.into());
        self.errors.push(Refused { topic: Cow::Owned(asked_as.to_owned()), code, message });
    }

    fn is_empty(&self) -> bool {
        self.ok.is_empty() && self.errors.is_empty()
    }
}

/// Where a topic is to go on, if its number is one of this server's; and whether that was asked.
fn resume(
    resume: Option<&Resume<'_>>,
    asked_as: &str,
    granted_as: &str,
) -> (Option<(u64, u64)>, bool) {
    let Some(resume) = resume else { return (None, false) };
    // A client that comes back knows the stream's name, one that repeats itself its own.
    let seq = resume.seq.get(asked_as).or_else(|| resume.seq.get(granted_as));
    let from = epoch::read(&resume.epoch).zip(seq.copied());
    (from, seq.is_some())
}

fn granted(wish: &Wish, attachment: &Attachment, settings: &FeedSettings) -> Granted<'static> {
    let Wish { asked_as, terms, resume } = wish;
    let name = attachment.name.to_string();
    Granted {
        requested: requested(asked_as, &name),
        sid: Some(attachment.sid),
        seq: Some(attachment.seq),
        epoch: settings.codec.known_epoch().map(|epoch| Cow::Owned(epoch.to_owned())),
        policy: Some(delivery(terms.policy.unwrap_or(attachment.policy))),
        resumed: resume.then_some(attachment.resumed),
        snapshot: attachment.snapshot_follows.then_some(false),
        state: (attachment.state == StreamState::Stale).then(|| state_of(attachment.state)),
        body: settings.codec.bodies().of(&name),
        topic: Cow::Owned(name),
        ..grant(terms)
    }
}

/// What is said of the terms.
fn grant(terms: &Terms) -> Granted<'static> {
    let not_granted =
        Wanted { policy: terms.policy_not_granted.map(delivery), max_hz: terms.max_hz_not_granted };
    let not_granted = (not_granted != Wanted::default()).then_some(not_granted);
    Granted { max_hz: terms.max_hz, not_granted, ..Granted::default() }
}

/// The name as it was asked for, where it is another.
fn requested(asked_as: &str, granted_as: &str) -> Option<Cow<'static, str>> {
    (asked_as != granted_as).then(|| Cow::Owned(asked_as.to_owned()))
}
