//! What can be set, by file, environment and command line: the engine's settings, and the
//! program's own beside them.
//!
//! The file is read into a [`tree`], the environment is laid over it, every key is checked where it
//! stands ([`check`]), and only then are the structs made of it. [`keys`] is the reference.

pub(crate) mod admin;
pub(crate) mod feed;
pub(crate) mod ingest;
pub(crate) mod limits;
pub(crate) mod log;
mod text;

use admin::AdminConfig;
use corecast::Config;
use feed::FeedConfig;
use ingest::IngestConfig;
use log::LogConfig;

/// All settings of the program. In the file the engine's keys stand at the top, each other field is
/// a table of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ServerConfig {
    /// The engine's: the struct of its builder.
    pub(crate) engine: Config,
    /// What clients of the feed may do.
    pub(crate) feed: FeedConfig,
    /// Where publishers of other processes connect.
    pub(crate) ingest: IngestConfig,
    /// The port for operators.
    pub(crate) admin: AdminConfig,
    /// What is logged.
    pub(crate) log: LogConfig,
}
