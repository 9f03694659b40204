//! The topics of a hub and the places of their subscribers.

use std::collections::HashMap;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::id::TopicId;
use crate::limits::{KEY_BYTES_MAX, KEYS_MAX, SUBSCRIPTION_SEARCH_MAX};
use crate::policy::Policy;

/// One subscription, as its topic sees it. Publishing walks over a dense list of these.
#[derive(Debug)]
pub(crate) struct Subscriber {
    /// Index of the connection.
    pub(crate) conn: u32,
    /// What a backlog does.
    pub(crate) policy: Policy,
    /// Index of the newest entry of this subscription in the connection's ring, if it waits.
    pub(crate) pending: u64,
}

const _: () = assert!(size_of::<Subscriber>() == 16);

/// A topic with at least one subscriber.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Rc<str>,
    /// What the rules say.
    pub(crate) policy: Policy,
    pub(crate) subscribers: Vec<Subscriber>,
    /// How many of them conflate by key.
    pub(crate) keyed: u32,
    pub(crate) keys: Option<Box<Keys>>,
}

impl Topic {
    /// The number of `key`, where anybody wants to know.
    #[inline]
    pub(crate) fn key(&mut self, key: Option<&[u8]>) -> u64 {
        match self.keyed {
            0 => 0,
            _ => self.keys.get_or_insert_default().number(key.unwrap_or_default()),
        }
    }
}

/// Numbers for the keys of a topic. A number is never given to a second key.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    // SipHash: keys come from peers.
    numbers: HashMap<Box<[u8]>, u64>,
    next: u64,
}

impl Keys {
    fn number(&mut self, key: &[u8]) -> u64 {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        self.next += 1;
        if key.len() <= KEY_BYTES_MAX {
            if self.numbers.len() == KEYS_MAX {
                self.numbers.clear();
            }
            self.numbers.insert(key.into(), self.next);
        }
        self.next
    }
}

/// All topics, by name and by number.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    // SipHash: names come from peers.
    numbers: HashMap<Rc<str>, TopicId>,
    topics: Vec<Option<Topic>>,
    free: Vec<TopicId>,
}

impl Topics {
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    #[inline]
    pub(crate) fn find(&self, name: &str) -> Option<TopicId> {
        self.numbers.get(name).copied()
    }

    #[inline]
    pub(crate) fn get(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(id.0 as usize)?.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: TopicId) -> Option<&mut Topic> {
        self.topics.get_mut(id.0 as usize)?.as_mut()
    }

    /// Makes a topic without subscribers; the caller adds the first.
    pub(crate) fn create(&mut self, name: &str, policy: Policy) -> TopicId {
        let name: Rc<str> = name.into();
        let subscribers = Vec::new();
        let topic = Topic { name: Rc::clone(&name), policy, subscribers, keyed: 0, keys: None };
        let id = self.free.pop().unwrap_or_else(|| {
            self.topics.push(None);
            TopicId(self.topics.len() as u32 - 1)
        });
        self.topics[id.0 as usize] = Some(topic);
        self.numbers.insert(name, id);
        id
    }

    /// Takes the subscriber at `position` out. Returns the subscriber, and the connection whose
    /// subscriber stands at `position` now, if any. A topic without subscribers is removed.
    pub(crate) fn leave(
        &mut self,
        id: TopicId,
        position: u32,
    ) -> Option<(Subscriber, Option<u32>)> {
        let topic = self.get_mut(id)?;
        let subscriber = topic.subscribers.swap_remove(position as usize);
        topic.keyed -= u32::from(subscriber.policy == Policy::LatestByKey);
        if topic.keyed == 0 {
            topic.keys = None;
        }
        let moved = topic.subscribers.get(position as usize).map(|moved| moved.conn);
        if topic.subscribers.is_empty() {
            let name = Rc::clone(&topic.name);
            self.numbers.remove(&name);
            self.topics[id.0 as usize] = None;
            self.free.push(id);
        }
        Some((subscriber, moved))
    }
}

/// The subscriptions of one connection: topic → position among the topic's subscribers.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    entries: Vec<(TopicId, u32)>,
    /// topic → place in `entries`; exists only while there are many.
    index: Option<Box<FxHashMap<u32, u32>>>,
}

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The position of this connection among the subscribers of `topic`.
    pub(crate) fn position(&self, topic: TopicId) -> Option<u32> {
        self.place(topic).map(|place| self.entries[place].1)
    }

    pub(crate) fn set_position(&mut self, topic: TopicId, position: u32) {
        if let Some(place) = self.place(topic) {
            self.entries[place].1 = position;
        }
    }

    pub(crate) fn insert(&mut self, topic: TopicId, position: u32) {
        debug_assert!(self.place(topic).is_none());
        let place = self.entries.len() as u32;
        self.entries.push((topic, position));
        if let Some(index) = &mut self.index {
            index.insert(topic.0, place);
        } else if self.entries.len() > SUBSCRIPTION_SEARCH_MAX {
            let places = self.entries.iter().zip(0..).map(|((topic, _), place)| (topic.0, place));
            self.index = Some(Box::new(places.collect()));
        }
    }

    /// Takes the subscription to `topic` out; returns its position.
    pub(crate) fn remove(&mut self, topic: TopicId) -> Option<u32> {
        let place = self.place(topic)?;
        let (_, position) = self.entries.swap_remove(place);
        if let Some(index) = &mut self.index {
            index.remove(&topic.0);
            if let Some((moved, _)) = self.entries.get(place) {
                index.insert(moved.0, place as u32);
            }
        }
        if self.entries.is_empty() {
            *self = Self::default();
        }
        Some(position)
    }

    /// Any one of the subscriptions, taken out.
    pub(crate) fn pop(&mut self) -> Option<(TopicId, u32)> {
        let last = self.entries.pop()?;
        self.index = None;
        Some(last)
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = TopicId> {
        self.entries.iter().map(|(topic, _)| *topic)
    }

    fn place(&self, topic: TopicId) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(&topic.0).map(|place| *place as usize),
            None => self.entries.iter().position(|(of, _)| *of == topic),
        }
    }
}
