//! The subscriptions of one connection.

use rustc_hash::FxHashMap;

use crate::id::TopicId;
use crate::limits::SUBSCRIPTION_SEARCH_MAX;

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
