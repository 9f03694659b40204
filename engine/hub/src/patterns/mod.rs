//! Subscriptions by pattern: to all topics that match, those made later included.

mod own;
mod trie;

use std::sync::Arc;

use crate::codec::Announcement;
use crate::encoding::Encoding;
use crate::frame::SharedFrame;
use crate::hub::Hub;
use crate::id::{ConnId, Timestamp, TopicId};
use crate::limits::{PATTERN_TOKENS_MAX, PATTERN_TOPICS_MAX};
use crate::namespace::{Namespaces, SnapshotKind};
use crate::policy::Policy;
use crate::resync::CatchUp;
use crate::rules::Pattern;
use crate::stream::{Stream, topic_of};
use crate::subscribe::{Start, SubscribeError};

pub(crate) use own::OwnPatterns;
pub(crate) use trie::{Match, Tries};

impl Hub {
    /// Puts a connection's pattern to work for the streams of one home: from here on, whichever of
    /// them becomes known here, matches and has this interval, is subscribed to and announced. The
    /// streams that the home has already are brought by [`match_stream`](Self::match_stream).
    ///
    /// `policy`: what was asked for; none, and where a namespace does not grant it, that of each
    /// topic. Done again, it changes policy and encoding for streams that become known later.
    ///
    /// # Errors
    /// When the pattern has more than [`PATTERN_TOKENS_MAX`] tokens, the connection has
    /// [`PATTERNS_MAX`](crate::limits::PATTERNS_MAX) already, or is gone or closing.
    pub fn attach_pattern(
        &mut self,
        conn: ConnId,
        home: u16,
        pattern: &Pattern,
        interval_ms: u32,
        policy: Option<Policy>,
        encoding: Encoding,
    ) -> Result<(), SubscribeError> {
        self.check_open(conn)?;
        let tokens = pattern.as_str().split('.').count();
        if tokens > PATTERN_TOKENS_MAX {
            return Err(SubscribeError::PatternTokens { tokens });
        }
        let own = self.slots.at_mut(conn.index).patterns.get_or_insert_default();
        let place = own.find(pattern, interval_ms).or_else(|| own.add(pattern, interval_ms));
        let place = place.ok_or(SubscribeError::PatternsFull)?;
        let Some(own) = own.get_mut(place) else { return Ok(()) };
        (own.policy, own.encoding) = (policy, encoding);
        if !own.homes.contains(&home) {
            own.homes.push(home);
            self.tries.insert(home, interval_ms, pattern, (conn.index, place));
        }
        Ok(())
    }

    /// Subscribes a connection to a stream that a home has listed for its pattern: announces it,
    /// then queues the snapshot and what was missed. A connection that is subscribed already is
    /// not told again: the pattern holds the subscription, too, and that is all. Where a
    /// publication has brought this pattern the stream before, nothing is done.
    ///
    /// True when the stream was announced. False also where the connection does not have the
    /// pattern, or a bound is reached ([`take_unmatched`](Self::take_unmatched)).
    pub fn match_stream(
        &mut self,
        conn: ConnId,
        pattern: &Pattern,
        stream: &Stream<'_>,
        start: Start<'_>,
        now: Timestamp,
    ) -> bool {
        self.ledger.advance(now);
        if self.check_open(conn).is_err() {
            return false;
        }
        let own = self.slots.at_mut(conn.index).patterns.as_ref();
        let place = own.and_then(|own| own.find(pattern, stream.interval_ms));
        let Some(place) = place else { return false };
        let found = self.topics.find(stream.name);
        let Some(id) = found.or_else(|| self.create_topic(stream).ok()) else {
            self.note_unmatched(conn.index, place);
            return false;
        };
        let Start { policy, encoding, snapshot, missed } = start;
        let hold = self.hold(conn.index, place, id, policy, encoding);
        match hold {
            Hold::New => {
                let frame = self.announcement(conn, place, stream, policy, encoding);
                self.announce(conn, frame);
            }
            Hold::Again => return false,
            Hold::More | Hold::Full => {}
        }
        self.meet(stream, Some(id), Cause::Listed);
        if hold == Hold::New {
            self.begin(conn, id, CatchUp { seq: stream.seq, snapshot, missed });
        }
        self.topics.remove_unused(id);
        hold == Hold::New
    }

