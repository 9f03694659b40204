//! What one connection of the swarm is to do.

use std::sync::Arc;
use std::time::Duration;

use corecast_wire::InflatePool;

/// What to connect to and how to behave there.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The request's target, such as `/ws/quote.BTCUSDT`.
    pub target: String,
    /// The Host header; the server's address when absent.
    pub host: Option<String>,
    /// Subprotocols to offer, of which the server may choose one.
    pub protocols: Vec<String>,
    /// Further header fields of the request.
    pub headers: Vec<(String, String)>,
    /// Offers permessage-deflate, and must be granted it: what inflaters it has.
    pub deflate: Option<Arc<InflatePool>>,
    /// What happens to the messages that arrive.
    pub role: Role,
    /// `SO_RCVBUF` in bytes (the kernel doubles it); the kernel's default when absent.
    pub receive_buffer_bytes: Option<usize>,
    /// Stop after this many bytes of the request: the handshake never ends.
    pub request_bytes_max: Option<usize>,
}

/// How a connection treats what it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads whatever there is, at once.
    Reader,
    /// Never reads.
    Stalled,
    /// Reads at most this many bytes, this often.
    Trickle {
        /// Bytes per read.
        bytes: usize,
        /// Time between two reads.
        every: Duration,
    },
}

/// The receive buffer of a stalled connection: small, so that its backlog is the server's.
const STALLED_RECEIVE_BUFFER_BYTES: usize = 4096;

impl Plan {
    /// A connection that reads everything.
    pub fn reader(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            host: None,
            protocols: Vec::new(),
            headers: Vec::new(),
            deflate: None,
            role: Role::Reader,
            receive_buffer_bytes: None,
            request_bytes_max: None,
        }
    }

    /// A connection that never reads, with a receive buffer of a few KiB.
    pub fn stalled(target: impl Into<String>) -> Self {
        Self {
            role: Role::Stalled,
            receive_buffer_bytes: Some(STALLED_RECEIVE_BUFFER_BYTES),
            ..Self::reader(target)
        }
    }

    /// A connection that reads `bytes` each time `every` has passed.
    pub fn trickle(target: impl Into<String>, bytes: usize, every: Duration) -> Self {
        Self { role: Role::Trickle { bytes, every }, ..Self::stalled(target) }
    }

    /// A handshake that stops after `bytes` of the request.
    pub fn half_handshake(target: impl Into<String>, bytes: usize) -> Self {
        Self { request_bytes_max: Some(bytes), ..Self::reader(target) }
    }
}
