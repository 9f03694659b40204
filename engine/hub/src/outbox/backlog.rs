//! What changes the ring: queueing, replacing, discarding, closing the holes.

use crate::codec::StreamRef;
use crate::encoding::Encoding;
use crate::frame::SharedFrame;
use crate::id::{ConnId, TopicId};
use crate::ledger::Ledger;
use crate::limits::{ANNOUNCEMENT_BYTES_ALLOWANCE, OUTBOX_BYTES_CEILING, PATTERN_TOPICS_MAX};
use crate::outbox::entry::{Entry, Kind};
use crate::outbox::ring::Ring;
use crate::outbox::{Flags, Outbox};
use crate::slow::{Gap, SlowReason};

impl Outbox {
    /// Whether a frame of `bytes` more stays within the bounds. When nothing that counts waits,
    /// any does.
    #[inline]
    pub(crate) fn fits(&self, bytes: u32, ledger: &Ledger) -> bool {
        let bounds = &ledger.bounds;
        let frames = self.bound_frames();
        let bytes = self.bound_bytes() + bytes;
        frames == 0 || (bytes <= bounds.bytes_max && frames < bounds.frames_max)
    }

    /// As [`fits`](Self::fits), with the allowance for conflated entries.
    pub(crate) fn fits_conflated(&self, bytes: u32, ledger: &Ledger) -> bool {
        let bounds = &ledger.bounds;
        let frames = self.bound_frames();
        let bytes = self.bound_bytes() + bytes;
        frames == 0 || (bytes <= bounds.conflated_bytes_max && frames < bounds.conflated_frames_max)
    }

    /// As [`fits`](Self::fits), for a snapshot of so many bytes, if any, and so many frames behind
    /// it at once. When nothing that counts waits, the first of them may be of any size, and what
    /// is behind a snapshot has the bounds for itself.
    pub(crate) fn fits_all(
        &self,
        snapshot: Option<u64>,
        (frames, bytes): (u64, u64),
        ledger: &Ledger,
    ) -> bool {
        let bounds = &ledger.bounds;
        let ceiling = OUTBOX_BYTES_CEILING as u64;
        let within = |frames: u64, bytes: u64| {
            frames <= bounds.frames_max.into() && bytes <= bounds.bytes_max.into()
        };
        if self.bound_frames() == 0 {
            let is_alone = snapshot.is_none() && frames <= 1 && bytes <= ceiling;
            return is_alone || snapshot.unwrap_or(0) <= ceiling && within(frames, bytes);
        }
        within(
            u64::from(self.bound_frames()) + u64::from(snapshot.is_some()) + frames,
            u64::from(self.bound_bytes()) + snapshot.unwrap_or(0) + bytes,
        )
    }

    /// The bound that an announcement of `bytes` more would cross. When no other waits, none.
    pub(crate) fn crossed_by_announcement(&self, bytes: u32) -> Option<SlowReason> {
        let (bytes, frames) = (self.announced_bytes + bytes, self.announced_frames + 1);
        let bytes_max = ANNOUNCEMENT_BYTES_ALLOWANCE as u64;
        let frames_max = PATTERN_TOPICS_MAX as u32;
        match frames {
            1 => None,
            _ if u64::from(bytes) > bytes_max => {
                Some(SlowReason::Bytes { bytes: bytes.into(), bytes_max })
            }
            _ => (frames > frames_max).then_some(SlowReason::Frames { frames, frames_max }),
        }
    }

    /// Whether less than half of what may wait does, announcements counted apart.
    pub(crate) fn has_room(&self, ledger: &Ledger) -> bool {
        let bounds = &ledger.bounds;
        let (bytes, frames) = (self.bound_bytes(), self.bound_frames());
        let has_room =
            frames == 0 || bytes < bounds.bytes_max / 2 && frames < bounds.frames_max / 2;
        has_room
            && (self.announced_bytes as usize) < ANNOUNCEMENT_BYTES_ALLOWANCE / 2
            && (self.announced_frames as usize) < PATTERN_TOPICS_MAX / 2
    }

    /// Whether the frame at `index` may become one of `bytes`.
    pub(crate) fn fits_in_place(&self, index: u64, bytes: u32, ledger: &Ledger) -> bool {
        let old = self.ring.get(index).map_or(0, bytes_of);
        let rest = self.bound_bytes() - old;
        self.bound_frames() <= 1 || rest + bytes <= ledger.bounds.conflated_bytes_max
    }

