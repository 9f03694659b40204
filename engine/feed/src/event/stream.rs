//! Events that answer nothing: the stream itself, and what concerns the connection.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::json::{DataError, data_bytes};
use crate::raw::RawJson;
use crate::value::{DataEncoding, Nanos, StreamState};

/// `{"type":"welcome","v":1,"client":"c7Yq","epoch":"9f2c",…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Welcome<'a> {
    /// The protocol's version: 1.
    pub v: u32,
    /// The name of this connection.
    #[serde(borrow)]
    pub client: Cow<'a, str>,
    /// The epoch of the server's numbering; see `resume`.
    #[serde(borrow)]
    pub epoch: Cow<'a, str>,
    /// The server's clock.
    pub time: Nanos,
    /// Milliseconds between heartbeats; 0: there are none.
    pub heartbeat_ms: u32,
    /// What this connection may do.
    pub limits: WelcomeLimits,
    /// Present where `auth` must come before anything else but `ping`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<WelcomeAuth>,
}

/// What a client must do first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WelcomeAuth {
    /// Milliseconds that it has for `auth`; then the connection is closed with 4408.
    pub deadline_ms: u32,
}

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WelcomeLimits {
    /// Subscriptions at a time.
    pub subscriptions: u32,
    /// Bytes of one command.
    pub message_bytes: u32,
    /// Topics of one command.
    pub topics: u32,
}

/// `{"type":"message","topic":"quote.BTCUSDT","seq":1051,"ts":"…","data":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Message<'a> {
    /// The topic, with its variant.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Its number in the topic, from 1.
    pub seq: u64,
    /// When it was published: the publisher's time, or else the server's.
    pub ts: Nanos,
    /// What was published.
    #[serde(borrow)]
    pub data: RawJson<'a>,
    /// Says that `data` is a string that stands for bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<DataEncoding>,
}

impl Message<'_> {
    /// The publisher's bytes: the JSON text, or what its base64 stands for.
    ///
    /// # Errors
    /// `data` is not what `encoding` says.
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>, DataError> {
        data_bytes(&self.data, self.encoding)
    }
}

/// `{"type":"snapshot","topic":"quote.BTCUSDT","seq":1050,"ts":"…","data":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Snapshot<'a> {
    /// The topic, with its variant.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The last message that it contains; the next one has a greater number. 0: none so far.
    pub seq: u64,
    /// When it was so.
    pub ts: Nanos,
    /// The state.
    #[serde(borrow)]
    pub data: RawJson<'a>,
    /// Says that `data` is a string that stands for bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<DataEncoding>,
}

impl Snapshot<'_> {
    /// The publisher's bytes: the JSON text, or what its base64 stands for.
    ///
    /// # Errors
    /// `data` is not what `encoding` says.
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>, DataError> {
        data_bytes(&self.data, self.encoding)
    }
}

/// `{"type":"gap","topic":"trade.BTCUSDT","from":6,"to":40,"reason":"slow"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gap<'a> {
    /// The topic, with its variant.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The first number that is missing.
    pub from: u64,
    /// The last number that is missing.
    pub to: u64,
    /// Why: `slow` when the client read too slowly. A client must expect other words.
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
}

/// `{"type":"joined","topic":"chat.room1","client":"c7Yq","user":"u1"}`; `left` is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Moved<'a> {
    /// The topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The connection that came or went.
    #[serde(borrow)]
    pub client: Cow<'a, str>,
    /// Its user, when it has one.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub user: Option<Cow<'a, str>>,
}

/// A connection, and its user when it has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Member<'a> {
    /// The connection: the `client` of its `welcome`.
    #[serde(borrow)]
    pub client: Cow<'a, str>,
    /// Its user.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub user: Option<Cow<'a, str>>,
}

/// `{"type":"heartbeat","time":"…"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Heartbeat {
    /// The server's clock.
    pub time: Nanos,
}

/// `{"type":"direct","from":{"client":"c7Yq","user":"u1"},"ts":"…","data":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Direct<'a> {
    /// Who sent it.
    #[serde(borrow)]
    pub from: Member<'a>,
    /// When.
    pub ts: Nanos,
    /// What was sent.
    #[serde(borrow)]
    pub data: RawJson<'a>,
    /// Says that `data` is a string that stands for bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<DataEncoding>,
}

impl Direct<'_> {
    /// The sender's bytes: the JSON text, or what its base64 stands for.
    ///
    /// # Errors
    /// `data` is not what `encoding` says.
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>, DataError> {
        data_bytes(&self.data, self.encoding)
    }
}

/// `{"type":"stream_state","topic":"quote.BTCUSDT","state":"stale","time":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StateChange<'a> {
    /// The topic, with its variant.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// What it is now.
    pub state: StreamState,
    /// Since when.
    pub time: Nanos,
}

/// `{"type":"going_away","deadline_ms":30000,"reconnect_ms":[0,15000]}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GoingAway {
    /// In how many milliseconds this connection will be closed at the latest.
    pub deadline_ms: u32,
    /// The client should come back after a random number of milliseconds within these two.
    pub reconnect_ms: [u32; 2],
}
