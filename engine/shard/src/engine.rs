//! Starts the shards, supervises them, and ends them in order.

use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use corecast_hub::{Codec, Namespaces, Timestamp};

use crate::budget::Budgets;
use crate::clock::Clock;
use crate::config::{Config, SocketConfig, TlsConfig};
use crate::door::{self, Addresses};
use crate::edge::Limits;
use crate::error::{ShardPanic, StartError};
use crate::handler::Handler;
use crate::heritage::{Ground, Heritage};
use crate::leave::{Leave, Left, Order};
use crate::limits::MESH_OWN_JOBS_MAX;
use crate::lock::Lock;
use crate::mesh::admission::Admission;
use crate::mesh::{Inbox, Job, Mailbox, Mesh, mailbox};
use crate::pages::Pages;
use crate::publisher::Publisher;
use crate::stats::{Reader, ShardStats, Stats};
use crate::thread::{self, FeedSeed, Seed};
use crate::tls::{TlsError, TlsSettings};
use crate::versions::Versions;
use crate::waiters::Waiters;
use crate::{ShardId, setup};

/// Places in an inbox beyond what the admission lets in: for orders of the engine itself.
const INBOX_SPARE: usize = 16;

/// A running engine: its shards' threads, and the handles to them. Dropping it shuts it down within
/// half a second and blocks until it has ended, or on a shard's own thread only begins to.
#[derive(Debug)]
pub struct Engine {
    pub(crate) addresses: Addresses,
    /// The settings of TLS, as they are now.
    tls: Lock<Option<Arc<TlsSettings>>>,
    pub(crate) mesh: Arc<Mesh>,
    clock: Clock,
    topic_bytes_max: usize,
    namespaces: Versions<Namespaces>,
    epoch: u64,
    generation: u32,
    /// Copies, for who takes over.
    pub(crate) listeners: Vec<(OwnedFd, bool)>,
    /// Those that join the group of another process once they are let go of.
    pub(crate) joining: Lock<Vec<OwnedFd>>,
    pub(crate) socket: SocketConfig,
    stats: Box<[Arc<ShardStats>]>,
    reader: Lock<Reader>,
    outcome: Arc<Outcome>,
    threads: Lock<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Starts an engine; each shard's handler is made by `factory`, on the shard.
    ///
    /// # Errors
    /// [`StartError`] when a setting is out of bounds, the machine lacks something, or the address
    /// cannot be listened on. Nothing is left running then.
    pub fn start<H: Handler>(
        config: Config,
        pages: &Pages,
        codec: Arc<dyn Codec>,
        factory: impl Fn(ShardId) -> H + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        Self::succeed(Heritage::default(), config, pages, codec, factory)
    }

