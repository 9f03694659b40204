//! The hub: all connections, topics and outboxes of one shard.

use std::sync::Arc;

use crate::config::HubConfig;
use crate::id::{ConnId, Timestamp};
use crate::ledger::Ledger;
use crate::namespace::Namespaces;
use crate::outbox::Outbox;
use crate::outbox::drain::Sent;
use crate::patterns::{Match, Tries};
use crate::registry::Topics;
use crate::report::Totals;
use crate::rules::Rules;
use crate::slots::Slots;
use crate::slow::SlowReason;

/// Who gets what, for the connections of one shard. It is driven from outside: it is told what
/// is published, what a socket took and what time it is, and says what is to be sent to whom.
#[derive(Debug)]
pub struct Hub {
    pub(crate) slots: Slots,
    pub(crate) topics: Topics,
    pub(crate) ledger: Ledger,
    pub(crate) rules: Rules,
    pub(crate) namespaces: Arc<Namespaces>,
    pub(crate) tries: Tries,
    /// Filled and emptied in a call.
    pub(crate) matches: Vec<Match>,
    /// Patterns that match more than they may hold, each once.
    pub(crate) unmatched: Vec<(ConnId, Box<str>)>,
    pub(crate) topic_bytes_max: usize,
    pub(crate) topics_max: usize,
    pub(crate) subscriptions_max: usize,
}

impl Hub {
    /// A hub without connections.
    #[must_use]
    pub fn new(config: HubConfig) -> Self {
        let HubConfig { rules, namespaces, outbox, codec, .. } = config;
        Self {
            slots: Slots::default(),
            topics: Topics::default(),
            ledger: Ledger::new(outbox, codec),
            rules,
            namespaces,
            tries: Tries::default(),
            matches: Vec::new(),
            unmatched: Vec::new(),
            topic_bytes_max: config.topic_bytes_max,
            topics_max: config.topics_max.min(u32::MAX as usize - 1),
            subscriptions_max: config.subscriptions_max,
        }
    }

    /// Adds a connection, without subscriptions and with nothing to send.
    pub fn connect(&mut self, now: Timestamp) -> ConnId {
        self.ledger.advance(now);
        self.slots.connect()
    }

    /// From now on a connection takes messages compressed, where they are. To be said before it
    /// subscribes to anything.
    pub fn take_twins(&mut self, conn: ConnId) {
        if let Some(slot) = self.slots.get_mut(conn) {
            debug_assert!(slot.subscriptions.len() == 0);
            slot.takes_twins = true;
        }
    }

    /// Whether a connection takes messages compressed.
    #[inline]
    #[must_use]
    pub fn takes_twins(&self, conn: ConnId) -> bool {
        self.slots.get(conn).is_some_and(|slot| slot.takes_twins)
    }

    /// Ends a connection: its subscriptions and what waits for it are gone, its id means
    /// nothing any more. O(own subscriptions, patterns and frames). False when it was gone
    /// already.
    pub fn disconnect(&mut self, conn: ConnId) -> bool {
        let Some(slot) = self.slots.get_mut(conn) else { return false };
        let abandoned = slot.outbox.abandon(&mut self.ledger);
        self.ledger.totals.abandoned += abandoned;
        while let Some(subscription) = self.slots.at_mut(conn.index).subscriptions.pop() {
            self.leave(subscription.0, subscription.1);
        }
        self.leave_patterns(conn);
        self.slots.disconnect(conn);
        true
    }

    /// The outbox of a connection, unless it is gone.
    #[inline]
    #[must_use]
    pub fn outbox(&self, conn: ConnId) -> Option<&Outbox> {
        self.slots.get(conn).map(|slot| &slot.outbox)
    }

    /// Whether nothing waits for a connection, and nothing is held back from it: then nothing of it
    /// grows old.
    #[must_use]
    pub fn is_quiet(&self, conn: ConnId) -> bool {
        self.outbox(conn).is_none_or(|outbox| outbox.is_empty() && !outbox.is_held_back())
    }

