//! Events that answer a command.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::stream::Member;
use crate::codes::ErrorCode;
use crate::json::{DataError, data_bytes};
use crate::raw::{Id, RawJson};
use crate::value::{DataEncoding, Delivery, Nanos, Rate, StreamState};

/// `{"type":"authenticated","id":1,"user":"u1","expires":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Authenticated<'a> {
    /// Of the command.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// Who the client is; none: somebody without a name.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub user: Option<Cow<'a, str>>,
    /// Until when: then the connection is closed with 4401, unless `auth` came again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Nanos>,
}

/// `{"type":"subscribed","id":7,"ok":[…],"errors":[…]}`. Each topic of the command stands in
/// exactly one part of the answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Subscribed<'a> {
    /// Of the command.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// The client's own pattern that these topics match: not an answer, news.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Cow<'a, str>>,
    /// What was granted.
    #[serde(borrow)]
    pub ok: Vec<Granted<'a>>,
    /// What was refused.
    #[serde(borrow, default)]
    pub errors: Vec<Refused<'a>>,
    /// How many topics of the command are still to be answered.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub remaining: u32,
}

/// One topic that the client now gets.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Granted<'a> {
    /// The topic, with its variant; or the pattern.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Set when `topic` is a pattern: it has neither `sid` nor `seq`.
    #[serde(default, skip_serializing_if = "is_no")]
    pub pattern: bool,
    /// What stands for the topic in binary records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<u32>,
    /// The number of the last message: the stream goes on behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The epoch in which the topic is numbered.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Cow<'a, str>>,
    /// What a backlog does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Delivery>,
    /// When `resume` was asked: whether the stream goes on where the client was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<bool>,
    /// The name that was asked for, when `max_hz` chose a variant of it.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Cow<'a, str>>,
    /// The rate of the variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_hz: Option<Rate>,
    /// What was asked for and is not so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_granted: Option<Wanted>,
    /// `false`: the topic keeps snapshots, and there is none yet; it follows later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<bool>,
    /// Whether the publisher is heard, when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StreamState>,
    /// The layout of the bytes, when the topic's payload is a known binary one.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body<'a>>,
}

/// What a subscriber asked for and did not get.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Wanted {
    /// The delivery policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Delivery>,
    /// The rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_hz: Option<Rate>,
}

/// The layout of a binary payload, and where its decimal points are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Body<'a> {
    /// `quote`: five `i64`, see the binary layout. A client must expect other words.
    #[serde(borrow)]
    pub layout: Cow<'a, str>,
    /// A price is its number × 10 to this power.
    pub price_exponent: i8,
    /// A size is its number × 10 to this power.
    pub size_exponent: i8,
}

/// One topic that the client does not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Refused<'a> {
    /// As it was asked for.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Why.
    pub code: ErrorCode,
    /// Why, for a person.
    #[serde(borrow)]
    pub message: Cow<'a, str>,
}

/// `{"type":"unsubscribed","id":8,"ok":["quote.BTCUSDT"],"errors":[]}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unsubscribed<'a> {
    /// Of the command.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// What ended.
    #[serde(borrow)]
    pub ok: Vec<Cow<'a, str>>,
    /// Why, where the client did not ask for it: 403, its new token does not allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// What was no subscription.
    #[serde(borrow, default)]
    pub errors: Vec<Refused<'a>>,
}

/// `{"type":"pong","id":13}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pong<'a> {
    /// Of the command.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
}

/// `{"type":"published","id":9,"topic":"chat.room1","seq":6}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Published<'a> {
    /// Of the command.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// The topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The number that the message got.
    pub seq: u64,
}

/// `{"type":"delivered","id":9,"topic":"chat.room1","seq":6,"delivered":3,"conflated":0,
/// "dropped":0}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Delivered<'a> {
    /// Of the command.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// The topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The number of the message.
    pub seq: u64,
    /// Subscribers for which it was queued.
    pub delivered: u64,
    /// Subscribers for which it replaced one that waited.
    pub conflated: u64,
    /// Subscribers that do not get it.
    pub dropped: u64,
}

/// `{"type":"sent","id":10,"delivered":2}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sent<'a> {
    /// Of the command.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// Connections that get it.
    pub delivered: u64,
}

/// `{"type":"presence","id":11,"topic":"chat.room1","members":[{"client":"c7Yq"}],"total":1}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Presence<'a> {
    /// Of the command.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// The topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Who is there; perhaps not all.
    #[serde(borrow)]
    pub members: Vec<Member<'a>>,
    /// How many are there.
    pub total: u64,
}

/// `{"type":"history","id":12,"topic":"trade.BTCUSDT","epoch":"9f2c","seq":1050,"messages":[…],
/// "complete":true}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct History<'a> {
    /// Of the command.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// The topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The epoch of the numbers.
    #[serde(borrow)]
    pub epoch: Cow<'a, str>,
    /// The number of the topic's last message.
    pub seq: u64,
    /// The messages, by ascending number.
    #[serde(borrow)]
    pub messages: Vec<Past<'a>>,
    /// Whether nothing that was asked for is missing.
    pub complete: bool,
}

/// A message of a topic's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Past<'a> {
    /// Its number.
    pub seq: u64,
    /// When it was published.
    pub ts: Nanos,
    /// What was published.
    #[serde(borrow)]
    pub data: RawJson<'a>,
    /// Says that `data` is a string that stands for bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<DataEncoding>,
}

impl Past<'_> {
    /// The publisher's bytes: the JSON text, or what its base64 stands for.
    ///
    /// # Errors
    /// `data` is not what `encoding` says.
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>, DataError> {
        data_bytes(&self.data, self.encoding)
    }
}

/// `{"type":"error","id":9,"code":403,"message":"may not publish to chat.room1","retry":false}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Error<'a> {
    /// Of the command, when it could be read.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<'a>>,
    /// Why.
    pub code: ErrorCode,
    /// Why, for a person.
    #[serde(borrow)]
    pub message: Cow<'a, str>,
    /// Whether the same command may succeed later.
    pub retry: bool,
    /// The field that is wrong.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub field: Option<Cow<'a, str>>,
    /// The topic that it is about.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Cow<'a, str>>,
}

impl<'a> Error<'a> {
    /// An error that names nothing else; `retry` is as the code has it.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<Cow<'a, str>>) -> Self {
        let (message, retry) = (message.into(), code.retry());
        Self { id: None, code, message, retry, field: None, topic: None }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_no(value: &bool) -> bool {
    !*value
}
