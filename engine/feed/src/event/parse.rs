//! From text to [`Event`], for clients and tests.

use std::borrow::Cow;

use serde::Deserialize;

use super::Event;
use crate::limits::QUOTED_CHARS_MAX;

/// Why a text is no event.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Not JSON, or a field is missing or of another type.
    #[error("not an event: {0}")]
    Json(#[from] serde_json::Error),
    /// A `type` that this version does not know: a client passes over it.
    #[error("`{0}` is no event of this version of the protocol")]
    Unknown(String),
}

impl<'a> Event<'a> {
    /// Reads one event. Strings without escapes and all data are borrowed from `text`; unknown
    /// fields are ignored.
    ///
    /// # Errors
    /// [`EventError::Unknown`] for a `type` of a later version, else what is wrong.
    pub fn parse(text: &'a str) -> Result<Self, EventError> {
        let kind = kind(text)?;
        Ok(match &*kind {
            "welcome" => Self::Welcome(read(text)?),
            "authenticated" => Self::Authenticated(read(text)?),
            "subscribed" => Self::Subscribed(read(text)?),
            "unsubscribed" => Self::Unsubscribed(read(text)?),
            "snapshot" => Self::Snapshot(read(text)?),
            "message" => Self::Message(read(text)?),
            "gap" => Self::Gap(read(text)?),
            "joined" => Self::Joined(read(text)?),
            "left" => Self::Left(read(text)?),
            "heartbeat" => Self::Heartbeat(read(text)?),
            "pong" => Self::Pong(read(text)?),
            "published" => Self::Published(read(text)?),
            "delivered" => Self::Delivered(read(text)?),
            "sent" => Self::Sent(read(text)?),
            "direct" => Self::Direct(read(text)?),
            "presence" => Self::Presence(read(text)?),
            "history" => Self::History(read(text)?),
            "stream_state" => Self::StreamState(read(text)?),
            "error" => Self::Error(read(text)?),
            "going_away" => Self::GoingAway(read(text)?),
            unknown => {
                let unknown = unknown.chars().take(QUOTED_CHARS_MAX).collect();
                return Err(EventError::Unknown(unknown));
            }
        })
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}

/// The `type`. It stands first in what our server writes; elsewhere it costs a pass.
fn kind(text: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    let first = text.strip_prefix("{\"type\":\"").and_then(|rest| rest.split_once('"'));
    match first {
        Some((kind, _)) if !kind.contains('\\') => Ok(Cow::Borrowed(kind)),
        _ => read::<Head<'_>>(text).map(|head| head.kind),
    }
}
