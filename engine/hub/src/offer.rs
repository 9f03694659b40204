//! One frame to one subscriber: what the policy makes of it.

use crate::codec::StreamRef;
use crate::frame::SharedFrame;
use crate::id::{ConnId, TopicId};
use crate::ledger::Ledger;
use crate::limits::OUTBOX_BYTES_CEILING;
use crate::outbox::Outbox;
use crate::outbox::backlog::Notice;
use crate::outbox::entry::{Entry, Kind, UNNUMBERED};
use crate::outbox::ring::Ring;
use crate::policy::{Overflow, Policy};
use crate::registry::Subscriber;
use crate::report::Report;
use crate::resync::{Pause, PausedList};

/// A frame on its way to the subscribers of a topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer<'a> {
    pub(crate) stream: StreamRef<'a>,
    pub(crate) topic: TopicId,
    /// The number, or [`UNNUMBERED`].
    pub(crate) seq: u64,
    pub(crate) is_snapshot: bool,
    pub(crate) key: u64,
    pub(crate) queued_ms: u32,
}

impl Offer<'_> {
    #[inline]
    fn entry(&self, frame: &SharedFrame, policy: Policy, back: u32) -> Entry {
        let kind = Kind::of(policy);
        Entry {
            frame: Some(frame.clone()),
            detail: if kind == Kind::Keyed { self.key } else { self.seq },
            topic: self.topic,
            back,
            queued_ms: self.queued_ms,
            kind,
            is_snapshot: self.is_snapshot,
        }
    }
}

/// One of the subscribers, with what its policy may touch and the frame in its encoding.
pub(crate) struct Target<'a> {
    pub(crate) subscriber: &'a mut Subscriber,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) paused: &'a mut Option<Box<PausedList>>,
    pub(crate) conn: ConnId,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) report: &'a mut Report,
    pub(crate) frame: &'a SharedFrame,
    pub(crate) bytes: u32,
}

