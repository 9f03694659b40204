//! `/feed`: clients that speak the feed protocol.
//!
//! [`FeedHandler`] is what a shard calls; a [`Session`] is one connection's part of the
//! conversation, with one file for each verb. What was asked of other shards waits in [`pending`].
//! [`FeedCodec`] makes the frames that the hub shares among subscribers.

mod ask;
mod asking;
mod auth;
mod beat;
mod body;
mod budget;
mod client;
mod codec;
mod events;
mod handler;
mod held;
mod limits;
mod open;
mod pending;
mod publish;
mod refusal;
mod send;
mod session;
mod settings;
mod subscribe;
mod unauthenticated;
mod upgrade;
mod wish;

pub(crate) use body::Bodies;
pub(crate) use codec::FeedCodec;
pub(crate) use handler::FeedHandler;
pub(crate) use session::Session;
pub(crate) use settings::FeedSettings;
