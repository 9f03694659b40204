//! The thread of a shard: pinned, with an executor of its own, and with a last word in any case.

use std::any::Any;
use std::net::Shutdown;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use corecast_hub::node::Node;
use corecast_hub::{Codec, Hub, HubConfig, Namespaces};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use crate::budget::Budgets;
use crate::clock::Clock;
use crate::compression::Compression;
use crate::config::Config;
use crate::door::{Listener, Spare};
use crate::edge::Edge;
use crate::engine::Outcome;
use crate::error::{ShardPanic, StartError};
use crate::handler::Handler;
use crate::heritage::{Ground, Share};
use crate::leave::{Leave, Order};
use crate::mesh::{Mailbox, Mesh};
use crate::pages::Pages;
use crate::shard::Shard;
use crate::stats::ShardStats;
use crate::tls::{Desk, TlsSettings};
use crate::watch::Watch;
use crate::{ShardId, life, setup, socket};

/// Entries of the executor's rings. No socket waits on them.
const RING_DEPTH: usize = 1_024;

/// No task of ours is to be preempted. And where glommio 0.9 finds its timer fired before it ran
/// the first task, it goes to sleep over tasks that can run, until something on its rings wakes it:
/// nothing of ours is there.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// How long the shard's other threads get to drain when one has panicked.
const DRAIN_AFTER_PANIC: Duration = Duration::from_secs(5);

/// What a shard's thread starts from.
pub(crate) struct Seed {
    pub(crate) id: ShardId,
    pub(crate) cpu: usize,
    pub(crate) listeners: Vec<Listener>,
    /// What TLS handshakes start from, where there are any.
    pub(crate) tls: Option<Arc<TlsSettings>>,
    pub(crate) mailbox: Mailbox,
    pub(crate) share: Share,
    pub(crate) config: Arc<Config>,
    pub(crate) pages: Pages,
    pub(crate) clock: Clock,
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) stats: Arc<ShardStats>,
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) feed: FeedSeed,
    pub(crate) budgets: Arc<Budgets>,
}

/// What all nodes of an engine share.
#[derive(Clone)]
pub(crate) struct FeedSeed {
    pub(crate) codec: Arc<dyn Codec>,
    pub(crate) namespaces: Arc<Namespaces>,
    pub(crate) epoch: u64,
    pub(crate) generation: u32,
}

pub(crate) type Started = Sender<Result<(), StartError>>;

/// Starts the thread. It reports once: that it runs, or why it does not.
pub(crate) fn spawn<H: Handler, F>(
    seed: Seed,
    factory: Arc<F>,
    started: Started,
) -> Result<JoinHandle<()>, StartError>
where
    F: Fn(ShardId) -> H + Send + Sync + 'static,
{
    let id = seed.id;
    std::thread::Builder::new()
        .name(format!("corecast-{}", id.0))
        .spawn(move || run(seed, &*factory, started))
        .map_err(|error| StartError::Shard { shard: id, problem: error.to_string() })
}

fn run<H: Handler>(seed: Seed, factory: &dyn Fn(ShardId) -> H, started: Started) {
    let (id, clock) = (seed.id, seed.clock);
    let (mesh, outcome) = (Arc::clone(&seed.mesh), Arc::clone(&seed.outcome));
    mask_sigpipe();
    // The kernel wakes others up to 50 µs late, which is as long as a flush window.
    let _ = rustix::thread::set_current_timer_slack(Some(NonZeroU64::MIN));
    let made = catch_unwind(AssertUnwindSafe(|| make(seed, factory)));
    let problem = match made {
        Ok(Ok(made)) => {
            let panic = made.run(&mesh, &outcome, started).map(|message| {
                tracing::error!(shard = id.0, message, "a shard panicked: draining the others");
                mesh.leave(&Order::new(Leave::within(DRAIN_AFTER_PANIC), clock.now()));
                ShardPanic { shard: id, message }
            });
            return outcome.shard_ended(panic);
        }
        Ok(Err(problem)) => problem,
        Err(panic) => format!("panicked at its start: {}", message_of(&*panic)),
    };
    let _ = started.send(Err(StartError::Shard { shard: id, problem }));
    outcome.shard_ended(None);
}

