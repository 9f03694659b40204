//! One frame to many sockets, or to one.

use crate::codec::StreamRef;
use crate::encoding::Encoding;
use crate::frame::{Prepared, SharedFrame, SharedFrames};
use crate::hub::Hub;
use crate::id::{ConnId, Timestamp, TopicId};
use crate::limits::OUTBOX_BYTES_CEILING;
use crate::namespace::Payload;
use crate::offer::{Offer, Target};
use crate::outbox::entry::{Entry, UNNUMBERED};
use crate::patterns::Cause;
use crate::registry::{FORMS, form};
use crate::report::Report;
use crate::slots::Slot;
use crate::stream::Stream;

/// A message for the subscribers of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// The stream's name. One that has no subscribers here is no error.
    pub topic: &'a str,
    /// The stream's number, of this server and this epoch alone.
    pub sid: u32,
    /// What its publishers' bytes are.
    pub payload: Payload,
    /// The shard that is its home: the patterns that are known to that home are asked where the
    /// stream is unknown. [`Stream::NO_HOME`]: none is.
    pub home: u16,
    /// The interval of the variant in milliseconds, 0 for the topic itself.
    pub interval_ms: u32,
    /// The frame's number within the stream, rising. Gaps are declared in these numbers. 0: a
    /// notice, which has none; its loss is counted and not told.
    pub seq: u64,
    /// Whether it is a snapshot: no message itself, it stands for all up to its number.
    pub is_snapshot: bool,
    /// The frame, in each encoding that is wanted. Who wants another is passed over.
    pub frames: Prepared<'a>,
    /// What `latest_by_key` conflates by; none is the same as an empty one.
    pub key: Option<&'a [u8]>,
    /// A connection that gets nothing: the sender.
    pub except: Option<ConnId>,
}

impl<'a> Publication<'a> {
    /// A message of a topic outside the feed, for all its subscribers.
    #[must_use]
    pub const fn raw(topic: &'a str, seq: u64, frames: &'a SharedFrames) -> Self {
        let Stream { sid, payload, home, interval_ms, .. } = Stream::raw(topic);
        let (is_snapshot, key, except) = (false, None, None);
        let frames = Prepared::Shared(frames);
        Self { topic, sid, payload, home, interval_ms, seq, is_snapshot, frames, key, except }
    }

    /// The stream as it was before this message. A snapshot stands for its own number.
    #[must_use]
    pub const fn stream(&self) -> Stream<'a> {
        let &Self { topic: name, sid, payload, home, interval_ms, .. } = self;
        let seq = if self.is_snapshot { self.seq } else { self.seq.saturating_sub(1) };
        Stream { name, sid, payload, home, interval_ms, seq }
    }
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
    /// Queues a message for every subscriber of a stream, as the policy of each says.
    /// O(subscribers). A frame of more than 1 GiB is dropped for all.
    ///
    /// A stream that this hub does not know is looked up among the patterns; where some match,
    /// their connections are subscribed first, and told so. Where the stream has a past and its
    /// namespace keeps a snapshot, their subscriptions begin paused and are listed
    /// ([`take_resync`](Self::take_resync)): what is between them and the snapshot is in there.
    pub fn publish(&mut self, publication: &Publication<'_>, now: Timestamp) -> Report {
        self.ledger.advance(now);
        let mut report = Report::default();
        let Some(id) = self.published(publication) else { return report };
        let Self { slots, topics, ledger, .. } = self;
        let Some(topic) = topics.get_mut(id) else { return report };
        let except = publication.except.filter(|conn| slots.get(*conn).is_some());
        let except = except.map_or(u32::MAX, |conn| conn.index);
        let key = topic.key(publication.key);
        let mut made = SharedFrames::default();
        // Found at once as a rule: most subscribers of a stream want what the first one wants.
        let is_wanted = |encoding, twin| {
            let wanted = form(encoding, twin);
            topic.subscribers.iter().any(|subscriber| subscriber.form() == wanted)
        };
        let shared = publication.frames.share(&mut made, is_wanted);
        let mut frames = [None; FORMS];
        let sized = |frame: &'_ SharedFrame| frame.len().min(OUTBOX_BYTES_CEILING + 1) as u32;
        for encoding in Encoding::ALL {
            let (plain, twin) = (shared.get(encoding), shared.get_twin(encoding));
            frames[form(encoding, false)] = plain.map(|frame| (frame, sized(frame)));
            frames[form(encoding, true)] = twin.map(|frame| (frame, sized(frame)));
        }
        let stream = StreamRef { name: &topic.name, sid: topic.sid, payload: topic.payload };
        let is_snapshot = publication.is_snapshot;
        let is_notice = publication.seq == 0 && !is_snapshot;
        let seq = if is_notice { UNNUMBERED } else { publication.seq };
        let queued_ms = ledger.now.wrapping_millis();
        let offer = Offer { stream, topic: id, seq, is_snapshot, key, queued_ms };
        let mut offered = 0;
        for subscriber in &mut topic.subscribers {
            let Some((frame, bytes)) = frames[subscriber.form() % FORMS] else { continue };
            if subscriber.conn == except {
                continue;
            }
            let Slot { outbox, paused, generation, .. } = slots.at_mut(subscriber.conn);
            let conn = ConnId { index: subscriber.conn, generation: *generation };
            offered += 1;
            let report = &mut report;
            Target { subscriber, outbox, paused, conn, ledger, report, frame, bytes }.take(&offer);
        }
        ledger.totals.count(offered, report);
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
        let twin = frame.frame().twin().filter(|_| slot.takes_twins);
        let twin = twin.map(|twin| SharedFrame::new(twin.clone(), frame.published_at()));
        let frame = twin.as_ref().unwrap_or(frame);
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

    /// The topic of a publication, made where patterns want it.
    #[inline]
    fn published(&mut self, publication: &Publication<'_>) -> Option<TopicId> {
        let found = self.topics.find(publication.topic);
        let known = found.and_then(|id| self.topics.get(id));
        if known.is_some_and(|topic| topic.is(publication.home, publication.sid)) {
            return found;
        }
        if publication.home == Stream::NO_HOME || found.is_none() && self.tries.is_empty() {
            return found;
        }
        let cause = match publication.seq {
            _ if publication.is_snapshot => Cause::Snapshot,
            0 => Cause::Notice,
            _ => Cause::Message,
        };
        self.meet(&publication.stream(), found, cause)
    }
}