    /// Starts an engine that goes on where one of another process has stopped.
    ///
    /// # Errors
    /// As [`start`](Self::start), and [`StartError::Heritage`] when a topic cannot go on. Nothing
    /// has happened to the other's sockets then.
    ///
    /// Listeners that are inherited are held: nobody is accepted, and whatever happens here, they
    /// stay open for the other process, until [`hold_listeners(false)`](Self::hold_listeners).
    pub fn succeed<H: Handler>(
        heritage: Heritage,
        config: Config,
        pages: &Pages,
        codec: Arc<dyn Codec>,
        factory: impl Fn(ShardId) -> H + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let Heritage { listeners, tls_listeners, estate } = heritage;
        setup::check(&config)?;
        let namespaces = Arc::new(Namespaces::new(config.namespaces.clone())?);
        let cpus = setup::cpus(&config)?;
        setup::check_machine(cpus.len())?;
        let tls = setup::tls(&config)?;
        let clock = estate.as_ref().map_or_else(Clock::start, |it| Clock::going_on(it.now));
        let (mesh, mailboxes) = connect_all(&config, cpus.len(), !listeners.is_empty())?;
        let stats: Box<[_]> = cpus.iter().map(|_| Arc::new(ShardStats::default())).collect();
        let outcome = Arc::new(Outcome::new(cpus.len(), Arc::clone(&mesh.admission)));
        let config = &Arc::new(config);
        let epoch = estate.as_ref().map_or(clock.wall_ns().unsigned_abs(), |it| it.epoch);
        let shards = setup::shard_id(cpus.len() - 1).0 + 1;
        let namespaces = &namespaces;
        let generation = estate.as_ref().map_or(0, |it| it.generation.saturating_add(1));
        let ground = Ground { config, shards, codec: &codec, namespaces, epoch, generation, clock };
        let shares = ground.shares(estate, |topic| mesh.home(topic))?;
        let (addresses, listeners) = door::open(config, cpus.len(), listeners, tls_listeners)?;
        let feed = FeedSeed { codec, namespaces: Arc::clone(namespaces), epoch, generation };
        let all = || listeners.iter().flatten();
        let engine = Self {
            addresses,
            tls: Lock::new(tls.clone()),
            mesh: Arc::clone(&mesh),
            clock,
            topic_bytes_max: config.topics.topic_bytes_max,
            namespaces: Versions::new(Arc::clone(namespaces)),
            epoch,
            generation,
            listeners: all().flat_map(door::Listener::copies).collect(),
            joining: Lock::new(all().flat_map(door::Listener::joining).collect()),
            socket: config.socket.clone(),
            stats: stats.clone(),
            reader: Lock::new(Reader::new()),
            outcome: Arc::clone(&outcome),
            threads: Lock::default(),
        };
        let budgets = Arc::new(Budgets::default());
        let parts = cpus.iter().zip(listeners).zip(mailboxes).zip(&stats).zip(shares).enumerate();
        let seeds = parts.map(|(index, ((((&cpu, listeners), mailbox), stats), share))| Seed {
            id: setup::shard_id(index),
            cpu,
            listeners,
            tls: tls.clone(),
            mailbox,
            share,
            config: Arc::clone(config),
            pages: pages.clone(),
            clock,
            mesh: Arc::clone(&mesh),
            stats: Arc::clone(stats),
            outcome: Arc::clone(&outcome),
            feed: feed.clone(),
            budgets: Arc::clone(&budgets),
        });
        engine.spawn(seeds, &Arc::new(factory))?;
        Ok(engine)
    }

    /// Starts the shards' threads.
    fn spawn<H: Handler>(
        &self,
        seeds: impl Iterator<Item = Seed>,
        factory: &Arc<impl Fn(ShardId) -> H + Send + Sync + 'static>,
    ) -> Result<(), StartError> {
        let (report, started) = std::sync::mpsc::channel();
        for (index, seed) in seeds.enumerate() {
            let spawned = thread::spawn(seed, Arc::clone(factory), report.clone());
            // Those that run already end with the engine; the rest will never have run.
            let never_run = index..self.shards();
            let thread =
                spawned.inspect_err(|_| never_run.for_each(|_| self.outcome.shard_ended(None)))?;
            self.threads.lock().push(thread);
        }
        drop(report);
        // Each shard says that it runs, or why it does not: then the others end with the engine.
        started.into_iter().collect()
    }

