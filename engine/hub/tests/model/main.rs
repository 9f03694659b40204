//! The whole hub against a naive reference: random publications, policies, partial sends at any
//! byte, blocking, sweeps, closes. Each run prints its seed; `CORECAST_SEED=n` replays it, and
//! `CORECAST_CASES=n` sets how many runs there are.

mod connection;
mod operation;
mod reference;
mod wire;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use connection::{Connection, Item, Kind, Taken};
use corecast_hub::{
    ConnId, Flush, Hub, HubConfig, Policy, Publication, Report, Rules, Sent, SharedFrame,
    SharedFrames, Timestamp, Totals,
};
use corecast_wire::{CloseCode, Frame};
use operation::{Operation, RULES, Run, TOPICS, runs};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use reference::Reference;

#[test]
fn the_hub_does_what_the_naive_reference_does() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("CORECAST_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("replay with CORECAST_SEED={seed}");
    let cases = number("CORECAST_CASES").unwrap_or(400) as u32;
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let seen = Cell::new(Totals::default());
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&runs(), |run| {
        let totals = World::new(&run).play(&run.operations);
        seen.set(add(seen.get(), totals));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("CORECAST_SEED={seed}: {error}");
    }
    // The runs must have come to every corner, else they prove nothing.
    let Totals { conflated, dropped, sent, abandoned, slow_closed, gaps, .. } = seen.get();
    for (name, count) in [
        ("conflated", conflated),
        ("dropped", dropped),
        ("sent", sent),
        ("abandoned", abandoned),
        ("slow_closed", slow_closed),
        ("gaps", gaps),
    ] {
        assert!(count > 0 || cases < 16, "CORECAST_SEED={seed}: nothing {name}");
    }
}

/// A connection that never was.
const NOBODY: ConnId = ConnId { index: u32::MAX, generation: 7 };

/// The hub and the reference side by side, and what the clients got.
struct World {
    hub: Hub,
    reference: Reference,
    rules: Rules,
    ids: Vec<ConnId>,
    connections: Vec<Connection>,
    wires: Vec<Vec<u8>>,
    /// Per connection: what was offered to subscriptions that must not lose in silence.
    offered: Vec<BTreeMap<&'static str, Vec<u64>>>,
    seq: u64,
}

impl World {
    fn new(run: &Run) -> Self {
        let mut rules = Rules::new();
        for rule in RULES {
            rules.push(rule.parse().expect("a rule")).expect("room");
        }
        let config = HubConfig { rules: rules.clone(), outbox: run.limits, ..HubConfig::default() };
        let totals = Totals::default();
        Self {
            hub: Hub::new(config),
            reference: Reference { limits: run.limits, now: Timestamp(1), totals },
            rules,
            ids: Vec::new(),
            connections: Vec::new(),
            wires: Vec::new(),
            offered: Vec::new(),
            seq: 0,
        }
    }

    fn play(mut self, operations: &[Operation]) -> Totals {
        for operation in operations {
            self.step(operation);
            self.check();
        }
        self.drain();
        self.check();
        for (wire, offered) in self.wires.iter().zip(&self.offered) {
            wire::check_nothing_lost(&wire::parse(wire), offered);
        }
        let totals = self.hub.totals();
        for at in 0..self.ids.len() {
            self.step(&Operation::Disconnect(at));
        }
        assert_eq!((self.hub.connections(), self.hub.topics()), (0, 0));
        assert_eq!((self.hub.queued_bytes(), self.hub.congested()), (0, 0));
        totals
    }

    fn step(&mut self, operation: &Operation) {
        if let Operation::Connect = operation {
            self.ids.push(self.hub.connect(self.reference.now));
            self.connections.push(Connection::default());
            self.wires.push(Vec::new());
            self.offered.push(BTreeMap::new());
        }
        if self.ids.is_empty() {
            return;
        }
        let at = |conn: usize| conn % self.ids.len();
        match *operation {
            Operation::Connect => {}
            Operation::Disconnect(conn) => self.disconnect(at(conn)),
            Operation::Subscribe { conn, topic, policy } => {
                self.subscribe(at(conn), TOPICS[topic], policy);
            }
            Operation::Unsubscribe { conn, topic } => self.unsubscribe(at(conn), TOPICS[topic]),
            Operation::Publish { topic, key, bytes, except } => {
                self.publish(TOPICS[topic], key, bytes, except.map(at));
            }
            Operation::Send { conn, bytes } => self.send(at(conn), bytes),
            Operation::Pong(conn) => self.control(at(conn), true),
            Operation::Ping(conn) => self.control(at(conn), false),
            Operation::Close { conn, flush } => self.close(at(conn), flush),
            Operation::TakeDirty => self.take_dirty(),
            Operation::Sent { conn, bytes } => self.sent(at(conn), bytes),
            Operation::SentAll(conn) => self.sent(at(conn), usize::MAX),
            Operation::SetBlocked { conn, blocked } => self.set_blocked(at(conn), blocked),
            Operation::Expire(conn) => {
                let at = at(conn);
                let expected = self.reference.expire(&mut self.connections[at]);
                assert_eq!(self.hub.expire(self.ids[at], self.reference.now), expected);
            }
            Operation::Wait(time) => {
                let odd = Duration::from_nanos(self.seq % 999_983);
                self.reference.now = self.reference.now.after(time + odd);
                // Calls without a time count from the latest one that the hub was told.
                assert_eq!(self.hub.sent(NOBODY, 0, self.reference.now), Sent::default());
            }
        }
    }

