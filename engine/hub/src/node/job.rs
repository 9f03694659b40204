//! What nodes say to each other.

use std::sync::Arc;

use crate::home::{
    AttachError, AttachRequest, Attachment, Emission, History, HistoryError, UpdateError,
};
use crate::id::{ConnId, Timestamp};
use crate::message::{Member, Update};
use crate::report::Report;
use crate::rules::Pattern;

/// A connection of any node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// Its node.
    pub shard: u16,
    /// Its place there.
    pub conn: ConnId,
}

/// A place in the mesh: as long as it lives, every inbox has room for one job that holds it.
/// Also the account of what became of a publication, for who asked.
pub trait Ticket: Send + Sync + 'static {
    /// The home gave the publication this number.
    fn sequenced(&self, seq: u64);
    /// The home refused it; `told`: its connection is told by [`Event::Refused`].
    fn refused(&self, error: &UpdateError, told: bool);
    /// A node has queued it.
    fn add(&self, report: Report);
    /// The home did not take one update of a [`Batch`], the one of that place.
    fn refused_of_many(&self, place: u32, topic: &str, error: UpdateError);
    /// The home has dealt with all updates of a [`Batch`]: so many.
    fn dealt_with(&self, updates: usize);
}

/// What a node asks another for. Every way between two nodes is first in, first out.
#[derive(Debug)]
pub enum Job<T> {
    /// To the topic's home: number it, keep it, forward it.
    Update(Box<Sent<T>>),
    /// To the topics' home: the same for many at once, in their order.
    Updates(Box<Batch<T>>),
    /// To the publisher's node: the home refused its update.
    Refused(Box<Refusal<T>>),
    /// From a home to every other node: queue it for your own.
    Broadcast(Arc<Broadcast<T>>),
    /// To the topics' home: a connection wants them.
    Attach(Box<Attach<T>>),
    /// The home's answer.
    Attached(Box<Attached<T>>),
    /// To every home: a connection wants all topics that match.
    Pattern(Box<PatternAttach<T>>),
    /// A home's answer.
    Matched(Box<Matched<T>>),
    /// To the home: nobody of this node hears that variant any more.
    Unheard(Box<Unheard<T>>),
    /// To the home: a connection has left.
    Leave(Box<Leave<T>>),
    /// To the home: a question about a topic.
    Ask(Box<Ask<T>>),
    /// The home's answer.
    Answer(Box<Reply<T>>),
}

/// An update on its way home.
#[derive(Debug)]
pub struct Sent<T> {
    /// What is published.
    pub update: Update,
    /// A connection that gets nothing of it: the sender.
    pub except: Option<Address>,
    /// Who is told the number.
    pub origin: Option<Origin>,
    /// Where its latency is counted from.
    pub published_at: Timestamp,
    /// Its place in the mesh.
    pub ticket: T,
}

/// Updates of one publisher on their way to one home, which may be of several topics. Nobody is
/// left out of them, and no connection is told their numbers.
#[derive(Debug)]
pub struct Batch<T> {
    /// What is published, in order, each with its place in what the publisher gave.
    pub updates: Vec<(u32, Update)>,
    /// Whether none is taken behind one that is refused.
    pub is_run: bool,
    /// Where their latency is counted from.
    pub published_at: Timestamp,
    /// Their place in the mesh: one, whatever their number.
    pub ticket: T,
}

/// Who published, and what it calls that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The connection.
    pub address: Address,
    /// Its own name for the publication.
    pub token: u64,
}

/// An update that its home did not take.
#[derive(Debug)]
pub struct Refusal<T> {
    pub(crate) origin: Origin,
    pub(crate) error: UpdateError,
    pub(crate) _ticket: T,
}

/// What a home has to say to all nodes at once, in order.
#[derive(Debug)]
pub struct Broadcast<T> {
    pub(crate) home: u16,
    pub(crate) emissions: Vec<Emission>,
    pub(crate) except: Option<Address>,
    /// Who is told the number of the update that this is about, and the number.
    pub(crate) origin: Option<(Origin, u64)>,
    pub(crate) published_at: Timestamp,
    pub(crate) ticket: Option<T>,
}

/// One connection's wish for topics of one home.
#[derive(Debug)]
pub struct Attach<T> {
    pub(crate) from: Address,
    pub(crate) purpose: Purpose,
    pub(crate) requests: Vec<AttachRequest>,
    pub(crate) ticket: T,
}

/// What an attach is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The connection's handler asked, under this name.
    Subscribe {
        /// The handler's own name for it.
        token: u64,
    },
    /// A reader that was too slow goes on.
    Resync {
        /// The first number it lost.
        lost_from: u64,
    },
}

/// The answer to an [`Attach`].
#[derive(Debug)]
pub struct Attached<T> {
    pub(crate) to: ConnId,
    pub(crate) purpose: Purpose,
    /// What the attach made the home say to all nodes: to be queued before.
    pub(crate) said: Option<Arc<Broadcast<T>>>,
    pub(crate) results: Vec<AttachResult>,
    pub(crate) _ticket: Option<T>,
}

