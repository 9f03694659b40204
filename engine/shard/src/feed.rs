//! What a handler can do in the feed: streams with numbers, snapshots, history and presence.

use std::cell::RefCell;
use std::sync::Arc;

use corecast_hub::home::{AttachError, AttachRequest, Attachment};
use corecast_hub::node::{
    Address, AttachResult, Broadcast, Event, Node, Origin, PatternWish, Question, Sent, Turn,
    Updated,
};
use corecast_hub::{
    ConnId, Encoding, Frames, Hub, Namespaces, Now, Pattern, Policy, Publication, SharedFrames,
    Stream, SubscribeError, Timestamp, Update,
};

use crate::carrier::Ways;
use crate::clock::Clock;
use crate::mesh::{Pass, Spoken};
use crate::{ConnectionId, Context, PublishError, ShardId};

/// What a context needs for the feed besides the hub and the mesh.
pub(crate) struct FeedParts<'a> {
    pub(crate) node: &'a mut Node<Pass>,
    pub(crate) events: &'a mut Vec<(ConnId, Event)>,
    pub(crate) queued: &'a mut Vec<Arc<Broadcast<Pass>>>,
    /// What each connection of the shard speaks, by its index; none before it is open.
    pub(crate) spoken: &'a RefCell<Vec<Option<Spoken>>>,
    pub(crate) epoch: u64,
    pub(crate) clock: Clock,
}

/// A handler's hands in the feed, for the connection of the call.
pub struct Feed<'c, 'a> {
    pub(crate) context: &'c mut Context<'a>,
}

/// What is asked for with an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateOptions {
    /// Whether the connection gets its own message, where it is subscribed.
    pub echo: bool,
    /// Whether [`Event::Reported`] is to tell how many got it.
    pub report: bool,
}

impl Feed<'_, '_> {
    /// What this connection gets from here on. Called before anything else here: by default it is
    /// [`Encoding::Raw`].
    pub fn speak(&mut self, encoding: Encoding) {
        let index = self.context.id().conn.index as usize;
        let mut spoken = self.context.feed.spoken.borrow_mut();
        // One that has gone speaks no more.
        if let Some(place @ Some(_)) = spoken.get_mut(index) {
            let spoken = place.map(|before| Spoken { encoding, ..before });
            self.context.publishing.mesh.speak(*place, spoken);
            *place = spoken;
        }
    }

