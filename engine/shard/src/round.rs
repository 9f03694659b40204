//! The round of a shard: what the kernel tells, the turns of the connections, the writes, all other
//! tasks; and sleep when there is nothing left to do.
//!
//! One task does this for all others, and sleeps for them: in the kernel's wait, which every
//! socket, the inbox and the next timer end. The executor itself would go to sleep and wake up with
//! ten system calls. What comes in leaves in the same step, with no other task in between.

use std::rc::Rc;
use std::time::Duration;

use corecast_hub::ConnId;
use rustix::event::epoll::Event;

use crate::flush::Flusher;
use crate::handler::Handler;
use crate::limits::WATCH_EVENTS_MAX;
use crate::shard::{Shard, slot_mut};
use crate::spin::Spin;
use crate::watch::{INBOX, LISTENER, SECURE_LISTENER};
use crate::{signal, tls, turns, wake};

/// Without anything due, the shard looks around so often; while it leaves, more often: what ends a
/// task does not wake it.
const SLEEP_MAX: Duration = Duration::from_secs(1);
const SLEEP_LEAVING_MAX: Duration = Duration::from_millis(1);

/// Looks that others may put off, one after the other, before the kernel is asked all the same.
const PUT_OFFS_MAX: u32 = 4;

/// Goes from round to round until the executor ends the task.
pub(crate) async fn run<H: Handler>(shard: Rc<Shard<H>>, mut flusher: Flusher) {
    let mut events = Vec::with_capacity(WATCH_EVENTS_MAX);
    let inbox = &shard.mesh.inboxes[usize::from(shard.id.0)];
    let mut spin = Spin::new(&shard.config.poll);
    loop {
        shard.stats.rounds.add(1);
        let sleep = serve_others(&shard, &mut flusher).await;
        if sleep.is_zero() {
            shard.watch.collect(&mut events, sleep);
        } else {
            wait(&shard, &mut events, &mut spin, sleep);
        }
        tell(&shard, &events);
        turns::go_on(&shard);
        let now = shard.clock.now();
        wake::tell(&shard, now);
        if !inbox.is_empty() {
            shard.mail.raise();
        }
        shard.timers.fire(now);
        turns::give(&shard);
        flusher.turn(&shard);
        tls::queue::give(&shard);
    }
}

/// Waits at most `sleep` for something to happen: awake for as long as that pays, then asleep.
fn wait<H: Handler>(shard: &Shard<H>, events: &mut Vec<Event>, spin: &mut Spin, sleep: Duration) {
    let inbox = &shard.mesh.inboxes[usize::from(shard.id.0)];
    let begun = shard.clock.now();
    let awake_until = begun.after(spin.longest().min(sleep));
    let mut waited = Duration::ZERO;
    while shard.clock.now() < awake_until {
        shard.watch.collect(events, Duration::ZERO);
        waited = shard.clock.now().since(begun);
        if !events.is_empty() || !inbox.is_empty() {
            return spin.waited(waited, true, false);
        }
    }
    let is_asleep = inbox.fall_asleep();
    let rest = if is_asleep { sleep.saturating_sub(waited) } else { Duration::ZERO };
    shard.watch.collect(events, rest);
    inbox.wake_up();
    let happened = !events.is_empty() || !inbox.is_empty();
    // Behind a time awake in vain, the wait was long in any case.
    let slept_at_once = waited.is_zero();
    spin.waited(shard.clock.now().since(begun), happened && slept_at_once, true);
}

/// Lets all tasks that can run have their turn, and does what they cause. Returns how long the
/// shard may sleep: not at all while somebody has more to do.
async fn serve_others<H: Handler>(shard: &Shard<H>, flusher: &mut Flusher) -> Duration {
    for _ in 0..PUT_OFFS_MAX {
        let before = signal::wakes();
        signal::step_back().await;
        if signal::wakes() == before && shard.turns.is_empty() {
            // All had their turn, and nobody woke another.
            return sleep_max(shard, flusher);
        }
        turns::give(shard);
        flusher.turn(shard);
    }
    Duration::ZERO
}

/// How long nothing is due.
fn sleep_max<H: Handler>(shard: &Shard<H>, flusher: &Flusher) -> Duration {
    let longest = if shard.leaving.get().is_some() { SLEEP_LEAVING_MAX } else { SLEEP_MAX };
    let now = shard.clock.now();
    let others = [shard.timers.idle(now), shard.wakes.idle(now), flusher.idle(shard, now)];
    others.into_iter().chain([tls::queue::idle(shard, now)]).flatten().fold(longest, Duration::min)
}

fn tell<H: Handler>(shard: &Shard<H>, events: &[Event]) {
    let mut slots = shard.slots.borrow_mut();
    for event in events {
        let data = event.data.u64();
        match data {
            LISTENER => shard.listening[0].raise(),
            SECURE_LISTENER => shard.listening[1].raise(),
            INBOX => {}
            _ => {
                let conn = ConnId { index: data as u32, generation: (data >> 32) as u32 };
                if let Some(slot) = slot_mut(&mut slots, conn) {
                    slot.stream.note(event.flags);
                    slot.wake(&shard.turns);
                }
            }
        }
    }
}
