//! One shard per core: an executor, a listener, its own connections, its own hub, its own flusher,
//! and a mesh between the shards. The only crate that knows glommio and io_uring.
//!
//! - [`Engine`] starts, supervises and ends the shards; [`Config`] is all that can be set.
//! - [`Handler`] is what a service implements, [`Context`] what it can do in a call.
//! - [`Publisher`] publishes from anywhere else.
//!
//! Inside: `round` (the loop that all stands in), `accept` (listener), `watch` (who has something
//! to read), `turns` and `connection` (whose turn it is, and the turn), `upgrade` (handshake),
//! `closing`, `flush` (writes, by the ring or by `sendmsg`), `mesh` and `courier` (between
//! threads), `wake` (of one connection), `pace` (who may read), `timers`, `sweep` (deadlines),
//! `thread` and `life` (of a shard), `leave` and `departure` (its end in order).

mod accept;
mod arrival;
mod budget;
mod carrier;
mod clock;
mod closing;
mod compression;
pub mod config;
mod connection;
mod context;
mod courier;
mod departure;
mod door;
mod edge;
mod engine;
mod error;
mod feed;
mod flush;
mod handler;
mod heritage;
mod leave;
mod life;
pub mod limits;
mod lock;
mod mesh;
mod meter;
mod pace;
mod pages;
mod proxy;
mod publish;
mod publisher;
mod refusal;
mod round;
mod setup;
mod shard;
mod signal;
mod socket;
mod spin;
mod stats;
mod stream;
mod sweep;
mod thread;
mod timers;
mod tls;
mod turns;
mod unhandled;
mod upgrade;
mod versions;
mod waiters;
mod wake;
mod watch;

use std::fmt;

use corecast_hub::ConnId;

pub use arrival::Arrival;
pub use config::{Backend, Config};
pub use context::Context;
pub use edge::{Limits, TooMany, TooManyFailures, UserCharge};
pub use engine::Engine;
pub use error::{PublishError, ShardPanic, StartError};
pub use feed::{Feed, TimerContext, UpdateOptions};
pub use handler::{Accept, Handler, Message, Reject};
pub use heritage::{Estate, Heritage};
pub use leave::{Leave, Leaving, Left};
pub use mesh::{BatchReport, BatchReported, PublishReport, Reported};
pub use pages::{PageError, Pages};
pub use publisher::Publisher;
pub use stats::{CompressionStats, FeedStats, LatencySummary, Stats, TlsStats};
pub use tls::{TlsError, TlsSettings};
pub use wake::Waker;

/// One shard of an engine, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// One connection of an engine, never reused: a late message to a connection that is gone reaches
/// nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// The shard that owns it.
    pub shard: ShardId,
    /// Its identity there.
    pub conn: ConnId,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.shard.0, self.conn)
    }
}
