//! Joining and leaving topics.

use corecast_wire::Frame;

use crate::encoding::Encoding;
use crate::hub::Hub;
use crate::id::{ConnId, Timestamp, TopicId};
use crate::limits::{PATTERN_TOKENS_MAX, PATTERNS_MAX};
use crate::outbox::ring::Ring;
use crate::patterns::Cause;
use crate::policy::{Overflow, Policy};
use crate::registry::Subscriber;
use crate::resync::CatchUp;
use crate::stream::Stream;
use crate::topic::{TopicError, check_topic};

/// A subscription that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribed {
    /// The topic, valid as long as it has subscribers.
    pub topic: TopicId,
    /// The policy that applies.
    pub policy: Policy,
    /// False when the connection was subscribed already.
    pub new: bool,
}

/// Why a connection was not subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The name is no topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The connection has as many subscriptions as are allowed.
    #[error("at most {subscriptions_max} subscriptions for each connection")]
    SubscriptionsFull {
        /// The hub's bound.
        subscriptions_max: usize,
    },
    /// The topic would be new, and there are as many as are allowed.
    #[error("at most {topics_max} topics")]
    TopicsFull {
        /// The hub's bound.
        topics_max: usize,
    },
    /// The connection has as many patterns as are allowed.
    #[error("at most {PATTERNS_MAX} patterns for each connection")]
    PatternsFull,
    /// The pattern has more tokens than are allowed.
    #[error("a pattern has at most {PATTERN_TOKENS_MAX} tokens, this one {tokens}")]
    PatternTokens {
        /// Tokens of the pattern.
        tokens: usize,
    },
    /// The connection is gone or closing.
    #[error("the connection is gone or closing")]
    Gone,
}

/// How a subscription begins.
#[derive(Debug, Clone)]
pub struct Start<'a> {
    /// What a backlog does.
    pub policy: Policy,
    /// What the connection gets.
    pub encoding: Encoding,
    /// What stands for all messages before the first of `missed`.
    pub snapshot: Option<Frame>,
    /// The last messages up to [`Stream::seq`], in order.
    pub missed: &'a [Frame],
}

impl Hub {
    /// Subscribes a connection to a topic, with `policy`, or that of the rules, and the raw
    /// encoding. O(1). Done again, it changes the policy for what is published from now on.
    ///
    /// Outside the feed a topic has no snapshot: `lossless:snapshot` becomes `lossless:gap`.
    ///
    /// # Errors
    /// When the name is no topic, a bound is reached, or the connection is gone or closing.
    pub fn subscribe(
        &mut self,
        conn: ConnId,
        topic: &str,
        policy: Option<Policy>,
    ) -> Result<Subscribed, SubscribeError> {
        self.check_open(conn)?;
        // Also of one that is known: the engine's own names are no topics.
        check_topic(topic, self.topic_bytes_max)?;
        let found = self.topics.find(topic);
        let known = found.and_then(|id| self.topics.get(id)).map(|topic| topic.policy);
        let mut policy = policy.or(known).unwrap_or_else(|| self.rules.policy(topic));
        if policy == (Policy::Lossless { overflow: Overflow::Snapshot }) {
            policy = Policy::Lossless { overflow: Overflow::Gap };
        }
        self.join_directly(conn, &Stream::raw(topic), policy, Encoding::Raw)
    }

    /// Subscribes a connection to a stream of a home. O(1). Its name is trusted. Done again, it
    /// changes the policy and the encoding for what is published from now on; both win over
    /// those of patterns that hold the subscription.
    ///
    /// Where this makes the stream known, the patterns that match it are served as well.
    ///
    /// # Errors
    /// When a bound is reached, or the connection is gone or closing.
    pub fn attach(
        &mut self,
        conn: ConnId,
        stream: &Stream<'_>,
        policy: Policy,
        encoding: Encoding,
    ) -> Result<Subscribed, SubscribeError> {
        self.check_open(conn)?;
        let subscribed = self.join_directly(conn, stream, policy, encoding)?;
        self.meet(stream, Some(subscribed.topic), Cause::Listed);
        Ok(subscribed)
    }

