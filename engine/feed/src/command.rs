//! Commands: what a client sends. In the imperative; each is answered, with its `id`.

mod fault;
mod fields;
mod parse;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

pub use fault::CommandError;
pub use parse::parse_command;

use crate::raw::{Id, RawJson};
use crate::value::{DataEncoding, Delivery, Rate};

/// What a client asks for. Serialises as the protocol's JSON; [`parse_command`] reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command<'a> {
    /// Says who the client is.
    Auth(Auth<'a>),
    /// Asks for topics.
    Subscribe(Subscribe<'a>),
    /// Asks for topics no more.
    Unsubscribe(Unsubscribe<'a>),
    /// Publishes to a topic.
    Publish(Publish<'a>),
    /// Sends to one user or one client.
    Send(Send<'a>),
    /// Asks who is subscribed to a topic.
    Presence(Presence<'a>),
    /// Asks for past messages of a topic.
    History(History<'a>),
    /// Asks for `pong`.
    Ping(Ping<'a>),
}

impl<'a> Command<'a> {
    /// What the answer echoes.
    #[must_use]
    pub const fn id(&self) -> Option<&Id<'a>> {
        match self {
            Self::Auth(command) => command.id.as_ref(),
            Self::Subscribe(command) => command.id.as_ref(),
            Self::Unsubscribe(command) => command.id.as_ref(),
            Self::Publish(command) => command.id.as_ref(),
            Self::Send(command) => command.id.as_ref(),
            Self::Presence(command) => command.id.as_ref(),
            Self::History(command) => command.id.as_ref(),
            Self::Ping(command) => command.id.as_ref(),
        }
    }

    /// The `type`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Auth(_) => "auth",
            Self::Subscribe(_) => "subscribe",
            Self::Unsubscribe(_) => "unsubscribe",
            Self::Publish(_) => "publish",
            Self::Send(_) => "send",
            Self::Presence(_) => "presence",
            Self::History(_) => "history",
            Self::Ping(_) => "ping",
        }
    }

    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("every command is JSON")
    }
}

/// `{"type":"auth","token":"…"}`; answered by `authenticated`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Auth<'a> {
    /// Echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// What proves who the client is.
    pub token: Cow<'a, str>,
}

// Whatever is logged of a command, its token is not.
impl fmt::Debug for Auth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("id", &self.id).finish_non_exhaustive()
    }
}

/// `{"type":"subscribe","topics":["quote.BTCUSDT","trade.*"]}`; answered by `subscribed`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Subscribe<'a> {
    /// Echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// Topics, variants (`quote.BTCUSDT@100ms`) and patterns (`trade.*`, `book.>`). At least one.
    pub topics: Vec<Cow<'a, str>>,
    /// How these topics should be delivered; else as their namespace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<DeliveryPolicy>,
    /// Where a former connection ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume<'a>>,
}

/// What a subscriber asks for beside the topic. What is not granted is said in `subscribed`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeliveryPolicy {
    /// What a backlog does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// At most so many messages of a topic in a second: the conflated variant of that interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_hz: Option<Rate>,
}

/// The last message that the client has of each topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Resume<'a> {
    /// The epoch in which these numbers were given.
    pub epoch: Cow<'a, str>,
    /// The last `seq` by topic, as the topics stand in `topics`.
    pub seq: BTreeMap<Cow<'a, str>, u64>,
}

/// `{"type":"unsubscribe","topics":["quote.BTCUSDT"]}`; answered by `unsubscribed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unsubscribe<'a> {
    /// Echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// Topics and patterns, as they were subscribed to. At least one.
    pub topics: Vec<Cow<'a, str>>,
}

/// `{"type":"publish","topic":"chat.room1","data":{"text":"hi"}}`; answered by `published`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Publish<'a> {
    /// Echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// A topic, no pattern.
    pub topic: Cow<'a, str>,
    /// What is published.
    pub data: RawJson<'a>,
    /// Says that `data` is a string that stands for bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<DataEncoding>,
    /// What `latest_by_key` tells messages apart by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Cow<'a, str>>,
    /// Whether the publisher gets its own message, when it is subscribed.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub echo: bool,
    /// Whether it wants `published`.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub ack: bool,
    /// Whether it wants `delivered`, too.
    #[serde(default, skip_serializing_if = "is_no")]
    pub report: bool,
    /// Whether `data` is the whole state of the topic, and not a change of it.
    #[serde(default, skip_serializing_if = "is_no")]
    pub snapshot: bool,
}

impl<'a> Publish<'a> {
    /// A publication with everything else as it is by default.
    #[must_use]
    pub const fn new(topic: Cow<'a, str>, data: RawJson<'a>) -> Self {
        Self {
            id: None,
            topic,
            data,
            encoding: None,
            key: None,
            echo: true,
            ack: true,
            report: false,
            snapshot: false,
        }
    }
}

/// `{"type":"send","to":{"user":"u1"},"data":{}}`; answered by `sent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Send<'a> {
    /// Echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// Who gets it.
    pub to: Recipient<'a>,
    /// What is sent.
    pub data: RawJson<'a>,
    /// Says that `data` is a string that stands for bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<DataEncoding>,
}

/// Who gets what is sent: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Recipient<'a> {
    /// All connections of a user.
    User(Cow<'a, str>),
    /// One connection, by the `client` of its `welcome`.
    Client(Cow<'a, str>),
}

/// `{"type":"presence","topic":"chat.room1"}`; answered by `presence`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Presence<'a> {
    /// Echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// A topic, no pattern.
    pub topic: Cow<'a, str>,
}

/// `{"type":"history","topic":"trade.BTCUSDT","since":1000,"limit":100}`; answered by `history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct History<'a> {
    /// Echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// A topic, no pattern.
    pub topic: Cow<'a, str>,
    /// Messages with a greater `seq` only; without it, the newest ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// At most so many messages, from 1; without it, as many as the server gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub limit: Option<u32>,
}

/// `{"type":"ping"}`; answered by `pong`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ping<'a> {
    /// Echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
}

#[cfg_attr(not(test), expect(dead_code, reason = "the schema's default"))]
const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_yes(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_no(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_of_a_command_has_no_token_in_it() {
        let auth = Command::Auth(Auth { id: None, token: "secret".into() });
        assert!(!format!("{auth:?}").contains("secret"), "{auth:?}");
        assert!(auth.to_json().contains("secret"), "it is sent all the same");
    }
}
