//! Everything that can be set, in one struct: the builder's, and the configuration file's.

mod bounds;
mod edge;
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use corecast_hub::session::SessionConfig;
use corecast_hub::{Namespace, OutboxLimits, Policy};
use serde::{Deserialize, Serialize};

use crate::limits;

pub use bounds::Bound;
pub use edge::{AddressConfig, Over, ProxyConfig, ProxyHeader, ProxyProtocol, UserConfig};
pub use tls::{CertificateConfig, TlsConfig, TlsVersion};

/// Settings of an engine. The defaults work; every field has a unit in its name and a bound among
/// [`Config::bounds`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on. Port 0 lets the kernel choose one.
    pub listen: SocketAddr,
    /// Shards, each a thread on a core of its own. 0: one for each CPU that this process may use.
    pub shards: usize,
    /// CPUs for the shards, by their number in `/proc/cpuinfo`. Empty: the process's own affinity
    /// list.
    pub cpus: Vec<usize>,
    /// How frames reach the sockets.
    pub backend: Backend,
    /// Policies by topic pattern; the first that matches holds. None matches: `lossless`.
    pub policies: Vec<PolicyRule>,
    /// What holds for the topics of a feed, by their first token. None at all: no topic is known
    /// to a feed.
    pub namespaces: Vec<Namespace>,
    /// Bounds of one socket's queue.
    pub outbox: OutboxConfig,
    /// Bounds of one connection.
    pub connection: ConnectionConfig,
    /// Bounds of one address.
    pub address: AddressConfig,
    /// Bounds of one user.
    pub user: UserConfig,
    /// Whose word on a client's address is believed.
    pub proxy: ProxyConfig,
    /// Bounds on topics.
    pub topics: TopicConfig,
    /// Socket options.
    pub socket: SocketConfig,
    /// Bounds on what is published and not yet queued.
    pub mesh: MeshConfig,
    /// Tuning of the flusher.
    pub flush: FlushConfig,
    /// Tuning of the wait for what happens next.
    pub poll: PollConfig,
    /// Compression of messages.
    pub compression: CompressionConfig,
    /// TLS (`wss://`).
    pub tls: TlsConfig,
}

/// How frames reach the sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// One `io_uring_enter` for many sockets. Where the ring cannot be made, `Sendmsg` takes over.
    #[default]
    Ring,
    /// One `sendmsg` for each socket: the fallback, and the yardstick.
    Sendmsg,
}

/// The policy of all topics that match a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRule {
    /// Dot-separated tokens; `*` stands for one token, `>` for the rest.
    pub pattern: String,
    /// What a backlog does.
    pub policy: Policy,
}

/// Bounds of one socket's queue of frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboxConfig {
    /// Bytes queued at most.
    pub bytes_max: usize,
    /// Frames queued at most.
    pub frames_max: u32,
    /// Age of a queued frame at most, in milliseconds; then its policy applies.
    pub age_max_ms: u64,
    /// Time in which a socket with a backlog must accept a byte, in milliseconds; else it is
    /// closed.
    pub stall_max_ms: u64,
}

/// Bounds of one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionConfig {
    /// Connections of one shard at most. One more is answered 503.
    pub connections_max: u32,
    /// Payload bytes of one incoming message at most; more is closed with 1009.
    pub message_bytes_max: usize,
    /// Fragments of one incoming message at most; more is closed with 1008.
    pub message_parts_max: u32,
    /// Control frames of one connection in a second at most; more is closed with 1008.
    pub control_frames_per_second_max: u32,
    /// Messages of one connection in a second, on average. 0: any number.
    pub messages_per_second_max: u32,
    /// Messages of one connection at once, after a silence.
    pub messages_burst: u32,
    /// Bytes of one connection in a second, on average, frame headers included, of what was
    /// compressed those that it stands for. 0: any number.
    pub bytes_per_second_max: u32,
    /// Bytes of one connection at once, after a silence.
    pub bytes_burst: u32,
    /// What becomes of a connection that sends more messages or bytes.
    pub over: Over,
    /// Time for the whole opening handshake, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// Time for a message to arrive whole, in milliseconds; longer is closed with 1008.
    pub message_timeout_ms: u64,
    /// A connection that was silent that long is pinged, in milliseconds. 0: never.
    pub ping_interval_ms: u64,
    /// Time for the answer to a ping, in milliseconds.
    pub pong_timeout_ms: u64,
    /// A connection whose peer sent no message that long is closed, in milliseconds. 0: never.
    pub idle_timeout_ms: u64,
    /// Time for the closing handshake, in milliseconds.
    pub close_timeout_ms: u64,
}

/// Bounds on topics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicConfig {
    /// Bytes of a topic's name at most.
    pub topic_bytes_max: usize,
    /// Topics of one shard at most.
    pub topics_max: usize,
    /// Subscriptions of one connection at most.
    pub subscriptions_max: usize,
}

/// Socket options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SocketConfig {
    /// `SO_SNDBUF` in bytes. 0: the kernel's own tuning.
    pub send_buffer_bytes: usize,
    /// `TCP_NOTSENT_LOWAT` in bytes: a backlog waits in the outbox, where policy sees it. 0: off.
    pub notsent_lowat_bytes: u32,
    /// Length of the accept queue. 0: `net.core.somaxconn`.
    pub backlog: u32,
}

/// Bounds on what is published and not yet queued on every shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeshConfig {
    /// Publications pending at most; one more is refused with `Full`.
    pub pending_publishes_max: usize,
    /// Bytes of pending publications at most.
    pub pending_bytes_max: usize,
}

