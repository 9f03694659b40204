//! What happens by itself: variants speak, topics fall silent, histories grow old.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::Home;
use super::emission::{Emission, Turn};
use super::stream::Stream;
use super::topic::Topic;
use super::variant::tick_after;
use crate::codec::StreamState;
use crate::encoding::Wanted;
use crate::id::Timestamp;
use crate::limits::{EMISSIONS_PER_TICK_MAX, VARIANTS_CEILING};
use crate::message::Now;
use crate::namespace::Namespace;

/// The variants that have something to say, by tick and interval: what has nothing costs nothing.
#[derive(Debug, Default)]
pub(super) struct Ticks {
    due: BTreeMap<(Timestamp, u32), VecDeque<u32>>,
}

impl Ticks {
    /// Lists a topic's variants for their next ticks.
    pub(super) fn list(&mut self, number: u32, topic: &mut Topic, now: Timestamp) {
        for variant in &mut topic.variants {
            if variant.due.is_none() && variant.is_waiting() {
                let interval_ms = variant.stream.interval_ms;
                let due = tick_after(now, interval_ms);
                variant.due = Some(due);
                self.due.entry((due, interval_ms)).or_default().push_back(number);
            }
        }
    }

    /// Takes out what is listed first for this time: a topic's number and the interval.
    fn pop(&mut self, due: Timestamp) -> Option<(u32, u32)> {
        let mut entry = self.due.first_entry().filter(|entry| entry.key().0 == due)?;
        let interval_ms = entry.key().1;
        let number = entry.get_mut().pop_front();
        if entry.get().is_empty() {
            entry.remove();
        }
        Some((number?, interval_ms))
    }
}

/// What is looked at later: at most once each in the queue.
#[derive(Debug, Default)]
pub(super) struct Chores {
    due: BTreeSet<(Timestamp, u32, Chore)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Chore {
    /// Whether the publisher was heard since.
    Stale,
    /// Whether messages of the stream with this interval are too old.
    Age(u32),
}

impl Chores {
    /// Lists what a publication makes necessary; `again`: the topic is not watched for silence.
    pub(super) fn list(&mut self, number: u32, topic: &mut Topic, again: bool) {
        if let Some(due) = topic.stale_at().filter(|_| again) {
            self.due.insert((due, number, Chore::Stale));
        }
        if topic.namespace.history_age_ms > 0 {
            let Topic { base, variants, namespace, .. } = topic;
            let variants = variants.iter_mut().map(|variant| &mut variant.stream);
            for stream in [base].into_iter().chain(variants) {
                self.list_age(number, stream, namespace);
            }
        }
    }

    /// The publisher may have been heard since this was listed: then it is looked for later.
    fn look_for_silence(&mut self, number: u32, topic: &mut Topic, turn: &mut Turn<'_>) {
        match topic.stale_at() {
            None => {}
            Some(due) if due > turn.now.mono => {
                self.due.insert((due, number, Chore::Stale));
            }
            Some(_) => {
                topic.set_state(StreamState::Stale, turn);
                turn.encoder.totals.stale += 1;
            }
        }
    }

    fn forget(&mut self, number: u32, topic: &mut Topic, interval_ms: u32, now: Timestamp) {
        let namespace = Arc::clone(&topic.namespace);
        // The variant may have ended.
        let Some(stream) = topic.stream_mut(interval_ms) else { return };
        stream.history.expire(now, &namespace);
        stream.history.listed = false;
        self.list_age(number, stream, &namespace);
    }

    fn list_age(&mut self, number: u32, stream: &mut Stream, namespace: &Namespace) {
        let due = stream.history.due(namespace).filter(|_| !stream.history.listed);
        if let Some(due) = due {
            stream.history.listed = true;
            self.due.insert((due, number, Chore::Age(stream.interval_ms)));
        }
    }
}

impl Home {
    /// When [`tick`](Self::tick) has something to do; none as long as nothing happens.
    #[must_use]
    pub fn next_tick(&self) -> Option<Timestamp> {
        let tick = self.ticks.due.first_key_value().map(|((due, _), _)| *due);
        let chore = self.chores.due.first().map(|(due, ..)| *due);
        tick.into_iter().chain(chore).min()
    }

    /// Does what is due: every variant with something to say whose tick has come says it, as one
    /// message; topics that were silent for too long are called stale; what is too old is
    /// forgotten. What is due first comes first.
    ///
    /// It says at most [`EMISSIONS_PER_TICK_MAX`] things and does at most as many. The rest stays
    /// due: [`next_tick`](Self::next_tick) is then not behind `now`.
    pub fn tick(&mut self, wanted: Wanted, now: Now, out: &mut Vec<Emission>) {
        let said_before = out.len();
        for _ in 0..EMISSIONS_PER_TICK_MAX {
            let Some(due) = self.next_tick().filter(|due| *due <= now.mono) else { return };
            let room = EMISSIONS_PER_TICK_MAX.saturating_sub(out.len() - said_before);
            if room == 0 {
                return;
            }
            let mut turn = Turn { encoder: &mut self.encoder, wanted, now, out };
            if let Some((number, interval_ms)) = self.ticks.pop(due) {
                let topic = &mut self.topics[number as usize];
                topic.tick(interval_ms, due, &mut turn);
                self.chores.list(number, topic, false);
            } else if let Some(&(_, number, chore)) = self.chores.due.first() {
                let topic = &mut self.topics[number as usize];
                // The topic and each variant may be called stale.
                if 1 + topic.variants.len() > room {
                    return;
                }
                self.chores.due.pop_first();
                match chore {
                    Chore::Stale => self.chores.look_for_silence(number, topic, &mut turn),
                    Chore::Age(interval_ms) => {
                        self.chores.forget(number, topic, interval_ms, now.mono);
                    }
                }
            }
        }
    }
}

const _: () = assert!(EMISSIONS_PER_TICK_MAX > VARIANTS_CEILING as usize);
