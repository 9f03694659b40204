//! The protocol between the shards: how a message comes home, and from there to everybody.
//!
//! A topic has one home. The home numbers its messages, keeps its state ([`Home`]) and tells all
//! nodes; each node queues for its own connections ([`Hub`]). Since every way between two nodes is
//! first in, first out, a subscription that starts when the home's answer is handled sees every
//! message behind the answer, and none before it: no number is compared, nothing is locked.
//!
//! A node is a state machine: it is handed jobs and hands out jobs. A shard carries them through
//! its mesh, a test through queues of its own.

mod ask;
mod attach;
mod job;
mod leave;
mod pattern;
mod publish;
mod tick;

use core::marker::PhantomData;
use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::encoding::{Encoding, Wanted};
use crate::home::{Emission, Home};
use crate::hub::Hub;
use crate::id::ConnId;
use crate::limits::PATTERN_PAGE_MAX;
use crate::message::Now;
use crate::namespace::Namespaces;
use crate::policy::Policy;
use crate::rules::Pattern;
use crate::slow::Resync;

pub use job::{
    Address, Answer, Ask, Attach, AttachResult, Attached, Batch, Broadcast, Event, Job, Leave,
    Matched, Origin, PatternAttach, Purpose, Question, Refusal, Reply, Sent, Ticket, Unheard,
};
pub use pattern::PatternWish;
pub use publish::Updated;

use job::Left;

/// The ways out of a node.
pub trait Mesh<T> {
    /// The node that is a topic's home.
    fn home(&self, topic: &str) -> u16;

    /// Puts a job into a node's inbox; it is never this node's own. False when that node has
    /// ended.
    fn post(&mut self, to: u16, job: Job<T>) -> bool;

    /// A place in the mesh for a job of `bytes`, none when it is full.
    fn ticket(&mut self, bytes: usize) -> Option<T>;

    /// The encodings that any connection of any node has asked for. A connection's own counts
    /// before its first attach.
    fn wanted(&self) -> Wanted;
}

/// What a call may touch besides the node.
#[derive(Debug)]
pub struct Turn<'a, T, M> {
    /// The connections of this node.
    pub hub: &'a mut Hub,
    /// The ways to the others.
    pub mesh: &'a mut M,
    /// The time.
    pub now: Now,
    /// What the handlers are to be told, in order, before anything else is queued for them.
    pub events: &'a mut Vec<(ConnId, Event)>,
    /// What was queued here, with its places in the mesh: to be let go of when it is known which
    /// outboxes it filled, so that who waits for room does not see a state that is about to change.
    pub queued: &'a mut Vec<Arc<Broadcast<T>>>,
}

/// One shard's part in the feed.
#[derive(Debug)]
pub struct Node<T> {
    shard: u16,
    shards: u16,
    home: Home,
    namespaces: Arc<Namespaces>,
    /// Connections that have joined topics with presence, or hold patterns.
    peers: FxHashMap<u32, Box<Peer>>,
    /// What must be said but found the mesh full: it bounds itself by what the connections held.
    leaves: VecDeque<(u16, Left)>,
    /// Slow readers that go on as soon as the mesh has room.
    resyncs: VecDeque<Resync>,
    /// Parts of answers to patterns that are still to be asked for.
    pages: VecDeque<pattern::Page>,
    page_max: usize,
    /// Filled and emptied in a call.
    emissions: Vec<Emission>,
    unmatched: Vec<(ConnId, Box<str>)>,
    /// Its jobs hold tickets of one kind.
    tickets: PhantomData<fn(T)>,
}

/// What a node remembers of a connection for others' sake.
#[derive(Debug)]
struct Peer {
    conn: ConnId,
    client: Box<str>,
    /// Topics with presence, from the moment at which they were asked for, and how often that was
    /// done and not refused.
    joined: FxHashMap<Box<str>, u32>,
    patterns: Vec<Held>,
}