/// Tuning of the flusher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlushConfig {
    /// Sockets that one submission serves, 1 to 4,096.
    pub batch_max: usize,
    /// Up to so many sockets are written to directly.
    pub direct_max: usize,
    /// How long frames may pile up before they are written, in microseconds, at most 100,000:
    /// later, but many in one write. 0: not at all.
    pub window_us: u64,
    /// Whether the window is kept only while writing takes more than half of the shard's time.
    pub window_under_load: bool,
}

/// Tuning of the wait for what happens next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PollConfig {
    /// How long a shard asks again and again before it sleeps, in microseconds, at most 1,000,000:
    /// it answers sooner, and its CPU is busy meanwhile. 0: not at all.
    pub spin_us: u64,
    /// Whether it does so before every sleep, and not only where the waits before were short.
    pub spin_always: bool,
}

/// Compression of messages (permessage-deflate, RFC 7692), for clients that offer it.
///
/// What goes out is compressed once and shared by all that get it, without a context from one
/// message to the next. Do not compress what holds a secret beside what a stranger may choose: the
/// length tells (CRIME, BREACH).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompressionConfig {
    /// Whether it is agreed to.
    pub enabled: bool,
    /// What is compressed, where a namespace does not say.
    pub what: CompressWhat,
    /// From 1, the fastest, to 9.
    pub level: u8,
    /// Frames that are shorter are sent as they are, in bytes.
    pub threshold_bytes: usize,
    /// Whether a client's messages may refer back to those before them: shorter, but the
    /// connection keeps an inflater from its first message on.
    pub client_context: bool,
    /// Inflaters of one shard that are kept from one read to the next at most, each 42 KiB. Beyond
    /// them no client keeps a context, and a fragmented message waits compressed.
    pub inflaters_max: u32,
}

/// What is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CompressWhat {
    /// Messages of conflated variants, and snapshots.
    #[default]
    Batches,
    /// Every message, replies included.
    All,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9001)),
            shards: 0,
            cpus: Vec::new(),
            backend: Backend::Ring,
            policies: Vec::new(),
            namespaces: Vec::new(),
            outbox: OutboxConfig::default(),
            connection: ConnectionConfig::default(),
            address: AddressConfig::default(),
            user: UserConfig::default(),
            proxy: ProxyConfig::default(),
            topics: TopicConfig::default(),
            socket: SocketConfig::default(),
            mesh: MeshConfig::default(),
            flush: FlushConfig::default(),
            poll: PollConfig::default(),
            compression: CompressionConfig::default(),
            tls: TlsConfig::default(),
        }
    }
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            bytes_max: corecast_hub::limits::OUTBOX_BYTES_MAX,
            frames_max: corecast_hub::limits::OUTBOX_FRAMES_MAX,
            age_max_ms: 30_000,
            stall_max_ms: 10_000,
        }
    }
}

impl OutboxConfig {
    pub(crate) fn limits(&self) -> OutboxLimits {
        OutboxLimits {
            bytes_max: self.bytes_max,
            frames_max: self.frames_max,
            age_max: Duration::from_millis(self.age_max_ms),
            stall_max: Duration::from_millis(self.stall_max_ms),
        }
    }
}

impl ConnectionConfig {
    pub(crate) fn sessions(&self) -> SessionConfig {
        SessionConfig {
            handshake_timeout: Duration::from_millis(self.handshake_timeout_ms),
            message_timeout: Duration::from_millis(self.message_timeout_ms),
            ping_interval: Duration::from_millis(self.ping_interval_ms),
            pong_timeout: Duration::from_millis(self.pong_timeout_ms),
            idle_timeout: Duration::from_millis(self.idle_timeout_ms),
            close_timeout: Duration::from_millis(self.close_timeout_ms),
            drain_timeout: limits::DRAIN_TIMEOUT,
            control_frames_per_second_max: self.control_frames_per_second_max,
        }
    }
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            connections_max: limits::CONNECTIONS_MAX,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            message_parts_max: limits::MESSAGE_PARTS_MAX,
            control_frames_per_second_max: limits::CONTROL_FRAMES_PER_SECOND_MAX,
            messages_per_second_max: 0,
            messages_burst: 50,
            bytes_per_second_max: 0,
            bytes_burst: limits::BYTES_BURST,
            over: Over::Close,
            handshake_timeout_ms: 5_000,
            message_timeout_ms: 30_000,
            ping_interval_ms: 20_000,
            pong_timeout_ms: 20_000,
            idle_timeout_ms: 0,
            close_timeout_ms: 5_000,
        }
    }
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            topic_bytes_max: corecast_hub::limits::TOPIC_BYTES_MAX,
            topics_max: corecast_hub::limits::TOPICS_MAX,
            subscriptions_max: corecast_hub::limits::SUBSCRIPTIONS_MAX,
        }
    }
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            send_buffer_bytes: limits::SEND_BUFFER_BYTES,
            notsent_lowat_bytes: limits::NOTSENT_LOWAT_BYTES,
            backlog: 0,
        }
    }
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            pending_publishes_max: limits::PENDING_PUBLISHES_MAX,
            pending_bytes_max: limits::PENDING_BYTES_MAX,
        }
    }
}

impl Default for FlushConfig {
    fn default() -> Self {
        Self {
            batch_max: limits::FLUSH_BATCH_MAX,
            direct_max: limits::FLUSH_DIRECT_MAX,
            window_us: 0,
            window_under_load: true,
        }
    }
}

impl Default for CompressionConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            what: CompressWhat::Batches,
            level: limits::COMPRESSION_LEVEL,
            threshold_bytes: limits::COMPRESSION_THRESHOLD_BYTES,
            client_context: false,
            inflaters_max: limits::INFLATERS_MAX,
        }
    }
}

impl Default for PollConfig {
    fn default() -> Self {
        Self { spin_us: limits::SPIN_US, spin_always: false }
    }
}