    /// Takes a connection's pattern out for all homes and lets go of what it holds. False when
    /// there was none. O(topics that it holds).
    pub fn detach_pattern(&mut self, conn: ConnId, pattern: &Pattern, interval_ms: u32) -> bool {
        let Some(slot) = self.slots.get_mut(conn) else { return false };
        let Some(patterns) = &mut slot.patterns else { return false };
        let place = patterns.find(pattern, interval_ms);
        let Some(own) = place.and_then(|place| patterns.remove(place)) else { return false };
        if patterns.is_empty() {
            slot.patterns = None;
        }
        for home in own.homes {
            self.tries.remove(home, interval_ms, pattern, conn.index);
        }
        for id in own.held.into_iter().map(TopicId) {
            let position = self.slots.at_mut(conn.index).subscriptions.position(id);
            if let Some(subscriber) = position.and_then(|at| self.subscriber_mut(id, at)) {
                subscriber.holds -= 1;
                self.release(conn, id);
            }
        }
        true
    }

    /// Adds to `out` the patterns that match more streams than they may hold, since the last
    /// call: each pattern once in its life, with the connection whose it is.
    pub fn take_unmatched(&mut self, out: &mut Vec<(ConnId, Box<str>)>) {
        out.append(&mut self.unmatched);
    }

    /// Patterns of a connection, 0 when it is gone.
    #[must_use]
    pub fn patterns(&self, conn: ConnId) -> usize {
        let slot = self.slots.get(conn).and_then(|slot| slot.patterns.as_ref());
        slot.map_or(0, |own| own.iter().count())
    }

    /// What a pattern's subscriber gets for a topic: what it asked for, where the namespace grants
    /// it, else the namespace's own. Where no namespace names the topic, the rules speak.
    #[must_use]
    pub fn policy_for(&self, topic: &str, interval_ms: u32, asked: Option<Policy>) -> Policy {
        match self.namespaces.find(topic) {
            None => asked.unwrap_or_else(|| self.rules.policy(topic)),
            Some(namespace) => namespace.policy_for(interval_ms, asked),
        }
    }

    /// Puts other namespaces in the place of those: for topics that become known from now on.
    pub fn set_namespaces(&mut self, namespaces: Arc<Namespaces>) {
        self.namespaces = namespaces;
    }

    /// Takes note of a stream: `found` is its topic, if it has one here. Where its home's patterns
    /// were not asked, they are, and a topic is made if any match. A notice makes none: there
    /// would be no number to announce.
    #[cold]
    pub(crate) fn meet(
        &mut self,
        stream: &Stream<'_>,
        found: Option<TopicId>,
        cause: Cause,
    ) -> Option<TopicId> {
        let numbered = cause != Cause::Notice;
        if stream.home == Stream::NO_HOME {
            return found;
        }
        if let Some(topic) = found.and_then(|id| self.topics.get_mut(id)) {
            if !numbered && !topic.matched {
                return found;
            }
            topic.describe(stream);
            if core::mem::replace(&mut topic.matched, true) {
                return found;
            }
        } else if !numbered {
            return None;
        }
        let mut matches = core::mem::take(&mut self.matches);
        self.tries.find(stream, &mut matches);
        let id = self.serve(stream, found, &matches, cause);
        matches.clear();
        self.matches = matches;
        id
    }

    /// Ends the patterns of a connection that is going, whose subscriptions have ended.
    pub(crate) fn leave_patterns(&mut self, conn: ConnId) {
        let Some(patterns) = self.slots.at_mut(conn.index).patterns.take() else { return };
        for own in patterns.iter() {
            for home in &own.homes {
                self.tries.remove(*home, own.interval_ms, &own.pattern, conn.index);
            }
        }
    }

    /// The terms of the oldest pattern that holds a subscription.
    pub(crate) fn terms_of_holder(&self, conn: ConnId, id: TopicId) -> Option<(Policy, Encoding)> {
        let own = self.slots.get(conn)?.patterns.as_ref()?.holder(id)?;
        let topic = self.topics.get(id)?;
        let policy = self.policy_for(
            topic_of(&topic.name, topic.interval_ms),
            topic.interval_ms,
            own.policy,
        );
        Some((policy, own.encoding))
    }