    /// The bound that a frame of `bytes` more would cross.
    pub(crate) fn crossed(&self, bytes: u32, ledger: &Ledger) -> SlowReason {
        let (bytes, bytes_max) = (self.bound_bytes() + bytes, ledger.bounds.bytes_max);
        if bytes > bytes_max {
            SlowReason::Bytes { bytes: bytes.into(), bytes_max: bytes_max.into() }
        } else {
            let frames = self.bound_frames() + 1;
            SlowReason::Frames { frames, frames_max: ledger.bounds.frames_max }
        }
    }

    /// Queues a frame of `bytes` behind all others, whatever the bounds say; returns its index.
    #[inline]
    pub(crate) fn append(&mut self, entry: Entry, bytes: u32, ledger: &mut Ledger) -> u64 {
        self.count_in(entry.kind, bytes, ledger);
        if let Some(keys) = &mut self.keys {
            keys.insert(&entry, self.ring.tail());
        }
        self.ring.push_back(entry, &mut ledger.pool)
    }

    /// How far before the next entry `pending` stands, 0 when it has left.
    #[inline]
    pub(crate) fn distance(&self, pending: u64) -> u32 {
        self.ring.get(pending).map_or(0, |_| (self.ring.tail() - pending) as u32)
    }

    /// Whether the entry at `index` still waits.
    #[inline]
    pub(crate) fn is_pending(&self, index: u64) -> bool {
        self.ring.get(index).is_some()
    }

    /// Puts `frame` in the place of the one at `index`.
    pub(crate) fn replace(&mut self, index: u64, frame: &SharedFrame, ledger: &mut Ledger) {
        let Some(entry) = self.ring.get_mut(index) else { return };
        let (kind, old) = (entry.kind, bytes_of(entry));
        entry.frame = Some(frame.clone());
        self.count_out(kind, old, ledger);
        self.count_in(kind, frame.len() as u32, ledger);
    }

    /// Makes room by the oldest waiting `DropOldest` entry; false when there is none.
    pub(crate) fn drop_oldest(&mut self, ledger: &mut Ledger) -> bool {
        let (head, tail) = (self.ring.head(), self.ring.tail());
        let mut index = head + u64::from(self.droppable_from);
        while index < tail {
            let entry = self.ring.get(index);
            if entry.is_some_and(|entry| entry.kind == Kind::DropOldest) {
                break;
            }
            index += 1;
        }
        self.droppable_from = (index - head) as u32;
        let found = self.remove(index, ledger).is_some();
        self.trim(ledger);
        found
    }

    /// Discards what waits of the subscription whose newest entry is at `pending`. The place of
    /// the oldest stays a hole, to be filled or [trimmed](Self::trim) by the caller.
    pub(crate) fn discard_chain(&mut self, pending: u64, ledger: &mut Ledger) -> Lost {
        let mut lost = Lost { place: None, range: None, frames: 0 };
        let mut next = Some(pending);
        while let Some(index) = next {
            let Some(entry) = self.remove(index, ledger) else { break };
            if let Some((from, to)) = entry.range() {
                // What is told again stands behind newer numbers.
                lost.range =
                    Some(lost.range.map_or((from, to), |(least, greatest)| {
                        (from.min(least), to.max(greatest))
                    }));
            }
            lost.place = Some(index);
            lost.frames += u64::from(entry.kind.is_data());
            next = (entry.back != 0).then(|| index - u64::from(entry.back));
        }
        lost
    }

    /// Queues the notice of a gap in the place that [`discard_chain`](Self::discard_chain)
    /// left, or behind all others; returns its index.
    pub(crate) fn put_gap(
        &mut self,
        place: Option<u64>,
        topic: TopicId,
        notice: Notice<'_>,
        ledger: &mut Ledger,
    ) -> u64 {
        ledger.totals.gaps += 1;
        let Notice { stream, from, to, reason, encoding } = notice;
        let gap = Gap { topic: stream.name, from, to, reason };
        let frame = SharedFrame::new(ledger.codec.gap(stream, &gap, encoding), ledger.now);
        let bytes = frame.len() as u32;
        let (frame, detail, kind) = (Some(frame), from, Kind::Gap);
        let queued_ms = u32::try_from(to - from).unwrap_or(u32::MAX);
        let entry = Entry { frame, detail, topic, queued_ms, kind, ..Entry::HOLE };
        let Some(index) = place else { return self.append(entry, bytes, ledger) };
        self.count_in(kind, bytes, ledger);
        self.ring.fill(index, entry);
        self.trim(ledger);
        index
    }

