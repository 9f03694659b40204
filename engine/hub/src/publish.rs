//! One frame to many sockets, or to one.

use crate::frame::SharedFrame;
use crate::hub::Hub;
use crate::id::{ConnId, Timestamp, TopicId};
use crate::ledger::Ledger;
use crate::limits::OUTBOX_BYTES_CEILING;
use crate::outbox::Outbox;
use crate::outbox::entry::{Entry, Kind};
use crate::policy::{Overflow, Policy};
use crate::registry::Subscriber;
use crate::report::Report;
use crate::slow::Gap;

/// A frame for the subscribers of a topic.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// The topic's name. One that has no subscribers here is no error.
    pub topic: &'a str,
    /// The frame's number within the topic, rising. Gaps are declared in these numbers.
    pub seq: u64,
    /// The frame.
    pub frame: &'a SharedFrame,
    /// What `latest_by_key` conflates by; none is the same as an empty one.
    pub key: Option<&'a [u8]>,
    /// A connection that gets nothing: the sender.
    pub except: Option<ConnId>,
}

/// What became of a frame for one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendStatus {
    /// It was queued.
    Sent,
    /// It did not fit: the connection is being closed as too slow.
    Full,
    /// The connection is gone or closing.
    Gone,
}

impl Hub {
    /// Queues a frame for every subscriber of a topic, as the policy of each says.
    /// O(subscribers). A frame of more than 1 GiB is dropped for all.
    pub fn publish(&mut self, publication: &Publication<'_>, now: Timestamp) -> Report {
        self.ledger.advance(now);
        let mut report = Report::default();
        let Self { slots, topics, ledger, .. } = self;
        let Some(id) = topics.find(publication.topic) else { return report };
        let Some(topic) = topics.get_mut(id) else { return report };
        let except = publication.except.filter(|conn| slots.get(*conn).is_some());
        let except = except.map_or(u32::MAX, |conn| conn.index);
        let frame = publication.frame;
        let key = topic.key(publication.key);
        let offer = Offer {
            frame,
            bytes: frame.len().min(OUTBOX_BYTES_CEILING + 1) as u32,
            topic: id,
            name: &topic.name,
            seq: publication.seq,
            key,
            queued_ms: ledger.now.wrapping_millis(),
        };
        let mut offered = 0;
        for subscriber in &mut topic.subscribers {
            if subscriber.conn == except {
                continue;
            }
            let slot = slots.at_mut(subscriber.conn);
            let conn = ConnId { index: subscriber.conn, generation: slot.generation };
            offered += 1;
            offer.to(subscriber, &mut slot.outbox, conn, ledger, &mut report);
        }
        ledger.totals.offered += offered;
        ledger.totals.delivered += report.delivered;
        ledger.totals.conflated += report.conflated;
        ledger.totals.dropped += report.dropped;
        self.compact();
        report
    }

    /// Queues a frame for one connection. It is never lost: if it does not fit, the connection
    /// is closed as too slow.
    pub fn send(&mut self, conn: ConnId, frame: &SharedFrame, now: Timestamp) -> SendStatus {
        self.ledger.advance(now);
        let ledger = &mut self.ledger;
        let Some(slot) = self.slots.get_mut(conn) else { return SendStatus::Gone };
        let outbox = &mut slot.outbox;
        if outbox.close_queued() {
            return SendStatus::Gone;
        }
        ledger.totals.offered += 1;
        let bytes = frame.len().min(OUTBOX_BYTES_CEILING + 1) as u32;
        if bytes as usize > OUTBOX_BYTES_CEILING || !outbox.fits(bytes, ledger) {
            let reason = outbox.crossed(bytes, ledger);
            let dropped = outbox.close_slow(conn, reason, ledger);
            ledger.totals.dropped += dropped + 1;
            return SendStatus::Full;
        }
        let queued_ms = ledger.now.wrapping_millis();
        let entry = Entry { frame: Some(frame.clone()), queued_ms, ..Entry::HOLE };
        outbox.wake(ledger);
        outbox.append(entry, bytes, ledger);
        outbox.mark_dirty(conn, ledger);
        ledger.totals.delivered += 1;
        SendStatus::Sent
    }
}

/// A frame on its way to the subscribers of a topic.
struct Offer<'a> {
    frame: &'a SharedFrame,
    bytes: u32,
    topic: TopicId,
    name: &'a str,
    seq: u64,
    key: u64,
    queued_ms: u32,
}