/// What became of one topic of an attach.
#[derive(Debug)]
pub struct AttachResult {
    /// The topic as it was asked for, without the variant.
    pub topic: Box<str>,
    /// Milliseconds of the variant, 0 for none.
    pub interval_ms: u32,
    /// The topic's state, or why not.
    pub result: Result<Attachment, AttachError>,
}

/// One connection's wish for all topics that match.
#[derive(Debug)]
pub struct PatternAttach<T> {
    pub(crate) from: Address,
    pub(crate) pattern: Pattern,
    pub(crate) interval_ms: u32,
    pub(crate) encoding: crate::encoding::Encoding,
    /// The last name that was looked at before.
    pub(crate) after: Option<Arc<str>>,
    pub(crate) ticket: T,
}

/// One home's answer to a [`PatternAttach`].
#[derive(Debug)]
pub struct Matched<T> {
    pub(crate) home: u16,
    pub(crate) to: ConnId,
    pub(crate) pattern: Pattern,
    pub(crate) interval_ms: u32,
    pub(crate) attachments: Vec<Attachment>,
    /// There may be more: the name to go on after.
    pub(crate) next: Option<Arc<str>>,
    /// Not all that match can be had.
    pub(crate) cut: bool,
    pub(crate) said: Option<Arc<Broadcast<T>>>,
    pub(crate) _ticket: Option<T>,
}

/// A variant that nobody of a node hears.
#[derive(Debug)]
pub struct Unheard<T> {
    pub(crate) from: u16,
    pub(crate) name: Arc<str>,
    pub(crate) stamp: u64,
    pub(crate) _ticket: T,
}

/// What a connection gives up at one home.
#[derive(Debug)]
pub struct Leave<T> {
    pub(crate) left: Left,
    pub(crate) ticket: T,
}

/// Topics with presence that a client leaves, and patterns with an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) client: Box<str>,
    pub(crate) topics: Vec<Box<str>>,
    pub(crate) patterns: Vec<(Pattern, u32)>,
}

/// A question about a topic.
#[derive(Debug)]
pub struct Ask<T> {
    pub(crate) from: Address,
    pub(crate) token: u64,
    pub(crate) question: Question,
    pub(crate) ticket: T,
}

/// What can be asked of a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Who is there.
    Presence {
        /// The topic.
        topic: Box<str>,
        /// Members listed at most.
        limit: usize,
    },
    /// What was published.
    History {
        /// The topic, or a variant of it.
        topic: Box<str>,
        /// Only messages with a greater number; none: the last ones.
        since: Option<u64>,
        /// Messages at most.
        limit: usize,
    },
}

impl Question {
    /// The topic that is asked about.
    #[must_use]
    pub fn topic(&self) -> &str {
        match self {
            Self::Presence { topic, .. } | Self::History { topic, .. } => topic,
        }
    }
}

/// A home's answer to a [`Question`].
#[derive(Debug, Clone)]
pub enum Answer {
    /// Who is there.
    Presence {
        /// The topic.
        topic: Box<str>,
        /// Those listed.
        members: Vec<Member>,
        /// How many there are.
        total: usize,
    },
    /// What was published, or why that is not said.
    History {
        /// The topic.
        topic: Box<str>,
        /// The messages.
        result: Result<History, HistoryError>,
    },
}

/// An answer on its way back.
#[derive(Debug)]
pub struct Reply<T> {
    pub(crate) to: ConnId,
    pub(crate) token: u64,
    pub(crate) answer: Answer,
    pub(crate) _ticket: T,
}

/// What a node has to tell a connection's handler.
#[derive(Debug)]
pub enum Event {
    /// A home answered an attach: reply, then start each attachment.
    Attached {
        /// The handler's name for the attach.
        token: u64,
        /// One for each topic of that home.
        results: Vec<AttachResult>,
    },
    /// An update of this connection got its number. What the handler queues now stands in the
    /// place of the message in the topic's order.
    Published {
        /// The handler's name for the update.
        token: u64,
        /// The number; 0 for a snapshot, which takes none.
        seq: u64,
    },
    /// The home did not take an update of this connection.
    Refused {
        /// The handler's name for the update.
        token: u64,
        /// Why.
        error: UpdateError,
    },
    /// Every node has queued an update, or a notice, of this connection. Made by who carries the
    /// jobs: a node does not know when the last of the others is done.
    Reported {
        /// The handler's name for it.
        token: u64,
        /// The number; 0 for what takes none.
        seq: u64,
        /// What became of it.
        report: Report,
    },
    /// The answer to a question.
    Answer {
        /// The handler's name for the question.
        token: u64,
        /// The answer.
        answer: Answer,
    },
    /// A pattern matches more topics than the connection may have: it does not get all of them.
    PatternCut {
        /// The pattern.
        pattern: Box<str>,
    },
}
