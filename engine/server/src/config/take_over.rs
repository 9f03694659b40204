//! `[take_over]`: how one process takes the place of another.

use super::{limits, text};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where a process offers its place, and what is taken of another's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TakeOverConfig {
    /// Path of the Unix socket. In the file `""`: none.
    #[serde(with = "text::path")]
    pub(crate) unix: Option<PathBuf>,
    /// Bytes of topics that are taken over at most; more begin a new epoch.
    pub(crate) state_bytes_max: u64,
}

impl Default for TakeOverConfig {
    fn default() -> Self {
        Self { unix: None, state_bytes_max: limits::STATE_BYTES_MAX }
    }
}
