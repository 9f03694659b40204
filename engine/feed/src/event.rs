//! Events: what the server sends. In the past tense; an answer has the `id` of its command.
//!
//! What is sent often has an encoder of its own in [`json`](crate::json) that writes the same
//! bytes without these types.

mod answers;
mod parse;
mod stream;

use serde::Serialize;

pub use answers::{
    Authenticated, Body, Delivered, Error, Granted, History, Past, Pong, Presence, Published,
    Refused, Sent, Subscribed, Unsubscribed, Wanted,
};
pub use parse::EventError;
pub use stream::{
    Direct, Gap, GoingAway, Heartbeat, Member, Message, Moved, Snapshot, StateChange, Welcome,
    WelcomeAuth, WelcomeLimits,
};

/// What a server says. Serialises as the protocol's JSON; [`Event::parse`] reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event<'a> {
    /// The first event of every connection.
    Welcome(Welcome<'a>),
    /// Answers `auth`.
    Authenticated(Authenticated<'a>),
    /// Answers `subscribe`, in one part or several; without `id`, tells of topics that a pattern
    /// of the client matches.
    Subscribed(Subscribed<'a>),
    /// Answers `unsubscribe`; without `id`, tells what the server has ended by itself.
    Unsubscribed(Unsubscribed<'a>),
    /// The state of a topic as of `seq`: forget what was before.
    Snapshot(Snapshot<'a>),
    /// What was published to a topic.
    Message(Message<'a>),
    /// Messages of a topic that this client does not get.
    Gap(Gap<'a>),
    /// A client has subscribed to a topic with presence.
    Joined(Moved<'a>),
    /// A client has left a topic with presence.
    Left(Moved<'a>),
    /// The server is there.
    Heartbeat(Heartbeat),
    /// Answers `ping`.
    Pong(Pong<'a>),
    /// Answers `publish`, in the place of the message in its topic's order.
    Published(Published<'a>),
    /// What became of a publication with `report`.
    Delivered(Delivered<'a>),
    /// Answers `send`.
    Sent(Sent<'a>),
    /// What another client has sent to this one.
    Direct(Direct<'a>),
    /// Answers `presence`.
    Presence(Presence<'a>),
    /// Answers `history`.
    History(History<'a>),
    /// A topic's publisher has fallen silent, or speaks again.
    StreamState(StateChange<'a>),
    /// A command was refused; or, without `id`, something that cannot be correlated was.
    Error(Error<'a>),
    /// The server will close this connection.
    GoingAway(GoingAway),
}

impl Event<'_> {
    /// Appends the JSON text.
    pub fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("every event is JSON, and a Vec takes it");
    }

    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("every event is JSON")
    }
}