/// A pattern that a connection has asked for.
#[derive(Debug)]
struct Held {
    pattern: Pattern,
    interval_ms: u32,
    policy: Option<Policy>,
    encoding: Encoding,
}

impl<T: Ticket> Node<T> {
    /// The node of shard `shard` of `shards`, whose truth is `home`.
    #[must_use]
    pub fn new(shard: u16, shards: u16, home: Home, namespaces: Arc<Namespaces>) -> Self {
        Self {
            shard,
            shards,
            home,
            namespaces,
            peers: FxHashMap::default(),
            leaves: VecDeque::new(),
            resyncs: VecDeque::new(),
            pages: VecDeque::new(),
            page_max: PATTERN_PAGE_MAX,
            emissions: Vec::new(),
            unmatched: Vec::new(),
            tickets: PhantomData,
        }
    }

    /// How many topics one part of an answer to a pattern holds, at least 1.
    #[must_use]
    pub fn pattern_page_max(mut self, topics: usize) -> Self {
        self.page_max = topics.max(1);
        self
    }

    /// The truth about the topics whose home this is.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The namespaces.
    #[must_use]
    pub fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// Puts other namespaces in the place of those: for topics that are made from now on.
    pub fn set_namespaces(&mut self, namespaces: Arc<Namespaces>) {
        self.home.set_namespaces(Arc::clone(&namespaces));
        self.namespaces = namespaces;
    }

    /// Does what another node asks for.
    pub fn receive<M: Mesh<T>>(&mut self, job: Job<T>, turn: &mut Turn<'_, T, M>) {
        match job {
            Job::Update(sent) => self.update_came_home(*sent, turn),
            Job::Updates(batch) => self.batch_came_home(*batch, turn),
            Job::Refused(refusal) => {
                let Refusal { origin, error, .. } = *refusal;
                let event = Event::Refused { token: origin.token, error };
                turn.events.push((origin.address.conn, event));
            }
            Job::Broadcast(broadcast) => {
                self.deliver(&broadcast, turn);
                turn.queued.push(broadcast);
            }
            Job::Attach(attach) => self.attach_for_another(*attach, turn),
            Job::Attached(attached) => self.attached(*attached, turn),
            Job::Pattern(wish) => self.pattern_for_another(*wish, turn),
            Job::Matched(matched) => self.matched(*matched, turn),
            Job::Unheard(unheard) => {
                self.home.unheard(&unheard.name, unheard.stamp, unheard.from);
            }
            Job::Leave(leave) => self.left(&leave.left, Some(leave.ticket), turn),
            Job::Ask(ask) => self.asked_by_another(*ask, turn),
            Job::Answer(reply) => {
                let Reply { to, token, answer, .. } = *reply;
                turn.events.push((to, Event::Answer { token, answer }));
            }
        }
        self.settle(turn);
    }

    /// What follows from any change: slow readers that can go on, patterns that cannot.
    pub fn settle<M: Mesh<T>>(&mut self, turn: &mut Turn<'_, T, M>) {
        turn.hub.take_unmatched(&mut self.unmatched);
        for (conn, pattern) in self.unmatched.drain(..) {
            turn.events.push((conn, Event::PatternCut { pattern }));
        }
        turn.hub.take_resync(&mut self.resyncs);
        if !self.resyncs.is_empty() {
            self.resync_all(turn);
        }
    }

    fn peer(&mut self, conn: ConnId, client: &str) -> &mut Peer {
        let peer = self.peers.entry(conn.index).or_insert_with(|| {
            let client = client.into();
            Box::new(Peer { conn, client, joined: FxHashMap::default(), patterns: Vec::new() })
        });
        assert_eq!(peer.conn, conn, "a connection ended and its node was not told");
        peer
    }

    fn others(&self) -> impl Iterator<Item = u16> + use<T> {
        let this = self.shard;
        (0..self.shards).filter(move |shard| *shard != this)
    }
}
