//! Who sends faster than the mesh takes is held back: nothing is read from a socket while more than
//! half of what may be pending is. A flood then waits in the kernel, on its own connection, and a
//! message of another is not refused for it.
//!
//! And who could go on without end waits for the next round: all others have their turn before it,
//! those included whose bytes are only just coming in.

use std::rc::Rc;
use std::time::Duration;

use corecast_hub::ConnId;

use crate::handler::Handler;
use crate::shard::{Shard, slot_mut};

/// Time between two looks for room, while somebody is held back. The shards give room back within
/// a turn; a waker of this thread in a list that all threads share would cost more than to look.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Looks in vain after which everybody may read once: a publisher that never waits for room keeps
/// the mesh full, and pongs and Closes must be read all the same.
const LOOKS_MAX: u32 = 100;

/// Whether a connection may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// When the mesh has room.
    Free,
    /// Not before it is given a turn for it.
    Held,
    /// Once, in any case.
    Released,
}

/// Whether a connection may read. If not, it is given a turn when it may.
pub(crate) fn may_read<H: Handler>(shard: &Shard<H>, conn: ConnId) -> bool {
    if shard.mesh.admission.has_room() {
        return true;
    }
    let mut slots = shard.slots.borrow_mut();
    let Some(slot) = slot_mut(&mut slots, conn) else { return false };
    match slot.hold {
        Hold::Released => {
            slot.hold = Hold::Free;
            return true;
        }
        Hold::Held => {}
        Hold::Free => {
            slot.hold = Hold::Held;
            shard.held_back.borrow_mut().push(conn);
            shard.holding_back.raise();
        }
    }
    false
}

/// Lets connections read again until the executor ends the task.
pub(crate) async fn run<H: Handler>(shard: Rc<Shard<H>>) {
    loop {
        shard.holding_back.wait().await;
        for _ in 0..LOOKS_MAX {
            if shard.mesh.admission.has_room() {
                break;
            }
            shard.sleep(LOOK_EVERY).await;
        }
        let held_back = shard.held_back.take();
        let mut slots = shard.slots.borrow_mut();
        for conn in held_back {
            if let Some(slot) = slot_mut(&mut slots, conn) {
                slot.hold = Hold::Released;
                slot.wake(&shard.turns);
            }
        }
    }
}

/// Lets all others have their turn, those included whose bytes are only just coming in.
pub(crate) async fn pause<H: Handler>(shard: &Shard<H>) {
    shard.sleep(Duration::ZERO).await;
}