    /// The address that is listened on, with the port that the kernel chose where 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addresses.listen
    }

    /// The address that speaks TLS, if any does: the same where only one is listened on.
    #[must_use]
    pub fn secure_addr(&self) -> Option<SocketAddr> {
        self.addresses.secure
    }

    /// Reads certificates, keys and authorities again, and takes them with all other settings of
    /// TLS that a handshake starts from. Connections that are there keep what they have.
    ///
    /// # Errors
    /// What is wrong with them: then nothing changes. Also where the engine speaks no TLS, which
    /// takes a listener and so a restart.
    pub fn set_tls(&self, config: &TlsConfig) -> Result<Vec<String>, TlsError> {
        let mut held = self.tls.lock();
        let Some(before) = held.as_ref().filter(|_| config.is_on()) else {
            let problem = "TLS is turned on and off by a restart".to_owned();
            return Err(TlsError::Setting { key: "tls.certificates".to_owned(), problem });
        };
        let settings = Arc::new(TlsSettings::load(config, Some(before))?);
        for inbox in &self.mesh.inboxes {
            inbox.post(Job::Tls(Arc::clone(&settings)));
        }
        let warnings = settings.warnings().to_vec();
        *held = Some(settings);
        Ok(warnings)
    }

    /// A handle that publishes from anywhere.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        Publisher {
            mesh: Arc::clone(&self.mesh),
            clock: self.clock,
            topic_bytes_max: self.topic_bytes_max,
            namespaces: self.namespaces.renewed(),
        }
    }

    /// The epoch: numbers of streams mean something only together with it. No two engines that
    /// are started at different times have the same.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How often the epoch has changed hands: 0 where it began here. Variants of a topic have
    /// numbers of their own in each of them.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The time, in nanoseconds since the start of this engine, or of the first one whose topics
    /// it goes on with.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Puts other namespaces in the place of those before. They hold for topics that are made from
    /// now on; a topic keeps those with which it was made.
    pub fn set_namespaces(&self, namespaces: Namespaces) {
        let namespaces = Arc::new(namespaces);
        self.namespaces.push(Arc::clone(&namespaces));
        for inbox in &self.mesh.inboxes {
            inbox.post(Job::Namespaces(Arc::clone(&namespaces)));
        }
    }

    /// Puts other bounds of addresses, users and connections, and other trust in proxies, in the
    /// place of those before. Who is in stays in.
    pub fn set_limits(&self, limits: Limits) {
        let limits = Arc::new(limits);
        for inbox in &self.mesh.inboxes {
            inbox.post(Job::Limits(Arc::clone(&limits)));
        }
    }

    /// The number of shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.stats.len()
    }

    /// How many rounds of its loop each shard has made, by its number: at least one a second, or
    /// something keeps it from going on.
    #[must_use]
    pub fn rounds(&self) -> Vec<u64> {
        self.stats.iter().map(|stats| stats.rounds.read()).collect()
    }

    /// Counters summed over the shards; the latency is of the time since the last call.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.reader.lock().read(self.stats.iter().map(|stats| &**stats))
    }

    /// Leaves in order: health checks are answered 503, handlers are told, who had begun to
    /// connect is still answered, and the Closes are spread over a time. Given again, the earlier
    /// ends hold. Works on any async runtime.
    ///
    /// # Errors
    /// When a shard had panicked.
    pub async fn leave(&self, leave: Leave) -> Result<Left, ShardPanic> {
        self.begin_leave(leave);
        self.ended().await?;
        Ok(self.outcome.left(self.clock.now()))
    }

    /// [`leave`](Self::leave) for a plain thread. Never call it on a shard.
    ///
    /// # Errors
    /// When a shard had panicked.
    pub fn leave_blocking(&self, leave: Leave) -> Result<Left, ShardPanic> {
        futures_lite::future::block_on(self.leave(leave))
    }

    /// Health checks (`/healthz`) are answered 503 from now on, or 200 again: so that nobody new is
    /// sent here. Everything else goes on.
    pub fn set_draining(&self, draining: bool) {
        self.mesh.draining.store(draining, Ordering::Relaxed);
    }

    /// Ends the engine in order: no new connections, what is queued still leaves, then Close 1001
    /// to each peer. What is not closed by the deadline is dropped. Works on any async runtime.
    ///
    /// # Errors
    /// When a shard had panicked.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), ShardPanic> {
        self.begin_leave(Leave::within(deadline));
        self.ended().await
    }

    /// [`shutdown`](Self::shutdown) for a plain thread. Never call it on a shard.
    ///
    /// # Errors
    /// When a shard had panicked.
    pub fn shutdown_blocking(&self, deadline: Duration) -> Result<(), ShardPanic> {
        futures_lite::future::block_on(self.shutdown(deadline))
    }

    /// Waits until the engine has ended: by `shutdown`, or because a shard panicked. Works on any
    /// async runtime.
    ///
    /// # Errors
    /// When a shard had panicked. The others were drained then.
    pub async fn ended(&self) -> Result<(), ShardPanic> {
        let result = self.outcome.ended().await;
        // All shards have said their last word: joining does not wait.
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
        result
    }

    /// [`ended`](Self::ended) for a plain thread. Never call it on a shard.
    ///
    /// # Errors
    /// When a shard had panicked.
    pub fn wait(&self) -> Result<(), ShardPanic> {
        futures_lite::future::block_on(self.ended())
    }

    /// Panics in the loop of a shard, to show what becomes of the others.
    #[cfg(feature = "fault-injection")]
    pub fn inject_panic(&self, shard: ShardId) {
        self.mesh.post(shard, Job::Panic);
    }

    /// Sets the wall clock of all engines of this process by so much, from what it is in truth.
    #[cfg(feature = "fault-injection")]
    pub fn inject_wall_clock(&self, set_by_ns: i64) {
        crate::clock::WALL_SET_BY_NS.store(set_by_ns, Ordering::SeqCst);
    }

    /// Lets the next so many writes of a shard find no memory for a packet (ENOBUFS).
    #[cfg(feature = "fault-injection")]
    pub fn inject_no_buffers(&self, shard: ShardId, writes: u32) {
        self.mesh.post(shard, Job::NoBuffers(writes));
    }

    /// Has each key of TLS 1.2 that is agreed from now on encrypted so many records already, in all
    /// engines of this process.
    #[cfg(feature = "fault-injection")]
    pub fn inject_tls_records(&self, records: u64) {
        crate::tls::RECORDS_SPENT.store(records, Ordering::SeqCst);
    }

    fn begin_leave(&self, leave: Leave) {
        let order = Order::new(leave, self.clock.now());
        self.set_draining(true);
        self.outcome.begun(order.begun);
        self.mesh.leave(&order);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let threads = self.threads.lock();
        if threads.is_empty() {
            return;
        }
        let this = std::thread::current().id();
        let on_a_shard = threads.iter().any(|thread| thread.thread().id() == this);
        drop(threads);
        let deadline = Duration::from_millis(500);
        if on_a_shard {
            // A shard cannot wait for its own end.
            self.begin_leave(Leave::within(deadline));
        } else {
            let _ = self.shutdown_blocking(deadline);
        }
    }
}

