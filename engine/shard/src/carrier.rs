//! Carries the jobs of the feed's nodes through the mesh, and the news to the handlers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corecast_hub::node::{self, Event, Turn};
use corecast_hub::session::Phase;
use corecast_hub::{ConnId, Hub, Now, Wanted};

use crate::closing::{Parting, panicked};
use crate::feed::TimerContext;
use crate::handler::Handler;
use crate::mesh::{Job, Mesh, Pass};
use crate::shard::{Shard, slot_mut};
use crate::{Context, ShardId};
use corecast_hub::session::ClosedBy;

/// The time after which a handler's clockwork goes on behind a panic.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Without anything due, the node is looked at so often.
const IDLE: Duration = Duration::from_secs(3_600);

/// The ways out of a shard's node.
#[derive(Debug)]
pub(crate) struct Ways<'a> {
    pub(crate) mesh: &'a Arc<Mesh>,
}

impl node::Mesh<Pass> for Ways<'_> {
    fn home(&self, topic: &str) -> u16 {
        self.mesh.home(topic).0
    }

    fn post(&mut self, to: u16, job: node::Job<Pass>) -> bool {
        self.mesh.post(ShardId(to), Job::Node(job))
    }

    fn ticket(&mut self, bytes: usize) -> Option<Pass> {
        self.mesh.admission.admit_own(bytes).map(Pass::new)
    }

    fn wanted(&self) -> Wanted {
        self.mesh.wanted()
    }
}

/// Does a node's job, and tells the handlers what came of it: what a handler starts upon an answer
/// must start before the next job is done. Returns the frames that were queued.
pub(crate) fn carry<H: Handler>(shard: &Shard<H>, job: node::Job<Pass>) -> u64 {
    let mut hub = shard.hub.borrow_mut();
    let before = hub.totals().delivered;
    with_node(shard, &mut hub, |node, turn| node.receive(job, turn));
    drop(hub);
    tell(shard);
    shard.hub.borrow().totals().delivered - before
}

/// Tells the handlers all the news there are.
pub(crate) fn tell<H: Handler>(shard: &Shard<H>) {
    loop {
        let news = std::mem::take(&mut *shard.events.borrow_mut());
        if news.is_empty() {
            return;
        }
        for (conn, event) in news {
            tell_one(shard, conn, event);
        }
    }
}

/// Tells one handler one thing, if the connection is still open.
pub(crate) fn tell_one<H: Handler>(shard: &Shard<H>, conn: ConnId, event: Event) {
    call_open(shard, conn, |handler, data, context| handler.on_event(data, event, context));
}

/// Calls the handler for a connection, if it is still open.
pub(crate) fn call_open<H: Handler>(
    shard: &Shard<H>,
    conn: ConnId,
    call: impl FnOnce(&mut H, &mut H::Data, &mut Context<'_>),
) {
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return };
    if slot.session.phase() != Phase::Open {
        return;
    }
    shard.look_again(conn);
    let Some(data) = slot.data.as_mut() else { return };
    let called = shard.call(conn, slot.peer, |handler, context| call(handler, data, context));
    if called.is_err() {
        panicked(shard, conn, &mut slot.session);
    } else if let Some(Parting { code, reason, flush, .. }) = shard.closes.take(conn)
        && let Some(close) = slot.session.close(ClosedBy::Handler, code, &reason, shard.clock.now())
    {
        shard.hub.borrow_mut().close(conn, close, flush);
    }
}

/// What follows for the node from any change of the hub; and its timer is set.
pub(crate) fn settle<H: Handler>(shard: &Shard<H>) {
    let mut hub = shard.hub.borrow_mut();
    if hub.has_resync() {
        with_node(shard, &mut hub, |node, turn| node.settle(turn));
    }
    drop(hub);
    if !shard.events.borrow().is_empty() {
        tell(shard);
    }
    let node = shard.node.borrow();
    shard.stats.feed.set(&node.home().totals());
    if let Some(due) = node.next_tick(shard.clock.now())
        && shard.tick_at.get().is_none_or(|at| due < at)
    {
        shard.tick_at.set(Some(due));
        shard.ticking.raise();
    }
}

/// The node's clockwork, until the executor ends the task.
pub(crate) async fn run<H: Handler>(shard: Rc<Shard<H>>) {
    loop {
        let due = shard.node.borrow().next_tick(shard.clock.now());
        shard.tick_at.set(due);
        let wait = due.map_or(IDLE, |due| due.since(shard.clock.now()));
        if !wait.is_zero() {
            let timer = async {
                shard.sleep(wait).await;
                true
            };
            let earlier = async {
                shard.ticking.wait().await;
                false
            };
            if !futures_lite::future::or(timer, earlier).await {
                continue;
            }
        }
        with_node(&shard, &mut shard.hub.borrow_mut(), |node, turn| node.tick(turn));
        shard.settle();
        if wait.is_zero() {
            crate::pace::pause(&shard).await;
        }
    }
}

/// The handler's own clockwork, for as long as it wants one.
pub(crate) async fn run_timer<H: Handler>(shard: Rc<Shard<H>>) {
    loop {
        let peer = shard.config.listen;
        // A handler that panics is called again: others depend on it.
        let mut wait = Some(AFTER_PANIC);
        let _ = shard.guard(peer, || {
            let mut hub = shard.hub.borrow_mut();
            let mut context = TimerContext { hub: &mut hub, shard: shard.id, clock: shard.clock };
            wait = shard.handler.borrow_mut().on_timer(&mut context);
        });
        shard.settle();
        let Some(wait) = wait else { return };
        shard.sleep(wait.max(Duration::from_millis(1))).await;
    }
}

/// Calls the node with all that it may touch.
pub(crate) fn with_node<H: Handler, R>(
    shard: &Shard<H>,
    hub: &mut Hub,
    call: impl FnOnce(&mut node::Node<Pass>, &mut Turn<'_, Pass, Ways<'_>>) -> R,
) -> R {
    let mut ways = Ways { mesh: &shard.mesh };
    let now = Now { mono: shard.clock.now(), wall_ns: shard.clock.wall_ns() };
    let mut events = shard.events.borrow_mut();
    let mut queued = shard.broadcasts.borrow_mut();
    let (events, queued) = (&mut *events, &mut *queued);
    let mut turn = Turn { hub, mesh: &mut ways, now, events, queued };
    call(&mut shard.node.borrow_mut(), &mut turn)
}
