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
            let (outbox, report) = (&mut slot.outbox, &mut report);
            Target { subscriber, outbox, conn, ledger, report }.take(&offer);
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

/// One of the subscribers, with what its policy may touch.
struct Target<'a> {
    subscriber: &'a mut Subscriber,
    outbox: &'a mut Outbox,
    conn: ConnId,
    ledger: &'a mut Ledger,
    report: &'a mut Report,
}

impl Target<'_> {
    #[inline]
    fn take(mut self, offer: &Offer<'_>) {
        if self.outbox.close_queued() || offer.bytes as usize > OUTBOX_BYTES_CEILING {
            self.report.dropped += 1;
            return;
        }
        if self.outbox.is_queue_empty() {
            // Nothing to conflate, nothing to exceed.
            self.outbox.wake(self.ledger);
            let entry = offer.entry(self.subscriber.policy, 0);
            self.subscriber.pending = self.outbox.append(entry, offer.bytes, self.ledger);
            self.report.delivered += 1;
        } else {
            self.take_behind(offer);
        }
        self.outbox.mark_dirty(self.conn, self.ledger);
    }

    /// Where something waits already.
    fn take_behind(&mut self, offer: &Offer<'_>) {
        let pending = self.subscriber.pending;
        match self.subscriber.policy {
            Policy::Latest => {
                let older = self.outbox.is_pending(pending).then_some(pending);
                self.conflate(offer, older);
            }
            Policy::LatestByKey => {
                let older = self.outbox.find_key(pending, offer.topic, offer.key);
                self.conflate(offer, older);
            }
            Policy::DropOldest => self.drop_oldest(offer),
            Policy::Lossless { .. } | Policy::Close
                if self.outbox.fits(offer.bytes, self.ledger) =>
            {
                self.append(offer);
            }
            Policy::Lossless { overflow: Overflow::Gap } => self.declare_gap(offer),
            Policy::Lossless { overflow: Overflow::Close } | Policy::Close => self.close(offer),
        }
    }

    #[inline]
    fn append(&mut self, offer: &Offer<'_>) {
        let back = self.outbox.distance(self.subscriber.pending);
        let entry = offer.entry(self.subscriber.policy, back);
        self.subscriber.pending = self.outbox.append(entry, offer.bytes, self.ledger);
        self.report.delivered += 1;
    }

    /// Replaces the older value, or takes a place at the end. A reader for whom there is not
    /// even room for the newest value is closed: it would show an old one and not know.
    fn conflate(&mut self, offer: &Offer<'_>, older: Option<u64>) {
        match older {
            Some(index) if self.outbox.fits_in_place(index, offer.bytes, self.ledger) => {
                self.outbox.replace(index, offer.frame, self.ledger);
                self.report.conflated += 1;
                self.report.delivered += 1;
            }
            None if self.outbox.fits_conflated(offer.bytes, self.ledger) => self.append(offer),
            _ => self.close(offer),
        }
    }

    fn drop_oldest(&mut self, offer: &Offer<'_>) {
        // What fits no outbox makes nobody go in vain.
        let possible = offer.bytes <= self.ledger.bounds.bytes_max;
        while possible && !self.outbox.fits(offer.bytes, self.ledger) {
            if !self.outbox.drop_oldest(self.ledger) {
                break;
            }
            self.report.dropped += 1;
        }
        self.outbox.check_holes(self.conn, self.ledger);
        if self.outbox.fits(offer.bytes, self.ledger) {
            self.append(offer);
        } else {
            self.report.dropped += 1;
        }
    }

    /// Discards what waits of the subscription and queues the frame behind the notice, unless
    /// other topics leave no room: then the frame is part of the gap.
    #[cold]
    fn declare_gap(&mut self, offer: &Offer<'_>) {
        let (outbox, ledger) = (&mut *self.outbox, &mut *self.ledger);
        let reason = outbox.crossed(offer.bytes, ledger);
        let lost = outbox.discard_chain(self.subscriber.pending, ledger);
        let fits = lost.frames > 0 && outbox.fits(offer.bytes, ledger);
        let (from, to) = lost.range.unwrap_or((offer.seq, offer.seq));
        let to = if fits { to } else { offer.seq };
        let gap = Gap { topic: offer.name, from, to, reason };
        self.subscriber.pending = outbox.put_gap(lost.place, offer.topic, &gap, ledger);
        self.report.dropped += lost.frames;
        if fits {
            self.append(offer);
        } else {
            self.report.dropped += 1;
        }
        self.outbox.check_holes(self.conn, self.ledger);
    }

    #[cold]
    fn close(&mut self, offer: &Offer<'_>) {
        let reason = self.outbox.crossed(offer.bytes, self.ledger);
        self.report.dropped += 1 + self.outbox.close_slow(self.conn, reason, self.ledger);
    }
}
