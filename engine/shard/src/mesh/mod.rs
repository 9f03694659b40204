//! From publishers and shards to shards: bounded, without a lock on the way, in order for each
//! topic.
//!
//! A topic has one home shard, by the hash of its name. The home gives each publication its
//! sequence number and forwards it; since every path is first in, first out, all shards see a
//! topic's publications in one order.

pub(crate) mod admission;
mod batch;
mod inbox;
mod pass;
mod publication;
mod refusals;

use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use corecast_hub::home::TopicImage;
use corecast_hub::node::{self, Event};
use corecast_hub::{ConnId, Encoding, Namespaces, Wanted};
use corecast_wire::{CloseCode, Frame};

pub(crate) use batch::BatchCell;
pub use batch::{BatchReport, BatchReported};
pub(crate) use inbox::{Inbox, Mailbox, mailbox};
pub(crate) use pass::Pass;
pub(crate) use publication::{Publication, ReportCell};
pub use publication::{PublishReport, Reported};

use crate::ShardId;
use crate::edge::Limits;
use crate::leave::Order;
use crate::tls::TlsSettings;
use admission::{Admission, Ticket};
use refusals::Refusals;

/// What a shard is asked to do by another thread.
#[derive(Debug)]
pub(crate) enum Job {
    /// Give it a sequence number, queue it here, forward it. Sent to the topic's home only.
    Publish(Arc<Publication>),
    /// Queue it here. Sent by the home.
    Deliver(Arc<Publication>),
    /// Of the feed.
    Node(node::Job<Pass>),
    /// News for a connection's handler.
    Tell { to: ConnId, event: Box<Event>, _ticket: Ticket },
    /// Namespaces in the place of those before.
    Namespaces(Arc<Namespaces>),
    /// Bounds in the place of those before.
    Limits(Arc<Limits>),
    /// What TLS handshakes start from, in the place of what was before.
    Tls(Arc<TlsSettings>),
    /// For one connection.
    Direct { to: ConnId, what: Direct, _ticket: Ticket },
    /// Accept who comes, or let him wait.
    Accept(bool),
    /// Give topics as they are, behind that of this name.
    Images { after: Option<Arc<str>>, bytes_max: usize, reply: std::sync::mpsc::Sender<Images> },
    /// Leave: close every connection, force it by the deadline.
    Leave(Arc<Order>),
    /// Panic, to show what a panic in the loop does.
    #[cfg(feature = "fault-injection")]
    Panic,
    /// Let the next so many writes find no memory for a packet.
    #[cfg(feature = "fault-injection")]
    NoBuffers(u32),
}

/// What a connection gets: in which encoding, and whether compressed where that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spoken {
    pub(crate) encoding: Encoding,
    pub(crate) twins: bool,
}

impl Spoken {
    fn place(self) -> usize {
        self.encoding as usize + if self.twins { Encoding::ALL.len() } else { 0 }
    }
}

/// Topics, and where to go on.
pub(crate) type Images = (Vec<TopicImage>, Option<Arc<str>>);

/// What is done to one connection.
#[derive(Debug)]
pub(crate) enum Direct {
    Send(Frame),
    Close(CloseCode, Box<str>),
}

/// The ways to every shard, for whoever publishes.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) inboxes: Box<[Inbox]>,
    pub(crate) admission: Arc<Admission>,
    /// Connections by what they speak: what nobody speaks is not encoded, nor compressed.
    pub(crate) speakers: [AtomicU32; 2 * Encoding::ALL.len()],
    /// What is said of refused updates.
    pub(crate) refusals: Refusals,
    /// Health checks are answered 503.
    pub(crate) draining: AtomicBool,
    /// Listeners are not closed: another process may have them.
    pub(crate) listeners_held: AtomicBool,
}

impl Mesh {
    /// The shard that orders this topic.
    #[inline]
    pub(crate) fn home(&self, topic: &str) -> ShardId {
        let shards = self.inboxes.len();
        if shards == 1 {
            return ShardId(0);
        }
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write(topic.as_bytes());
        let slot = hasher.finish() % shards as u64;
        ShardId(u16::try_from(slot).unwrap_or_else(|_| unreachable!("fewer than 65,536 shards")))
    }

    /// The encodings that any connection speaks.
    #[inline]
    pub(crate) fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::NONE;
        for encoding in Encoding::ALL {
            if self.speakers[encoding as usize].load(Ordering::Relaxed) > 0 {
                wanted = wanted.with(encoding);
            }
            if self.is_twin_wanted(encoding) {
                wanted = wanted.with_twin(encoding);
            }
        }
        wanted
    }

    /// Whether any connection takes the encoding compressed.
    #[inline]
    pub(crate) fn is_twin_wanted(&self, encoding: Encoding) -> bool {
        let twins = Spoken { encoding, twins: true };
        self.speakers[twins.place()].load(Ordering::Relaxed) > 0
    }

    /// A connection speaks something else, or has come (`from` is none) or gone (`to` is none).
    /// What it posts behind this call finds it counted.
    pub(crate) fn speak(&self, from: Option<Spoken>, to: Option<Spoken>) {
        if let Some(to) = to {
            self.speakers[to.place()].fetch_add(1, Ordering::Relaxed);
        }
        if let Some(from) = from {
            self.speakers[from.place()].fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A shard has ended: nothing is posted to it any more, and what was is dropped.
    pub(crate) fn close_inbox(&self, shard: ShardId) {
        if let Some(inbox) = self.inboxes.get(usize::from(shard.0)) {
            inbox.close();
        }
    }

    /// Puts a job into a shard's inbox. False when it is full, or there is no such shard any more.
    #[inline]
    pub(crate) fn post(&self, shard: ShardId, job: Job) -> bool {
        self.inboxes.get(usize::from(shard.0)).is_some_and(|inbox| inbox.post(job))
    }
}