    fn disconnect(&mut self, at: usize) {
        // What a client has when its connection goes may end inside a frame: keep whole ones.
        let connection = &mut self.connections[at];
        if let Some((_, offset)) = &connection.begun {
            let whole = self.wires[at].len() - offset;
            self.wires[at].truncate(whole);
        }
        self.offered[at].clear();
        let expected = self.reference.disconnect(connection);
        assert_eq!(self.hub.disconnect(self.ids[at]), expected);
    }

    fn subscribe(&mut self, at: usize, topic: &'static str, policy: Option<Policy>) {
        let result = self.hub.subscribe(self.ids[at], topic, policy);
        let connection = &mut self.connections[at];
        if connection.gone || connection.closing {
            assert!(result.is_err());
            return;
        }
        let policy = policy.unwrap_or_else(|| self.rules.policy(topic));
        let before = connection.policies.get(topic).copied();
        self.reference.subscribe(connection, topic, policy);
        let subscribed = result.expect("subscribed");
        assert_eq!((subscribed.policy, subscribed.new), (policy, before.is_none()));
        self.forget_gap(at, topic, before.filter(|before| *before != policy));
    }

    fn unsubscribe(&mut self, at: usize, topic: &'static str) {
        let before = self.connections[at].policies.get(topic).copied();
        let expected = self.reference.unsubscribe(&mut self.connections[at], topic);
        assert_eq!(self.hub.unsubscribe(self.ids[at], topic), expected);
        self.forget_gap(at, topic, before);
    }

    /// Who leaves a `lossless:gap` subscription is not told any more what it missed of it.
    fn forget_gap(&mut self, at: usize, topic: &str, left: Option<Policy>) {
        if matches!(left, Some(Policy::Lossless { .. })) && left != Some(Policy::default()) {
            self.offered[at].remove(topic);
        }
    }

    fn publish(
        &mut self,
        topic: &'static str,
        key: Option<u8>,
        size: usize,
        except: Option<usize>,
    ) {
        self.seq += 1;
        let seq = self.seq;
        let now = self.reference.now;
        let frame = SharedFrame::new(Frame::text(&wire::payload(topic, seq, size)), now);
        let key = key.map(|key| vec![key; 1 + usize::from(key) % 3]);
        let mut expected = Report::default();
        for (at, connection) in self.connections.iter_mut().enumerate() {
            if Some(at) == except {
                continue;
            }
            if matches!(connection.policies.get(topic), Some(Policy::Lossless { .. })) {
                self.offered[at].entry(topic).or_default().push(seq);
            }
            let item = Item {
                bytes: frame.as_bytes().to_vec(),
                kind: Kind::Control,
                topic: Some(topic),
                key: key.clone().unwrap_or_default(),
                seq,
                queued_at: now,
                published_at: now,
            };
            expected.add(self.reference.publish(connection, item));
        }
        let (except, key) = (except.map(|at| self.ids[at]), key.as_deref());
        let frames = SharedFrames::raw(frame);
        let publication = Publication { key, except, ..Publication::raw(topic, seq, &frames) };
        assert_eq!(self.hub.publish(&publication, now), expected);
    }

    fn send(&mut self, at: usize, size: usize) {
        self.seq += 1;
        let now = self.reference.now;
        let frame = SharedFrame::new(Frame::text(&wire::payload("direct", self.seq, size)), now);
        let expected = self.reference.send(&mut self.connections[at], frame.as_bytes().to_vec());
        assert_eq!(self.hub.send(self.ids[at], &frame, now), expected);
    }

    fn control(&mut self, at: usize, pong: bool) {
        let payload = self.seq.to_be_bytes();
        let frame = if pong { Frame::pong(&payload) } else { Frame::ping(&payload) };
        let bytes = frame.as_bytes().to_vec();
        let expected = self.reference.control(&mut self.connections[at], bytes, pong);
        let conn = self.ids[at];
        let queued = if pong { self.hub.pong(conn, frame) } else { self.hub.ping(conn, frame) };
        assert_eq!(queued, expected);
    }

    fn close(&mut self, at: usize, flush: Flush) {
        let frame = Frame::close(CloseCode::NORMAL, "so it goes");
        if flush == Flush::Now {
            self.offered[at].clear();
        }
        let bytes = frame.as_bytes().to_vec();
        let expected = self.reference.close(&mut self.connections[at], bytes, flush);
        assert_eq!(self.hub.close(self.ids[at], frame, flush), expected);
    }

