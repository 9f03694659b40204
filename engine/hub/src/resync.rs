//! Slow readers of streams that have a snapshot: paused at a bound, and set right again later.

use corecast_wire::Frame;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::frame::SharedFrame;
use crate::hub::Hub;
use crate::id::{ConnId, Timestamp, TopicId};
use crate::ledger::Ledger;
use crate::limits::{OUTBOX_BYTES_CEILING, RESYNCS_MAX};
use crate::offer::{Offer, Target};
use crate::outbox::Outbox;
use crate::outbox::backlog::Notice;
use crate::policy::Policy;
use crate::registry::Subscriber;
use crate::report::Report;
use crate::slots::Slot;
use crate::slow::{Resync, SlowReason};
use crate::stream::{Stream, topic_of};

impl Hub {
    /// Adds to `out` the paused subscriptions that can go on: their reader takes something
    /// again, and less than half of what may wait does. Each is listed once, at most 256 of a
    /// connection at a time; who takes it asks its home and calls [`resync`](Self::resync).
    pub fn take_resync(&mut self, out: &mut impl Extend<Resync>) {
        let Self { slots, topics, ledger, .. } = self;
        for conn in ledger.resync.drain(..) {
            let Some(slot) = slots.get_mut(conn) else { continue };
            let Some(list) = &mut slot.paused else { continue };
            list.list(|id, lost_from| {
                let Some(position) = slot.subscriptions.position(id) else { return };
                let Some(topic) = topics.get(id) else { return };
                out.extend(Some(Resync {
                    conn,
                    name: (*topic.name).into(),
                    topic: topic_of(&topic.name, topic.interval_ms).into(),
                    interval_ms: topic.interval_ms,
                    home: topic.home,
                    encoding: topic.subscribers[position as usize].encoding,
                    lost_from,
                }));
            });
            if !list.unlisted.is_empty() {
                slot.outbox.set_paused(false);
            }
        }
    }

    /// Whether [`take_resync`](Self::take_resync) might return anything.
    #[inline]
    #[must_use]
    pub fn has_resync(&self) -> bool {
        !self.ledger.resync.is_empty()
    }

    /// Lets a paused subscription go on: queues the notice of what was lost, unless `missed`
    /// covers it all, the snapshot and what came behind it. `stream.seq` is the number of the
    /// last of `missed`, or the one that the snapshot stands for.
    ///
    /// False when there is nothing to go on, as where the subscription has ended or an older
    /// answer is late; and when there is no room: then it stays paused and is listed again as
    /// soon as nothing waits. What exceeds even an empty outbox closes the connection.
    pub fn resync(
        &mut self,
        conn: ConnId,
        stream: &Stream<'_>,
        lost_from: u64,
        snapshot: Option<Frame>,
        missed: &[Frame],
        now: Timestamp,
    ) -> bool {
        self.ledger.advance(now);
        let Some((id, position)) = self.due(conn, stream.name, lost_from) else { return false };
        self.resume(conn, id, position, CatchUp { seq: stream.seq, snapshot, missed })
    }

    /// Lets a paused subscription go on without an answer, since its home gave none: the notice of
    /// what is known to be lost is queued, but for `latest` and `latest_by_key`.
    ///
    /// False when there is nothing to go on, as for [`resync`](Self::resync).
    pub fn resync_failed(&mut self, conn: ConnId, name: &str, lost_from: u64) -> bool {
        let Some((id, position)) = self.due(conn, name, lost_from) else { return false };
        let policy = self.subscriber_mut(id, position).map(|subscriber| subscriber.policy);
        let silent = matches!(policy, Some(Policy::Latest | Policy::LatestByKey));
        self.end_pause(conn, id, position, !silent);
        // Others may have waited for their turn to be listed.
        self.slots.at_mut(conn.index).outbox.judge_resync(conn, &mut self.ledger);
        true
    }

    /// The paused subscription that was listed with these words, if it still is.
    fn due(&self, conn: ConnId, name: &str, lost_from: u64) -> Option<(TopicId, u32)> {
        let (id, position) = self.subscription(conn, name)?;
        let paused = self.slots.get(conn)?.paused.as_ref()?.find(id)?;
        (paused.listed && paused.lost_from == lost_from).then_some((id, position))
    }