    /// [Attaches](Self::attach), and queues the snapshot and what was missed, in one step: they
    /// are frames like any other, under the subscription's policy. A snapshot stands for all that
    /// waits of the stream already, which counts as conflated. For `latest` a newer value takes
    /// its place; for `latest_by_key` none does.
    ///
    /// A paused subscription goes on as by [`resync`](Self::resync). Where the snapshot and what
    /// was missed do not fit, the subscription begins paused, whatever its policy, and is listed
    /// ([`take_resync`](Self::take_resync)) when there is room.
    ///
    /// # Errors
    /// When a bound is reached, or the connection is gone or closing.
    pub fn start(
        &mut self,
        conn: ConnId,
        stream: &Stream<'_>,
        start: Start<'_>,
        now: Timestamp,
    ) -> Result<Subscribed, SubscribeError> {
        self.ledger.advance(now);
        let Start { policy, encoding, snapshot, missed } = start;
        let subscribed = self.attach(conn, stream, policy, encoding)?;
        self.begin(conn, subscribed.topic, CatchUp { seq: stream.seq, snapshot, missed });
        Ok(subscribed)
    }

    /// Ends what [`subscribe`](Self::subscribe) or [`attach`](Self::attach) began, O(1) and one
    /// step for each of its frames that wait: those are still sent, but nothing replaces them any
    /// more. Where a pattern holds the subscription, it goes on under the terms of that one; of
    /// several, of the one that the connection has had the longest.
    ///
    /// False when there was no such subscription, or only by a pattern.
    pub fn detach(&mut self, conn: ConnId, name: &str) -> bool {
        let Some((id, position)) = self.subscription(conn, name) else { return false };
        let Some(subscriber) = self.subscriber_mut(id, position) else { return false };
        if !subscriber.is_direct() {
            return false;
        }
        subscriber.set_direct(false);
        self.slots.at_mut(conn.index).direct -= u32::from(!name.starts_with('$'));
        self.release(conn, id);
        true
    }

    /// As [`detach`](Self::detach).
    pub fn unsubscribe(&mut self, conn: ConnId, topic: &str) -> bool {
        self.detach(conn, topic)
    }

    /// Whether a connection is subscribed to a stream.
    #[must_use]
    pub fn is_subscribed(&self, conn: ConnId, name: &str) -> bool {
        self.subscription(conn, name).is_some()
    }

    /// Subscriptions of a connection, 0 when it is gone.
    #[must_use]
    pub fn subscriptions(&self, conn: ConnId) -> usize {
        self.slots.get(conn).map_or(0, |slot| slot.subscriptions.len())
    }

    /// The names of the topics to which a connection is subscribed, in no particular order.
    pub fn subscribed_topics(&self, conn: ConnId) -> impl Iterator<Item = &str> {
        let subscriptions = self.slots.get(conn).map(|slot| &slot.subscriptions);
        let topics = subscriptions.into_iter().flat_map(|subscriptions| subscriptions.topics());
        topics.filter_map(|id| self.topics.get(id).map(|topic| &*topic.name))
    }

    /// Subscribers of a topic, 0 when it is unknown.
    #[must_use]
    pub fn subscribers(&self, topic: &str) -> usize {
        let topic = self.topics.find(topic).and_then(|id| self.topics.get(id));
        topic.map_or(0, |topic| topic.subscribers.len())
    }

    /// An error unless something can be queued for the connection.
    pub(crate) fn check_open(&self, conn: ConnId) -> Result<(), SubscribeError> {
        let open = self.slots.get(conn).is_some_and(|slot| !slot.outbox.close_queued());
        if open { Ok(()) } else { Err(SubscribeError::Gone) }
    }