    /// Whether less than half of what may wait for a connection does, of its bounds as well as of
    /// the announcements: more topics of a pattern may be announced to it. False when it is gone
    /// or closing.
    #[must_use]
    pub fn has_room(&self, conn: ConnId) -> bool {
        let outbox = self.outbox(conn).filter(|outbox| !outbox.close_queued());
        outbox.is_some_and(|outbox| outbox.has_room(&self.ledger))
    }

    /// Whether the connection is there.
    #[must_use]
    pub fn is_connected(&self, conn: ConnId) -> bool {
        self.slots.get(conn).is_some()
    }

    /// Takes note that the socket took `bytes` of what [`Outbox::gather`] returned. The
    /// connection is put on the dirty list again if more waits and it is not blocked. A
    /// connection that is gone sent nothing.
    pub fn sent(&mut self, conn: ConnId, bytes: usize, now: Timestamp) -> Sent {
        self.ledger.advance(now);
        let Some(slot) = self.slots.get_mut(conn) else { return Sent::default() };
        let sent = slot.outbox.advance(bytes, &mut self.ledger);
        if sent.more {
            slot.outbox.mark_dirty(conn, &mut self.ledger);
        }
        slot.outbox.judge_resync(conn, &mut self.ledger);
        sent
    }

    /// Takes note that the peer took bytes that no [`sent`](Self::sent) tells of, such as a part of
    /// an encrypted record: it has not stalled.
    pub fn progressed(&mut self, conn: ConnId, now: Timestamp) {
        if let Some(slot) = self.slots.get_mut(conn) {
            slot.outbox.progressed(now);
        }
    }

    /// Takes note that the socket takes nothing for now (`true`), or takes something again.
    /// A blocked connection is not on the dirty list; what waits meanwhile is subject to policy.
    pub fn set_blocked(&mut self, conn: ConnId, blocked: bool) {
        let Some(slot) = self.slots.get_mut(conn) else { return };
        slot.outbox.set_blocked(blocked);
        slot.outbox.mark_dirty(conn, &mut self.ledger);
        slot.outbox.judge_resync(conn, &mut self.ledger);
    }

    /// Replaces `out` by the connections that have something to send and are not blocked, each
    /// once, in the order in which they became so. The two lists are swapped, not copied.
    pub fn take_dirty(&mut self, out: &mut Vec<ConnId>) {
        out.clear();
        core::mem::swap(out, &mut self.ledger.dirty);
        out.retain(|conn| {
            let Some(slot) = self.slots.get_mut(*conn) else { return false };
            slot.outbox.clear_dirty();
            !slot.outbox.is_empty() && !slot.outbox.is_blocked()
        });
    }

    /// Whether [`take_dirty`](Self::take_dirty) might return any connection.
    #[inline]
    #[must_use]
    pub fn has_dirty(&self) -> bool {
        !self.ledger.dirty.is_empty()
    }

    /// Adds to `out` the connections that were closed as too slow since the last call, by
    /// whatever call that was, each once. At most 65,536 are remembered.
    pub fn take_slow(&mut self, out: &mut Vec<(ConnId, SlowReason)>) {
        out.append(&mut self.ledger.slow);
    }

    /// Open outboxes of which lossless frames take more than half of the bound in bytes or in
    /// frames: while there are any, a publisher that loses nothing had better wait.
    #[inline]
    #[must_use]
    pub const fn congested(&self) -> u32 {
        self.ledger.congested
    }

    /// Totals since the hub was made.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.ledger.totals
    }

    /// Connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.slots.len()
    }

    /// Topics that have a subscriber.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.topics.len()
    }

    /// Bytes of frames that wait in all outboxes, a shared frame counted once for each.
    #[must_use]
    pub const fn queued_bytes(&self) -> u64 {
        self.ledger.queued_bytes
    }

    /// Data frames that wait or are partly sent in all outboxes, counted like the bytes.
    #[must_use]
    pub const fn queued_frames(&self) -> u64 {
        self.ledger.queued_frames
    }

    /// Bytes of ring storage that the hub keeps for the next backlog, at most 4 MiB.
    #[must_use]
    pub const fn pooled_bytes(&self) -> usize {
        self.ledger.pool.bytes()
    }
}