    /// Subscribes all that match, each connection once, and tells those for whom it is new.
    fn serve(
        &mut self,
        stream: &Stream<'_>,
        found: Option<TopicId>,
        matches: &[Match],
        cause: Cause,
    ) -> Option<TopicId> {
        if matches.is_empty() {
            return found;
        }
        let Some(id) = found.or_else(|| self.create_topic(stream).ok()) else {
            matches.iter().for_each(|found| self.note_unmatched(found.conn, found.place));
            return None;
        };
        if let Some(topic) = self.topics.get_mut(id) {
            topic.matched = true;
        }
        let lacks_snapshot = self.lacks_snapshot(stream, cause);
        let mut told: Vec<(u32, Policy, Encoding, SharedFrame)> = Vec::new();
        for &Match { conn, place, group } in matches {
            let slot = self.slots.at_mut(conn);
            let conn = ConnId { index: conn, generation: slot.generation };
            let own = slot.patterns.as_mut().and_then(|own| own.get_mut(place));
            let Some((asked, encoding)) = own.map(|own| (own.policy, own.encoding)) else {
                continue;
            };
            if slot.outbox.close_queued() {
                continue;
            }
            let policy = self.policy_for(stream.topic(), stream.interval_ms, asked);
            if self.hold(conn.index, place, id, policy, encoding) != Hold::New {
                continue;
            }
            let same = told.iter().find(|(of, for_policy, for_encoding, _)| {
                (*of, *for_policy, *for_encoding) == (group, policy, encoding)
            });
            let frame = same.map(|(.., frame)| frame.clone()).unwrap_or_else(|| {
                let frame = self.announcement(conn, place, stream, policy, encoding);
                told.retain(|(of, ..)| *of == group);
                told.push((group, policy, encoding, frame.clone()));
                frame
            });
            self.announce(conn, frame);
            if lacks_snapshot {
                self.begin_paused(conn, id, stream.seq + 1, stream.seq, 0);
            }
        }
        self.topics.remove_unused(id).then_some(id)
    }

    /// Whether who meets a stream like this has missed the snapshot that its namespace keeps.
    fn lacks_snapshot(&self, stream: &Stream<'_>, cause: Cause) -> bool {
        let namespace = self.namespaces.find(stream.topic());
        let kind = namespace.map_or(SnapshotKind::None, |namespace| namespace.snapshot);
        match cause {
            _ if kind == SnapshotKind::None => false,
            // A publisher's snapshot may come before the first message.
            Cause::Listed => stream.seq > 0 || kind == SnapshotKind::Published,
            Cause::Message => stream.seq > 0,
            Cause::Snapshot | Cause::Notice => false,
        }
    }

    /// Lets a pattern of an open connection hold a topic.
    fn hold(
        &mut self,
        conn: u32,
        place: u8,
        id: TopicId,
        policy: Policy,
        encoding: Encoding,
    ) -> Hold {
        let slot = self.slots.at_mut(conn);
        let Some(patterns) = &mut slot.patterns else { return Hold::Full };
        let full = patterns.holds as usize >= PATTERN_TOPICS_MAX;
        let Some(own) = patterns.get_mut(place) else { return Hold::Full };
        if own.held.contains(&id.index()) {
            return Hold::Again;
        }
        if full {
            self.note_unmatched(conn, place);
            return Hold::Full;
        }
        own.held.insert(id.index());
        patterns.holds += 1;
        let position = slot.subscriptions.position(id);
        let hold = if position.is_some() { Hold::More } else { Hold::New };
        let position = position.unwrap_or_else(|| self.join(conn, id, policy, encoding));
        if let Some(subscriber) = self.subscriber_mut(id, position) {
            subscriber.holds += 1;
        }
        hold
    }

    fn announcement(
        &mut self,
        conn: ConnId,
        place: u8,
        stream: &Stream<'_>,
        policy: Policy,
        encoding: Encoding,
    ) -> SharedFrame {
        let own = self.slots.at_mut(conn.index).patterns.as_mut();
        let pattern = own.and_then(|own| own.get_mut(place)).map(|own| own.text());
        let pattern = &*pattern.unwrap_or_default();
        let announcement =
            Announcement { pattern, stream: stream.as_ref(), seq: stream.seq, policy };
        let frame = self.ledger.codec.announce(&announcement, encoding);
        SharedFrame::new(frame, self.ledger.now)
    }

    fn announce(&mut self, conn: ConnId, frame: SharedFrame) {
        let outbox = &mut self.slots.at_mut(conn.index).outbox;
        outbox.notify(conn, frame, &mut self.ledger);
    }

    #[cold]
    fn note_unmatched(&mut self, conn: u32, place: u8) {
        let slot = self.slots.at_mut(conn);
        let conn = ConnId { index: conn, generation: slot.generation };
        let own = slot.patterns.as_mut().and_then(|own| own.get_mut(place));
        if let Some(own) = own.filter(|own| !own.told) {
            own.told = true;
            self.unmatched.push((conn, own.text()));
        }
    }
}

/// What makes a stream known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It has a new message.
    Message,
    /// Its publisher's snapshot is on its way to all.
    Snapshot,
    /// Something without a number is said of it.
    Notice,
    /// Its home told somebody of it.
    Listed,
}

/// What came of letting a pattern hold a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// The connection is subscribed from here on.
    New,
    /// It was subscribed, by name or by another pattern.
    More,
    /// It was subscribed, by this pattern.
    Again,
    /// It may hold no more.
    Full,
}
