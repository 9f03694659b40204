//! Which sockets have something for us: one epoll for all connections of a shard, and the executor
//! waits for that one descriptor.
//!
//! glommio's own streams keep half a KiB for each poll in flight, and ask the kernel anew for each
//! message. Here the kernel is asked once for each connection, tells of each change once, and
//! forgets a socket when it is closed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use corecast_hub::ConnId;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

use crate::handler::Handler;
use crate::limits::WATCH_EVENTS_MAX;
use crate::shard::{Shard, slot_mut};
use crate::socket;
use crate::stream::{Stream, Watched};

/// Stands for the listener: no connection has this place and this generation.
const LISTENER: u64 = u64::MAX;

/// Time between two looks while there is no descriptor left to wait with.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The descriptor that tells of all sockets of a shard.
#[derive(Debug)]
pub(crate) struct Watch {
    epoll: OwnedFd,
}

impl Watch {
    /// A watch over nothing.
    ///
    /// # Errors
    /// When there is no descriptor or memory left.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
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

    fn collect(&self, events: &mut Vec<Event>) {
        events.clear();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Interrupted: what there is, is told the next time.
        let _ = epoll::wait(&self.epoll, spare_capacity(events), Some(&now));
    }
}

/// Gives a turn to whom the kernel tells of, until the executor ends the task.
pub(crate) async fn run<H: Handler>(shard: Rc<Shard<H>>) {
    let mut events = Vec::with_capacity(WATCH_EVENTS_MAX);
    loop {
        if socket::readable(shard.watch.epoll.as_fd()).await.is_err() {
            glommio::timer::sleep(LOOK_EVERY).await;
        }
        shard.watch.collect(&mut events);
        let mut slots = shard.slots.borrow_mut();
        for event in &events {
            let data = event.data.u64();
            if data == LISTENER {
                shard.listening.raise();
                continue;
            }
            let conn = ConnId { index: data as u32, generation: (data >> 32) as u32 };
            if let Some(slot) = slot_mut(&mut slots, conn) {
                slot.stream.note(event.flags);
                slot.wake(&shard.turns);
            }
        }
    }
}
