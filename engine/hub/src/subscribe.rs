//! Joining and leaving topics.

use crate::hub::Hub;
use crate::id::{ConnId, TopicId};
use crate::outbox::ring::Ring;
use crate::policy::Policy;
use crate::registry::Subscriber;
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
    /// The connection is gone or closing.
    #[error("the connection is gone or closing")]
    Gone,
}

impl Hub {
    /// Subscribes a connection to a topic, with `policy`, or that of the rules. O(1). Done
    /// again, it changes the policy for what is published from now on.
    ///
    /// # Errors
    /// When the name is no topic, a bound is reached, or the connection is gone or closing.
    pub fn subscribe(
        &mut self,
        conn: ConnId,
        topic: &str,
        policy: Option<Policy>,
    ) -> Result<Subscribed, SubscribeError> {
        let slot = self.slots.get_mut(conn).ok_or(SubscribeError::Gone)?;
        if slot.outbox.close_queued() {
            return Err(SubscribeError::Gone);
        }
        let found = self.topics.find(topic);
        if let Some(id) = found
            && let Some(position) = slot.subscriptions.position(id)
        {
            return Ok(self.resubscribe(conn, id, position, policy));
        }
        if slot.subscriptions.len() >= self.subscriptions_max {
            let subscriptions_max = self.subscriptions_max;
            return Err(SubscribeError::SubscriptionsFull { subscriptions_max });
        }
        let id = match found {
            Some(id) => id,
            None => self.create_topic(topic)?,
        };
        let entry = self.topics.get_mut(id).ok_or(SubscribeError::Gone)?;
        let policy = policy.unwrap_or(entry.policy);
        let position = entry.subscribers.len() as u32;
        entry.subscribers.push(Subscriber { conn: conn.index, policy, pending: Ring::NOWHERE });
        entry.keyed += u32::from(policy == Policy::LatestByKey);
        self.slots.at_mut(conn.index).subscriptions.insert(id, position);
        Ok(Subscribed { topic: id, policy, new: true })
    }

    /// Ends a subscription, O(1) and one step for each of its frames that wait: those are still
    /// sent, but nothing replaces them any more. False when there was no such subscription.
    pub fn unsubscribe(&mut self, conn: ConnId, topic: &str) -> bool {
        let Some(slot) = self.slots.get_mut(conn) else { return false };
        let Some(id) = self.topics.find(topic) else { return false };
        let Some(position) = slot.subscriptions.remove(id) else { return false };
        let Some(pending) = self.leave(id, position) else { return false };
        let outbox = &mut self.slots.at_mut(conn.index).outbox;
        outbox.detach_chain(pending, &mut self.ledger);
        outbox.check_holes(conn, &mut self.ledger);
        self.compact();
        true
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

    /// Takes a subscriber out of its topic; returns where its newest frame waits.
    pub(crate) fn leave(&mut self, id: TopicId, position: u32) -> Option<u64> {
        let (subscriber, moved) = self.topics.leave(id, position)?;
        if let Some(moved) = moved {
            self.slots.at_mut(moved).subscriptions.set_position(id, position);
        }
        Some(subscriber.pending)
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
                core::mem::replace(&mut subscriber.pending, place)
            })
        });
    }

    fn create_topic(&mut self, name: &str) -> Result<TopicId, SubscribeError> {
        check_topic(name, self.topic_bytes_max)?;
        if self.topics.len() >= self.topics_max {
            return Err(SubscribeError::TopicsFull { topics_max: self.topics_max });
        }
        Ok(self.topics.create(name, self.rules.policy(name)))
    }

    fn resubscribe(
        &mut self,
        conn: ConnId,
        id: TopicId,
        position: u32,
        policy: Option<Policy>,
    ) -> Subscribed {
        let Some(topic) = self.topics.get_mut(id) else { unreachable!("a topic with subscribers") };
        let policy = policy.unwrap_or(topic.policy);
        let subscriber = &mut topic.subscribers[position as usize];
        let before = core::mem::replace(&mut subscriber.policy, policy);
        if before != policy {
            let pending = core::mem::replace(&mut subscriber.pending, Ring::NOWHERE);
            topic.keyed += u32::from(policy == Policy::LatestByKey);
            topic.keyed -= u32::from(before == Policy::LatestByKey);
            let outbox = &mut self.slots.at_mut(conn.index).outbox;
            outbox.detach_chain(pending, &mut self.ledger);
            outbox.check_holes(conn, &mut self.ledger);
            self.compact();
        }
        Subscribed { topic: id, policy, new: false }
    }
}
