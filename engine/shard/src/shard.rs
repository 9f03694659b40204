//! The state of one shard. One thread owns it; nothing here is shared, and no borrow lives across
//! an await.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corecast_hub::chunks::Chunks;
use corecast_hub::node::{Broadcast, Event, Node};
use corecast_hub::session::{ClosedBy, Phase, Session, SessionConfig};
use corecast_hub::{ConnId, Encoding, Flush, Hub, SLOW_CLOSE_CODE, SlowReason, Timestamp};
use corecast_wire::limits::READ_BYTES;
use corecast_wire::{CloseCode, Receiver, ReceiverLimits, Role};

use crate::carrier::{self, with_node};
use crate::clock::Clock;
use crate::closing::{Closes, Parting};
use crate::compression::Compression;
use crate::config::Config;
use crate::context::Context;
use crate::departure::{self, Departure};
use crate::edge::{Edge, Entrance};
use crate::feed::FeedParts;
use crate::handler::Handler;
use crate::leave::Order;
use crate::mesh::{Mesh, Pass, Publication, Spoken};
use crate::pace::Hold;
use crate::pages::Pages;
use crate::publish::{Publishing, Sequences};
use crate::signal::{self, Signal};
use crate::stats::ShardStats;
use crate::stream::Stream;
use crate::timers::{Sleep, Timers};
use crate::tls::{Desk, Tls};
use crate::turns::Turns;
use crate::unhandled::Unhandled;
use crate::upgrade::Handshake;
use crate::wake::Wakes;
use crate::watch::Watch;
use crate::{ShardId, limits};

/// One shard's state; its tasks hold it by `Rc`.
pub(crate) struct Shard<H: Handler> {
    pub(crate) id: ShardId,
    pub(crate) config: Arc<Config>,
    pub(crate) sessions: SessionConfig,
    pub(crate) pages: Pages,
    pub(crate) clock: Clock,
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) stats: Arc<ShardStats>,
    /// Who may come in, and how much they may do.
    pub(crate) edge: Edge,
    pub(crate) hub: RefCell<Hub>,
    /// This shard's part in the feed.
    pub(crate) node: RefCell<Node<Pass>>,
    /// What the node has queued in this turn, whose places in the mesh are given back by `settle`.
    pub(crate) broadcasts: RefCell<Vec<Arc<Broadcast<Pass>>>>,
    /// News of the node for the handler, not told yet.
    pub(crate) events: RefCell<Vec<(ConnId, Event)>>,
    /// What is compressed, and how.
    pub(crate) compression: Compression,
    /// What each connection speaks, by its index; none before it is open.
    pub(crate) spoken: RefCell<Vec<Option<Spoken>>>,
    pub(crate) epoch: u64,
    /// Wakes the node's clockwork earlier than it expects.
    pub(crate) ticking: Signal,
    /// When it expects to be woken.
    pub(crate) tick_at: Cell<Option<Timestamp>>,
    pub(crate) handler: RefCell<H>,
    pub(crate) slots: RefCell<Slots<H::Data>>,
    pub(crate) scratch: RefCell<Box<[u8]>>,
    pub(crate) sequences: RefCell<Sequences>,
    /// Tells who has something to read.
    pub(crate) watch: Watch,
    /// Who sleeps.
    pub(crate) timers: Timers,
    /// Wakes the mesh task.
    pub(crate) mail: Signal,
    /// Whose turn it is.
    pub(crate) turns: Turns,
    /// Who may be woken.
    pub(crate) wakes: Wakes,
    /// Whether who comes is accepted.
    pub(crate) accepting: Cell<bool>,
    /// Wakes the listener's task, and that of the listener that speaks TLS.
    pub(crate) listening: [Signal; 2],
    /// There is something to write.
    pub(crate) flush: Cell<bool>,
    /// Wakes the shard's main task when it is to leave.
    pub(crate) left: Signal,
    pub(crate) leaving: Cell<Option<Timestamp>>,
    pub(crate) departure: Departure,
    pub(crate) live: Cell<u32>,
    /// Messages of one connection that are handled in a turn. All shards together publish no more
    /// in one turn each than the mesh has room for when they may read at all.
    pub(crate) messages_per_turn: usize,
    /// Connections that may not read until the mesh has room.
    pub(crate) held_back: RefCell<Vec<ConnId>>,
    /// Wakes the task that lets them read again.
    pub(crate) holding_back: Signal,
    /// What was published in this turn, whose places in the mesh are given back by `settle`.
    pub(crate) published: RefCell<Vec<Arc<Publication>>>,
    /// When the sweep looks at each connection again, by its index.
    pub(crate) looks: RefCell<Vec<Timestamp>>,
    /// Closes that the handler asked for, to be done when its call is over.
    pub(crate) closes: Closes,
    /// Filled and emptied by `note_slow`.
    slow: RefCell<Vec<(ConnId, SlowReason)>>,
    congested: Cell<u32>,
    /// What all TLS connections share, where there may be any.
    pub(crate) tls: Option<Rc<Desk>>,
}

