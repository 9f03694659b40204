//! Who asks for a WebSocket, beside what the request says.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use corecast_hub::{ConnId, Timestamp};

use crate::edge::{Edge, TooMany, TooManyFailures, UserCharge};
use crate::mesh::Mesh;
use crate::wake::{Waker, Wakes};
use crate::{ConnectionId, ShardId};

/// What is known of a connection before it is accepted: where it comes from and how, and how to be
/// asked about it again.
pub struct Arrival<'a> {
    pub(crate) peer: SocketAddr,
    pub(crate) proxy: Option<SocketAddr>,
    pub(crate) is_secure: bool,
    pub(crate) client_certificate: Option<&'a [u8]>,
    pub(crate) shard: ShardId,
    pub(crate) conn: ConnId,
    pub(crate) wakes: &'a Wakes,
    pub(crate) mesh: &'a Arc<Mesh>,
    pub(crate) kept: &'a Kept,
    pub(crate) edge: &'a Edge,
    pub(crate) now_ns: u64,
}

/// What a handler keeps from one ask to the next.
pub(crate) type Kept = RefCell<Option<Box<dyn Any>>>;

impl Arrival<'_> {
    /// The client's address: where a proxy that is trusted spoke for it, the one that it named.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// The address of the proxy, where one that is trusted spoke for the client.
    #[must_use]
    pub fn proxy_addr(&self) -> Option<SocketAddr> {
        self.proxy
    }

    /// Whether the client came by TLS: where a proxy that is trusted says how it came to that
    /// (`X-Forwarded-Proto`, or `proto` of `Forwarded`), by its word.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The certificate that the client has proved to have, in DER; none where it has not shown one.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&[u8]> {
        self.client_certificate
    }

    /// The identity that the connection will have.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        ConnectionId { shard: self.shard, conn: self.conn }
    }

    /// Wakes the connection: behind [`Reject::later`](crate::Reject::later) the handler is asked
    /// again, and once it is open [`on_wake`](crate::Handler::on_wake) is called.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.wakes.waker(self.shard, self.conn, self.mesh)
    }

    /// The time of this call, monotonic, in nanoseconds since the engine's start.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.now_ns)
    }

    /// Counts this connection as one of a user's, as
    /// [`Context::charge_user`](crate::Context::charge_user) does.
    ///
    /// # Errors
    /// Where he has as many as he may have.
    pub fn charge_user(&self, user: &str) -> Result<UserCharge, TooMany> {
        self.edge.charge_user(user, self.now_ns)
    }

    /// Whether the client's address may try a credential: not too many of its were refused of late
    /// ([`failed`](Self::failed)). To be asked before one is looked at, else guesses have no bound.
    ///
    /// # Errors
    /// Where too many were (`address.auth_failures_per_second_max`).
    pub fn may_try(&self) -> Result<(), TooManyFailures> {
        self.edge.may_try(self.peer, self.now_ns)
    }

    /// A credential of the client was refused: counts it for its address, on all shards together.
    pub fn failed(&self) {
        self.edge.failed(self.peer, self.now_ns);
    }

    /// Keeps something until this connection is asked about again, in the place of what was kept
    /// before. It is dropped when the handshake is over, however it ends.
    pub fn keep(&self, what: impl Any) {
        let before = self.kept.replace(Some(Box::new(what)));
        drop(before);
    }

    /// Takes what was [kept](Self::keep) when it was asked about before, if that is a `T`.
    #[must_use]
    pub fn take_kept<T: Any>(&self) -> Option<Box<T>> {
        let kept = self.kept.take()?;
        match kept.downcast() {
            Ok(kept) => Some(kept),
            Err(other) => {
                self.kept.replace(Some(other));
                None
            }
        }
    }
}

impl fmt::Debug for Arrival<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival")
            .field("id", &self.id())
            .field("peer", &self.peer)
            .field("proxy", &self.proxy)
            .field("is_secure", &self.is_secure)
            .finish_non_exhaustive()
    }
}
