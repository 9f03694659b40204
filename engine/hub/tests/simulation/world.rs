//! Two nodes, the queues between them, publishers, and clients with sockets of any speed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use corecast_hub::home::{AttachRequest, Home, HomeConfig, UpdateError, split_variant};
use corecast_hub::node::{
    Address, AttachResult, Batch, Event, Job, Mesh, Node, Origin, PatternWish, Sent, Ticket, Turn,
    Updated,
};
use corecast_hub::{
    ConnId, Encoding, Flush, Hub, HubConfig, Member, Namespaces, Now, OutboxLimits, Report,
    SharedFrame, Timestamp, Update, UpdateKind, Wanted,
};
use corecast_wire::{CloseCode, Frame};

use crate::client::{Client, Seen};
use crate::codec::LineCodec;

pub(crate) const NODES: usize = 2;

/// A place in the simulated mesh, and what became of an update.
#[derive(Debug)]
pub(crate) struct Pass {
    places: Arc<AtomicUsize>,
    seq: Arc<AtomicU64>,
}

impl Ticket for Pass {
    fn sequenced(&self, seq: u64) {
        self.seq.store(seq, Ordering::Relaxed);
    }

    fn refused(&self, error: &UpdateError, _: bool) {
        panic!("refused: {error}");
    }

    fn add(&self, _: Report) {}

    fn refused_of_many(&self, place: u32, _topic: &str, error: UpdateError) {
        panic!("{place} of a batch refused: {error}");
    }

    fn dealt_with(&self, _: usize) {}
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.places.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The ways out of one node.
#[derive(Debug)]
pub(crate) struct Ways {
    queues: Vec<VecDeque<Job<Pass>>>,
    places: Arc<AtomicUsize>,
    places_max: usize,
}

impl Mesh<Pass> for Ways {
    fn home(&self, topic: &str) -> u16 {
        (topic.bytes().map(usize::from).sum::<usize>() % NODES) as u16
    }

    fn post(&mut self, to: u16, job: Job<Pass>) -> bool {
        let queue = &mut self.queues[usize::from(to)];
        queue.push_back(job);
        assert!(queue.len() <= self.places_max, "an inbox overflows");
        true
    }

    fn ticket(&mut self, _: usize) -> Option<Pass> {
        if self.places.load(Ordering::Relaxed) >= self.places_max {
            return None;
        }
        self.places.fetch_add(1, Ordering::Relaxed);
        Some(Pass { places: Arc::clone(&self.places), seq: Arc::default() })
    }

    fn wanted(&self) -> Wanted {
        Wanted::NONE.with(Encoding::Json)
    }
}

/// One shard without sockets.
#[derive(Debug)]
struct Side {
    hub: Hub,
    node: Node<Pass>,
    ways: Ways,
    events: Vec<(ConnId, Event)>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct World {
    sides: Vec<Side>,
    pub(crate) clients: Vec<Client>,
    pub(crate) seen: Seen,
    /// Messages that were published to each topic.
    pub(crate) counts: BTreeMap<String, u64>,
    now: Timestamp,
    names: u64,
    dirty: Vec<ConnId>,
}

impl World {
    pub(crate) fn new(namespaces: &Arc<Namespaces>, clients: usize, places_max: usize) -> Self {
        let places = Arc::new(AtomicUsize::new(0));
        let sides = (0..NODES).map(|shard| {
            let home = Home::new(HomeConfig {
                shard: shard as u16,
                shards: NODES as u16,
                epoch: 7,
                generation: 0,
                namespaces: Arc::clone(namespaces),
                codec: Arc::new(LineCodec),
                topic_bytes_max: 255,
                topics_max: 1_000,
                missed_entries_max: 7,
                missed_bytes_max: 350,
            });
            let outbox = OutboxLimits { bytes_max: 700, frames_max: 14, ..OutboxLimits::default() };
            let hub = Hub::new(HubConfig {
                outbox,
                codec: Arc::new(LineCodec),
                namespaces: Arc::clone(namespaces),
                ..HubConfig::default()
            });
            let queues = (0..NODES).map(|_| VecDeque::new()).collect();
            let ways = Ways { queues, places: Arc::clone(&places), places_max };
            let node = Node::new(shard as u16, NODES as u16, home, Arc::clone(namespaces));
            let node = node.pattern_page_max(2);
            Side { hub, node, ways, events: Vec::new() }
        });
        Self {
            sides: sides.collect(),
            clients: (0..clients).map(|_| Client::default()).collect(),
            seen: Seen::default(),
            counts: BTreeMap::new(),
            now: Timestamp(1),
            names: 0,
            dirty: Vec::new(),
        }
    }

    pub(crate) fn connect(&mut self, client: usize, side: usize) {
        let conn = self.sides[side].hub.connect(self.now);
        self.clients[client].at = Some((side, conn));
    }

    pub(crate) fn disconnect(&mut self, client: usize) {
        let Some((side, conn)) = self.clients[client].at else { return };
        self.clients[client].cut();
        self.sides[side].hub.disconnect(conn);
        self.turn(side, |node, turn| node.disconnect(conn, turn));
    }