    /// Lets a subscription begin paused: its snapshot did not come, or did not fit. `lost_from`:
    /// the first number that the client does not get but by the snapshot, or in a gap.
    #[cold]
    pub(crate) fn begin_paused(
        &mut self,
        conn: ConnId,
        id: TopicId,
        lost_from: u64,
        lost_to: u64,
        bytes: u32,
    ) {
        let Self { slots, topics, ledger, .. } = self;
        let Slot { outbox, paused, subscriptions, .. } = slots.at_mut(conn.index);
        let Some(position) = subscriptions.position(id) else { return };
        let Some(topic) = topics.get_mut(id).filter(|_| !outbox.close_queued()) else { return };
        let reason = outbox.crossed(bytes, ledger);
        let pause = Pause { conn, topic: id, reason, lost_from, lost_to, begins: true };
        let subscriber = topic.at(position).1;
        ledger.totals.dropped += pause.begin(subscriber, outbox, paused, ledger);
    }

    /// Whether a subscription is paused because its snapshot is still to come.
    pub(crate) fn begins_paused(&self, conn: ConnId, id: TopicId) -> bool {
        let list = self.slots.get(conn).and_then(|slot| slot.paused.as_ref());
        list.and_then(|list| list.find(id)).is_some_and(|paused| paused.begins)
    }

    /// As [`resync`](Self::resync), for a subscription that is known to be paused.
    pub(crate) fn resume(
        &mut self,
        conn: ConnId,
        id: TopicId,
        position: u32,
        catch_up: CatchUp<'_>,
    ) -> bool {
        let Self { slots, topics, ledger, .. } = self;
        let Slot { outbox, paused, .. } = slots.at_mut(conn.index);
        let Some(topic) = topics.get_mut(id) else { return false };
        let (stream, subscriber) = topic.at(position);
        let Some(list) = paused.as_mut() else { return false };
        let Some(&entry) = list.find(id).filter(|_| !outbox.close_queued()) else {
            return false;
        };
        let fits = catch_up.fits(outbox, ledger);
        let is_newer = subscriber.lost_to().is_none_or(|lost_to| lost_to <= catch_up.seq);
        if !fits && outbox.bound_frames() == 0 {
            let reason = outbox.crossed(catch_up.bytes(), ledger);
            ledger.totals.dropped += outbox.close_slow(conn, reason, ledger);
            return false;
        }
        if !fits || !is_newer {
            list.unlist(id);
            outbox.set_paused(true);
            return false;
        }
        // Before the first message there was nothing that could be lost.
        let (from, to, reason) = (entry.lost_from.max(1), catch_up.covered(), entry.reason);
        forget_paused(paused, id, outbox);
        subscriber.resume();
        // Where nothing had come yet, a snapshot is all there is to know.
        let is_whole = entry.begins && catch_up.snapshot.is_some();
        if to >= from && !is_whole {
            let notice = Notice { stream, from, to, reason, encoding: subscriber.encoding };
            tell_in_order(conn, id, subscriber, outbox, notice, ledger);
        }
        self.catch_up(conn, id, position, catch_up, true);
        // Others may have waited for their turn to be listed.
        self.slots.at_mut(conn.index).outbox.judge_resync(conn, &mut self.ledger);
        true
    }

