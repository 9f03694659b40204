//! The hub and the reference, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use corecast_hub::{
    ConnId, Flush, Hub, HubConfig, Resync, Rules, Sent, SharedFrame, Timestamp, Totals,
};
use corecast_wire::{CloseCode, Frame};

use crate::connection::{Connection, Item, Kind, Own, Taken};
use crate::operation::{Operation, PATTERNS, RULES, Run, TOPICS};
use crate::reference::Reference;
use crate::wire;

/// A connection that never was.
const NOBODY: ConnId = ConnId { index: u32::MAX, generation: 7 };

/// The hub and the reference side by side, and what the clients got.
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) reference: Reference,
    pub(crate) rules: Rules,
    pub(crate) ids: Vec<ConnId>,
    pub(crate) connections: Vec<Connection>,
    wires: Vec<Vec<u8>>,
    /// Per connection: what was offered to subscriptions that must not lose in silence.
    pub(crate) offered: Vec<BTreeMap<&'static str, Vec<u64>>>,
    pub(crate) seq: u64,
    /// The last number of each topic.
    pub(crate) numbers: BTreeMap<&'static str, u64>,
    /// Topics that their home knows.
    pub(crate) existing: BTreeSet<&'static str>,
    /// Topics of the hub whose patterns were asked.
    pub(crate) matched: BTreeSet<&'static str>,
    /// What was listed and waits to go on, or to be late.
    pub(crate) resyncs: Vec<Resync>,
    pub(crate) seen: Seen,
}

/// What the runs came to, besides the totals.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) announced: u64,
    pub(crate) paused: u64,
    pub(crate) resumed: u64,
    pub(crate) refused: u64,
    pub(crate) begun_paused: u64,
}

impl Seen {
    pub(crate) fn add(self, other: Self) -> Self {
        Self {
            announced: self.announced + other.announced,
            paused: self.paused + other.paused,
            resumed: self.resumed + other.resumed,
            refused: self.refused + other.refused,
            begun_paused: self.begun_paused + other.begun_paused,
        }
    }
}

impl World {
    pub(crate) fn new(run: &Run) -> Self {
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
            numbers: BTreeMap::new(),
            existing: BTreeSet::new(),
            matched: BTreeSet::new(),
            resyncs: Vec::new(),
            seen: Seen::default(),
        }
    }

    pub(crate) fn play(mut self, operations: &[Operation]) -> (Totals, Seen) {
        for operation in operations {
            self.step(operation);
            self.forget_unused();
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
        (totals, self.seen)
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
            Operation::Attach { conn, topic, policy, encoding } => {
                self.attach(at(conn), TOPICS[topic], policy, encoding);
            }
            Operation::Start { conn, topic, policy, snapshot, missed } => {
                self.start(at(conn), TOPICS[topic], policy, snapshot, missed);
            }
            Operation::Unsubscribe { conn, topic } => self.unsubscribe(at(conn), TOPICS[topic]),
            Operation::AttachPattern { conn, pattern, policy, encoding } => {
                let own = Own { pattern: PATTERNS[pattern], policy, encoding };
                self.attach_pattern(at(conn), own);
            }
            Operation::DetachPattern { conn, pattern } => {
                self.detach_pattern(at(conn), PATTERNS[pattern]);
            }
            Operation::Publish(ref message) => self.publish(message, message.except.map(at)),
            Operation::TakeResync => self.take_resync(),
            Operation::Resync { which, snapshot, missed } => self.resync(which, snapshot, missed),
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
        connection.judge_resync(&self.reference.limits);
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
            connection.judge_resync(&self.reference.limits);
        }
    }

    /// Sends all that waits, as a shard would: through the dirty list alone.
    fn drain(&mut self) {
        for at in 0..self.ids.len() {
            self.set_blocked(at, true);
            self.set_blocked(at, false);
        }
        self.take_dirty();
        self.send_all();
        // Who is paused goes on, if need be one topic after the other.
        for _ in 0..=TOPICS.len() {
            self.take_resync();
            while !self.resyncs.is_empty() {
                self.resync(0, true, 0);
            }
            self.send_all();
        }
        let open = self.connections.iter().filter(|connection| !connection.closing);
        assert!(!open.into_iter().any(Connection::is_paused), "paused, and nobody knows");
        self.take_dirty();
    }

    fn send_all(&mut self) {
        for at in 0..self.ids.len() {
            while !self.connections[at].is_empty() {
                self.sent(at, 7);
            }
        }
    }

    /// A topic without subscribers is forgotten by the hub.
    fn forget_unused(&mut self) {
        let connections = &self.connections;
        let is_used = |topic: &str| connections.iter().any(|c| c.subscriptions.contains_key(topic));
        self.matched.retain(|topic| is_used(topic));
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
            let (got, expected) = (slices.concat(), connection.wire());
            assert!(got == expected, "got\n{}\nexpected\n{}", short(&got), short(&expected));
            assert_eq!(gathered, connection.wire().len());
            assert_eq!(outbox.bytes(), connection.bytes());
            assert_eq!(outbox.frames(), connection.frames());
            assert_eq!(outbox.is_begun(), connection.begun.is_some());
            assert_eq!(outbox.close_queued(), connection.closing);
            assert_eq!(outbox.progress_at(), connection.progress_at);
            assert_eq!(self.hub.subscriptions(*id), connection.subscriptions.len());
            assert_eq!(self.hub.patterns(*id), connection.patterns.len());
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
        let notice_bytes_max = 127;
        let items = || connection.to_send().into_iter().map(|(item, _)| item);
        let largest = items().map(|item| item.bytes.len()).max().unwrap_or(0);
        // What belongs to no subscription is bounded apart.
        let is_apart = |item: &&Item| {
            item.kind == Kind::Announcement || item.kind == Kind::Gap && item.topic.is_none()
        };
        let frames = frames - items().filter(is_apart).count() as u32;
        let apart: usize = items().filter(is_apart).map(|item| item.bytes.len()).sum();
        let bytes = bytes - apart;
        assert!(frames <= frames_max, "{frames} frames, at most {frames_max}");
        // What comes behind a first frame of any size has the bounds for itself.
        let bytes_max = limits.bytes_max + limits.bytes_max / 4 + largest;
        let bytes_max = bytes_max + notices * notice_bytes_max;
        assert!(bytes <= bytes_max, "{bytes} bytes, at most {bytes_max}");
    }
}

/// The frames without their fillings.
fn short(wire: &[u8]) -> String {
    String::from_utf8_lossy(wire).replace("xx", "").replace('\u{fffd}', "\n")
}
