//! Subscriptions, patterns, publications and what paused: what the feed adds to the model.

use corecast_hub::{
    Announcement, Codec, ConnId, Encoding, Frames, Overflow, Pattern, Policy, Publication,
    RawCodec, Report, Resync, SharedFrames, Start, Stream,
};
use corecast_wire::Frame;

use crate::connection::{Connection, Item, Kind, Own, Subscription};
use crate::operation::{Message, TOPICS};
use crate::reference::{detach, discard_topic};
use crate::wire;
use crate::world::World;

const GAP: Policy = Policy::Lossless { overflow: Overflow::Gap };
const SNAPSHOT: Policy = Policy::Lossless { overflow: Overflow::Snapshot };
const HOMES: u16 = 2;

/// What a pattern makes of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    New,
    More,
    Again,
}

impl World {
    pub(crate) fn subscribe(&mut self, at: usize, topic: &'static str, policy: Option<Policy>) {
        let result = self.hub.subscribe(self.ids[at], topic, policy);
        if !self.is_open(at) {
            assert!(result.is_err());
            return;
        }
        let mut policy = policy.unwrap_or_else(|| self.rules.policy(topic));
        if policy == SNAPSHOT {
            policy = GAP;
        }
        let new = self.join(at, topic, policy, Encoding::Raw);
        let subscribed = result.expect("subscribed");
        assert_eq!((subscribed.policy, subscribed.new), (policy, new));
    }

    pub(crate) fn attach(
        &mut self,
        at: usize,
        topic: &'static str,
        policy: Policy,
        encoding: Encoding,
    ) {
        let stream = self.stream(topic);
        let result = self.hub.attach(self.ids[at], &stream, policy, encoding);
        if !self.is_open(at) {
            assert!(result.is_err());
            return;
        }
        let new = self.join(at, topic, policy, encoding);
        assert_eq!(result.expect("attached").new, new);
        self.existing.insert(topic);
        self.meet(topic, stream.seq);
    }

    pub(crate) fn start(
        &mut self,
        at: usize,
        topic: &'static str,
        policy: Policy,
        snapshot: bool,
        missed: u64,
    ) {
        let stream = self.stream(topic);
        let covered = stream.seq - missed.min(stream.seq);
        let encoding = Encoding::Json;
        let snapshot = snapshot.then(|| Frame::text(&format!("snapshot {topic} {covered}")));
        let again = |seq| Frame::text(&format!("again {topic} {seq}"));
        let missed: Vec<Frame> = (covered + 1..=stream.seq).map(again).collect();
        let items = self.items(topic, covered, snapshot.as_ref(), &missed);
        let start = Start { policy, encoding, snapshot, missed: &missed };
        let result = self.hub.start(self.ids[at], &stream, start, self.reference.now);
        if !self.is_open(at) {
            assert!(result.is_err());
            return;
        }
        self.join(at, topic, policy, encoding);
        self.existing.insert(topic);
        self.meet(topic, stream.seq);
        self.begin(at, topic, covered, items);
    }

    /// What a subscription starts with.
    fn begin(&mut self, at: usize, topic: &'static str, covered: u64, items: Vec<Item>) {
        let connection = &mut self.connections[at];
        let subscription = &connection.subscriptions[topic];
        if let Some(pause) = subscription.pause {
            let is_whole = pause.begins && items.first().is_some_and(|item| item.is_snapshot);
            if pause.begins && !is_whole && covered + 1 >= pause.from {
                return;
            }
            let resumed = self.reference.resume(connection, topic, covered, items);
            if let Some(offered) = self.offered[at].get_mut(topic).filter(|_| resumed && is_whole) {
                offered.retain(|seq| *seq > covered);
            }
            return;
        }
        if items.first().is_some_and(|item| item.is_snapshot) {
            let (_, older) = discard_topic(connection, topic);
            let older = older.iter().filter(|item| item.kind.is_data()).count() as u64;
            self.reference.totals.conflated += older;
            // The snapshot stands for them.
            self.offered[at].remove(topic);
            let policy = connection.subscriptions[topic].policy;
            if !self.reference.fits_all(connection, &items) {
                let bytes = items.iter().map(|item| item.bytes.len()).sum();
                let reason = self.reference.crossed(connection, bytes);
                let lost = (covered + 1, covered + items.len() as u64 - 1);
                self.seen.begun_paused += u64::from(!connection.closing);
                if !connection.closing {
                    self.reference.pause(connection, topic, lost, reason, true);
                }
                return;
            }
            if !connection.closing {
                self.reference.put(connection, policy, items);
                return;
            }
        }
        for item in items {
            self.reference.publish(connection, item);
        }
    }

