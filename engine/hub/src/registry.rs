//! The topics of a hub and the places of their subscribers.

use std::collections::HashMap;
use std::rc::Rc;

use crate::codec::StreamRef;
use crate::encoding::Encoding;
use crate::id::TopicId;
use crate::limits::{KEY_BYTES_MAX, KEYS_MAX};
use crate::namespace::Payload;
use crate::outbox::ring::Ring;
use crate::policy::Policy;
use crate::stream::Stream;

/// One subscription, as its topic sees it. Publishing walks over a dense list of these.
#[derive(Debug)]
pub(crate) struct Subscriber {
    /// Index of the connection.
    pub(crate) conn: u32,
    /// What a backlog does.
    pub(crate) policy: Policy,
    /// What the connection gets.
    pub(crate) encoding: Encoding,
    /// Patterns of the connection that hold the subscription.
    pub(crate) holds: u8,
    flags: u8,
    /// Index of the newest entry of this subscription in the connection's ring, if it waits; of
    /// a paused one the number of the last frame lost.
    pending: u64,
}

const _: () = assert!(size_of::<Subscriber>() == 16);

/// It was asked for by name.
const DIRECT: u8 = 1;
/// It gets nothing until it is told what it lost.
const PAUSED: u8 = 2;
/// It takes messages compressed. So its form is that of its encoding, and this.
const TWINS: u8 = 4;

/// Numbers of the forms in which a subscriber gets a message: [`Subscriber::form`].
pub(crate) const FORMS: usize = 8;

/// The form of an encoding, compressed or as it is.
pub(crate) const fn form(encoding: Encoding, twin: bool) -> usize {
    encoding as usize | if twin { TWINS as usize } else { 0 }
}

impl Subscriber {
    pub(crate) const fn new(conn: u32, policy: Policy, encoding: Encoding, twins: bool) -> Self {
        let flags = if twins { TWINS } else { 0 };
        Self { conn, policy, encoding, holds: 0, flags, pending: Ring::NOWHERE }
    }

    /// Which of the frames of a message it gets, below [`FORMS`].
    #[inline]
    pub(crate) const fn form(&self) -> usize {
        self.encoding as usize | (self.flags & TWINS) as usize
    }

    #[inline]
    pub(crate) const fn is_direct(&self) -> bool {
        self.flags & DIRECT != 0
    }

    pub(crate) const fn set_direct(&mut self, direct: bool) {
        self.flags = if direct { self.flags | DIRECT } else { self.flags & !DIRECT };
    }

    #[inline]
    pub(crate) const fn is_paused(&self) -> bool {
        self.flags & PAUSED != 0
    }

    /// Index of the newest entry, if it still waits.
    #[inline]
    pub(crate) const fn pending(&self) -> u64 {
        if self.is_paused() { Ring::NOWHERE } else { self.pending }
    }

    #[inline]
    pub(crate) fn set_pending(&mut self, index: u64) {
        debug_assert!(!self.is_paused());
        self.pending = index;
    }

    /// The number of the last frame lost, while paused.
    pub(crate) fn lost_to(&self) -> Option<u64> {
        self.is_paused().then_some(self.pending)
    }

    /// Pauses it, or keeps it paused, with `lost_to` as the last number lost.
    pub(crate) const fn pause(&mut self, lost_to: u64) {
        self.flags |= PAUSED;
        self.pending = lost_to;
    }

    pub(crate) const fn resume(&mut self) {
        self.flags &= !PAUSED;
        self.pending = Ring::NOWHERE;
    }
}

/// A topic with at least one subscriber.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Rc<str>,
    /// What the rules say.
    pub(crate) policy: Policy,
    pub(crate) payload: Payload,
    pub(crate) sid: u32,
    pub(crate) interval_ms: u32,
    pub(crate) home: u16,
    /// Whether the patterns of its home were asked.
    pub(crate) matched: bool,
    pub(crate) subscribers: Vec<Subscriber>,
    /// How many of them conflate by key.
    pub(crate) keyed: u32,
    pub(crate) keys: Option<Box<Keys>>,
}

impl Topic {
    /// Adds a subscriber; returns its position.
    pub(crate) fn join(&mut self, subscriber: Subscriber) -> u32 {
        self.keyed += u32::from(subscriber.policy == Policy::LatestByKey);
        self.subscribers.push(subscriber);
        self.subscribers.len() as u32 - 1
    }

    /// The subscriber at `position`, and what a codec needs to know of the stream.
    pub(crate) fn at(&mut self, position: u32) -> (StreamRef<'_>, &mut Subscriber) {
        let stream = StreamRef { name: &self.name, sid: self.sid, payload: self.payload };
        (stream, &mut self.subscribers[position as usize])
    }

    /// Whether it is known as `stream` describes it.
    #[inline]
    pub(crate) const fn is(&self, home: u16, sid: u32) -> bool {
        self.sid == sid && self.home == home
    }

    /// Takes over what the home says of it.
    pub(crate) const fn describe(&mut self, stream: &Stream<'_>) {
        (self.sid, self.payload) = (stream.sid, stream.payload);
        (self.home, self.interval_ms) = (stream.home, stream.interval_ms);
    }

    /// A number that no key has or will have.
    pub(crate) fn fresh_key(&mut self) -> u64 {
        self.keys.get_or_insert_default().fresh()
    }

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
    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

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
    pub(crate) fn create(&mut self, stream: &Stream<'_>, policy: Policy) -> TopicId {
        let name: Rc<str> = stream.name.into();
        let topic = Topic {
            name: Rc::clone(&name),
            policy,
            payload: stream.payload,
            sid: stream.sid,
            interval_ms: stream.interval_ms,
            home: stream.home,
            matched: false,
            subscribers: Vec::new(),
            keyed: 0,
            keys: None,
        };
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
        self.remove_unused(id);
        Some((subscriber, moved))
    }

    /// Removes a topic without subscribers; true when it is there still.
    pub(crate) fn remove_unused(&mut self, id: TopicId) -> bool {
        let Some(topic) = self.get(id) else { return false };
        if !topic.subscribers.is_empty() {
            return true;
        }
        let name = Rc::clone(&topic.name);
        self.numbers.remove(&name);
        self.topics[id.0 as usize] = None;
        self.free.push(id);
        false
    }
}