impl Mesh {
    /// Orders every shard to leave.
    pub(crate) fn leave(&self, order: &Arc<Order>) {
        for inbox in &self.inboxes {
            inbox.post(Job::Leave(Arc::clone(order)));
        }
    }
}

fn connect_all(
    config: &Config,
    shards: usize,
    listeners_held: bool,
) -> Result<(Arc<Mesh>, Vec<Mailbox>), StartError> {
    let capacity = config.mesh.pending_publishes_max + MESH_OWN_JOBS_MAX + INBOX_SPARE;
    let both = |index| {
        mailbox(capacity).map_err(|error| StartError::Shard {
            shard: setup::shard_id(index),
            problem: format!("no descriptor for its inbox: {error}"),
        })
    };
    let both = (0..shards).map(both).collect::<Result<Vec<_>, _>>()?;
    let (inboxes, mailboxes): (Vec<Inbox>, Vec<Mailbox>) = both.into_iter().unzip();
    let admission = Admission::new(config.mesh.clone(), &config.outbox);
    let (speakers, refusals, draining) = Default::default();
    let listeners_held = listeners_held.into();
    let inboxes = inboxes.into();
    Ok((
        Arc::new(Mesh { inboxes, admission, speakers, refusals, draining, listeners_held }),
        mailboxes,
    ))
}

/// What the shards' threads leave behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    ending: Lock<Ending>,
    waiters: Waiters,
    admission: Arc<Admission>,
}

#[derive(Debug)]
struct Ending {
    running: usize,
    panic: Option<ShardPanic>,
    begun: Option<Timestamp>,
    left: Left,
}

impl Outcome {
    fn new(running: usize, admission: Arc<Admission>) -> Self {
        let ending = Lock::new(Ending { running, panic: None, begun: None, left: Left::default() });
        Self { ending, waiters: Waiters::default(), admission }
    }

    /// A shard has ended; the first panic is kept. With the last one nobody waits any longer.
    pub(crate) fn shard_ended(&self, panic: Option<ShardPanic>) {
        let mut ending = self.ending.lock();
        ending.running -= 1;
        if ending.panic.is_none() {
            ending.panic = panic;
        }
        let last = ending.running == 0;
        drop(ending);
        if last {
            self.admission.stop();
            self.waiters.wake();
        }
    }

    /// What a shard's leave came to.
    pub(crate) fn note_left(&self, left: Left) {
        self.ending.lock().left.add(left);
    }

    fn begun(&self, at: Timestamp) {
        self.ending.lock().begun.get_or_insert(at);
    }

    fn left(&self, now: Timestamp) -> Left {
        let ending = self.ending.lock();
        Left { took: now.since(ending.begun.unwrap_or(now)), ..ending.left }
    }

    fn ended(&self) -> impl Future<Output = Result<(), ShardPanic>> + '_ {
        self.waiters.until(|| {
            let ending = self.ending.lock();
            (ending.running == 0).then(|| ending.panic.clone().map_or(Ok(()), Err))
        })
    }
}