/// What a shard runs with.
struct Made<H: Handler> {
    executor: LocalExecutor,
    shard: Rc<Shard<H>>,
    listeners: Vec<Listener>,
    mailbox: Mailbox,
}

impl<H: Handler> Made<H> {
    /// Runs the shard to its end. Returns the message of the panic that ended it, if one did.
    fn run(self, mesh: &Mesh, outcome: &Outcome, started: Started) -> Option<String> {
        let Self { executor, shard, listeners, mailbox } = self;
        let spare = Spare::of(&listeners);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            executor.run(life::live(Rc::clone(&shard), listeners, mailbox, started));
        }));
        // Another process may have them.
        if !mesh.listeners_held.load(Ordering::SeqCst) {
            spare.end();
        }
        mesh.close_inbox(shard.id);
        outcome.note_left(shard.departure.left());
        match ran {
            Ok(()) => {
                // What the embedder keeps in its handler may panic when it is dropped.
                let ended = catch_unwind(AssertUnwindSafe(|| drop((shard, executor))));
                ended.err().map(|panic| message_of(&*panic))
            }
            Err(panic) => {
                disconnect_all(&shard);
                // Torn state: neither is dropped.
                std::mem::forget((shard, executor));
                Some(message_of(&*panic))
            }
        }
    }
}

/// A write to a connection that the peer has reset must be an error, also in a process that has
/// given SIGPIPE its default back, which ends it.
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "three calls on one set are one step")]
fn mask_sigpipe() {
    // SAFETY: the set lives on this stack frame and is initialised by sigemptyset before it is
    // read; the mask is that of this thread, which is ours.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

fn make<H: Handler>(seed: Seed, factory: &dyn Fn(ShardId) -> H) -> Result<Made<H>, String> {
    let executor = LocalExecutorBuilder::new(Placement::Fixed(seed.cpu))
        .io_memory(0)
        .ring_depth(RING_DEPTH)
        .preempt_timer(NEVER)
        .make()
        .map_err(|error| error.to_string())?;
    let topics = &seed.config.topics;
    let hub = Hub::new(HubConfig {
        rules: setup::rules(&seed.config).map_err(|error| error.to_string())?,
        outbox: seed.config.outbox.limits(),
        topic_bytes_max: topics.topic_bytes_max,
        topics_max: topics.topics_max,
        subscriptions_max: topics.subscriptions_max,
        codec: Arc::clone(&seed.feed.codec),
        namespaces: Arc::clone(&seed.feed.namespaces),
    });
    let FeedSeed { codec, namespaces, epoch, generation } = seed.feed;
    let shards = u16::try_from(seed.mesh.inboxes.len()).map_err(|error| error.to_string())?;
    let compression = Compression::new(&seed.config.compression);
    let ground = Ground {
        config: &seed.config,
        shards,
        codec: &codec,
        namespaces: &namespaces,
        epoch,
        generation,
        clock: seed.clock,
    };
    let home = ground.home_with(seed.id.0, seed.share).map_err(|error| error.to_string())?;
    let home = home.press(compression.press.clone());
    let node = Node::new(seed.id.0, shards, home, namespaces);
    let inbox = &seed.mesh.inboxes[usize::from(seed.id.0)];
    let watch = Watch::new(inbox).map_err(|error| error.to_string())?;
    let handler = factory(seed.id);
    let edge = Edge::new(&seed.config, seed.budgets, Arc::clone(&seed.stats));
    let tls = seed.tls.map(|settings| Rc::new(Desk::new(&seed.config.tls, settings)));
    let shard = Shard::new(
        seed.id,
        seed.config,
        seed.pages,
        seed.clock,
        seed.mesh,
        seed.stats,
        edge,
        hub,
        node,
        epoch,
        handler,
        watch,
        compression,
        tls,
    );
    let (listeners, mailbox) = (seed.listeners, seed.mailbox);
    Ok(Made { executor, shard: Rc::new(shard), listeners, mailbox })
}

/// A shard that died lets its peers know by ending their connections.
fn disconnect_all<H: Handler>(shard: &Shard<H>) {
    if let Ok(slots) = shard.slots.try_borrow() {
        for slot in slots.iter().flatten() {
            socket::shut(slot.stream.raw(), Shutdown::Both);
        }
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