impl Target<'_> {
    /// Queues the frame, as the policy says.
    #[inline]
    pub(crate) fn take(mut self, offer: &Offer<'_>) {
        if self.outbox.close_queued() || self.bytes as usize > OUTBOX_BYTES_CEILING {
            self.report.dropped += 1;
            return;
        }
        if offer.seq == UNNUMBERED {
            return self.note(offer);
        }
        if self.subscriber.is_paused() {
            self.report.dropped += 1;
            self.subscriber.pause(offer.seq);
            return;
        }
        if self.outbox.is_queue_empty() {
            // Nothing to conflate, nothing to exceed.
            self.outbox.wake(self.ledger);
            let entry = offer.entry(self.frame, self.subscriber.policy, 0);
            self.subscriber.set_pending(self.outbox.append(entry, self.bytes, self.ledger));
            self.report.delivered += 1;
        } else {
            self.take_behind(offer);
        }
        self.outbox.mark_dirty(self.conn, self.ledger);
    }

    /// Queues a notice, whatever the policy: it stands for itself, so no message takes its place
    /// nor it a message's. Where there is no room it is dropped, and counted.
    #[cold]
    fn note(self, offer: &Offer<'_>) {
        if !self.outbox.fits(self.bytes, self.ledger) {
            self.report.dropped += 1;
            return;
        }
        self.outbox.wake(self.ledger);
        let (frame, queued_ms) = (Some(self.frame.clone()), offer.queued_ms);
        let entry = Entry { frame, queued_ms, kind: Kind::Notice, ..Entry::HOLE };
        self.outbox.append(entry, self.bytes, self.ledger);
        self.report.delivered += 1;
        self.outbox.mark_dirty(self.conn, self.ledger);
    }

    /// Queues the frame, which is known to fit.
    pub(crate) fn put(mut self, offer: &Offer<'_>) {
        debug_assert!(!self.outbox.close_queued() && !self.subscriber.is_paused());
        self.outbox.wake(self.ledger);
        self.append(offer);
        self.outbox.mark_dirty(self.conn, self.ledger);
    }

    /// Where something waits already.
    fn take_behind(&mut self, offer: &Offer<'_>) {
        let pending = self.subscriber.pending();
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
                if self.outbox.fits(self.bytes, self.ledger) =>
            {
                self.append(offer);
            }
            Policy::Lossless { overflow: Overflow::Gap } => self.declare_gap(offer),
            Policy::Lossless { overflow: Overflow::Snapshot } => self.pause(offer),
            Policy::Lossless { overflow: Overflow::Close } | Policy::Close => self.close(),
        }
    }

    #[inline]
    fn append(&mut self, offer: &Offer<'_>) {
        let back = self.outbox.distance(self.subscriber.pending());
        let entry = offer.entry(self.frame, self.subscriber.policy, back);
        self.subscriber.set_pending(self.outbox.append(entry, self.bytes, self.ledger));
        self.report.delivered += 1;
    }

    /// Replaces the older value, or takes a place at the end. A reader for whom there is not
    /// even room for the newest value is closed: it would show an old one and not know.
    fn conflate(&mut self, offer: &Offer<'_>, older: Option<u64>) {
        match older {
            Some(index) if self.outbox.fits_in_place(index, self.bytes, self.ledger) => {
                self.outbox.replace(index, self.frame, self.ledger);
                self.report.conflated += 1;
                self.report.delivered += 1;
            }
            None if self.outbox.fits_conflated(self.bytes, self.ledger) => self.append(offer),
            _ => self.close(),
        }
    }

    fn drop_oldest(&mut self, offer: &Offer<'_>) {
        // What fits no outbox makes nobody go in vain.
        let possible = self.bytes <= self.ledger.bounds.bytes_max;
        while possible && !self.outbox.fits(self.bytes, self.ledger) {
            if !self.outbox.drop_oldest(self.ledger) {
                break;
            }
            self.report.dropped += 1;
        }
        self.outbox.check_holes(self.conn, self.ledger);
        if self.outbox.fits(self.bytes, self.ledger) {
            self.append(offer);
        } else {
            self.report.dropped += 1;
        }
    }

    /// Discards what waits of the subscription and queues the frame behind the notice, unless
    /// other topics leave no room: then the frame is part of the gap. Where nothing was lost
    /// that has a number, there is no gap to tell.
    #[cold]
    fn declare_gap(&mut self, offer: &Offer<'_>) {
        let (outbox, ledger) = (&mut *self.outbox, &mut *self.ledger);
        let reason = outbox.crossed(self.bytes, ledger);
        let lost = outbox.discard_chain(self.subscriber.pending(), ledger);
        let fits = lost.frames > 0 && outbox.fits(self.bytes, ledger);
        let range = match lost.range {
            _ if fits || offer.seq == UNNUMBERED => lost.range,
            range => {
                let (from, to) = range.unwrap_or((offer.seq, offer.seq));
                Some((from.min(offer.seq), to.max(offer.seq)))
            }
        };
        let place = range.map_or(Ring::NOWHERE, |(from, to)| {
            let encoding = self.subscriber.encoding;
            let notice = Notice { stream: offer.stream, from, to, reason, encoding };
            outbox.put_gap(lost.place, offer.topic, notice, ledger)
        });
        outbox.trim(ledger);
        self.subscriber.set_pending(place);
        self.report.dropped += lost.frames;
        if fits {
            self.append(offer);
        } else {
            self.report.dropped += 1;
        }
        self.outbox.check_holes(self.conn, self.ledger);
    }

    /// Discards what waits of the subscription: it goes on when the reader has caught up.
    #[cold]
    fn pause(&mut self, offer: &Offer<'_>) {
        self.report.dropped += 1;
        if offer.seq == UNNUMBERED {
            return;
        }
        let reason = self.outbox.crossed(self.bytes, self.ledger);
        let (subscriber, outbox) = (&mut *self.subscriber, &mut *self.outbox);
        let (conn, topic, lost_to) = (self.conn, offer.topic, offer.seq);
        let lost_from = offer.seq + u64::from(offer.is_snapshot);
        let pause = Pause { conn, topic, reason, lost_from, lost_to, begins: false };
        self.report.dropped += pause.begin(subscriber, outbox, self.paused, self.ledger);
    }

    #[cold]
    fn close(&mut self) {
        let reason = self.outbox.crossed(self.bytes, self.ledger);
        self.report.dropped += 1 + self.outbox.close_slow(self.conn, reason, self.ledger);
    }
}