    /// Queues a notice that belongs to no subscription. A reader that has let too many of them
    /// wait is closed as too slow: false.
    pub(crate) fn notify(&mut self, conn: ConnId, frame: SharedFrame, ledger: &mut Ledger) -> bool {
        let bytes = frame.len().min(OUTBOX_BYTES_CEILING) as u32;
        if let Some(reason) = self.crossed_by_announcement(bytes) {
            ledger.totals.dropped += self.close_slow(conn, reason, ledger);
            return false;
        }
        self.wake(ledger);
        let kind = Kind::Announcement;
        self.append(Entry { frame: Some(frame), kind, ..Entry::HOLE }, bytes, ledger);
        self.mark_dirty(conn, ledger);
        true
    }

    /// Queues the notice of a gap that belongs to no subscription any more.
    pub(crate) fn tell_gap(&mut self, conn: ConnId, notice: Notice<'_>, ledger: &mut Ledger) {
        let Notice { stream, from, to, reason, encoding } = notice;
        let gap = Gap { topic: stream.name, from, to, reason };
        let frame = SharedFrame::new(ledger.codec.gap(stream, &gap, encoding), ledger.now);
        ledger.totals.gaps += 1;
        self.notify(conn, frame, ledger);
    }

    /// The greatest number that waits of the subscription whose newest entry is at `pending`.
    pub(crate) fn newest_number(&self, pending: u64) -> Option<u64> {
        let mut next = Some(pending);
        while let Some((index, entry)) = next.and_then(|index| Some((index, self.ring.get(index)?)))
        {
            if let Some((_, to)) = entry.range() {
                return Some(to);
            }
            next = (entry.back != 0).then(|| index - u64::from(entry.back));
        }
        None
    }

    /// Parts what waits from its subscription: it will be sent, but nothing replaces it.
    /// A gap notice stays only where something waits behind it: who leaves a topic misses nothing
    /// that comes later.
    pub(crate) fn detach_chain(&mut self, pending: u64, ledger: &mut Ledger) {
        let (mut next, mut behind) = (Some(pending), false);
        while let Some(index) = next {
            let Some(entry) = self.ring.get(index) else { break };
            next = (entry.back != 0).then(|| index - u64::from(entry.back));
            let Some(mut entry) = self.remove(index, ledger) else { break };
            if entry.kind != Kind::Gap || behind {
                behind = true;
                entry.topic = TopicId::NONE;
                self.count_in(entry.kind, bytes_of(&entry), ledger);
                self.ring.fill(index, entry);
            }
        }
        self.trim(ledger);
    }

    /// Discards everything that is not begun; returns how many data frames that were.
    pub(crate) fn discard_all(&mut self, ledger: &mut Ledger) -> u64 {
        let mut frames = 0;
        while let Some(entry) = self.pop(ledger) {
            self.count_out(entry.kind, bytes_of(&entry), ledger);
            frames += u64::from(entry.kind.is_data());
        }
        self.pong = None;
        self.ping = None;
        frames
    }

    /// Discards everything that is not begun but the Close frame, if that still waits.
    pub(crate) fn discard_before_close(&mut self, ledger: &mut Ledger) -> u64 {
        let mut frames = 0;
        while self.ring.live() > 1 {
            let Some(entry) = self.pop(ledger) else { break };
            self.count_out(entry.kind, bytes_of(&entry), ledger);
            frames += u64::from(entry.kind.is_data());
        }
        self.pong = None;
        self.ping = None;
        frames
    }

    /// Gives up on a slow reader: what is not begun is discarded, a Close frame that says why
    /// is queued. Returns how many data frames were discarded.
    #[cold]
    pub(crate) fn close_slow(
        &mut self,
        conn: ConnId,
        reason: SlowReason,
        ledger: &mut Ledger,
    ) -> u64 {
        let frames = self.discard_all(ledger);
        self.append_close(SharedFrame::new(reason.close_frame(), ledger.now), ledger);
        self.mark_dirty(conn, ledger);
        ledger.note_slow(conn, reason);
        frames
    }