    /// What this connection gets.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        let index = self.context.id().conn.index as usize;
        let spoken = self.context.feed.spoken.borrow().get(index).copied().flatten();
        spoken.map(|spoken| spoken.encoding).unwrap_or_default()
    }

    /// Makes this connection one of a user's: it gets what is [notified](Self::notify) to
    /// `$user.<user>`.
    ///
    /// # Errors
    /// As [`join_internal`](Self::join_internal).
    pub fn identify(&mut self, user: &str) -> Result<(), SubscribeError> {
        self.join_internal(&format!("$user.{user}"), Policy::default())
    }

    /// Subscribes this connection to an internal topic: one whose name begins with `$`, which no
    /// client can name. It has no numbers and no history.
    ///
    /// # Errors
    /// When a bound is reached, or the connection is closing.
    ///
    /// # Panics
    /// When the name does not begin with `$`.
    pub fn join_internal(&mut self, name: &str, policy: Policy) -> Result<(), SubscribeError> {
        assert!(name.starts_with('$'), "internal topics begin with $");
        let (conn, encoding) = (self.context.id().conn, self.encoding());
        self.context.publishing.hub.attach(conn, &Stream::raw(name), policy, encoding)?;
        Ok(())
    }

    /// Asks the homes of topics. Those that are answered at once are returned: reply, and
    /// [`start`](Self::start) each. The others come by [`Event::Attached`], one for each home.
    pub fn attach(&mut self, token: u64, requests: Vec<AttachRequest>) -> Vec<AttachResult> {
        let conn = self.context.id().conn;
        self.with_node(|node, turn| node.attach(conn, token, requests, turn))
    }

    /// Subscribes this connection to what it attached to, and queues the snapshot and what it
    /// missed: in the same call in which the attachment came.
    ///
    /// # Errors
    /// When a bound is reached, or the connection is closing.
    pub fn start(&mut self, attachment: &Attachment, policy: Policy) -> Result<(), SubscribeError> {
        let (conn, encoding) = (self.context.id().conn, self.encoding());
        self.with_node(|node, turn| node.start(conn, attachment, policy, encoding, turn))
    }

    /// Ends the subscription to `name`: `topic` itself, or a variant of it. False when there was
    /// none of that name, or only by a pattern.
    pub fn detach(&mut self, topic: &str, name: &str) -> bool {
        let conn = self.context.id().conn;
        self.with_node(|node, turn| node.detach(conn, topic, name, turn))
    }

    /// Subscribes this connection to all topics that match, those made later included.
    ///
    /// # Errors
    /// When the mesh is full, or the connection has as many patterns as it may.
    pub fn attach_pattern(&mut self, wish: &PatternWish<'_>) -> Result<(), AttachError> {
        let conn = self.context.id().conn;
        self.with_node(|node, turn| node.attach_pattern(conn, wish, turn))
    }

    /// Ends the subscriptions that came about by a pattern. False when there was none.
    pub fn detach_pattern(&mut self, pattern: &Pattern, interval_ms: u32) -> bool {
        let conn = self.context.id().conn;
        self.with_node(|node, turn| node.detach_pattern(conn, pattern, interval_ms, turn))
    }

    /// Publishes. Where this shard is the topic's home the number is returned; else
    /// [`Event::Published`] or [`Event::Refused`] tells, in the place of the message.
    ///
    /// # Errors
    /// When the mesh is full.
    pub fn update(
        &mut self,
        token: u64,
        update: Update,
        options: UpdateOptions,
    ) -> Result<Updated, PublishError> {
        let id = self.context.id();
        let mesh = self.context.publishing.mesh;
        let ticket = mesh.admission.admit(update.bytes())?;
        let pass =
            if options.report { Pass::told(ticket, mesh, id, token) } else { Pass::new(ticket) };
        let address = address(id);
        let sent = Sent {
            update,
            except: (!options.echo).then_some(address),
            origin: Some(Origin { address, token }),
            published_at: self.context.now(),
            ticket: pass,
        };
        Ok(self.with_node(|node, turn| node.update(sent, turn)))
    }

    /// Asks a topic's home. [`Event::Answer`] brings the answer.
    ///
    /// # Errors
    /// When the name is none, or the mesh is full.
    pub fn ask(&mut self, token: u64, question: Question) -> Result<(), AttachError> {
        let conn = self.context.id().conn;
        self.with_node(|node, turn| node.ask(conn, token, question, turn))
    }

    /// Sends frames to all who have joined an internal topic, on all shards;
    /// [`Event::Reported`] tells how many that were.
    ///
    /// # Errors
    /// When the mesh is full.
    pub fn notify(&mut self, token: u64, name: &str, frames: Frames) -> Result<(), PublishError> {
        let id = self.context.id();
        let mesh = self.context.publishing.mesh;
        let ticket = mesh.admission.admit(name.len() + frames.bytes())?;
        let pass = Pass::told(ticket, mesh, id, token);
        self.with_node(|node, turn| node.notice(name, frames, pass, turn));
        Ok(())
    }

    /// The namespaces, as they are now.
    #[must_use]
    pub fn namespaces(&self) -> &Namespaces {
        self.context.feed.node.namespaces()
    }

    /// The epoch of this engine: numbers of streams mean something only together with it.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.context.feed.epoch
    }

    /// The wall clock in nanoseconds since 1970.
    #[must_use]
    pub fn wall_ns(&self) -> i64 {
        self.context.feed.clock.wall_ns()
    }

    fn with_node<R>(
        &mut self,
        call: impl FnOnce(&mut Node<Pass>, &mut Turn<'_, Pass, Ways<'_>>) -> R,
    ) -> R {
        let now = Now { mono: self.context.now(), wall_ns: self.wall_ns() };
        let Context { publishing, feed, .. } = &mut *self.context;
        let mut ways = Ways { mesh: publishing.mesh };
        let (hub, events) = (&mut *publishing.hub, &mut *feed.events);
        let queued = &mut *feed.queued;
        call(feed.node, &mut Turn { hub, mesh: &mut ways, now, events, queued })
    }
}

impl std::fmt::Debug for Feed<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("of", &self.context).finish()
    }
}

fn address(id: ConnectionId) -> Address {
    Address { shard: id.shard.0, conn: id.conn }
}

/// What a handler can do when its time has come: reach the connections of its own shard.
#[derive(Debug)]
pub struct TimerContext<'a> {
    pub(crate) hub: &'a mut Hub,
    pub(crate) shard: ShardId,
    pub(crate) clock: Clock,
}

impl TimerContext<'_> {
    /// Which shard this is.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// The time, monotonic, in nanoseconds since the engine's start.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The wall clock in nanoseconds since 1970.
    #[must_use]
    pub fn wall_ns(&self) -> i64 {
        self.clock.wall_ns()
    }

    /// Queues frames for those connections of this shard that have joined an internal topic.
    /// Returns how many that were.
    pub fn publish_here(&mut self, name: &str, frames: &Frames) -> u64 {
        let now = self.clock.now();
        let frames = SharedFrames::new(frames, now);
        let publication = Publication::raw(name, 0, &frames);
        self.hub.publish(&publication, now).delivered
    }
}