    fn join_directly(
        &mut self,
        conn: ConnId,
        stream: &Stream<'_>,
        policy: Policy,
        encoding: Encoding,
    ) -> Result<Subscribed, SubscribeError> {
        let found = self.topics.find(stream.name);
        let slot = self.slots.at_mut(conn.index);
        let position = found.and_then(|id| slot.subscriptions.position(id));
        let held = found.zip(position);
        let is_direct = held
            .and_then(|(id, position)| self.subscriber_mut(id, position))
            .is_some_and(|subscriber| subscriber.is_direct());
        // What the service itself subscribes a connection to is no subscription of its peer.
        let counts = u32::from(!stream.is_internal());
        let direct = self.slots.at_mut(conn.index).direct as usize;
        if !is_direct && counts > 0 && direct >= self.subscriptions_max {
            let subscriptions_max = self.subscriptions_max;
            return Err(SubscribeError::SubscriptionsFull { subscriptions_max });
        }
        let id = match found {
            Some(id) => id,
            None => self.create_topic(stream)?,
        };
        let new = position.is_none();
        let position = position.unwrap_or_else(|| self.join(conn.index, id, policy, encoding));
        if !new {
            self.set_terms(conn, id, position, policy, encoding);
        }
        if let Some(subscriber) = self.subscriber_mut(id, position).filter(|_| !is_direct) {
            subscriber.set_direct(true);
            self.slots.at_mut(conn.index).direct += counts;
        }
        Ok(Subscribed { topic: id, policy, new })
    }

    /// Makes a subscription; the caller says who holds it.
    pub(crate) fn join(
        &mut self,
        conn: u32,
        id: TopicId,
        policy: Policy,
        encoding: Encoding,
    ) -> u32 {
        let Some(topic) = self.topics.get_mut(id) else { unreachable!("a topic to join") };
        let slot = self.slots.at_mut(conn);
        let position = topic.join(Subscriber::new(conn, policy, encoding, slot.takes_twins));
        slot.subscriptions.insert(id, position);
        position
    }

    /// Queues what a subscription begins with. A snapshot for which there is no room comes later:
    /// until then the subscription is paused.
    pub(crate) fn begin(&mut self, conn: ConnId, id: TopicId, catch_up: CatchUp<'_>) {
        let slot = self.slots.at_mut(conn.index);
        let Some(position) = slot.subscriptions.position(id) else { return };
        let Some(topic) = self.topics.get_mut(id) else { return };
        let subscriber = &mut topic.subscribers[position as usize];
        if subscriber.is_paused() {
            let paused = slot.paused.as_ref().and_then(|list| list.find(id));
            if paused.is_none_or(|paused| !paused.still_waits(&catch_up)) {
                self.resume(conn, id, position, catch_up);
            }
            return;
        }
        if catch_up.snapshot.is_some() {
            // It stands for all that waits. Newer values must not take a place ahead of it.
            let older = slot.outbox.discard_chain(subscriber.pending(), &mut self.ledger);
            slot.outbox.trim(&mut self.ledger);
            self.ledger.totals.conflated += older.frames;
            subscriber.set_pending(Ring::NOWHERE);
            slot.outbox.check_holes(conn, &mut self.ledger);
            if !catch_up.fits(&slot.outbox, &self.ledger) {
                let (first, bytes) = (catch_up.covered() + 1, catch_up.bytes());
                self.begin_paused(conn, id, first, catch_up.seq, bytes);
                self.compact();
                return;
            }
        }
        let fits = catch_up.snapshot.is_some();
        self.catch_up(conn, id, position, catch_up, fits);
    }

    /// The subscription of a connection to a topic.
    pub(crate) fn subscription(&self, conn: ConnId, name: &str) -> Option<(TopicId, u32)> {
        let slot = self.slots.get(conn)?;
        let id = self.topics.find(name)?;
        Some((id, slot.subscriptions.position(id)?))
    }

    pub(crate) fn subscriber_mut(&mut self, id: TopicId, at: u32) -> Option<&mut Subscriber> {
        self.topics.get_mut(id)?.subscribers.get_mut(at as usize)
    }

