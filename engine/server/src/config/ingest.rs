//! `[ingest]`: where publishers of other processes connect.

use super::{limits, text};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The framed ways in, over TCP and a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IngestConfig {
    /// Address and port for publishers over TCP. In the file `""`: none.
    #[serde(with = "text::address")]
    pub(crate) tcp: Option<SocketAddr>,
    /// Path of the Unix socket for publishers. In the file `""`: none.
    #[serde(with = "text::path")]
    pub(crate) unix: Option<PathBuf>,
    /// The file with the tokens that publishers must show. In the file `""`: none is asked for.
    #[serde(with = "text::file")]
    pub(crate) token_file: Option<PathBuf>,
    /// Publishers connected at a time, at most.
    pub(crate) publishers_max: u32,
    /// Bytes of one record at most; a longer one ends the connection.
    pub(crate) record_bytes_max: usize,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            tcp: None,
            unix: None,
            token_file: None,
            publishers_max: limits::PUBLISHERS_MAX,
            record_bytes_max: limits::RECORD_BYTES_MAX,
        }
    }
}