impl Offer<'_> {
    /// To one of them.
    #[inline]
    fn to(
        &self,
        subscriber: &mut Subscriber,
        outbox: &mut Outbox,
        conn: ConnId,
        ledger: &mut Ledger,
        report: &mut Report,
    ) {
        if outbox.close_queued() || self.bytes as usize > OUTBOX_BYTES_CEILING {
            report.dropped += 1;
            return;
        }
        if outbox.is_queue_empty() {
            // Nothing to conflate, nothing to exceed.
            outbox.wake(ledger);
            subscriber.pending =
                outbox.append(self.entry(subscriber.policy, 0), self.bytes, ledger);
            report.delivered += 1;
        } else {
            self.to_backlog(subscriber, outbox, conn, ledger, report);
        }
        outbox.mark_dirty(conn, ledger);
    }

    /// To one for whom something waits already.
    fn to_backlog(
        &self,
        subscriber: &mut Subscriber,
        outbox: &mut Outbox,
        conn: ConnId,
        ledger: &mut Ledger,
        report: &mut Report,
    ) {
        let fits = match subscriber.policy {
            Policy::Latest => {
                let pending = subscriber.pending;
                let older = outbox.is_pending(pending).then_some(pending);
                return self.conflate(older, subscriber, outbox, conn, ledger, report);
            }
            Policy::LatestByKey => {
                let older = outbox.find_key(subscriber.pending, self.topic, self.key);
                return self.conflate(older, subscriber, outbox, conn, ledger, report);
            }
            Policy::DropOldest => {
                while self.bytes <= ledger.bounds.bytes_max
                    && !outbox.fits(self.bytes, ledger)
                    && outbox.drop_oldest(ledger)
                {
                    report.dropped += 1;
                }
                outbox.check_holes(conn, ledger);
                outbox.fits(self.bytes, ledger)
            }
            Policy::Lossless { .. } | Policy::Close => outbox.fits(self.bytes, ledger),
        };
        if fits {
            return self.append(subscriber, outbox, ledger, report);
        }
        match subscriber.policy {
            Policy::DropOldest => report.dropped += 1,
            Policy::Lossless { overflow: Overflow::Gap } => {
                self.declare_gap(subscriber, outbox, conn, ledger, report);
            }
            _ => {
                let reason = outbox.crossed(self.bytes, ledger);
                report.dropped += 1 + outbox.close_slow(conn, reason, ledger);
            }
        }
    }

    #[inline]
    fn append(
        &self,
        subscriber: &mut Subscriber,
        outbox: &mut Outbox,
        ledger: &mut Ledger,
        report: &mut Report,
    ) {
        let entry = self.entry(subscriber.policy, outbox.distance(subscriber.pending));
        subscriber.pending = outbox.append(entry, self.bytes, ledger);
        report.delivered += 1;
    }

    /// Replaces the older value, or takes a place at the end. A reader for whom there is not
    /// even room for the newest value is closed: it would show an old one and not know.
    fn conflate(
        &self,
        older: Option<u64>,
        subscriber: &mut Subscriber,
        outbox: &mut Outbox,
        conn: ConnId,
        ledger: &mut Ledger,
        report: &mut Report,
    ) {
        match older {
            Some(index) if outbox.fits_in_place(index, self.bytes, ledger) => {
                outbox.replace(index, self.frame, ledger);
                report.conflated += 1;
                report.delivered += 1;
            }
            None if outbox.fits_conflated(self.bytes, ledger) => {
                self.append(subscriber, outbox, ledger, report);
            }
            _ => {
                let reason = outbox.crossed(self.bytes, ledger);
                report.dropped += 1 + outbox.close_slow(conn, reason, ledger);
            }
        }
    }

    /// Discards what waits of the subscription and queues the frame behind the notice, unless
    /// other topics leave no room: then the frame is part of the gap.
    #[cold]
    fn declare_gap(
        &self,
        subscriber: &mut Subscriber,
        outbox: &mut Outbox,
        conn: ConnId,
        ledger: &mut Ledger,
        report: &mut Report,
    ) {
        let reason = outbox.crossed(self.bytes, ledger);
        let lost = outbox.discard_chain(subscriber.pending, ledger);
        report.dropped += lost.frames;
        let fits = lost.frames > 0 && outbox.fits(self.bytes, ledger);
        let (from, to) = lost.range.unwrap_or((self.seq, self.seq));
        let to = if fits { to } else { self.seq };
        let gap = Gap { topic: self.name, from, to, reason };
        subscriber.pending = outbox.put_gap(lost.place, self.topic, &gap, ledger);
        if fits {
            self.append(subscriber, outbox, ledger, report);
        } else {
            report.dropped += 1;
        }
        outbox.check_holes(conn, ledger);
    }

    fn entry(&self, policy: Policy, back: u32) -> Entry {
        let kind = Kind::of(policy);
        Entry {
            frame: Some(self.frame.clone()),
            detail: if kind == Kind::Keyed { self.key } else { self.seq },
            topic: self.topic,
            back,
            queued_ms: self.queued_ms,
            kind,
        }
    }
}
