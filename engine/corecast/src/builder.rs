//! The builder: the configuration struct, with a method for each thing that is often set.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use corecast_hub::{Codec, Namespace, Policy, RawCodec};
use corecast_shard::config::{
    CompressionConfig, ConnectionConfig, FlushConfig, MeshConfig, OutboxConfig, PolicyRule,
    PollConfig, SocketConfig, TlsConfig, TopicConfig,
};
use corecast_shard::{Backend, Config, Handler, Heritage, PageError, Pages, ShardId, StartError};

/// A running engine. It ends when it is dropped; see [`shutdown`](corecast_shard::Engine::shutdown)
/// for an end in order.
#[derive(Debug)]
pub struct Engine(corecast_shard::Engine);

impl Engine {
    /// A builder with the defaults: 127.0.0.1:9001, one shard for each CPU that the process may
    /// use.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Deref for Engine {
    type Target = corecast_shard::Engine;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Collects the settings of an engine, and starts it.
#[derive(Debug)]
pub struct Builder {
    config: Config,
    pages: Pages,
    codec: Arc<dyn Codec>,
    heritage: Heritage,
}

impl Default for Builder {
    fn default() -> Self {
        let (config, pages) = (Config::default(), Pages::default());
        Self { config, pages, codec: Arc::new(RawCodec), heritage: Heritage::default() }
    }
}

impl Builder {
    /// Takes all settings from a configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Address and port to listen on; port 0 lets the kernel choose one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.config.listen = address;
        self
    }

    /// Number of shards, each a thread on a core of its own. 0: one for each CPU that the process
    /// may use.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.config.shards = shards;
        self
    }

    /// The CPUs for the shards, in turn.
    #[must_use]
    pub fn cpus(mut self, cpus: impl IntoIterator<Item = usize>) -> Self {
        self.config.cpus = cpus.into_iter().collect();
        self
    }

    /// How frames reach the sockets.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.config.backend = backend;
        self
    }

    /// The policy of all topics that match a pattern (`*` one token, `>` the rest). The first that
    /// matches holds.
    #[must_use]
    pub fn policy(mut self, pattern: impl Into<String>, policy: Policy) -> Self {
        self.config.policies.push(PolicyRule { pattern: pattern.into(), policy });
        self
    }

    /// What holds for the topics of a feed with this first token.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.config.namespaces.push(namespace);
        self
    }

    /// Bounds of each socket's queue, in bytes, frames and age.
    #[must_use]
    pub fn outbox(mut self, outbox: OutboxConfig) -> Self {
        self.config.outbox = outbox;
        self
    }

    /// Bounds of each connection.
    #[must_use]
    pub fn connection(mut self, connection: ConnectionConfig) -> Self {
        self.config.connection = connection;
        self
    }

    /// Longest message that a peer may send, in bytes of payload over all fragments.
    #[must_use]
    pub fn message_bytes_max(mut self, bytes: usize) -> Self {
        self.config.connection.message_bytes_max = bytes;
        self
    }

    /// A peer that was silent that long is pinged. Zero: never.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.config.connection.ping_interval_ms = millis(interval);
        self
    }

    /// Bounds on topics.
    #[must_use]
    pub fn topics(mut self, topics: TopicConfig) -> Self {
        self.config.topics = topics;
        self
    }

    /// Socket options.
    #[must_use]
    pub fn socket(mut self, socket: SocketConfig) -> Self {
        self.config.socket = socket;
        self
    }

    /// Bounds on what is published and not yet queued.
    #[must_use]
    pub fn mesh(mut self, mesh: MeshConfig) -> Self {
        self.config.mesh = mesh;
        self
    }

    /// Tuning of the flusher.
    #[must_use]
    pub fn flush(mut self, flush: FlushConfig) -> Self {
        self.config.flush = flush;
        self
    }

    /// Tuning of the wait for what happens next.
    #[must_use]
    pub fn poll(mut self, poll: PollConfig) -> Self {
        self.config.poll = poll;
        self
    }

    /// Compression of messages, for clients that offer it.
    #[must_use]
    pub fn compression(mut self, compression: CompressionConfig) -> Self {
        self.config.compression = compression;
        self
    }

    /// TLS, by its certificates.
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.config.tls = tls;
        self
    }

    /// How the feed's frames look. By default they are the publishers' bytes, and notices are small
    /// JSON texts ([`RawCodec`]).
    #[must_use]
    pub fn codec(mut self, codec: impl Codec) -> Self {
        self.codec = Arc::new(codec);
        self
    }

    /// What another process leaves to this engine: listeners and topics. The listeners are held
    /// until [`hold_listeners(false)`](corecast_shard::Engine::hold_listeners): nobody is accepted
    /// before.
    #[must_use]
    pub fn heritage(mut self, heritage: Heritage) -> Self {
        self.heritage = heritage;
        self
    }

    /// Answers plain GETs of `path` with `body`, encoded once at the start. `/healthz` is built in.
    ///
    /// # Errors
    /// When the path does not begin with a slash, the content type is no header value, or the table
    /// is full.
    pub fn page(
        mut self,
        path: &str,
        content_type: &str,
        body: impl AsRef<[u8]>,
    ) -> Result<Self, PageError> {
        self.pages.add(path, content_type, body.as_ref())?;
        Ok(self)
    }

    /// Says which paths are WebSocket paths: a plain GET there is answered 426, elsewhere 404. By
    /// default every path but `/` is one.
    #[must_use]
    pub fn socket_path(
        mut self,
        is_socket_path: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.pages.socket_path(is_socket_path);
        self
    }

    /// Starts the engine. Each shard gets a handler of its own from `factory`, made on its thread.
    ///
    /// # Errors
    /// [`StartError`] when a setting is out of bounds, the machine lacks something, or the address
    /// cannot be listened on. Nothing is left running then.
    pub fn spawn<H: Handler>(
        self,
        factory: impl Fn(ShardId) -> H + Send + Sync + 'static,
    ) -> Result<Engine, StartError> {
        let Self { config, pages, codec, heritage } = self;
        corecast_shard::Engine::succeed(heritage, config, &pages, codec, factory).map(Engine)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
