//! Thousands of WebSocket connections in one thread, on raw sockets and an epoll that tells of each
//! change once (edge-triggered).
//!
//! A swarm is driven by its owner: nothing happens outside [`Swarm::poll`] and what is built on it.

mod connection;
mod drive;
mod driver;
mod end;
mod lag;
mod layer;
mod plan;
mod publish;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use corecast_wire::frame::Opcode;
use eyre::{Result, bail};
use hdrhistogram::Histogram;
use rustix::event::epoll;
use rustix::fd::OwnedFd;

use crate::clock;
use crate::limits::{EVENTS_MAX, HANDSHAKES_MAX, READ_BYTES_MAX, RECORD_BYTES_MAX};
use crate::random::SplitMix64;
use crate::tls::Secure;
use connection::Connection;
pub use connection::{Counts, Delivery};
use drive::interest;
pub use driver::{Driver, Due};
pub use end::End;
use lag::Lag;
pub use plan::{Plan, Role};
pub use publish::Publishing;
use publish::Schedule;

/// Something that happened to a connection, other than a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The handshake succeeded.
    Opened(usize),
    /// As much of the request is sent as its plan allows.
    Halted(usize),
    /// It is over; [`Swarm::end`] says how.
    Ended(usize),
}

/// Many client connections to one server.
pub struct Swarm {
    server: SocketAddr,
    secure: Option<Secure>,
    sources: Vec<Ipv4Addr>,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    changes: Vec<Change>,
    /// Connections, with their generation, whose turn ended before all was read.
    unread: VecDeque<(usize, u32)>,
    /// When which trickling connection may read next.
    trickle: BinaryHeap<Reverse<(u64, usize, u32)>>,
    schedules: Vec<Schedule>,
    scratch: Box<[u8]>,
    plain: Box<[u8]>,
    resumed: u64,
    opened: u64,
    live: usize,
    random: SplitMix64,
    busy: bool,
    idle_ns: u64,
    /// When the kernel was asked or a socket was read last.
    now_ns: u64,
    lag: Lag,
}

#[derive(Default)]
struct Slot {
    /// Counts up when the slot is used again, so that late events of the previous one are ignored.
    generation: u32,
    connection: Option<Connection>,
    counts: Counts,
    end: Option<End>,
    opened_ns: Option<u64>,
    interest: u32,
}

impl Swarm {
    /// A swarm without connections. To a loopback server it connects from several loopback
    /// addresses in turn, each of which has ports of its own.
    ///
    /// # Errors
    /// When epoll is not to be had.
    pub fn new(server: SocketAddr) -> Result<Self> {
        Self::to(server, None)
    }