    /// Asks for a topic or a variant, from where it was when it remembers.
    pub(crate) fn subscribe(&mut self, client: usize, name: &str, resume: bool) {
        let (topic, interval_ms) = split_variant(name).expect("a name");
        let peer = &mut self.clients[client];
        let Some((side, conn)) = peer.at else { return };
        if peer.views.contains_key(name) || !peer.asked.insert(name.to_owned()) {
            return;
        }
        let since = peer.memory.get(name).copied().filter(|_| resume);
        let member = Member { client: format!("c{client}v{conn}").into(), user: None };
        let request = AttachRequest {
            interval_ms,
            resume: since.map(|seq| (7, seq)),
            member: topic.starts_with("chat").then_some(member),
            ..AttachRequest::new(topic, Encoding::Json)
        };
        let results = self.turn(side, |node, turn| node.attach(conn, 0, vec![request], turn));
        self.start_all(side, conn, results);
    }

    pub(crate) fn subscribe_pattern(&mut self, client: usize, pattern: &str, interval_ms: u32) {
        let Some((side, conn)) = self.clients[client].at else { return };
        if !self.clients[client].patterns.insert(pattern.to_owned()) {
            return;
        }
        let name = format!("c{client}v{conn}");
        let parsed = pattern.parse().expect("a pattern");
        let encoding = Encoding::Json;
        let wish =
            PatternWish { client: &name, pattern: &parsed, interval_ms, policy: None, encoding };
        if self.turn(side, |node, turn| node.attach_pattern(conn, &wish, turn)).is_err() {
            self.clients[client].patterns.remove(pattern);
        }
    }

    /// Publishes through one side; a client that does not want its own is left out and told.
    pub(crate) fn publish(&mut self, topic: &str, side: usize, by: Option<usize>, snapshot: bool) {
        let origin = by.and_then(|client| self.clients[client].at);
        let side = origin.map_or(side, |(side, _)| side);
        let Some(ticket) = self.sides[side].ways.ticket(0) else { return };
        let update = self.next_update(topic, snapshot);
        let address = origin.map(|(side, conn)| Address { shard: side as u16, conn });
        let sent = Sent {
            update,
            except: address,
            origin: address.map(|address| Origin { address, token: self.names }),
            published_at: self.now,
            ticket,
        };
        let updated = self.turn(side, |node, turn| node.update(sent, turn));
        if let (Updated::Numbered(seq), Some((_, conn))) = (&updated, origin) {
            self.tell(side, conn, &format!("published {topic} {seq}"));
        }
    }

    /// Publishes several at once by a publisher's way in: a job for each of their homes. None
    /// where there is no room for all.
    pub(crate) fn publish_batch(&mut self, topics: &[&str], side: usize) {
        let home = |world: &Self, topic: &str| world.sides[side].ways.home(topic);
        let homes: BTreeSet<u16> = topics.iter().map(|topic| home(self, topic)).collect();
        let tickets = homes.iter().map(|_| self.sides[side].ways.ticket(0)).collect::<Vec<_>>();
        let Some(tickets) = tickets.into_iter().collect::<Option<Vec<_>>>() else { return };
        let updates: Vec<_> = topics.iter().map(|topic| self.next_update(topic, false)).collect();
        for (to, ticket) in homes.into_iter().zip(tickets) {
            let its = (0..).zip(&updates).filter(|(_, update)| home(self, &update.topic) == to);
            let updates = its.map(|(place, update)| (place, update.clone())).collect();
            let batch = Batch { updates, is_run: false, published_at: self.now, ticket };
            let job = Job::Updates(Box::new(batch));
            if usize::from(to) == side {
                self.turn(side, |node, turn| node.receive(job, turn));
            } else {
                self.sides[side].ways.post(to, job);
            }
        }
    }

    /// What is published to a topic next.
    fn next_update(&mut self, topic: &str, snapshot: bool) -> Update {
        let count = self.counts.entry(topic.to_owned()).or_default();
        let kind = if snapshot { UpdateKind::Snapshot } else { UpdateKind::Message };
        *count += u64::from(!snapshot);
        self.names += 1;
        let data = if topic.starts_with("chat") { self.names } else { *count }.to_string();
        let key = topic.starts_with("keyed").then(|| (*count % 4).to_string().into());
        Update { kind, key, ..Update::new(topic, data) }
    }

    /// Hands over the first job of one queue. False when there is none.
    pub(crate) fn deliver(&mut self, from: usize, to: usize) -> bool {
        let Some(job) = self.sides[from].ways.queues[to].pop_front() else { return false };
        self.turn(to, |node, turn| node.receive(job, turn));
        true
    }

    pub(crate) fn pass_time(&mut self, time: Duration) {
        self.now = self.now.after(time);
        for side in 0..NODES {
            self.turn(side, Node::tick);
        }
    }

