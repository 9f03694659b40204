//! `[shutdown]`: how the program leaves when it is told to end.

use super::limits;
use corecast::CloseCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What SIGTERM and SIGINT begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ShutdownConfig {
    /// Time for queued messages and closing handshakes, in milliseconds; what is not closed by then
    /// is cut.
    pub(crate) drain_ms: u64,
    /// The Closes are spread over so many milliseconds at most; few clients take less.
    pub(crate) spread_ms: u64,
    /// Time during which `/healthz` says 503 and everything else goes on, in milliseconds.
    pub(crate) linger_ms: u64,
    /// What the Closes say.
    pub(crate) code: LeaveCode,
}

/// What clients are told when the server ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LeaveCode {
    /// 1001: it goes away.
    #[default]
    GoingAway,
    /// 1012: it restarts.
    Restart,
}

impl LeaveCode {
    /// The code of the Closes.
    pub(crate) fn close_code(self) -> CloseCode {
        match self {
            Self::GoingAway => CloseCode::GOING_AWAY,
            Self::Restart => CloseCode::SERVICE_RESTART,
        }
    }

    /// Their reason.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::GoingAway => "the server is going away",
            Self::Restart => "the server restarts: come back",
        }
    }
}

impl ShutdownConfig {
    /// The time after which what is not closed is cut.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self {
            drain_ms: limits::DRAIN_MS,
            spread_ms: limits::SPREAD_MS,
            linger_ms: 0,
            code: LeaveCode::GoingAway,
        }
    }
}