    fn take_dirty(&mut self) {
        let mut dirty = Vec::new();
        self.hub.take_dirty(&mut dirty);
        let mut expected = Vec::new();
        for (id, connection) in self.ids.iter().zip(&mut self.connections) {
            let dirty = std::mem::take(&mut connection.dirty);
            if dirty && !connection.gone && !connection.blocked && !connection.is_empty() {
                expected.push(*id);
            }
        }
        expected.sort_unstable();
        dirty.sort_unstable();
        assert_eq!(dirty, expected, "the dirty list");
    }

    fn sent(&mut self, at: usize, bytes: usize) {
        let connection = &mut self.connections[at];
        let wire = connection.wire();
        let bytes = bytes.min(wire.len());
        self.wires[at].extend_from_slice(&wire[..bytes]);
        let now = self.reference.now;
        let expected = connection.take(bytes, now);
        self.reference.totals.sent += u64::from(expected.data_frames);
        connection.mark_dirty();
        let sent = self.hub.sent(self.ids[at], bytes, now);
        let got = Taken {
            frames: sent.frames,
            data_frames: sent.data_frames,
            published_at: sent.published_at,
            finished_close: sent.finished_close,
            more: sent.more,
        };
        assert_eq!(got, expected);
    }

    fn set_blocked(&mut self, at: usize, blocked: bool) {
        self.hub.set_blocked(self.ids[at], blocked);
        let connection = &mut self.connections[at];
        if !connection.gone {
            connection.blocked = blocked;
            connection.mark_dirty();
        }
    }

    /// Sends all that waits, as a shard would: through the dirty list alone.
    fn drain(&mut self) {
        for at in 0..self.ids.len() {
            self.set_blocked(at, true);
            self.set_blocked(at, false);
        }
        self.take_dirty();
        for at in 0..self.ids.len() {
            while !self.connections[at].is_empty() {
                self.sent(at, 7);
            }
        }
        self.take_dirty();
    }

    /// What must hold after every step.
    fn check(&mut self) {
        assert_eq!(self.hub.totals(), self.reference.totals);
        let (mut bytes, mut frames, mut congested) = (0, 0, 0);
        for (id, connection) in self.ids.iter().zip(&self.connections) {
            let Some(outbox) = self.hub.outbox(*id) else {
                assert!(connection.gone);
                continue;
            };
            let mut slices = Vec::new();
            let gathered = outbox.gather(&mut slices, usize::MAX);
            assert_eq!(slices.concat(), connection.wire());
            assert_eq!(gathered, connection.wire().len());
            assert_eq!(outbox.bytes(), connection.bytes());
            assert_eq!(outbox.frames(), connection.frames());
            assert_eq!(outbox.is_begun(), connection.begun.is_some());
            assert_eq!(outbox.close_queued(), connection.closing);
            assert_eq!(outbox.progress_at(), connection.progress_at);
            assert!(!outbox.is_empty() || outbox.heap_bytes() == 0, "idle, yet it owns memory");
            self.check_bounds(outbox.frames(), outbox.bytes(), connection);
            bytes += connection.bytes() as u64;
            frames += connection.data_frames();
            congested += u32::from(connection.is_congested(&self.reference.limits));
        }
        assert_eq!(self.hub.queued_bytes(), bytes);
        assert_eq!(self.hub.queued_frames(), frames);
        assert_eq!(self.hub.congested(), congested);
        let Totals { offered, conflated, dropped, sent, abandoned, .. } = self.hub.totals();
        assert_eq!(offered, sent + conflated + dropped + abandoned + frames, "conservation");
    }

    /// The stated bound of memory: allowance, one frame of any size, a notice per topic, one
    /// notice partly sent, the Close frame.
    fn check_bounds(&self, frames: u32, bytes: usize, connection: &Connection) {
        let limits = &self.reference.limits;
        let notices = TOPICS.len() + 2;
        let frames_max = limits.frames_max + limits.frames_max / 4 + notices as u32;
        assert!(frames <= frames_max, "{frames} frames, at most {frames_max}");
        let notice_bytes_max = 127;
        let items = connection.to_send().into_iter().map(|(item, _)| item.bytes.len());
        let largest = items.max().unwrap_or(0);
        let bytes_max = (limits.bytes_max + limits.bytes_max / 4).max(largest);
        let bytes_max = bytes_max + notices * notice_bytes_max;
        assert!(bytes <= bytes_max, "{bytes} bytes, at most {bytes_max}");
    }
}

fn add(a: Totals, b: Totals) -> Totals {
    Totals {
        offered: a.offered + b.offered,
        delivered: a.delivered + b.delivered,
        conflated: a.conflated + b.conflated,
        dropped: a.dropped + b.dropped,
        sent: a.sent + b.sent,
        abandoned: a.abandoned + b.abandoned,
        slow_closed: a.slow_closed + b.slow_closed,
        gaps: a.gaps + b.gaps,
    }
}