    /// One socket takes up to `bytes`; who is found too slow is cut off.
    pub(crate) fn drain(&mut self, client: usize, mut bytes: usize) {
        let Some((side, conn)) = self.clients[client].at else { return };
        let hub = &mut self.sides[side].hub;
        hub.take_dirty(&mut self.dirty);
        let mut taken = Vec::new();
        let mut closed = false;
        while bytes > 0 && !closed {
            let Some(outbox) = hub.outbox(conn) else { break };
            let mut slices = Vec::new();
            outbox.gather(&mut slices, 4);
            let mut some: Vec<u8> = slices.concat();
            if some.is_empty() {
                break;
            }
            some.truncate(bytes);
            bytes -= some.len();
            closed = hub.sent(conn, some.len(), self.now).finished_close;
            taken.extend(some);
        }
        let Self { clients, seen, .. } = self;
        clients[client].read(&taken, seen);
        self.turn(side, Node::settle);
        if closed {
            self.disconnect(client);
        }
    }

    /// Until nothing moves any more: queues, variants, sockets.
    pub(crate) fn come_to_rest(&mut self) {
        for _ in 0..400 {
            let mut moved = false;
            for (from, to) in [(0, 1), (1, 0)] {
                while self.deliver(from, to) {
                    moved = true;
                }
            }
            self.pass_time(Duration::from_millis(500));
            for client in 0..self.clients.len() {
                self.drain(client, usize::MAX);
            }
            if !moved {
                let queues = self.sides.iter().flat_map(|side| &side.ways.queues);
                let waiting = self.sides.iter().map(|side| side.hub.queued_bytes());
                if queues.map(VecDeque::len).sum::<usize>() == 0 && waiting.sum::<u64>() == 0 {
                    return;
                }
            }
        }
        panic!("it does not come to rest");
    }

    /// Closes a connection in order: what is queued still comes.
    pub(crate) fn close(&mut self, client: usize) {
        let Some((side, conn)) = self.clients[client].at else { return };
        let frame = Frame::close(CloseCode::NORMAL, "");
        self.sides[side].hub.close(conn, frame, Flush::Queued);
    }

    pub(crate) fn unsubscribe(&mut self, client: usize, name: &str) {
        let Some((side, conn)) = self.clients[client].at else { return };
        if self.clients[client].asked.contains(name) {
            return;
        }
        let (topic, _) = split_variant(name).expect("a name");
        if self.turn(side, |node, turn| node.detach(conn, topic, name, turn)) {
            self.drain(client, usize::MAX);
            // A pattern may hold it still.
            if !self.sides[side].hub.subscribed_topics(conn).any(|topic| topic == name) {
                self.clients[client].views.remove(name);
            }
        }
    }

    /// Places in the mesh that are not given back.
    pub(crate) fn places(&self) -> usize {
        self.sides[0].ways.places.load(Ordering::Relaxed)
    }

    fn turn<R>(
        &mut self,
        side: usize,
        call: impl FnOnce(&mut Node<Pass>, &mut Turn<'_, Pass, Ways>) -> R,
    ) -> R {
        let now = Now { mono: self.now, wall_ns: self.now.0 as i64 };
        let Side { hub, node, ways, events } = &mut self.sides[side];
        let mut queued = Vec::new();
        let result = call(node, &mut Turn { hub, mesh: ways, now, events, queued: &mut queued });
        self.tell_all(side);
        result
    }

    /// What a handler does with the news.
    fn tell_all(&mut self, side: usize) {
        for (conn, event) in std::mem::take(&mut self.sides[side].events) {
            match event {
                Event::Attached { results, .. } => self.start_all(side, conn, results),
                Event::Published { token, seq } => {
                    let topic = self.topic_of(token);
                    self.tell(side, conn, &format!("published {topic} {seq}"));
                }
                Event::Refused { error, .. } => panic!("refused: {error}"),
                _ => {}
            }
        }
    }

    fn start_all(&mut self, side: usize, conn: ConnId, results: Vec<AttachResult>) {
        for result in results {
            let name = match &result.result {
                Ok(attachment) => attachment.name.to_string(),
                Err(_) if result.interval_ms > 0 => {
                    format!("{}@{}ms", result.topic, result.interval_ms)
                }
                Err(_) => result.topic.to_string(),
            };
            match result.result {
                Ok(attachment) => {
                    let how = if attachment.resumed { "resumed" } else { "anew" };
                    let seq = attachment.seq;
                    self.tell(side, conn, &format!("subscribed {name} {seq} {how}"));
                    let policy = attachment.policy;
                    let _ = self.turn(side, |node, turn| {
                        node.start(conn, &attachment, policy, Encoding::Json, turn)
                    });
                }
                Err(error) => self.tell(side, conn, &format!("refused {name} {error}")),
            }
        }
    }

    fn tell(&mut self, side: usize, conn: ConnId, line: &str) {
        let frame = SharedFrame::new(Frame::text(line), self.now);
        self.sides[side].hub.send(conn, &frame, self.now);
    }

    /// Only one topic is published to by clients.
    fn topic_of(&self, _token: u64) -> &'static str {
        crate::CLIENTS_TOPIC
    }
}