    /// Queues a snapshot and what came behind it for one subscription. `fits`: it is known
    /// to. Of the newest value one is enough.
    pub(crate) fn catch_up(
        &mut self,
        conn: ConnId,
        id: TopicId,
        position: u32,
        catch_up: CatchUp<'_>,
        fits: bool,
    ) {
        let Self { slots, topics, ledger, .. } = self;
        let Some(topic) = topics.get_mut(id) else { return };
        let Slot { outbox, paused, takes_twins, .. } = slots.at_mut(conn.index);
        let offered = u64::from(catch_up.frames());
        let mut report = Report::default();
        let first = catch_up.covered() + u64::from(catch_up.snapshot.is_none());
        let missed = catch_up.missed.iter().cloned();
        let mut is_snapshot = catch_up.snapshot.is_some();
        for (frame, seq) in catch_up.snapshot.into_iter().chain(missed).zip(first..) {
            let keyed = topic.subscribers[position as usize].policy == Policy::LatestByKey;
            // Not to be conflated with anything: it has the values of many keys.
            let key = if keyed { topic.fresh_key() } else { 0 };
            let (stream, subscriber) = topic.at(position);
            let queued_ms = ledger.now.wrapping_millis();
            let offer = Offer { stream, topic: id, seq, is_snapshot, key, queued_ms };
            is_snapshot = false;
            let twin = frame.twin().filter(|_| *takes_twins);
            let frame = twin.cloned().unwrap_or_else(|| frame.without_twin());
            let frame = &SharedFrame::new(frame, ledger.now);
            let bytes = frame.len().min(OUTBOX_BYTES_CEILING + 1) as u32;
            let report = &mut report;
            let target = Target { subscriber, outbox, paused, conn, ledger, report, frame, bytes };
            let puts = fits && target.subscriber.policy != Policy::Latest;
            if puts { target.put(&offer) } else { target.take(&offer) }
        }
        ledger.totals.count(offered, report);
        self.compact();
    }

    /// Ends a pause without more ado than a notice of what was lost: the subscription ends, or
    /// goes on under another policy.
    pub(crate) fn end_pause(&mut self, conn: ConnId, id: TopicId, position: u32, told: bool) {
        let Self { slots, topics, ledger, .. } = self;
        let Slot { outbox, paused, .. } = slots.at_mut(conn.index);
        let Some(topic) = topics.get_mut(id) else { return };
        let (stream, subscriber) = topic.at(position);
        let Some(to) = subscriber.lost_to() else { return };
        let Some(entry) = forget_paused(paused, id, outbox) else { return };
        subscriber.resume();
        // Before the first message there was nothing that could be lost.
        if told && to > 0 && !outbox.close_queued() {
            let Paused { lost_from, reason, .. } = entry;
            // Where only a snapshot was lost, it is what the range names.
            let from = lost_from.min(to);
            let encoding = subscriber.encoding;
            outbox.tell_gap(conn, Notice { stream, from, to, reason, encoding }, ledger);
        }
    }
}

/// What stands for the messages that a subscriber did not see.
#[derive(Debug, Clone)]
pub(crate) struct CatchUp<'a> {
    /// The number of the last of them.
    pub(crate) seq: u64,
    pub(crate) snapshot: Option<Frame>,
    pub(crate) missed: &'a [Frame],
}

impl CatchUp<'_> {
    /// The number up to which the snapshot covers: all before it is in there, or lost.
    pub(crate) fn covered(&self) -> u64 {
        self.seq.saturating_sub(self.missed.len() as u64)
    }

    fn frames(&self) -> u32 {
        let frames = self.missed.len() + usize::from(self.snapshot.is_some());
        u32::try_from(frames).unwrap_or(u32::MAX)
    }

    /// Bytes of all frames, at most as many as the hub counts with.
    pub(crate) fn bytes(&self) -> u32 {
        let bytes: usize = self.snapshot.iter().chain(self.missed).map(Frame::len).sum();
        bytes.min(OUTBOX_BYTES_CEILING) as u32
    }

    /// Whether all of it may wait in an outbox besides what does.
    pub(crate) fn fits(&self, outbox: &Outbox, ledger: &Ledger) -> bool {
        let snapshot = self.snapshot.as_ref().map(|frame| frame.len() as u64);
        let bytes = self.missed.iter().map(|frame| frame.len() as u64).sum();
        outbox.fits_all(snapshot, (self.missed.len() as u64, bytes), ledger)
    }
}

