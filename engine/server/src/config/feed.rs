//! `[feed]`: what clients of the feed may do.

use super::limits;
use serde::{Deserialize, Serialize};

/// The feed: commands and events in JSON or binary, at one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FeedConfig {
    /// Whether `corecast serve` has it.
    pub(crate) enabled: bool,
    /// Its path; it begins with a slash and is not under `/ws/`.
    pub(crate) path: String,
    /// Time between two heartbeats, in milliseconds. 0: there are none.
    pub(crate) heartbeat_ms: u64,
    /// Malformed commands of one connection in a minute at most; one more is closed with 1008.
    pub(crate) errors_max: u32,
    /// Commands of one connection in a second, on average; more are answered 429. 0: no bound.
    pub(crate) commands_per_second_max: u32,
    /// Commands that a connection may send at once, after it was silent.
    pub(crate) commands_burst: u32,
    /// Topics and patterns of one command at most.
    pub(crate) topics_per_command_max: usize,
    /// Who a client is.
    pub(crate) identity: Identity,
    /// To whom clients may `send`.
    pub(crate) send: SendRight,
    /// Messages of one answer to `history` at most.
    pub(crate) history_reply_max: u32,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            path: "/feed".to_owned(),
            heartbeat_ms: limits::HEARTBEAT_MS,
            errors_max: limits::ERRORS_MAX,
            commands_per_second_max: limits::COMMANDS_PER_SECOND_MAX,
            commands_burst: limits::COMMANDS_BURST,
            topics_per_command_max: limits::TOPICS_PER_COMMAND_MAX,
            identity: Identity::Anonymous,
            send: SendRight::Off,
            history_reply_max: limits::HISTORY_REPLY_MAX,
        }
    }
}

/// Who a client of the feed is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Identity {
    /// Nobody by name.
    #[default]
    Anonymous,
    /// The user that `?user=` names, without proof: for development, or behind a gateway that
    /// writes it.
    Query,
}

/// To whom clients may `send`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SendRight {
    /// To nobody.
    #[default]
    Off,
    /// To users and clients.
    Users,
}
