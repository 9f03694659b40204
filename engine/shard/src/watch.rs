//! Where a shard sleeps, and what wakes it: one epoll for all its sockets and its inbox.
//!
//! glommio's own streams keep half a KiB for each poll in flight, and ask the kernel anew for each
//! message. Here the kernel is asked once for each connection, tells of each change once, and
//! forgets a socket when it is closed.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use corecast_hub::ConnId;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

use crate::handler::Handler;
use crate::limits::WATCH_EVENTS_MAX;
use crate::mesh::Inbox;
use crate::shard::{Shard, slot_mut};
use crate::signal;
use crate::stream::{Stream, Watched};

/// Stands for the listener: no connection has this place and this generation.
const LISTENER: u64 = u64::MAX;

/// Stands for the bell of the inbox: its descriptor need only wake.
const INBOX: u64 = u64::MAX - 1;

/// Without anything due, the shard looks around so often; while it leaves, more often: what ends a
/// task does not wake it.
const SLEEP_MAX: Duration = Duration::from_secs(1);
const SLEEP_LEAVING_MAX: Duration = Duration::from_millis(1);

/// Looks that others may put off, one after the other, before the kernel is asked all the same.
const PUT_OFFS_MAX: u32 = 4;

/// The descriptor that tells of all sockets of a shard.
#[derive(Debug)]
pub(crate) struct Watch {
    epoll: OwnedFd,
}

impl Watch {
    /// A watch over the shard's inbox: a job that comes while it sleeps ends its sleep.
    ///
    /// # Errors
    /// When there is no descriptor or memory left.
    pub(crate) fn new(inbox: &Inbox) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        // Told of each ring, the bell need not be read.
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, inbox.rope(), EventData::new_u64(INBOX), flags)?;
        Ok(Self { epoll })
    }

    /// From now on the listener's task is told who comes in.
    ///
    /// # Errors
    /// When the kernel has no room for it.
    pub(crate) fn listener(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::ET;
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(LISTENER), flags)?)
    }

    /// From now on the connection is told of what is `wanted`, of what is there already included.
    ///
    /// # Errors
    /// When the kernel has no room for it (`fs.epoll.max_user_watches`).
    pub(crate) fn connection(
        &self,
        conn: ConnId,
        stream: &mut Stream,
        wanted: Watched,
    ) -> io::Result<()> {
        if stream.watched >= wanted {
            return Ok(());
        }
        let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if wanted == Watched::ReadsAndRoom {
            flags |= EventFlags::OUT;
        }
        let data = EventData::new_u64(u64::from(conn.generation) << 32 | u64::from(conn.index));
        if stream.watched == Watched::No {
            epoll::add(&self.epoll, stream.fd(), data, flags)?;
        } else {
            epoll::modify(&self.epoll, stream.fd(), data, flags)?;
        }
        stream.watched = wanted;
        Ok(())
    }

    /// What has happened, or happens within `wait`.
    fn collect(&self, events: &mut Vec<Event>, wait: Duration) {
        events.clear();
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        // Interrupted: what there is, is told the next time.
        let _ = epoll::wait(&self.epoll, spare_capacity(events), Some(&wait));
    }
}

/// Gives turns to whom the kernel tells of, until the executor ends the task.
///
/// This task sleeps for all others: in the kernel's wait, which every socket, the inbox and the
/// next timer end. The executor itself would go to sleep and wake up with ten system calls.
pub(crate) async fn run<H: Handler>(shard: Rc<Shard<H>>) {
    let mut events = Vec::with_capacity(WATCH_EVENTS_MAX);
    let inbox = &shard.mesh.inboxes[usize::from(shard.id.0)];
    loop {
        let mut wait = Duration::ZERO;
        for _ in 0..PUT_OFFS_MAX {
            let before = signal::wakes();
            signal::step_back().await;
            if signal::wakes() == before {
                // All had their turn, and nobody woke another.
                wait = sleep_max(&shard);
                break;
            }
        }
        if !wait.is_zero() && !inbox.fall_asleep() {
            wait = Duration::ZERO;
        }
        shard.watch.collect(&mut events, wait);
        inbox.wake_up();
        tell(&shard, &events);
        if !inbox.is_empty() {
            shard.mail.raise();
        }
        shard.timers.fire(shard.clock.now());
    }
}

/// How long the shard may sleep.
fn sleep_max<H: Handler>(shard: &Shard<H>) -> Duration {
    let longest = if shard.leaving.get().is_some() { SLEEP_LEAVING_MAX } else { SLEEP_MAX };
    shard.timers.idle(shard.clock.now()).map_or(longest, |idle| idle.min(longest))
}

fn tell<H: Handler>(shard: &Shard<H>, events: &[Event]) {
    let mut slots = shard.slots.borrow_mut();
    for event in events {
        let data = event.data.u64();
        match data {
            LISTENER => shard.listening.raise(),
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
