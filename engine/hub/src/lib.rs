//! Who gets what: topics, subscriptions, outbox rings and delivery policies. No I/O, no clock.
//!
//! A [`Hub`] belongs to one shard and to one thread. Publishing queues a handle of a shared
//! frame into the [`Outbox`] of each subscriber and lists those that were idle; the shard takes
//! the list, sends what each outbox [gathers](Outbox::gather), and reports what the sockets
//! [took](Hub::sent). What a backlog does is the subscription's [`Policy`].
//!
//! ```
//! use corecast_hub::{Frames, Hub, HubConfig, Publication, SharedFrames, Timestamp};
//! use corecast_wire::Frame;
//!
//! let mut hub = Hub::new(HubConfig::default());
//! let conn = hub.connect(Timestamp(0));
//! hub.subscribe(conn, "quote.BTCUSDT", None)?;
//!
//! let frames = SharedFrames::new(&Frames::raw(Frame::text("61000.5")), Timestamp(10));
//! let publication = Publication::raw("quote.BTCUSDT", 1, &frames);
//! assert_eq!(hub.publish(&publication, Timestamp(10)).delivered, 1);
//!
//! let (mut dirty, mut slices) = (Vec::new(), Vec::new());
//! hub.take_dirty(&mut dirty);
//! let bytes = hub.outbox(dirty[0]).map_or(0, |outbox| outbox.gather(&mut slices, 64));
//! assert_eq!(slices.concat(), b"\x81\x0761000.5");
//! assert_eq!(hub.sent(conn, bytes, Timestamp(20)).frames, 1);
//! # Ok::<(), corecast_hub::SubscribeError>(())
//! ```

#![forbid(unsafe_code)]

pub mod chunks;
mod codec;
mod config;
mod control;
mod encoding;
mod expire;
mod frame;
pub mod home;
mod hub;
mod id;
mod ledger;
pub mod limits;
mod message;
mod namespace;
pub mod node;
mod offer;
mod outbox;
mod patterns;
mod policy;
mod press;
mod publish;
mod registry;
mod report;
mod resync;
mod rules;
pub mod session;
mod slots;
mod slow;
mod stream;
mod subscribe;
mod subscriptions;
mod topic;

pub use codec::{Announcement, Codec, RawCodec, StreamRef, StreamState, json_array};
pub use config::{HubConfig, OutboxLimits, json_gap_notice};
pub use control::Flush;
pub use encoding::{Encoding, Frames, Wanted};
pub use frame::{Prepared, SharedFrame, SharedFrames};
pub use hub::Hub;
pub use id::{ConnId, Timestamp, TopicId};
pub use message::{Member, Message, Now, Update, UpdateKind};
pub use namespace::{Namespace, NamespaceError, Namespaces, Payload, PublishRight, SnapshotKind};
pub use outbox::Outbox;
pub use outbox::drain::Sent;
pub use policy::{Overflow, Policy, PolicyError};
pub use press::{Compress, Press, PressConfig, PressTotals};
pub use publish::{Publication, SendStatus};
pub use report::{Report, Totals};
pub use rules::{Pattern, PatternError, Rule, RuleError, Rules};
pub use slow::{Gap, Resync, SLOW_CLOSE_CODE, SlowReason};
pub use stream::Stream;
pub use subscribe::{Start, SubscribeError, Subscribed};
pub use topic::{TopicError, check_topic};