    pub(crate) fn unsubscribe(&mut self, at: usize, topic: &'static str) {
        let connection = &mut self.connections[at];
        let subscription = connection.subscriptions.get_mut(topic);
        let expected = subscription.is_some_and(|s| std::mem::replace(&mut s.direct, false));
        if expected {
            self.release(at, topic);
        }
        assert_eq!(self.hub.unsubscribe(self.ids[at], topic), expected);
    }

    pub(crate) fn attach_pattern(&mut self, at: usize, own: Own) {
        let pattern: Pattern = own.pattern.parse().expect("a pattern");
        for home in 0..HOMES {
            let (policy, encoding) = (own.policy, own.encoding);
            let attached =
                self.hub.attach_pattern(self.ids[at], home, &pattern, 0, policy, encoding);
            assert_eq!(attached.is_ok(), self.is_open(at));
        }
        if !self.is_open(at) {
            return;
        }
        let patterns = &mut self.connections[at].patterns;
        match patterns.iter_mut().find(|held| held.pattern == own.pattern) {
            Some(held) => *held = own,
            None => patterns.push(own),
        }
        let listed: Vec<_> = self.existing.iter().copied().collect();
        for topic in listed.into_iter().filter(|topic| pattern.matches(topic)) {
            let stream = self.stream(topic);
            let policy = own.policy.unwrap_or_else(|| self.rules.policy(topic));
            let (encoding, now) = (own.encoding, self.reference.now);
            let snapshot = Some(Frame::text(&format!("snapshot {topic} {}", stream.seq)));
            let items = self.items(topic, stream.seq, snapshot.as_ref(), &[]);
            let start = Start { policy, encoding, snapshot, missed: &[] };
            let announced = self.hub.match_stream(self.ids[at], &pattern, &stream, start, now);
            let hold = self.hold(at, topic, own, stream.seq);
            assert_eq!(announced, hold == Some(Hold::New), "{topic}");
            self.meet(topic, stream.seq);
            if hold == Some(Hold::New) {
                self.begin(at, topic, stream.seq, items);
            }
        }
    }

    pub(crate) fn detach_pattern(&mut self, at: usize, pattern: &'static str) {
        let connection = &mut self.connections[at];
        let before = connection.patterns.len();
        connection.patterns.retain(|own| own.pattern != pattern);
        let expected = connection.patterns.len() < before;
        let held = connection.subscriptions.iter_mut();
        let held = held.filter(|(_, s)| s.holders.contains(&pattern));
        let held: Vec<_> =
            held.map(|(topic, s)| (s.holders.retain(|of| *of != pattern), *topic)).collect();
        for ((), topic) in held {
            self.release(at, topic);
        }
        let parsed = pattern.parse().expect("a pattern");
        assert_eq!(self.hub.detach_pattern(self.ids[at], &parsed, 0), expected);
    }

    pub(crate) fn publish(&mut self, message: &Message, except: Option<usize>) {
        let topic = TOPICS[message.topic];
        let now = self.reference.now;
        let mut stream = if message.raw { Stream::raw(topic) } else { self.stream(topic) };
        let mut seq = 0;
        if !message.notice {
            let number = self.numbers.entry(topic).or_default();
            *number += 1;
            seq = *number;
        }
        let mut frames = Frames::default();
        for encoding in &message.encodings {
            let text = match message.notice {
                true => format!("note {encoding:?} {}", "x".repeat(message.bytes)),
                false => wire::payload(topic, seq, message.bytes + *encoding as usize),
            };
            frames = frames.with(*encoding, Frame::text(&text));
        }
        if !message.raw && !message.notice {
            self.existing.insert(topic);
            self.meet(topic, seq - 1);
        }
        let key = message.key.map(|key| vec![key; 1 + usize::from(key) % 3]);
        let mut expected = Report::default();
        for (at, connection) in self.connections.iter_mut().enumerate() {
            let Some(subscription) = connection.subscriptions.get(topic) else { continue };
            let Some(frame) = frames.get(subscription.encoding) else { continue };
            if Some(at) == except {
                continue;
            }
            if matches!(subscription.policy, Policy::Lossless { .. }) && seq > 0 {
                self.offered[at].entry(topic).or_default().push(seq);
            }
            let was_paused = subscription.pause.is_some();
            let bytes = frame.as_bytes().to_vec();
            let mut item = self.reference.item(bytes, Kind::Control);
            (item.topic, item.key, item.seq) = (Some(topic), key.clone().unwrap_or_default(), seq);
            expected.add(self.reference.publish(connection, item));
            let is_paused = connection.subscriptions[topic].pause.is_some();
            self.seen.paused += u64::from(is_paused && !was_paused);
        }
        stream.seq = seq;
        let (except, key) = (except.map(|at| self.ids[at]), key.as_deref());
        let frames = SharedFrames::new(&frames, now);
        let Stream { sid, home, .. } = stream;
        let raw = Publication::raw(topic, seq, &frames);
        let publication = Publication { sid, home, key, except, ..raw };
        assert_eq!(self.hub.publish(&publication, now), expected);
    }

