//! The flusher: once per tick, after the tasks that could run, it writes to every socket that has
//! something queued.

mod ring;
mod secure;
mod window;

use std::io::IoSlice;
use std::os::fd::RawFd;
use std::time::Duration;

use corecast_hub::session::ClosedBy;
use corecast_hub::{ConnId, Hub, Outbox, Timestamp};

use crate::config::Backend;
use crate::handler::Handler;
use crate::limits::GATHER_FRAMES_MAX;
use crate::shard::{Shard, Slot, slot_mut};
use crate::socket::{self, Written};
use crate::stream::Stream;
use crate::turns::Turns;
use ring::Ring;
use secure::Secure;
use window::Window;

/// What writes to the sockets, and its buffers.
pub(crate) struct Flusher {
    ring: Option<Ring>,
    direct_max: usize,
    batch_max: usize,
    window: Window,
    /// When the frames that pile up are to be written.
    due_at: Option<Timestamp>,
    dirty: Vec<ConnId>,
    targets: Vec<(ConnId, RawFd)>,
    written: Vec<Written>,
    /// What is encrypted before it is written.
    secure: Secure,
}

impl Flusher {
    /// A flusher with the backend asked for, or with `sendmsg` where the ring cannot be made.
    pub(crate) fn new<H: Handler>(shard: &Shard<H>) -> Self {
        let config = &shard.config.flush;
        let ring = match shard.config.backend {
            Backend::Sendmsg => None,
            Backend::Ring => match Ring::new(config.batch_max) {
                Ok(ring) => Some(ring),
                Err(error) => {
                    let shard = shard.id.0;
                    tracing::warn!(shard, %error, "no ring for the flusher: using sendmsg");
                    None
                }
            },
        };
        Self {
            ring,
            direct_max: config.direct_max,
            batch_max: config.batch_max,
            window: Window::new(config),
            due_at: None,
            dirty: Vec::new(),
            targets: Vec::new(),
            written: Vec::new(),
            secure: Secure::default(),
        }
    }

    /// Writes what there is to write, if it is time to.
    pub(crate) fn turn<H: Handler>(&mut self, shard: &Shard<H>) {
        if !shard.flush.get() {
            return;
        }
        let begun = shard.clock.now();
        match self.due_at {
            None => {
                if let Some(window) = self.window.due() {
                    self.due_at = Some(begun.after(window));
                    return;
                }
            }
            Some(at) if at > begun => return,
            Some(_) => self.due_at = None,
        }
        shard.flush.set(false);
        self.flush(shard);
        self.window.flushed(begun, shard.clock.now());
    }

    /// How long there is nothing to write, or `None` when nothing waits: not at all where a backlog
    /// is longer than what one write gathers, until the window's end where one is open.
    pub(crate) fn idle<H: Handler>(&self, shard: &Shard<H>, now: Timestamp) -> Option<Duration> {
        shard.flush.get().then(|| self.due_at.map_or(Duration::ZERO, |at| at.since(now)))
    }

    /// Writes once to every dirty socket.
    fn flush<H: Handler>(&mut self, shard: &Shard<H>) {
        let mut dirty = std::mem::take(&mut self.dirty);
        shard.hub.borrow_mut().take_dirty(&mut dirty);
        for chunk in dirty.chunks(self.batch_max) {
            self.write(shard, chunk);
            settle(shard, &self.targets, &self.written);
            let ring = self.ring.as_mut().filter(|_| self.secure.len() > self.direct_max);
            self.secure.flush(shard, ring);
        }
        dirty.clear();
        self.dirty = dirty;
        shard.settle();
    }

    fn write<H: Handler>(&mut self, shard: &Shard<H>, chunk: &[ConnId]) {
        let mut slots = shard.slots.borrow_mut();
        let secure = &mut self.secure;
        let fds = chunk.iter().filter_map(|&conn| {
            let slot = slot_mut(&mut slots, conn).filter(|slot| !slot.abort)?;
            if slot.stream.is_secure() {
                secure.push(conn);
                return None;
            }
            Some((conn, slot.stream.raw()))
        });
        self.targets.clear();
        self.targets.extend(fds);
        self.written.clear();
        let hub = shard.hub.borrow();
        match &mut self.ring {
            Some(ring) if self.targets.len() > self.direct_max => {
                ring.write(&hub, &self.targets, &mut self.written);
            }
            _ => write_directly(&hub, &self.targets, &mut self.written),
        }
        assert_eq!(self.targets.len(), self.written.len(), "each target has an outcome");
    }
}

