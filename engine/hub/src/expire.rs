//! The sweep: what waits too long, and who takes nothing.

use crate::hub::Hub;
use crate::id::{ConnId, Timestamp, TopicId};
use crate::outbox::entry::Kind;
use crate::slow::{Gap, SlowReason};

impl Hub {
    /// Judges one connection by age and stall; called by the shard's sweep.
    ///
    /// A peer that took no byte for `stall_max` is closed. A frame that waited longer than
    /// `age_max` is treated as its policy says: `lossless`, `close` and frames sent to this
    /// connection alone close it, `lossless:gap` discards the topic's backlog and declares the
    /// gap, `drop_oldest` discards the frame; `latest` and `latest_by_key` keep it, since it is
    /// still the newest. A connection that is closing already is left to its close deadline.
    ///
    /// Returns the reason when this call closed the connection, which is also counted and
    /// listed ([`take_slow`](Self::take_slow)).
    pub fn expire(&mut self, conn: ConnId, now: Timestamp) -> Option<SlowReason> {
        self.ledger.advance(now);
        let slot = self.slots.get_mut(conn)?;
        let (outbox, ledger) = (&mut slot.outbox, &mut self.ledger);
        if outbox.is_empty() || outbox.close_queued() {
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
        let Self { slots, topics, ledger, .. } = self;
        let slot = slots.at_mut(conn.index);
        let outbox = &mut slot.outbox;
        let mut from = 0;
        let mut closes = None;
        while let Some(aged) = outbox.next_aged(from, ledger) {
            from = aged.index + 1;
            match aged.kind {
                Kind::DropOldest => ledger.totals.dropped += outbox.discard(aged.index, ledger),
                Kind::LosslessGap if aged.topic == TopicId::NONE => {
                    ledger.totals.dropped += outbox.discard(aged.index, ledger);
                }
                Kind::LosslessGap => {
                    let Some(position) = slot.subscriptions.position(aged.topic) else { continue };
                    let Some(topic) = topics.get_mut(aged.topic) else { continue };
                    let lost_of = &mut topic.subscribers[position as usize].pending;
                    let lost = outbox.discard_chain(*lost_of, ledger);
                    ledger.totals.dropped += lost.frames;
                    let (from, to) = lost.range.unwrap_or_default();
                    let gap = Gap { topic: &topic.name, from, to, reason: aged.reason };
                    *lost_of = outbox.put_gap(lost.place, aged.topic, &gap, ledger);
                }
                _ => {
                    closes = Some(aged.reason);
                    break;
                }
            }
        }
        outbox.check_holes(conn, ledger);
        closes
    }
}