    pub(crate) fn take_resync(&mut self) {
        let mut listed = Vec::new();
        self.hub.take_resync(&mut listed);
        let mut expected = Vec::new();
        for (id, connection) in self.ids.iter().zip(&mut self.connections) {
            if !std::mem::take(&mut connection.in_list) {
                continue;
            }
            for (topic, subscription) in &mut connection.subscriptions {
                let encoding = subscription.encoding;
                if let Some(pause) = subscription.pause.as_mut().filter(|pause| !pause.listed) {
                    pause.listed = true;
                    expected.push(entry(*id, topic, encoding, pause.from));
                }
            }
        }
        let key = |resync: &Resync| (resync.conn, resync.name.clone());
        listed.sort_by_key(key);
        expected.sort_by_key(key);
        assert_eq!(listed, expected);
        self.resyncs.extend(listed);
    }

    /// An answer of the home, perhaps a late one.
    pub(crate) fn resync(&mut self, which: usize, snapshot: bool, missed: u64) {
        if self.resyncs.is_empty() {
            return;
        }
        let which = which % self.resyncs.len();
        let Resync { conn, name, lost_from, .. } = self.resyncs.swap_remove(which);
        let Some(topic) = TOPICS.into_iter().find(|topic| **topic == *name) else { return };
        let stream = self.stream(topic);
        // What is told again begins behind what the client has.
        let covered = stream.seq - missed.min((stream.seq + 1).saturating_sub(lost_from));
        let snapshot = snapshot.then(|| Frame::text(&format!("snapshot {topic} {covered}")));
        let again = |seq| Frame::text(&wire::payload(topic, seq, 0));
        let missed: Vec<Frame> = (covered + 1..=stream.seq).map(again).collect();
        let items = self.items(topic, covered, snapshot.as_ref(), &missed);
        let at = self.ids.iter().position(|id| *id == conn).expect("connected once");
        let connection = &mut self.connections[at];
        let pause = connection.subscriptions.get(topic).and_then(|s| s.pause);
        let is_due = pause.is_some_and(|pause| pause.listed && pause.from == lost_from);
        let is_whole = is_due && pause.is_some_and(|pause| pause.begins) && snapshot.is_some();
        let expected = is_due && self.reference.resume(connection, topic, covered, items);
        if let Some(offered) = self.offered[at].get_mut(topic).filter(|_| expected && is_whole) {
            // The snapshot stands for them.
            offered.retain(|seq| *seq > covered);
        }
        self.seen.resumed += u64::from(expected);
        self.seen.refused += u64::from(is_due && !expected);
        let now = self.reference.now;
        let resumed = self.hub.resync(conn, &stream, lost_from, snapshot, &missed, now);
        assert_eq!(resumed, expected);
    }

    fn is_open(&self, at: usize) -> bool {
        !self.connections[at].gone && !self.connections[at].closing
    }

