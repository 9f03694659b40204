//! Topics that nobody has published to are forgotten where others need their room: subscribing
//! makes topics, so anybody could fill a home with names.

use std::collections::VecDeque;
use std::sync::Arc;

use super::emission::{Emission, EmissionKind, Turn};
use super::error::TopicsFull;
use super::{Home, topic::Topic};
use crate::encoding::{Frames, Wanted};
use crate::limits::{FORGET_TRIES_MAX, SPARE_SIDS_MAX};
use crate::message::Now;
use crate::namespace::Namespace;

/// Numbers of streams: new ones as long as there are any, then those of topics that were
/// forgotten longest ago. Who is still subscribed to one of those may know the number.
#[derive(Debug)]
pub(super) struct Sids {
    shard: u16,
    shards: u16,
    given: u64,
    spare: VecDeque<u32>,
}

impl Sids {
    pub(super) fn new(shard: u16, shards: u16) -> Self {
        Self { shard, shards, given: 0, spare: VecDeque::new() }
    }

    pub(super) fn take(&mut self) -> Option<u32> {
        let sid = self.given * u64::from(self.shards) + u64::from(self.shard) + 1;
        let Ok(sid) = u32::try_from(sid) else { return self.spare.pop_front() };
        self.given += 1;
        Some(sid)
    }

    fn give_back(&mut self, sid: u32) {
        if self.spare.len() == SPARE_SIDS_MAX {
            self.spare.pop_front();
        }
        self.spare.push_back(sid);
    }
}

impl Home {
    /// Makes room for one topic more, if it takes no more than to forget one.
    ///
    /// One that has variants goes when no shard hears them: the shards are asked here, and there
    /// may be room the next time.
    pub(super) fn make_room(
        &mut self,
        namespace: &Namespace,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> Result<(), TopicsFull> {
        let topics_max = namespace.topics_max;
        if self.topics_of(namespace) >= topics_max {
            self.forget_one(Some(&namespace.name), wanted, now, out);
        }
        if self.topics_of(namespace) >= topics_max {
            return Err(TopicsFull::Namespace { topics_max });
        }
        let topics_max = self.topics_max;
        if self.numbers.len() >= topics_max {
            self.forget_one(None, wanted, now, out);
        }
        if self.numbers.len() >= topics_max {
            return Err(TopicsFull::Home { topics_max });
        }
        Ok(())
    }

    /// Lists a topic among those that may be forgotten, or takes it out, as it is now.
    pub(super) fn list_idle(&mut self, number: u32) {
        let topic = &mut self.topics[number as usize];
        let is_idle = !topic.is_published() && topic.members.is_empty();
        let Some(space) = self.spaces.get_mut(&topic.namespace.name) else { return };
        if let Some(order) = topic.idle.take() {
            space.idle.remove(&order);
        }
        if is_idle {
            topic.idle = Some(topic.made);
            space.idle.insert(topic.made, number);
        }
    }

    fn topics_of(&self, namespace: &Namespace) -> usize {
        self.spaces.get(&namespace.name).map_or(0, |space| space.topics)
    }

    fn forget_one(&mut self, of: Option<&str>, wanted: Wanted, now: Now, out: &mut Vec<Emission>) {
        for _ in 0..FORGET_TRIES_MAX {
            let Some(number) = self.oldest_idle(of) else { return };
            if self.topics[number as usize].variants.is_empty() {
                self.forget(number);
                return;
            }
            let mut turn = Turn { encoder: &mut self.encoder, wanted, now, out };
            self.topics[number as usize].ask_who_hears(&mut turn);
            self.made += 1;
            self.list_idle_last(number);
        }
    }

    /// The topic that may be forgotten and has been so for the longest time.
    fn oldest_idle(&self, of: Option<&str>) -> Option<u32> {
        let first = |space: &super::Space| space.idle.first_key_value().map(|(o, n)| (*o, *n));
        let oldest = match of {
            Some(name) => self.spaces.get(name).and_then(first),
            None => self.spaces.values().filter_map(first).min(),
        };
        oldest.map(|(_, number)| number)
    }

    /// The others are looked at before this one is again.
    fn list_idle_last(&mut self, number: u32) {
        let topic = &mut self.topics[number as usize];
        let Some(space) = self.spaces.get_mut(&topic.namespace.name) else { return };
        if let Some(order) = topic.idle.replace(self.made) {
            space.idle.remove(&order);
            space.idle.insert(self.made, number);
        }
    }

    /// Its numbers are all 0: nothing was said, so nobody comes back to another's messages.
    /// Neither ticks nor chores know it, since those begin with a message.
    fn forget(&mut self, number: u32) {
        let topic = &mut self.topics[number as usize];
        let (name, order) = (Arc::clone(&topic.base.name), topic.idle.take());
        for sid in topic.take_sids() {
            self.sids.give_back(sid);
        }
        if let Some(space) = self.spaces.get_mut(&topic.namespace.name) {
            space.topics -= 1;
            order.and_then(|order| space.idle.remove(&order));
        }
        self.numbers.remove(&name);
        self.ordered.remove(&name);
        self.free.push(number);
        self.encoder.totals.topics -= 1;
        self.encoder.totals.forgotten += 1;
    }
}

impl Topic {
    /// A message without number and frames: nobody gets it, and shards where nobody would say so.
    fn ask_who_hears(&self, turn: &mut Turn<'_>) {
        for variant in &self.variants {
            let (stream, frames) = (&variant.stream, Frames::default());
            stream.emit(EmissionKind::Message, (0, None), frames, &self.namespace, turn);
        }
    }
}