/// The paused subscriptions of one connection.
#[derive(Debug, Default)]
pub(crate) struct PausedList {
    paused: FxHashMap<u32, Paused>,
    /// Those of which nobody was told yet that they can go on.
    unlisted: FxHashSet<u32>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Paused {
    reason: SlowReason,
    /// The first number lost.
    pub(crate) lost_from: u64,
    /// Whether somebody was told that it can go on.
    pub(crate) listed: bool,
    /// Whether it is how the subscription begins: its snapshot is still to come.
    pub(crate) begins: bool,
}

impl Paused {
    /// Whether it waits on for the snapshot that is still to come: what is there has none, and
    /// nothing from before what was lost.
    pub(crate) fn still_waits(&self, catch_up: &CatchUp<'_>) -> bool {
        self.begins && catch_up.snapshot.is_none() && catch_up.covered() + 1 >= self.lost_from
    }
}

impl PausedList {
    pub(crate) fn find(&self, topic: TopicId) -> Option<&Paused> {
        self.paused.get(&topic.index())
    }

    /// Those that nobody was told of, as many as may be asked for at a time.
    fn list(&mut self, mut each: impl FnMut(TopicId, u64)) {
        let asked = self.paused.len() - self.unlisted.len();
        let room = RESYNCS_MAX.saturating_sub(asked);
        let next: Vec<u32> = self.unlisted.iter().copied().take(room).collect();
        for topic in next {
            self.unlisted.remove(&topic);
            if let Some(paused) = self.paused.get_mut(&topic) {
                paused.listed = true;
                each(TopicId(topic), paused.lost_from);
            }
        }
    }

    /// Whoever was told of it had no answer that would do.
    fn unlist(&mut self, topic: TopicId) {
        if let Some(paused) = self.paused.get_mut(&topic.index()) {
            paused.listed = false;
            self.unlisted.insert(topic.index());
        }
    }
}

/// Takes a subscription off the list; the last one leaves no list behind.
fn forget_paused(
    list: &mut Option<Box<PausedList>>,
    topic: TopicId,
    outbox: &mut Outbox,
) -> Option<Paused> {
    let entries = list.as_mut()?;
    let paused = entries.paused.remove(&topic.index())?;
    entries.unlisted.remove(&topic.index());
    if entries.paused.is_empty() {
        *list = None;
        outbox.clear_paused();
    }
    Some(paused)
}

/// Queues the notice of a gap before what comes next of the subscription, if its policy tells
/// what it loses.
fn tell_in_order(
    conn: ConnId,
    id: TopicId,
    subscriber: &mut Subscriber,
    outbox: &mut Outbox,
    notice: Notice<'_>,
    ledger: &mut Ledger,
) {
    if matches!(subscriber.policy, Policy::Latest | Policy::LatestByKey | Policy::DropOldest) {
        return;
    }
    outbox.wake(ledger);
    subscriber.set_pending(outbox.put_gap(None, id, notice, ledger));
    outbox.mark_dirty(conn, ledger);
}

/// A subscription that crossed a bound, or begins without its snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pause {
    pub(crate) conn: ConnId,
    pub(crate) topic: TopicId,
    pub(crate) reason: SlowReason,
    /// The first number lost, where nothing waits.
    pub(crate) lost_from: u64,
    /// The last number lost.
    pub(crate) lost_to: u64,
    /// Whether its snapshot is still to come.
    pub(crate) begins: bool,
}

impl Pause {
    /// Discards what waits of it and takes note of where it stopped; returns how many data
    /// frames were discarded.
    pub(crate) fn begin(
        self,
        subscriber: &mut Subscriber,
        outbox: &mut Outbox,
        list: &mut Option<Box<PausedList>>,
        ledger: &mut Ledger,
    ) -> u64 {
        let Self { conn, topic, reason, lost_from, lost_to, begins } = self;
        let lost = outbox.discard_chain(subscriber.pending(), ledger);
        outbox.trim(ledger);
        let lost_from = lost.range.map_or(lost_from, |(from, _)| from);
        subscriber.pause(lost_to);
        let list = list.get_or_insert_default();
        list.paused.insert(topic.index(), Paused { reason, lost_from, listed: false, begins });
        list.unlisted.insert(topic.index());
        outbox.set_paused(false);
        outbox.check_holes(conn, ledger);
        outbox.judge_resync(conn, ledger);
        lost.frames
    }
}