    /// Queues the Close frame; from now on nothing is accepted.
    pub(crate) fn append_close(&mut self, frame: SharedFrame, ledger: &mut Ledger) {
        debug_assert!(!self.close_queued());
        let bytes = frame.len() as u32;
        self.append(Entry { frame: Some(frame), kind: Kind::Close, ..Entry::HOLE }, bytes, ledger);
        self.set_closing(ledger);
    }

    /// Asks for compaction after the operation that is going on, where it pays.
    pub(crate) fn check_holes(&self, conn: ConnId, ledger: &mut Ledger) {
        if self.ring.wants_compaction() {
            ledger.compact.push(conn.index);
        }
    }

    /// Closes the holes. `link` sets where the newest entry of a subscription stands and returns
    /// where it stood.
    pub(crate) fn compact(
        &mut self,
        ledger: &mut Ledger,
        mut link: impl FnMut(TopicId, u64) -> u64,
    ) {
        for (_, entry) in self.ring.iter().filter(|(_, entry)| entry.topic != TopicId::NONE) {
            link(entry.topic, Ring::NOWHERE);
        }
        if let Some(keys) = &mut self.keys {
            keys.clear();
        }
        let keys = &mut self.keys;
        self.ring.compact(&mut ledger.pool, |entry, index| {
            entry.back = 0;
            if entry.topic != TopicId::NONE {
                let previous = link(entry.topic, index);
                if previous != Ring::NOWHERE {
                    entry.back = (index - previous) as u32;
                }
            }
            if let Some(keys) = keys {
                keys.insert(entry, index);
            }
        });
        self.droppable_from = 0;
    }

    /// Takes the front entry, which stays counted.
    #[inline(always)]
    pub(crate) fn pop(&mut self, ledger: &mut Ledger) -> Option<Entry> {
        let head = self.ring.head();
        let entry = self.ring.pop_front(&mut ledger.pool)?;
        self.move_droppable(head);
        self.forget_key(&entry);
        Some(entry)
    }

    /// Takes the entry at `index` out and leaves a hole.
    pub(crate) fn remove(&mut self, index: u64, ledger: &mut Ledger) -> Option<Entry> {
        let entry = self.ring.vacate(index)?;
        self.count_out(entry.kind, bytes_of(&entry), ledger);
        self.forget_key(&entry);
        Some(entry)
    }

    /// Drops the holes in front.
    pub(crate) fn trim(&mut self, ledger: &mut Ledger) {
        let head = self.ring.head();
        self.ring.trim(&mut ledger.pool);
        self.move_droppable(head);
    }

    #[inline]
    fn move_droppable(&mut self, head_before: u64) {
        let moved = self.ring.head() - head_before;
        self.droppable_from = u64::from(self.droppable_from).saturating_sub(moved) as u32;
    }

    /// Ends the outbox of a connection that is gone; returns how many data frames it still had.
    pub(crate) fn abandon(&mut self, ledger: &mut Ledger) -> u64 {
        self.flags.set(Flags::CLOSING, true);
        let mut frames = self.discard_all(ledger);
        if let Some(frame) = self.begun.take()
            && self.begun_kind != Kind::Control
        {
            frames += u64::from(self.begun_kind.is_data());
            self.count_out(self.begun_kind, frame.len() as u32, ledger);
        }
        self.judge_congestion(ledger);
        frames
    }
}

/// A gap that is to be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notice<'a> {
    pub(crate) stream: StreamRef<'a>,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) reason: SlowReason,
    pub(crate) encoding: Encoding,
}

/// What [`Outbox::discard_chain`] discarded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lost {
    /// Where the oldest of it stood.
    pub(crate) place: Option<u64>,
    /// Sequence numbers of the first and the last frame lost, earlier notices included.
    pub(crate) range: Option<(u64, u64)>,
    /// Data frames.
    pub(crate) frames: u64,
}

/// Bytes on the wire of an entry's frame.
#[inline]
pub(crate) fn bytes_of(entry: &Entry) -> u32 {
    entry.frame.as_ref().map_or(0, |frame| frame.len() as u32)
}