/// The connections of a shard, by the index that the hub gave them.
pub(crate) type Slots<D> = Chunks<Option<Slot<D>>>;

/// What a shard keeps for one connection: all of it, but for what the hub queues.
pub(crate) struct Slot<D> {
    pub(crate) conn: ConnId,
    pub(crate) stream: Stream,
    pub(crate) peer: SocketAddr,
    /// How it came in, where that is to be remembered.
    pub(crate) entrance: Option<Box<Entrance>>,
    pub(crate) session: Session,
    pub(crate) data: Option<D>,
    /// The opening handshake, once a part of it has come and until it is answered.
    pub(crate) handshake: Option<Box<Handshake<D>>>,
    /// What was read and not handled within the turn's budget.
    pub(crate) unhandled: Option<Box<Unhandled>>,
    /// Bytes that came behind the end, and were thrown away.
    pub(crate) discarded_bytes: usize,
    /// The peer's side of the TCP connection is shut.
    pub(crate) ended: bool,
    /// It is to have a turn.
    due: bool,
    /// The socket takes no more: the connection waits for room.
    pub(crate) blocked: bool,
    /// Whether the mesh's fill keeps it from reading.
    pub(crate) hold: Hold,
    /// It is to end without further ado.
    pub(crate) abort: bool,
}

impl<H: Handler> Shard<H> {
    #[allow(clippy::too_many_arguments, reason = "the one place where a shard is put together")]
    pub(crate) fn new(
        id: ShardId,
        config: Arc<Config>,
        pages: Pages,
        clock: Clock,
        mesh: Arc<Mesh>,
        stats: Arc<ShardStats>,
        edge: Edge,
        hub: Hub,
        node: Node<Pass>,
        epoch: u64,
        handler: H,
        watch: Watch,
        compression: Compression,
        tls: Option<Rc<Desk>>,
    ) -> Self {
        let room = config.mesh.pending_publishes_max / 2 / mesh.inboxes.len();
        let messages_per_turn = room.clamp(1, limits::MESSAGES_PER_TURN_MAX);
        let accepting = !mesh.listeners_held.load(Ordering::SeqCst);
        let message_bytes_max = config.connection.message_bytes_max;
        let scratch_bytes = message_bytes_max.min(limits::IN_PLACE_BYTES_MAX) + READ_BYTES;
        Self {
            id,
            sessions: config.connection.sessions(),
            sequences: RefCell::new(Sequences::new(config.topics.topics_max)),
            config,
            pages,
            clock,
            mesh,
            stats,
            edge,
            hub: RefCell::new(hub),
            node: RefCell::new(node),
            broadcasts: RefCell::default(),
            events: RefCell::default(),
            compression,
            spoken: RefCell::default(),
            epoch,
            ticking: Signal::default(),
            tick_at: Cell::new(None),
            handler: RefCell::new(handler),
            slots: RefCell::new(Slots::default()),
            scratch: RefCell::new(vec![0; scratch_bytes].into_boxed_slice()),
            watch,
            timers: Timers::default(),
            mail: Signal::default(),
            turns: Turns::default(),
            wakes: Wakes::default(),
            accepting: Cell::new(accepting),
            listening: <[Signal; 2]>::default(),
            flush: Cell::new(false),
            left: Signal::default(),
            leaving: Cell::new(None),
            departure: Departure::default(),
            live: Cell::new(0),
            messages_per_turn,
            held_back: RefCell::new(Vec::new()),
            holding_back: Signal::default(),
            published: RefCell::new(Vec::new()),
            looks: RefCell::default(),
            closes: Closes::default(),
            slow: RefCell::new(Vec::new()),
            congested: Cell::new(0),
            tls,
        }
    }

