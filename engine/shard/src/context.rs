//! What a handler can do in a call.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use corecast_hub::{
    ConnId, Flush, Policy, SendStatus, SubscribeError, Subscribed, Timestamp, check_topic,
};
use corecast_wire::{CloseCode, Frame};

use crate::closing::{Closes, Parting};
use crate::edge::{Edge, TooMany, TooManyFailures, UserCharge};
use crate::feed::{Feed, FeedParts};
use crate::mesh::{Direct, Job, Publication};
use crate::publish::Publishing;
use crate::wake::{Waker, Wakes};
use crate::{ConnectionId, PublishError};

/// A handler's hands: subscribe, publish, send, close. Nothing here blocks or does I/O: frames are
/// queued, and the shard writes them after the tasks of this turn.
pub struct Context<'a> {
    pub(crate) publishing: Publishing<'a>,
    pub(crate) feed: FeedParts<'a>,
    closes: &'a Closes,
    wakes: &'a Wakes,
    edge: &'a Edge,
    conn: ConnId,
    peer: SocketAddr,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        publishing: Publishing<'a>,
        feed: FeedParts<'a>,
        closes: &'a Closes,
        wakes: &'a Wakes,
        edge: &'a Edge,
        conn: ConnId,
        peer: SocketAddr,
    ) -> Self {
        Self { publishing, feed, closes, wakes, edge, conn, peer }
    }

    /// This connection's identity, for `send` and `close` from anywhere in the engine.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        ConnectionId { shard: self.publishing.shard, conn: self.conn }
    }

    /// The peer's address.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// What can be done in the feed: streams with numbers, snapshots, history and presence.
    pub fn feed(&mut self) -> Feed<'_, 'a> {
        Feed { context: self }
    }

    /// The time of this call, monotonic, in nanoseconds since the engine's start.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.publishing.now
    }

    /// Subscribes this connection, under the policy that the rules give the topic. Done again, it
    /// changes the policy for what is published from now on.
    ///
    /// # Errors
    /// When the name is no topic, a bound on topics or subscriptions is reached, or the connection
    /// is closing.
    pub fn subscribe(&mut self, topic: &str) -> Result<Subscribed, SubscribeError> {
        self.publishing.hub.subscribe(self.conn, topic, None)
    }

    /// Subscribes this connection under a policy of its own.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_with(
        &mut self,
        topic: &str,
        policy: Policy,
    ) -> Result<Subscribed, SubscribeError> {
        self.publishing.hub.subscribe(self.conn, topic, Some(policy))
    }

    /// Ends a subscription. What is queued already still arrives. False when there was none.
    pub fn unsubscribe(&mut self, topic: &str) -> bool {
        self.publishing.hub.unsubscribe(self.conn, topic)
    }

    /// Publishes to all subscribers of a topic on all shards, this connection included if it is
    /// one.
    ///
    /// # Errors
    /// [`PublishError::Full`] when too much is pending, [`PublishError::Topic`] when the name is no
    /// topic.
    pub fn publish(&mut self, topic: &str, frame: &Frame) -> Result<(), PublishError> {
        self.publish_except(topic, frame, None)
    }

    /// Publishes to all subscribers of a topic but this connection.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn publish_others(&mut self, topic: &str, frame: &Frame) -> Result<(), PublishError> {
        self.publish_except(topic, frame, Some(self.id()))
    }

    /// Queues a frame for this connection alone.
    pub fn reply(&mut self, frame: &Frame) -> SendStatus {
        self.publishing.send(self.conn, frame)
    }

    /// Queues a frame for one connection, on whichever shard it is. On another shard it is queued a
    /// little later: `Sent` then says that it is on its way, and `Full` that the mesh has no room.
    pub fn send(&mut self, to: ConnectionId, frame: &Frame) -> SendStatus {
        if to.shard == self.publishing.shard {
            return self.publishing.send(to.conn, frame);
        }
        self.direct(to, frame.len(), Direct::Send(frame.clone()))
    }

    /// Begins the closing handshake of this connection, behind what is queued for it; it has
    /// `close_timeout_ms` for both. A reason is cut to 123 bytes.
    ///
    /// # Panics
    /// When `code` may not be sent (RFC 6455 §7.4).
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.order(self.conn, code, reason, Flush::Queued);
    }

    /// The same at once: what is queued is dropped, but for a frame that is partly sent. A peer
    /// that reads so slowly that the Close has not left after half a second is cut off.
    ///
    /// # Panics
    /// As [`close`](Self::close).
    pub fn close_now(&mut self, code: CloseCode, reason: &str) {
        self.order(self.conn, code, reason, Flush::Now);
    }

    /// Counts this connection as one of a user's, on all shards together, until the charge is
    /// dropped. Names are compared as they are.
    ///
    /// # Errors
    /// Where he has as many as he may have (`user.connections_max`).
    pub fn charge_user(&self, user: &str) -> Result<UserCharge, TooMany> {
        self.edge.charge_user(user, self.publishing.now.0)
    }

    /// Whether the client's address may try a credential, as
    /// [`Arrival::may_try`](crate::Arrival::may_try).
    ///
    /// # Errors
    /// Where too many of its were refused of late.
    pub fn may_try(&self) -> Result<(), TooManyFailures> {
        self.edge.may_try(self.peer, self.publishing.now.0)
    }

    /// A credential of the client was refused, as [`Arrival::failed`](crate::Arrival::failed).
    pub fn failed(&self) {
        self.edge.failed(self.peer, self.publishing.now.0);
    }

    /// Begins the closing handshake of any connection.
    ///
    /// # Panics
    /// As [`close`](Self::close).
    pub fn close_other(&mut self, target: ConnectionId, code: CloseCode, reason: &str) {
        if target.shard == self.publishing.shard {
            self.order(target.conn, code, reason, Flush::Queued);
        } else {
            assert!(code.is_sendable(), "close code {code} may not be sent");
            self.direct(target, reason.len(), Direct::Close(code, reason.into()));
        }
    }

    /// Wakes this connection from any thread: [`Handler::on_wake`](crate::Handler::on_wake) is
    /// called soon.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.wakes.waker(self.publishing.shard, self.conn, self.publishing.mesh)
    }

    /// Has [`Handler::on_wake`](crate::Handler::on_wake) called at this instant, to the
    /// millisecond; it is the only one of this connection, and is not repeated. `None`: not at all.
    pub fn wake_at(&mut self, at: Option<Timestamp>) {
        self.wakes.wake_at(self.conn, at);
    }

    /// The same by the wall clock, in nanoseconds since 1970, at most 100 ms late however that
    /// clock is set meanwhile. Each connection has one of either.
    pub fn wake_at_wall(&mut self, wall_ns: Option<i64>) {
        self.wakes.wake_at_wall(self.conn, wall_ns);
    }

    fn order(&self, conn: ConnId, code: CloseCode, reason: &str, flush: Flush) {
        assert!(code.is_sendable(), "close code {code} may not be sent");
        let order = Parting { conn, code, reason: reason.into(), flush };
        self.closes.push(order, self.publishing.now);
    }

    fn direct(&mut self, to: ConnectionId, bytes: usize, what: Direct) -> SendStatus {
        let mesh = self.publishing.mesh;
        let Ok(ticket) = mesh.admission.admit(bytes) else { return SendStatus::Full };
        let job = Job::Direct { to: to.conn, what, _ticket: ticket };
        if mesh.post(to.shard, job) { SendStatus::Sent } else { SendStatus::Gone }
    }

    fn publish_except(
        &mut self,
        topic: &str,
        frame: &Frame,
        except: Option<ConnectionId>,
    ) -> Result<(), PublishError> {
        check_topic(topic, self.publishing.topic_bytes_max)?;
        let admission = &self.publishing.mesh.admission;
        let ticket = admission.admit(frame.len())?;
        self.publishing.publish(Arc::new(Publication {
            topic: topic.into(),
            frame: frame.clone(),
            pressed: OnceLock::new(),
            key: None,
            except,
            published_at: self.publishing.now,
            seq: AtomicU64::new(0),
            report: None,
            _ticket: ticket,
        }))
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("id", &self.id()).finish_non_exhaustive()
    }
}