    /// One who held a subscription has let go of it: it ends, or goes on as those want that are
    /// left.
    pub(crate) fn release(&mut self, conn: ConnId, id: TopicId) {
        let slot = self.slots.at_mut(conn.index);
        let Some(position) = slot.subscriptions.position(id) else { return };
        let Some(subscriber) = self.subscriber_mut(id, position) else { return };
        if subscriber.is_direct() {
            return;
        }
        if subscriber.holds == 0 {
            self.end(conn, id, position);
        } else if let Some((policy, encoding)) = self.terms_of_holder(conn, id) {
            self.set_terms(conn, id, position, policy, encoding);
        }
    }

    fn end(&mut self, conn: ConnId, id: TopicId, position: u32) {
        self.end_pause(conn, id, position, false);
        self.slots.at_mut(conn.index).subscriptions.remove(id);
        let Some(pending) = self.leave(id, position) else { return };
        let outbox = &mut self.slots.at_mut(conn.index).outbox;
        outbox.detach_chain(pending, &mut self.ledger);
        outbox.check_holes(conn, &mut self.ledger);
        self.compact();
    }

    /// Takes a subscriber out of its topic; returns where its newest frame waits.
    pub(crate) fn leave(&mut self, id: TopicId, position: u32) -> Option<u64> {
        let (subscriber, moved) = self.topics.leave(id, position)?;
        if let Some(moved) = moved {
            self.slots.at_mut(moved).subscriptions.set_position(id, position);
        }
        Some(subscriber.pending())
    }

    /// Closes the holes of the outboxes that asked for it.
    #[inline]
    pub(crate) fn compact(&mut self) {
        while let Some(index) = self.ledger.compact.pop() {
            self.compact_outbox(index);
        }
    }

    #[cold]
    fn compact_outbox(&mut self, index: u32) {
        let Self { slots, topics, ledger, .. } = self;
        let slot = slots.at_mut(index);
        let subscriptions = &slot.subscriptions;
        slot.outbox.compact(ledger, |topic, place| {
            let position = subscriptions.position(topic);
            let subscriber = position
                .and_then(|position| topics.get_mut(topic)?.subscribers.get_mut(position as usize));
            debug_assert!(subscriber.is_some(), "an entry of a subscription that has ended");
            subscriber.map_or(Ring::NOWHERE, |subscriber| {
                let before = subscriber.pending();
                subscriber.set_pending(place);
                before
            })
        });
    }

    pub(crate) fn create_topic(&mut self, stream: &Stream<'_>) -> Result<TopicId, SubscribeError> {
        if self.topics.len() >= self.topics_max {
            return Err(SubscribeError::TopicsFull { topics_max: self.topics_max });
        }
        Ok(self.topics.create(stream, self.rules.policy(stream.topic())))
    }

    /// Changes what holds for what is published from now on. What waits under another policy is
    /// still sent, but nothing replaces it any more; what a paused subscription lost is told.
    pub(crate) fn set_terms(
        &mut self,
        conn: ConnId,
        id: TopicId,
        position: u32,
        policy: Policy,
        encoding: Encoding,
    ) {
        let Some(topic) = self.topics.get_mut(id) else { return };
        let subscriber = &mut topic.subscribers[position as usize];
        subscriber.encoding = encoding;
        let before = subscriber.policy;
        if before == policy {
            return;
        }
        subscriber.policy = policy;
        let pending = subscriber.pending();
        topic.keyed += u32::from(policy == Policy::LatestByKey);
        topic.keyed -= u32::from(before == Policy::LatestByKey);
        if topic.subscribers[position as usize].is_paused() {
            // Whose snapshot is still to come waits for it under any policy.
            if !self.begins_paused(conn, id) {
                self.end_pause(conn, id, position, true);
            }
            return;
        }
        topic.subscribers[position as usize].set_pending(Ring::NOWHERE);
        let outbox = &mut self.slots.at_mut(conn.index).outbox;
        outbox.detach_chain(pending, &mut self.ledger);
        outbox.check_holes(conn, &mut self.ledger);
        self.compact();
    }
}
