//! The thread of a shard: pinned, with an executor of its own, and with a last word in any case.

use std::any::Any;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use corecast_hub::session::ClosedBy;
use corecast_hub::{Hub, HubConfig, Timestamp};
use corecast_wire::CloseCode;
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Outcome;
use crate::error::{ShardPanic, StartError};
use crate::flush::Flusher;
use crate::handler::Handler;
use crate::mesh::{Mailbox, Mesh};
use crate::pages::Pages;
use crate::shard::Shard;
use crate::stats::ShardStats;
use crate::{ShardId, accept, courier, pace, setup, socket, sweep};

/// Entries of the executor's rings: as many sockets may wait for readiness before it submits early.
const RING_DEPTH: usize = 1_024;

/// How long the shard's other threads get to drain when one has panicked.
const DRAIN_AFTER_PANIC: Duration = Duration::from_secs(5);

/// How long aborted tasks get to notice.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// What a shard's thread starts from.
pub(crate) struct Seed {
    pub(crate) id: ShardId,
    pub(crate) cpu: usize,
    pub(crate) listener: socket2::Socket,
    pub(crate) mailbox: Mailbox,
    pub(crate) config: Arc<Config>,
    pub(crate) pages: Pages,
    pub(crate) clock: Clock,
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) stats: Arc<ShardStats>,
    pub(crate) outcome: Arc<Outcome>,
}

type Started = Sender<Result<(), StartError>>;

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
    let outcome = Arc::clone(&seed.outcome);
    std::thread::Builder::new()
        .name(format!("corecast-{}", id.0))
        .spawn(move || run(seed, &*factory, started))
        .map_err(|error| {
            outcome.shard_ended(None);
            StartError::Shard { shard: id, problem: error.to_string() }
        })
}

fn run<H: Handler>(seed: Seed, factory: &dyn Fn(ShardId) -> H, started: Started) {
    let (id, clock) = (seed.id, seed.clock);
    let (mesh, outcome) = (Arc::clone(&seed.mesh), Arc::clone(&seed.outcome));
    let made = catch_unwind(AssertUnwindSafe(|| make(seed, factory)));
    let (executor, shard, listener, mailbox) = match made {
        Ok(Ok(made)) => made,
        Ok(Err(problem)) => {
            let _ = started.send(Err(StartError::Shard { shard: id, problem }));
            return outcome.shard_ended(None);
        }
        Err(panic) => {
            let problem = format!("panicked at its start: {}", message_of(&*panic));
            let _ = started.send(Err(StartError::Shard { shard: id, problem }));
            return outcome.shard_ended(None);
        }
    };
    let ran = catch_unwind(AssertUnwindSafe(|| {
        executor.run(live(Rc::clone(&shard), listener, mailbox, started));
    }));
    let Err(panic) = ran else {
        drop(shard);
        drop(executor);
        return outcome.shard_ended(None);
    };
    let message = message_of(&*panic);
    tracing::error!(shard = id.0, message, "a shard's loop panicked: draining the others");
    disconnect_all(&shard);
    // Torn state: neither is dropped.
    std::mem::forget((shard, executor));
    mesh.leave(clock.now().after(DRAIN_AFTER_PANIC));
    outcome.shard_ended(Some(ShardPanic { shard: id, message }));
}

type Made<H> = (LocalExecutor, Rc<Shard<H>>, socket2::Socket, Mailbox);

fn make<H: Handler>(seed: Seed, factory: &dyn Fn(ShardId) -> H) -> Result<Made<H>, String> {
    let executor = LocalExecutorBuilder::new(Placement::Fixed(seed.cpu))
        .io_memory(0)
        .ring_depth(RING_DEPTH)
        .make()
        .map_err(|error| error.to_string())?;
    let topics = &seed.config.topics;
    let hub = Hub::new(HubConfig {
        rules: setup::rules(&seed.config).map_err(|error| error.to_string())?,
        outbox: seed.config.outbox.limits(),
        topic_bytes_max: topics.topic_bytes_max,
        topics_max: topics.topics_max,
        subscriptions_max: topics.subscriptions_max,
        ..HubConfig::default()
    });
    let handler = factory(seed.id);
    let shard = Shard::new(
        seed.id,
        seed.config,
        seed.pages,
        seed.clock,
        seed.mesh,
        seed.stats,
        hub,
        handler,
    );
    Ok((executor, Rc::new(shard), seed.listener, seed.mailbox))
}

/// The life of a shard: its tasks run until it is told to leave.
async fn live<H: Handler>(
    shard: Rc<Shard<H>>,
    listener: socket2::Socket,
    mailbox: Mailbox,
    started: Started,
) {
    let flusher = Flusher::new(&shard);
    let accept =
        glommio::spawn_local(accept::run(Rc::clone(&shard), socket::to_listener(listener)));
    let tasks = [
        glommio::spawn_local(flusher.run(Rc::clone(&shard))),
        glommio::spawn_local(sweep::run(Rc::clone(&shard))),
        glommio::spawn_local(pace::run(Rc::clone(&shard))),
        glommio::spawn_local(pace::run_rounds(Rc::clone(&shard))),
        glommio::spawn_local(courier::run(Rc::clone(&shard), mailbox)),
    ];
    let _ = started.send(Ok(()));
    drop(started);
    shard.left.wait().await;
    accept.cancel().await;
    close_all(&shard);
    let deadline = shard.leaving.get().unwrap_or_default();
    wait_empty(&shard, deadline).await;
    abort_all(&shard);
    wait_empty(&shard, shard.clock.now().after(ABORT_GRACE)).await;
    for task in tasks {
        task.cancel().await;
    }
}

async fn wait_empty<H: Handler>(shard: &Shard<H>, deadline: Timestamp) {
    while shard.live.get() > 0 && shard.clock.now() < deadline {
        glommio::timer::sleep(Duration::from_millis(5)).await;
    }
}

fn close_all<H: Handler>(shard: &Shard<H>) {
    for conn in shard.connections() {
        shard.close(conn, ClosedBy::Shutdown, CloseCode::GOING_AWAY, "the server is going away");
    }
    shard.settle();
}

fn abort_all<H: Handler>(shard: &Shard<H>) {
    for slot in shard.slots.borrow_mut().iter_mut().flatten() {
        slot.session.lost(ClosedBy::Shutdown, "the shutdown's deadline passed");
        slot.abort();
    }
}

/// A shard that died lets its peers know by ending their connections.
fn disconnect_all<H: Handler>(shard: &Shard<H>) {
    if let Ok(slots) = shard.slots.try_borrow() {
        for slot in slots.iter().flatten() {
            socket::shut(slot.fd, Shutdown::Both);
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