    /// Sleeps this long; not at all, for a time of zero, but until all others had their turn, those
    /// included whose bytes are only just coming in.
    pub(crate) fn sleep(&self, time: Duration) -> Sleep<'_> {
        self.timers.sleep_until(self.clock.now().after(time))
    }

    /// Something has happened to a connection: the sweep looks at it in its next round.
    #[inline]
    pub(crate) fn look_again(&self, conn: ConnId) {
        if let Some(look) = self.looks.borrow_mut().get_mut(conn.index as usize) {
            *look = Timestamp(0);
        }
    }

    /// Takes a new socket in. Its session begins with the handshake, and its deadlines run from
    /// now.
    pub(crate) fn admit(
        &self,
        fd: OwnedFd,
        peer: SocketAddr,
        entrance: Option<Box<Entrance>>,
        secure: bool,
    ) {
        let now = self.clock.now();
        let conn = self.hub.borrow_mut().connect(now);
        let connection = &self.config.connection;
        let receiver = Receiver::new(
            Role::Server,
            ReceiverLimits {
                message_bytes_max: connection.message_bytes_max,
                message_parts_max: connection.message_parts_max,
            },
        );
        let session = Session::new(receiver, now);
        let tls = self.tls.as_ref().filter(|_| secure);
        let mut slot = Slot {
            conn,
            stream: Stream::new(fd, tls.map(|desk| Tls::new(desk, now))),
            peer,
            entrance,
            session,
            data: None,
            handshake: None,
            unhandled: None,
            discarded_bytes: 0,
            ended: false,
            due: false,
            blocked: false,
            hold: Hold::Free,
            abort: false,
        };
        slot.wake(&self.turns);
        let mut slots = self.slots.borrow_mut();
        let place = slots.entry(conn.index as usize);
        assert!(place.is_none(), "the hub gave a slot away twice");
        *place = Some(slot);
        self.live.set(self.live.get() + 1);
        self.stats.accepted.add(1);
    }

    /// The connection is gone: leave the topics, tell the handler, free the slot, close the
    /// socket.
    pub(crate) fn release(&self, conn: ConnId) {
        let slot = self.slots.borrow_mut().get_mut(conn.index as usize).and_then(Option::take);
        let mut hub = self.hub.borrow_mut();
        if let Some(slot) = slot.as_ref().filter(|_| self.leaving.get().is_some()) {
            departure::note_end(&self.departure, slot, &hub);
        }
        hub.disconnect(conn);
        with_node(self, &mut hub, |node, turn| node.disconnect(conn, turn));
        drop(hub);
        let spoken = self.spoken.borrow_mut().get_mut(conn.index as usize).and_then(Option::take);
        self.mesh.speak(spoken, None);
        let Some(mut slot) = slot else { return };
        assert_eq!(slot.conn, conn, "a turn released a slot that is not its own");
        if let Some(handshake) = slot.handshake.take() {
            handshake.discard(self, slot.peer);
        }
        let closed = slot.session.take_closed();
        if let Some(data) = slot.data {
            self.stats.connections.subtract(1);
            match closed.by {
                ClosedBy::Slow => self.stats.slow_closed.add(1),
                ClosedBy::Violation => self.stats.violations.add(1),
                _ => {}
            }
            // Nobody is left to close: a panic here is only counted.
            let _ = self.call(conn, slot.peer, |handler, context| {
                handler.on_close(data, &closed, context);
            });
        }
        self.wakes.forget(conn);
        self.live.set(self.live.get() - 1);
        self.settle();
    }

    /// Calls the handler. A panic in it is caught, counted, and answered with `Err`.
    pub(crate) fn call<R>(
        &self,
        conn: ConnId,
        peer: SocketAddr,
        call: impl FnOnce(&mut H, &mut Context<'_>) -> R,
    ) -> Result<R, Panicked> {
        let mut hub = self.hub.borrow_mut();
        let mut handler = self.handler.borrow_mut();
        let (mut node, mut events) = (self.node.borrow_mut(), self.events.borrow_mut());
        let mut queued = self.broadcasts.borrow_mut();
        let feed = FeedParts {
            node: &mut node,
            events: &mut events,
            queued: &mut queued,
            spoken: &self.spoken,
            epoch: self.epoch,
            clock: self.clock,
        };
        let publishing = self.publishing(&mut hub);
        let (closes, wakes, edge) = (&self.closes, &self.wakes, &self.edge);
        let mut context = Context::new(publishing, feed, closes, wakes, edge, conn, peer);
        self.guard(peer, || call(&mut handler, &mut context))
    }

    /// Runs code of the embedder's. A panic in it is caught and counted.
    pub(crate) fn guard<R>(
        &self,
        peer: SocketAddr,
        run: impl FnOnce() -> R,
    ) -> Result<R, Panicked> {
        catch_unwind(AssertUnwindSafe(run)).map_err(|_| {
            self.stats.handler_panics.add(1);
            tracing::error!(shard = self.id.0, %peer, "the handler panicked");
            Panicked
        })
    }

    /// What publishing from this shard needs.
    pub(crate) fn publishing<'a>(&'a self, hub: &'a mut Hub) -> Publishing<'a> {
        Publishing {
            shard: self.id,
            now: self.clock.now(),
            topic_bytes_max: self.config.topics.topic_bytes_max,
            hub,
            sequences: &self.sequences,
            published: &self.published,
            mesh: &self.mesh,
            stats: &self.stats,
            press: &self.compression.press,
        }
    }

    /// The connection is open: it counts among those that speak raw, compressed or not.
    pub(crate) fn opened(&self, conn: ConnId) {
        self.edge.meters.opened(conn);
        let mut spoken = self.spoken.borrow_mut();
        let index = conn.index as usize;
        if spoken.len() <= index {
            spoken.resize(index + 1, None);
        }
        let twins = self.hub.borrow().takes_twins(conn);
        let raw = Some(Spoken { encoding: Encoding::Raw, twins });
        self.mesh.speak(spoken[index], raw);
        spoken[index] = raw;
    }

    /// Begins the closing handshake of a connection. Nothing happens when it is closing already, or
    /// gone.
    pub(crate) fn close(
        &self,
        conn: ConnId,
        by: ClosedBy,
        code: CloseCode,
        reason: &str,
        flush: Flush,
    ) {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slot_mut(&mut slots, conn) else { return };
        self.look_again(conn);
        if slot.session.phase() == Phase::Upgrading {
            slot.session.lost(by, reason);
            slot.abort(&self.turns);
        } else if let Some(frame) = slot.session.close(by, code, reason, self.clock.now()) {
            self.hub.borrow_mut().close(conn, frame, flush);
        }
    }

    /// Leaves, by the order's deadline. The main task does it.
    pub(crate) fn leave(&self, order: Arc<Order>) {
        let deadline = order.deadline();
        if self.leaving.get().is_none_or(|earlier| deadline < earlier) {
            self.leaving.set(Some(deadline));
        }
        self.departure.begin(order, self.id.0);
        self.left.raise();
    }

    /// All connections, as they are now.
    pub(crate) fn connections(&self) -> Vec<ConnId> {
        self.slots.borrow().iter().flatten().map(|slot| slot.conn).collect()
    }

    /// What follows from any change: closes that the handler asked for, the flusher's turn, the
    /// publishers' room.
    pub(crate) fn settle(&self) {
        carrier::settle(self);
        while let Some(Parting { conn, code, reason, flush }) = self.closes.pop() {
            self.close(conn, ClosedBy::Handler, code, &reason, flush);
        }
        self.note_slow();
        let hub = self.hub.borrow();
        if hub.has_dirty() {
            self.flush.set(true);
            signal::note();
        }
        self.compression.count(&self.stats.compression);
        let totals = hub.totals();
        self.stats.conflated.set(totals.conflated);
        self.stats.dropped.set(totals.dropped);
        self.stats.queued_bytes.set(hub.queued_bytes());
        let congested = hub.congested();
        let before = self.congested.replace(congested);
        self.mesh.admission.congestion_changed(i64::from(congested) - i64::from(before));
        drop(hub);
        // Only now that it is known which outboxes they filled, their places are given back.
        drop(self.published.take());
        drop(self.broadcasts.take());
    }

    /// The hub closes slow readers by itself: their sessions follow.
    fn note_slow(&self) {
        let mut slow = self.slow.borrow_mut();
        self.hub.borrow_mut().take_slow(&mut slow);
        if slow.is_empty() {
            return;
        }
        let now = self.clock.now();
        let mut slots = self.slots.borrow_mut();
        for (conn, reason) in slow.drain(..) {
            if let Some(slot) = slot_mut(&mut slots, conn) {
                self.look_again(conn);
                slot.session.closed_as_slow(SLOW_CLOSE_CODE, &reason.to_string(), now);
            }
        }
    }
}

/// The handler panicked.
#[derive(Debug)]
pub(crate) struct Panicked;

impl<D> Slot<D> {
    /// Ends the connection at its next turn, without a closing handshake.
    pub(crate) fn abort(&mut self, turns: &Turns) {
        self.abort = true;
        self.wake(turns);
    }

    /// Gives the connection a turn.
    #[inline]
    pub(crate) fn wake(&mut self, turns: &Turns) {
        if !self.due {
            self.due = true;
            turns.push(self.conn);
        }
    }

    /// Its turn has come.
    #[inline]
    pub(crate) fn begin_turn(&mut self) {
        self.due = false;
    }
}

/// The slot of a connection, unless it is gone.
pub(crate) fn slot_mut<D>(slots: &mut Slots<D>, conn: ConnId) -> Option<&mut Slot<D>> {
    slots.get_mut(conn.index as usize)?.as_mut().filter(|slot| slot.conn == conn)
}

// What an idle connection costs here, beside its place in the hub. A KiB is soon spent.
const _: () = assert!(size_of::<Option<Slot<()>>>() <= 232 && size_of::<Stream>() <= 16);
