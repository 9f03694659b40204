//! Why an engine did not start, and how one ended.

use std::io;
use std::net::SocketAddr;

use corecast_tuning::Finding;

use crate::ShardId;

/// Why an engine did not start: one plain sentence each, with what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is out of its bounds.
    #[error("setting {name}: {problem}")]
    Setting {
        /// The setting's name, as in [`Config`](crate::Config).
        name: &'static str,
        /// What is wrong with it, and what it may be.
        problem: String,
    },
    /// A namespace is none.
    #[error(transparent)]
    Namespaces(#[from] corecast_hub::NamespaceError),
    /// The machine lacks something.
    #[error("{}", sentences(.0))]
    Machine(Vec<Finding>),
    /// TLS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] crate::TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", listen_advice(.source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A topic of another process cannot go on here.
    #[error("topic {topic} cannot be taken over: {source}")]
    Heritage {
        /// The topic.
        topic: Box<str>,
        /// Why not.
        source: corecast_hub::home::HeritageError,
    },
    /// A shard's executor cannot be made.
    #[error("shard {} cannot start: {problem}", .shard.0)]
    Shard {
        /// Which one.
        shard: ShardId,
        /// What it said.
        problem: String,
    },
}

impl StartError {
    /// The exit code that a program should end with, after sysexits.h: 69 unavailable, 78
    /// configuration.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Listen { .. } => 69,
            Self::Setting { .. }
            | Self::Namespaces(_)
            | Self::Machine(_)
            | Self::Tls(_)
            | Self::Heritage { .. }
            | Self::Shard { .. } => 78,
        }
    }
}

/// A shard's loop panicked: the engine drained the other shards and ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {} panicked: {message}", .shard.0)]
pub struct ShardPanic {
    /// Which one.
    pub shard: ShardId,
    /// The panic's message.
    pub message: String,
}

/// Why a publication was not taken. Nothing of it was delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// More is pending than [`MeshConfig`](crate::config::MeshConfig) allows: await `room`,
    /// `room_for` what is large, or `ready`, or drop it.
    #[error("too many publications are pending")]
    Full,
    /// The frame alone is larger than all that may be pending
    /// ([`MeshConfig::pending_bytes_max`](crate::config::MeshConfig::pending_bytes_max)): waiting
    /// for room would not help.
    #[error("a frame of {bytes} bytes is larger than the {bytes_max} that may be pending")]
    TooLarge {
        /// The frame's length, with the names that go with it.
        bytes: usize,
        /// What may be pending.
        bytes_max: usize,
    },
    /// The topic's name is no topic.
    #[error(transparent)]
    Topic(#[from] corecast_hub::TopicError),
    /// No namespace takes the update.
    #[error(transparent)]
    Update(#[from] corecast_hub::home::UpdateError),
    /// The engine has shut down.
    #[error("the engine has shut down")]
    Stopped,
}

fn sentences(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

fn listen_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            " (another program listens there: stop it, or choose another port)"
        }
        io::ErrorKind::AddrNotAvailable => " (no interface of this machine has that address)",
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one)"
        }
        _ => "",
    }
}