/// Tells hub and sessions what became of the writes.
fn settle<H: Handler>(shard: &Shard<H>, targets: &[(ConnId, RawFd)], written: &[Written]) {
    let now = shard.clock.now();
    let mut slots = shard.slots.borrow_mut();
    let mut hub = shard.hub.borrow_mut();
    let (mut frames, mut bytes) = (0, 0);
    for (&(conn, _), &written) in targets.iter().zip(written) {
        let Some(slot) = slot_mut(&mut slots, conn) else { continue };
        match written {
            Written::Bytes(n) => {
                let sent = hub.sent(conn, n, now);
                frames += u64::from(sent.frames);
                bytes += n as u64;
                if let Some(published_at) = sent.published_at {
                    shard.stats.latency.record(now.0.saturating_sub(published_at.0));
                }
                if sent.finished_close {
                    if slot.session.close_sent(now) {
                        slot.stream.shut(std::net::Shutdown::Write);
                    }
                    // Where the peer's side is shut already, that was all.
                    slot.wake(&shard.turns);
                }
                if hub.outbox(conn).is_some_and(Outbox::is_begun) {
                    // A short write: the socket is full.
                    block(&mut hub, slot, &shard.turns);
                }
            }
            Written::WouldBlock => block(&mut hub, slot, &shard.turns),
            Written::Failed(error) => {
                let error = std::io::Error::from_raw_os_error(error);
                slot.session.lost(ClosedBy::Transport, &error.to_string());
                slot.abort(&shard.turns);
            }
        }
    }
    shard.stats.writes.add(targets.len() as u64);
    shard.stats.deliveries.add(frames);
    shard.stats.bytes_out.add(bytes);
}

/// Writes to one socket at once, out of turn. What it does not take is left to the next flush, and
/// so is a failure.
pub(crate) fn write_now<H: Handler>(shard: &Shard<H>, conn: ConnId, stream: &mut Stream) {
    let mut hub = shard.hub.borrow_mut();
    let mut written = Vec::new();
    match &mut stream.tls {
        None => write_directly(&hub, &[(conn, stream.socket.raw())], &mut written),
        Some(tls) => {
            let slices = hub.outbox(conn).into_iter().flat_map(Outbox::slices);
            written.push(tls.write_all(&stream.socket, slices.take(GATHER_FRAMES_MAX)));
        }
    }
    if let [Written::Bytes(bytes)] = written[..] {
        let sent = hub.sent(conn, bytes, shard.clock.now());
        shard.stats.writes.add(1);
        shard.stats.deliveries.add(u64::from(sent.frames));
        shard.stats.bytes_out.add(bytes as u64);
    }
}

/// The socket takes no more: its connection waits for room, and what is queued waits with it.
fn block<D>(hub: &mut Hub, slot: &mut Slot<D>, turns: &Turns) {
    hub.set_blocked(slot.conn, true);
    slot.blocked = true;
    slot.wake(turns);
}

/// One `send` or `sendmsg` a socket: for a handful of them, and the fallback.
fn write_directly(hub: &Hub, targets: &[(ConnId, RawFd)], written: &mut Vec<Written>) {
    for &(conn, fd) in targets {
        let mut slices = hub.outbox(conn).into_iter().flat_map(Outbox::slices);
        let outcome = match (slices.next(), slices.next()) {
            (None, _) => Written::Bytes(0),
            (Some(only), None) => socket::write(fd, &[IoSlice::new(only)]),
            (Some(first), Some(second)) => {
                let mut many = [IoSlice::new(&[]); GATHER_FRAMES_MAX];
                many[..2].copy_from_slice(&[IoSlice::new(first), IoSlice::new(second)]);
                let mut count = 2;
                for (place, slice) in many[2..].iter_mut().zip(slices) {
                    *place = IoSlice::new(slice);
                    count += 1;
                }
                socket::write(fd, &many[..count])
            }
        };
        written.push(outcome);
    }
}