    fn stream(&self, topic: &'static str) -> Stream<'static> {
        let place = TOPICS.iter().position(|of| *of == topic).expect("one of them");
        let seq = self.numbers.get(topic).copied().unwrap_or(0);
        let (sid, home) = (place as u32 + 1, place as u16 % HOMES);
        Stream { sid, home, seq, ..Stream::raw(topic) }
    }

    /// A snapshot up to number `covered` and what came behind it.
    fn items(
        &mut self,
        topic: &'static str,
        covered: u64,
        snapshot: Option<&Frame>,
        missed: &[Frame],
    ) -> Vec<Item> {
        let numbers = covered + u64::from(snapshot.is_none())..;
        let mut items = Vec::new();
        for (frame, seq) in snapshot.into_iter().chain(missed).zip(numbers) {
            let mut item = self.reference.item(frame.as_bytes().to_vec(), Kind::Control);
            item.is_snapshot = snapshot.is_some() && items.is_empty();
            // No key of a message is as long.
            self.seq += 1;
            item.key = format!("fresh {}", self.seq).into_bytes();
            (item.topic, item.seq) = (Some(topic), seq);
            items.push(item);
        }
        items
    }

    /// Subscribes by name; true when there was no subscription.
    fn join(&mut self, at: usize, topic: &'static str, policy: Policy, encoding: Encoding) -> bool {
        let connection = &mut self.connections[at];
        let new = !connection.subscriptions.contains_key(topic);
        if new {
            connection.subscriptions.insert(topic, subscription(policy, encoding));
        } else {
            self.set_terms(at, topic, policy, encoding);
        }
        if let Some(subscription) = self.connections[at].subscriptions.get_mut(topic) {
            subscription.direct = true;
        }
        new
    }

    fn set_terms(&mut self, at: usize, topic: &'static str, policy: Policy, encoding: Encoding) {
        let connection = &mut self.connections[at];
        let Some(subscription) = connection.subscriptions.get_mut(topic) else { return };
        let before = subscription.policy;
        let begins = subscription.pause.is_some_and(|pause| pause.begins);
        subscription.encoding = encoding;
        self.reference.set_policy(connection, topic, policy);
        if before != policy {
            self.forget_gap(at, topic, before, begins);
        }
    }

    /// Who leaves such a subscription is not told any more what it missed of it.
    fn forget_gap(&mut self, at: usize, topic: &str, left: Policy, paused: bool) {
        if paused || left == GAP || left == SNAPSHOT {
            self.offered[at].remove(topic);
        }
    }

    fn release(&mut self, at: usize, topic: &'static str) {
        let connection = &mut self.connections[at];
        let Some(subscription) = connection.subscriptions.get(topic) else { return };
        let (policy, direct) = (subscription.policy, subscription.direct);
        let paused = subscription.pause.is_some();
        let holders = &subscription.holders;
        let oldest = connection.patterns.iter().find(|own| holders.contains(&own.pattern));
        match oldest.copied() {
            _ if direct => {}
            Some(own) => {
                let policy = own.policy.unwrap_or_else(|| self.rules.policy(topic));
                self.set_terms(at, topic, policy, own.encoding);
            }
            None => {
                connection.end_pause(topic);
                connection.subscriptions.remove(topic);
                detach(connection, topic);
                self.forget_gap(at, topic, policy, paused);
            }
        }
    }

    /// The home has spoken of a topic that the hub may not know: all patterns are served.
    fn meet(&mut self, topic: &'static str, seq: u64) {
        if !self.matched.insert(topic) {
            return;
        }
        for at in 0..self.connections.len() {
            let mut patterns = self.connections[at].patterns.clone();
            let matches =
                |own: &Own| own.pattern.parse::<Pattern>().is_ok_and(|p| p.matches(topic));
            patterns.retain(matches);
            // The first that the hub comes upon gives the terms.
            let rank = |token: &str| match token {
                ">" => 0,
                "*" => 2,
                _ => 1,
            };
            patterns.sort_by_key(|own| own.pattern.split('.').map(rank).collect::<Vec<_>>());
            for own in patterns {
                self.hold(at, topic, own, seq);
            }
        }
    }

    fn hold(&mut self, at: usize, topic: &'static str, own: Own, seq: u64) -> Option<Hold> {
        if !self.is_open(at) {
            return None;
        }
        let connection = &mut self.connections[at];
        if let Some(subscription) = connection.subscriptions.get_mut(topic) {
            if subscription.holders.contains(&own.pattern) {
                return Some(Hold::Again);
            }
            subscription.holders.push(own.pattern);
            return Some(Hold::More);
        }
        let policy = own.policy.unwrap_or_else(|| self.rules.policy(topic));
        let mut new = subscription(policy, own.encoding);
        new.holders.push(own.pattern);
        connection.subscriptions.insert(topic, new);
        let stream = Stream::raw(topic).as_ref();
        let announcement = Announcement { pattern: own.pattern, stream, seq, policy };
        let frame = RawCodec.announce(&announcement, own.encoding);
        announce(
            connection,
            self.reference.item(frame.as_bytes().to_vec(), Kind::Announcement),
            self.reference.now,
        );
        self.seen.announced += 1;
        Some(Hold::New)
    }
}

fn announce(connection: &mut Connection, item: Item, now: corecast_hub::Timestamp) {
    connection.wake(now);
    connection.queue.push(item);
    connection.mark_dirty();
}

fn subscription(policy: Policy, encoding: Encoding) -> Subscription {
    Subscription { policy, encoding, direct: false, holders: Vec::new(), pause: None }
}

fn entry(conn: ConnId, topic: &'static str, encoding: Encoding, lost_from: u64) -> Resync {
    let place = TOPICS.iter().position(|of| *of == topic).expect("one of them");
    Resync {
        conn,
        name: topic.into(),
        topic: topic.into(),
        interval_ms: 0,
        home: place as u16 % HOMES,
        encoding,
        lost_from,
    }
}