    /// As [`Swarm::new`]; all connections speak TLS where `secure` says how.
    ///
    /// # Errors
    /// When epoll is not to be had.
    pub fn to(server: SocketAddr, secure: Option<Secure>) -> Result<Self> {
        let sources = match server.ip() {
            IpAddr::V4(address) if address.is_loopback() => {
                (1..=SOURCES).map(|last| Ipv4Addr::new(127, 0, 0, last)).collect()
            }
            _ => Vec::new(),
        };
        let now_ns = clock::now_ns();
        Ok(Self {
            server,
            secure,
            sources,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS_MAX),
            slots: Vec::new(),
            free: Vec::new(),
            changes: Vec::new(),
            unread: VecDeque::new(),
            trickle: BinaryHeap::new(),
            schedules: Vec::new(),
            scratch: vec![0; READ_BYTES_MAX].into_boxed_slice(),
            plain: vec![0; RECORD_BYTES_MAX].into_boxed_slice(),
            resumed: 0,
            opened: 0,
            live: 0,
            random: SplitMix64::new(now_ns),
            busy: false,
            idle_ns: 0,
            now_ns,
            lag: Lag::new(now_ns)?,
        })
    }

    /// Begins one connection and returns its number; [`Change::Opened`] follows.
    ///
    /// # Errors
    /// When there is no descriptor or port left, or `plan` makes no valid request.
    pub fn open(&mut self, plan: &Plan) -> Result<usize> {
        let source = match self.sources.len() as u64 {
            0 => None,
            count => Some(self.sources[(self.opened % count) as usize]),
        };
        let random = &mut self.random;
        let nonce = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
        let connection = Connection::begin(
            self.server,
            source,
            plan,
            self.secure.as_ref(),
            nonce.to_le_bytes(),
        )?;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        let generation = slot.generation.wrapping_add(1);
        let interest = interest(&connection);
        let data = epoll::EventData::new_u64(u64::from(generation) << 32 | index as u64);
        epoll::add(&self.epoll, &connection.socket, data, interest)?;
        let interest = interest.bits();
        let counts = Counts::default();
        let connection = Some(connection);
        let (end, opened_ns) = (None, None);
        *slot = Slot { generation, connection, counts, end, opened_ns, interest };
        self.opened += 1;
        self.live += 1;
        Ok(index)
    }

    /// Opens `count` connections and waits until all are open, a few hundred at a time.
    ///
    /// # Errors
    /// When one of them fails, or not all are open within `deadline`.
    pub fn open_all(
        &mut self,
        plan: &Plan,
        count: usize,
        deadline: Duration,
        observe: &mut dyn FnMut(Delivery<'_>),
    ) -> Result<Range<usize>> {
        let until = clock::now_ns() + deadline.as_nanos() as u64;
        let first = self.slots.len();
        let (mut begun, mut open) = (0, 0);
        let mut others = Vec::new();
        self.free.clear(); // numbers in a row are worth more here than slots used twice
        while open < count {
            while begun < count && begun - open < HANDSHAKES_MAX {
                self.open(plan)?;
                begun += 1;
            }
            self.poll(Duration::from_millis(50), observe)?;
            for change in self.take_changes() {
                match change {
                    Change::Opened(index) if index >= first => open += 1,
                    Change::Ended(index) if index >= first => {
                        bail!("connection {index} of {count}: {}", self.describe_end(index))
                    }
                    Change::Halted(index) if index >= first => {}
                    other => others.push(other),
                }
            }
            if clock::now_ns() > until {
                bail!("{open} of {count} connections are open after {deadline:?}");
            }
        }
        self.changes.extend(others);
        Ok(first..first + count)
    }

    /// What has happened to connections since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Connections that have begun and not ended.
    pub fn live(&self) -> usize {
        self.live
    }

    /// What a connection has received, also after its end.
    pub fn counts(&self, index: usize) -> Counts {
        let slot = &self.slots[index];
        slot.connection.as_ref().map_or(slot.counts, |connection| connection.counts)
    }

    /// When a connection's handshake succeeded, if it has, in nanoseconds of
    /// [`crate::clock::now_ns`].
    pub fn opened_ns(&self, index: usize) -> Option<u64> {
        self.slots[index].opened_ns
    }

    /// How many connections have opened whose TLS session was the continuation of another.
    pub fn resumed(&self) -> u64 {
        self.resumed
    }

    /// How a connection ended, if it has.
    pub fn end(&self, index: usize) -> Option<&End> {
        self.slots[index].end.as_ref()
    }

    /// Sends one message, masked.
    pub fn send(&mut self, index: usize, opcode: Opcode, payload: &[u8]) {
        self.append(index, opcode, payload);
        self.act(index, Connection::flush);
    }

    /// Puts one message, masked, behind what a connection has still to send.
    fn append(&mut self, index: usize, opcode: Opcode, payload: &[u8]) {
        let key = (self.random.next_u64() as u32).to_le_bytes();
        if let Some(connection) = &mut self.slots[index].connection {
            connection.append(opcode, payload, key);
        }
    }

    /// Sends bytes as they are, valid or not. Nothing happens when the connection has ended.
    pub fn send_bytes(&mut self, index: usize, bytes: &[u8]) {
        self.act(index, |connection| connection.send(bytes));
    }

    /// Begins the closing handshake. Nothing happens when the connection has ended.
    pub fn close(&mut self, index: usize, code: u16) {
        self.act(index, |connection| connection.close(code));
    }

    /// Begins the closing handshake on all connections.
    pub fn close_all(&mut self, code: u16) {
        (0..self.slots.len()).for_each(|index| self.close(index, code));
    }

    /// Closes the socket at once: with a FIN, or with a RST when `reset` is set.
    pub fn abandon(&mut self, index: usize, reset: bool) {
        if let Some(connection) = &self.slots[index].connection {
            if reset {
                // On failure the kernel sends a FIN, which the count of resets would show.
                let _ = connection.socket.set_linger(Some(Duration::ZERO));
            }
            self.finish(index, End::Dropped);
        }
    }

    /// Changes how a connection treats what it receives: a stalled one, made a
    /// [`Role::Reader`], reads its backlog and why it was closed.
    pub fn set_role(&mut self, index: usize, role: Role) {
        if let Some(connection) = &mut self.slots[index].connection {
            connection.role = role;
            if role == Role::Reader {
                // A small window would let a backlog through at a few KiB per probe. On failure
                // it does just that.
                let _ = connection.socket.set_recv_buffer_size(RESUMED_RECEIVE_BUFFER_BYTES);
            }
            self.schedule_trickle(index);
            self.update_interest(index);
        }
    }

    /// Lets the number of an ended connection be used again.
    ///
    /// # Panics
    /// When it has not ended.
    pub fn release(&mut self, index: usize) {
        assert!(self.slots[index].connection.is_none(), "connection {index} has not ended");
        self.free.push(index);
    }

    /// Bytes of a connection that its socket has not taken yet; 0 when it has ended.
    pub fn unsent_bytes(&self, index: usize) -> usize {
        self.slots[index].connection.as_ref().map_or(0, Connection::unsent_bytes)
    }

    /// Never waits for the kernel to wake this thread: asks again and again instead. What that
    /// costs while nothing happens is not the load's: see [`Swarm::idle_ns`].
    pub fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// Time spent asking in vain since the swarm was made, in nanoseconds; 0 when not busy.
    pub fn idle_ns(&self) -> u64 {
        self.idle_ns
    }

    /// How long what has arrived waited at most before it was read, in nanoseconds, for each
    /// message since [`Swarm::forget_lag`]: the share of its latency that may be this thread's.
    /// What trickles does not count: it waits by design.
    pub fn lag(&self) -> &Histogram<u64> {
        self.lag.waited()
    }

    /// Begins anew to count in [`Swarm::lag`].
    pub fn forget_lag(&mut self) {
        self.lag.forget();
    }

    fn act(&mut self, index: usize, act: impl FnOnce(&mut Connection)) {
        if let Some(connection) = &mut self.slots[index].connection {
            act(connection);
            self.update_interest(index);
        }
    }

    fn describe_end(&self, index: usize) -> String {
        self.end(index).map_or_else(|| "has not ended".to_owned(), End::to_string)
    }
}

impl std::fmt::Debug for Swarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { server, live, opened, .. } = self;
        write!(f, "Swarm {{ server: {server}, live: {live}, opened: {opened} }}")
    }
}

/// For a connection that is to read its backlog.
const RESUMED_RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// Each loopback address has 28,000 ports by default, of which some wait out their last minute.
const SOURCES: u8 = 16;
