//! The sweep: what waits too long, and who takes nothing.

use crate::hub::Hub;
use crate::id::{ConnId, Timestamp, TopicId};
use crate::outbox::aged::Aged;
use crate::outbox::backlog::Notice;
use crate::outbox::entry::Kind;
use crate::outbox::ring::Ring;
use crate::resync::Pause;
use crate::slow::SlowReason;

impl Hub {
    /// Judges one connection by age and stall; called by the shard's sweep.
    ///
    /// A peer that took no byte for `stall_max` is closed. A frame that waited longer than
    /// `age_max` is treated as its policy says: `lossless`, `close` and frames sent to this
    /// connection alone close it, `lossless:gap` discards the topic's backlog and declares the
    /// gap, `lossless:snapshot` discards it and pauses, `drop_oldest` discards the frame;
    /// `latest` and `latest_by_key` keep it, since it is still the newest. A connection that is
    /// closing already is left to its close deadline.
    ///
    /// Returns the reason when this call closed the connection, which is also counted and
    /// listed ([`take_slow`](Self::take_slow)).
    pub fn expire(&mut self, conn: ConnId, now: Timestamp) -> Option<SlowReason> {
        self.ledger.advance(now);
        let slot = self.slots.get_mut(conn)?;
        let (outbox, ledger) = (&mut slot.outbox, &mut self.ledger);
        if outbox.is_empty() && !outbox.is_held_back() || outbox.close_queued() {
            return None;
        }
        let (stall, stall_max) = (ledger.now.since(outbox.progress_at()), ledger.bounds.stall_max);
        let mut reason = (stall > stall_max).then_some(SlowReason::Stall { stall, stall_max });
        if reason.is_none() {
            reason = self.expire_aged(conn);
        }
        if let Some(reason) = reason {
            let outbox = &mut self.slots.at_mut(conn.index).outbox;
            self.ledger.totals.dropped += outbox.close_slow(conn, reason, &mut self.ledger);
        }
        self.compact();
        reason
    }

    /// Treats the frames that are too old; returns why the connection must be closed, if so.
    fn expire_aged(&mut self, conn: ConnId) -> Option<SlowReason> {
        let mut from = 0;
        let mut closes = None;
        while let Some(aged) = self.slots.at_mut(conn.index).outbox.next_aged(from, &self.ledger) {
            from = aged.index + 1;
            let owned = aged.topic != TopicId::NONE;
            match aged.kind {
                Kind::LosslessGap | Kind::LosslessSnapshot if owned => {
                    self.expire_chain(conn, &aged);
                }
                Kind::Notice | Kind::DropOldest | Kind::LosslessGap | Kind::LosslessSnapshot => {
                    let outbox = &mut self.slots.at_mut(conn.index).outbox;
                    self.ledger.totals.dropped += outbox.discard(aged.index, &mut self.ledger);
                }
                _ => {
                    closes = Some(aged.reason);
                    break;
                }
            }
        }
        self.slots.at_mut(conn.index).outbox.check_holes(conn, &mut self.ledger);
        closes
    }

    /// Discards all that waits of a subscription; tells the gap, or pauses.
    fn expire_chain(&mut self, conn: ConnId, aged: &Aged) {
        let Self { slots, topics, ledger, .. } = self;
        let slot = slots.at_mut(conn.index);
        let outbox = &mut slot.outbox;
        let Some(position) = slot.subscriptions.position(aged.topic) else { return };
        let Some(topic) = topics.get_mut(aged.topic) else { return };
        let (stream, subscriber) = topic.at(position);
        let &Aged { reason, topic, .. } = aged;
        if aged.kind == Kind::LosslessSnapshot {
            let newest = outbox.newest_number(subscriber.pending());
            if let Some(lost_to) = newest {
                let pause =
                    Pause { conn, topic, reason, lost_from: lost_to, lost_to, begins: false };
                ledger.totals.dropped += pause.begin(subscriber, outbox, &mut slot.paused, ledger);
                return;
            }
        }
        let lost = outbox.discard_chain(subscriber.pending(), ledger);
        ledger.totals.dropped += lost.frames;
        let place = lost.range.map_or(Ring::NOWHERE, |(from, to)| {
            let notice = Notice { stream, from, to, reason, encoding: subscriber.encoding };
            outbox.put_gap(lost.place, topic, notice, ledger)
        });
        outbox.trim(ledger);
        subscriber.set_pending(place);
    }
}
