//! A WebSocket broadcast engine for Linux: one shard per core, io_uring, messages encoded once, and
//! a queue per socket that knows what to do with a slow client.
//!
//! ```no_run
//! use corecast::{Accept, Arrival, Context, Engine, Handler, Message, Reject, Upgrade};
//!
//! struct Chat;
//!
//! impl Handler for Chat {
//!     type Data = ();
//!
//!     fn on_upgrade(
//!         &mut self,
//!         _request: &Upgrade<'_>,
//!         _arrival: &Arrival<'_>,
//!     ) -> Result<Accept<()>, Reject> {
//!         Ok(Accept::new(()))
//!     }
//!
//!     fn on_open(&mut self, _data: &mut (), context: &mut Context<'_>) {
//!         let _ = context.subscribe("chat.lobby");
//!     }
//!
//!     fn on_message(&mut self, _data: &mut (), message: Message<'_>, context: &mut Context<'_>) {
//!         let _ = context.publish_others("chat.lobby", &message.to_frame());
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder().listen("127.0.0.1:9001".parse()?).spawn(|_shard| Chat)?;
//! println!("ws://{}/", engine.local_addr());
//! engine.wait()?;
//! # Ok(())
//! # }
//! ```
//!
//! An engine has threads of its own, so it runs beside any runtime, or none. A [`Publisher`] feeds
//! it from tokio, from plain threads or from a handler.
//!
//! # Limits
//!
//! Everything is bounded, in bytes and in count; see [`config::Config`] for the settings and
//! [`limits`] for the defaults. Each connection takes one descriptor: raise `RLIMIT_NOFILE`
//! (`ulimit -n`) to the connections you expect.

#![forbid(unsafe_code)]

mod builder;

pub use builder::{Builder, Engine};
/// The feed: streams with numbers, snapshots, history and presence.
pub use corecast_hub::home::{
    AttachError, AttachRequest, Attachment, HeritageError, History, HistoryError, SnapshotImage,
    StreamImage, Tap, TopicImage, UpdateError, VariantError, check_interval, check_update,
    split_variant, variant_name, variant_policy,
};
pub use corecast_hub::node::{Answer, AttachResult, Event, PatternWish, Question, Updated};
pub use corecast_hub::session::{Closed, ClosedBy};
pub use corecast_hub::{
    Announcement, Codec, Compress, ConnId, Encoding, Frames, Gap, Member, Message as StreamMessage,
    Namespace, NamespaceError, Namespaces, Now, OutboxLimits, Overflow, Pattern, PatternError,
    Payload, Policy, PolicyError, PublishRight, RawCodec, Report, SendStatus, SnapshotKind,
    StreamRef, StreamState, SubscribeError, Subscribed, Timestamp, TopicError, Update, UpdateKind,
    check_topic, json_array,
};
pub use corecast_shard::{
    Accept, Arrival, Backend, BatchReport, BatchReported, CompressionStats, Config, ConnectionId,
    Context, Estate, Feed, FeedStats, Handler, Heritage, LatencySummary, Leave, Leaving, Left,
    Limits, Message, PageError, Pages, PublishError, PublishReport, Publisher, Reject, Reported,
    ShardId, ShardPanic, StartError, Stats, TimerContext, TlsError, TlsStats, TooMany,
    TooManyFailures, UpdateOptions, UserCharge, Waker, config,
};
pub use corecast_wire::{CloseCode, Frame, Opcode, PrepareError, Upgrade};

/// The bounds and defaults of all rooms.
pub mod limits {
    pub use corecast_hub::limits as hub;
    pub use corecast_shard::limits as shard;
    pub use corecast_wire::limits as wire;
}
