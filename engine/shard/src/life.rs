//! The life of a shard on its thread: its tasks, and the order in which it leaves.

use std::rc::Rc;
use std::time::Duration;

use corecast_hub::Timestamp;
use corecast_hub::session::ClosedBy;

use crate::door::Listener;
use crate::flush::Flusher;
use crate::handler::Handler;
use crate::mesh::Mailbox;
use crate::shard::Shard;
use crate::signal::Signal;
use crate::thread::Started;
use crate::{accept, carrier, courier, departure, pace, round, sweep};

/// Time without one of them going after which aborted connections are given up.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// Time between two looks at how many connections are left.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The life of a shard: its tasks run until it is told to leave.
pub(crate) async fn live<H: Handler>(
    shard: Rc<Shard<H>>,
    listeners: Vec<Listener>,
    mailbox: Mailbox,
    started: Started,
) {
    let flusher = Flusher::new(&shard);
    let doors = listeners.into_iter().map(Listener::into_door);
    let accepting = doors.map(|door| {
        let task = glommio::spawn_local(accept::run(Rc::clone(&shard), door.clone()));
        (door, task)
    });
    let accepting: Vec<_> = accepting.collect();
    let tasks = [
        glommio::spawn_local(round::run(Rc::clone(&shard), flusher)),
        glommio::spawn_local(sweep::run(Rc::clone(&shard))),
        glommio::spawn_local(pace::run(Rc::clone(&shard))),
        glommio::spawn_local(courier::run(Rc::clone(&shard), mailbox)),
        glommio::spawn_local(carrier::run(Rc::clone(&shard))),
        glommio::spawn_local(carrier::run_timer(Rc::clone(&shard))),
    ];
    let _ = started.send(Ok(()));
    drop(started);
    shard.left.wait().await;
    departure::run(&shard, accepting).await;
    wait_until_deadline(&shard).await;
    abort_all(&shard);
    wait_while_they_go(&shard).await;
    for task in tasks {
        task.cancel().await;
    }
    shard.mail.forget();
    shard.listening.iter().for_each(Signal::forget);
    shard.holding_back.forget();
    shard.left.forget();
    shard.ticking.forget();
}

/// Waits for the last connection to go, at most until the deadline, which may yet be brought
/// forward.
async fn wait_until_deadline<H: Handler>(shard: &Shard<H>) {
    let passed = |deadline: Option<Timestamp>| deadline.is_none_or(|at| at <= shard.clock.now());
    while shard.live.get() > 0 && !passed(shard.leaving.get()) {
        shard.sleep(LOOK_EVERY).await;
    }
}

/// Waits for aborted connections, as long as they go on going.
async fn wait_while_they_go<H: Handler>(shard: &Shard<H>) {
    let (mut live, mut since) = (shard.live.get(), shard.clock.now());
    while live > 0 && shard.clock.now().since(since) < ABORT_GRACE {
        shard.sleep(LOOK_EVERY).await;
        if shard.live.get() < live {
            (live, since) = (shard.live.get(), shard.clock.now());
        }
    }
}

fn abort_all<H: Handler>(shard: &Shard<H>) {
    for slot in shard.slots.borrow_mut().iter_mut().flatten() {
        slot.session.lost(ClosedBy::Shutdown, "the shutdown's deadline passed");
        slot.abort(&shard.turns);
    }
}
