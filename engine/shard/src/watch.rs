//! Where a shard sleeps, and what wakes it: one epoll for all its sockets and its inbox.
//!
//! glommio's own streams keep half a KiB for each poll in flight, and ask the kernel anew for each
//! message. Here the kernel is asked once for each connection, tells of each change once, and
//! forgets a socket when it is closed.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use corecast_hub::ConnId;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;

use crate::door::Door;
use crate::mesh::Inbox;
use crate::stream::{Stream, Watched};

/// Stands for the listener: no connection has this place and this generation.
pub(crate) const LISTENER: u64 = u64::MAX;

/// Stands for the listener that speaks TLS.
pub(crate) const SECURE_LISTENER: u64 = u64::MAX - 2;

/// Stands for the bell of the inbox: its descriptor need only wake.
pub(crate) const INBOX: u64 = u64::MAX - 1;

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
    pub(crate) fn listener(&self, door: &Door) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::ET;
        let data = EventData::new_u64(if door.secure { SECURE_LISTENER } else { LISTENER });
        // Watched already: this is not the first try.
        let watched = |result| match result {
            Err(Errno::EXIST) => Ok(()),
            other => other,
        };
        for socket in &*door.sockets {
            watched(epoll::add(&self.epoll, socket, data, flags))?;
        }
        Ok(())
    }

    /// The listener's task is told no more. It fails only where it was not told before.
    pub(crate) fn forget(&self, door: &Door) {
        for socket in &*door.sockets {
            let _ = epoll::delete(&self.epoll, socket);
        }
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
        if stream.socket.watched >= wanted {
            return Ok(());
        }
        let mut flags = EventFlags::IN | EventFlags::PRI | EventFlags::RDHUP | EventFlags::ET;
        if wanted == Watched::ReadsAndRoom {
            flags |= EventFlags::OUT;
        }
        let data = EventData::new_u64(u64::from(conn.generation) << 32 | u64::from(conn.index));
        if stream.socket.watched == Watched::No {
            epoll::add(&self.epoll, stream.fd(), data, flags)?;
        } else {
            epoll::modify(&self.epoll, stream.fd(), data, flags)?;
        }
        stream.socket.watched = wanted;
        Ok(())
    }

    /// What has happened, or happens within `wait`.
    pub(crate) fn collect(&self, events: &mut Vec<Event>, wait: Duration) {
        events.clear();
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&wait)) {
            // Interrupted: what there is, is told the next time.
            Ok(_) | Err(Errno::INTR) => {}
            // No socket would be served any more.
            Err(error) => panic!("epoll_pwait2 failed: {error}"),
        }
    }
}
