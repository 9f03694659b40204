//! `[admin]`: the port for operators, with `POST /publish`.

use super::{limits, text};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The port for operators. Without tokens it asks nobody who he is: keep it on loopback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdminConfig {
    /// Address and port. In the file `""`: none.
    #[serde(with = "text::address")]
    pub(crate) listen: Option<SocketAddr>,
    /// The file with the tokens that requests must show. In the file `""`: none is asked for.
    #[serde(with = "text::file")]
    pub(crate) token_file: Option<PathBuf>,
    /// Bytes of one request's body at most; more is answered 413.
    pub(crate) body_bytes_max: usize,
    /// Messages of one `POST /publish/batch` at most; more is answered 413.
    pub(crate) batch_max: usize,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: None,
            token_file: None,
            body_bytes_max: limits::BODY_BYTES_MAX,
            batch_max: limits::BATCH_MAX,
        }
    }
}
