//! `[log]`: what is logged.

use crate::cli::logs::DEFAULT_LEVEL;
use serde::{Deserialize, Serialize};

/// What is logged. How lines look is the command line's alone: `--log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// error, warn, info, debug, trace, or directives such as `corecast_shard=debug`.
    pub(crate) level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: DEFAULT_LEVEL.to_owned() }
    }
}
