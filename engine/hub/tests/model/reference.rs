//! The hub once more, written for reading: plain lists, searched from the front.

use std::time::Duration;

use corecast_hub::{
    Flush, Gap, OutboxLimits, Overflow, Policy, Report, SendStatus, SlowReason, Timestamp, Totals,
    json_gap_notice,
};

use crate::connection::{Connection, Item, Kind};

/// The rules of the game, on one connection at a time.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) limits: OutboxLimits,
    pub(crate) now: Timestamp,
    pub(crate) totals: Totals,
}

impl Reference {
    fn allowed(&self) -> (usize, u32) {
        let OutboxLimits { bytes_max, frames_max, .. } = self.limits;
        (bytes_max + bytes_max / 4, frames_max + frames_max / 4)
    }

    pub(crate) fn fits(
        &self,
        conn: &Connection,
        bytes: usize,
        (bytes_max, frames_max): (usize, u32),
    ) -> bool {
        let (waiting, frames) = (conn.bound_bytes(), conn.bound_frames());
        frames == 0 || (waiting + bytes <= bytes_max && frames < frames_max)
    }

    pub(crate) fn fits_bounds(&self, conn: &Connection, bytes: usize) -> bool {
        self.fits(conn, bytes, (self.limits.bytes_max, self.limits.frames_max))
    }

    pub(crate) fn crossed(&self, conn: &Connection, bytes: usize) -> SlowReason {
        let OutboxLimits { bytes_max, frames_max, .. } = self.limits;
        let bytes = conn.bound_bytes() + bytes;
        if bytes > bytes_max {
            return SlowReason::Bytes { bytes: bytes as u64, bytes_max: bytes_max as u64 };
        }
        SlowReason::Frames { frames: conn.bound_frames() + 1, frames_max }
    }

    pub(crate) fn item(&self, bytes: Vec<u8>, kind: Kind) -> Item {
        let (queued_at, published_at) = (self.now, self.now);
        let (topic, key, seq, to, is_snapshot) = (None, Vec::new(), 0, 0, false);
        Item { bytes, kind, topic, key, seq, to, is_snapshot, queued_at, published_at }
    }

    pub(crate) fn close_slow(&mut self, conn: &mut Connection, reason: SlowReason) -> u64 {
        let dropped = conn.queue.iter().filter(|item| item.kind.is_data()).count() as u64;
        (conn.pong, conn.ping) = (None, None);
        conn.queue.clear();
        conn.queue.push(self.item(reason.close_frame().as_bytes().to_vec(), Kind::Close));
        conn.closing = true;
        conn.mark_dirty();
        self.totals.slow_closed += 1;
        dropped
    }

    pub(crate) fn publish(&mut self, conn: &mut Connection, mut item: Item) -> Report {
        let Some(topic) = item.topic else { unreachable!("published on a topic") };
        let Some(subscription) = conn.subscriptions.get_mut(topic) else {
            return Report::default();
        };
        let policy = subscription.policy;
        item.kind = Kind::Of(policy);
        self.totals.offered += 1;
        let mut report = Report::default();
        if conn.closing {
            report.dropped = 1;
        } else if item.seq == 0 && !item.is_snapshot {
            self.note(conn, item, &mut report);
        } else if let Some(pause) = &mut subscription.pause {
            report.dropped = 1;
            pause.to = item.seq;
        } else {
            conn.wake(self.now);
            match policy {
                Policy::Latest | Policy::LatestByKey => self.conflate(conn, item, &mut report),
                Policy::DropOldest => self.drop_oldest(conn, item, &mut report),
                Policy::Lossless { overflow: Overflow::Gap } => {
                    self.lossless_gap(conn, topic, item, &mut report);
                }
                Policy::Lossless { overflow: Overflow::Snapshot } => {
                    self.lossless_snapshot(conn, topic, item, &mut report);
                }
                Policy::Lossless { .. } | Policy::Close => {
                    self.lossless_close(conn, item, &mut report);
                }
            }
            conn.mark_dirty();
        }
        self.totals.delivered += report.delivered;
        self.totals.conflated += report.conflated;
        self.totals.dropped += report.dropped;
        report
    }

    /// A notice stands for itself: it is of no topic's queue.
    fn note(&mut self, conn: &mut Connection, mut item: Item, report: &mut Report) {
        if !self.fits_bounds(conn, item.bytes.len()) {
            report.dropped += 1;
            return;
        }
        conn.wake(self.now);
        (item.kind, item.topic) = (Kind::Notice, None);
        conn.queue.push(item);
        report.delivered += 1;
        conn.mark_dirty();
    }

    fn lossless_close(&mut self, conn: &mut Connection, item: Item, report: &mut Report) {
        if self.fits_bounds(conn, item.bytes.len()) {
            conn.queue.push(item);
            report.delivered += 1;
        } else {
            let reason = self.crossed(conn, item.bytes.len());
            report.dropped += 1 + self.close_slow(conn, reason);
        }
    }

    fn conflate(&mut self, conn: &mut Connection, item: Item, report: &mut Report) {
        let older = conn.queue.iter().position(|older| {
            older.topic == item.topic
                && (item.kind == Kind::Of(Policy::Latest) || older.key == item.key)
        });
        let bytes = item.bytes.len();
        match older {
            Some(at)
                if conn.bound_frames() <= 1
                    || conn.bound_bytes() - conn.queue[at].bytes.len() + bytes
                        <= self.allowed().0 =>
            {
                // In the place of the older one, as old as that for the sweep.
                let queued_at = conn.queue[at].queued_at;
                conn.queue[at] = Item { queued_at, ..item };
                report.conflated += 1;
                report.delivered += 1;
            }
            None if self.fits(conn, bytes, self.allowed()) => {
                conn.queue.push(item);
                report.delivered += 1;
            }
            _ => {
                let reason = self.crossed(conn, bytes);
                report.dropped += 1 + self.close_slow(conn, reason);
            }
        }
    }

    fn drop_oldest(&mut self, conn: &mut Connection, item: Item, report: &mut Report) {
        let bytes = item.bytes.len();
        while bytes <= self.limits.bytes_max && !self.fits_bounds(conn, bytes) {
            let is_droppable = |item: &Item| item.kind == Kind::Of(Policy::DropOldest);
            let Some(at) = conn.queue.iter().position(is_droppable) else { break };
            conn.queue.remove(at);
            report.dropped += 1;
        }
        if self.fits_bounds(conn, bytes) {
            conn.queue.push(item);
            report.delivered += 1;
        } else {
            report.dropped += 1;
        }
    }

    fn lossless_gap(
        &mut self,
        conn: &mut Connection,
        topic: &'static str,
        item: Item,
        report: &mut Report,
    ) {
        if self.fits_bounds(conn, item.bytes.len()) {
            conn.queue.push(item);
            report.delivered += 1;
            return;
        }
        let reason = self.crossed(conn, item.bytes.len());
        let (place, lost) = discard_topic(conn, topic);
        let lost_data = lost.iter().filter(|item| item.kind.is_data()).count() as u64;
        let fits = lost_data > 0 && self.fits_bounds(conn, item.bytes.len());
        let mut range = range_of(&lost);
        if !fits && let Some((from, to)) = item.range() {
            range = Some(range.map_or((from, to), |lost| (lost.0.min(from), lost.1.max(to))));
        }
        if let Some((from, to)) = range {
            self.declare(conn, place, Gap { topic, from, to, reason }, Some(topic));
        }
        report.dropped += lost_data;
        if fits {
            conn.queue.push(item);
            report.delivered += 1;
        } else {
            report.dropped += 1;
        }
    }

    pub(crate) fn declare(
        &mut self,
        conn: &mut Connection,
        place: usize,
        gap: Gap<'_>,
        topic: Option<&'static str>,
    ) {
        let mut notice = self.item(json_gap_notice(&gap).as_bytes().to_vec(), Kind::Gap);
        (notice.topic, notice.seq, notice.to) = (topic, gap.from, gap.to);
        if topic.is_none() {
            notice.kind = Kind::Announcement;
        }
        conn.queue.insert(place, notice);
        self.totals.gaps += 1;
    }

    pub(crate) fn send(&mut self, conn: &mut Connection, bytes: Vec<u8>) -> SendStatus {
        if conn.gone || conn.closing {
            return SendStatus::Gone;
        }
        self.totals.offered += 1;
        conn.wake(self.now);
        let mut report = Report::default();
        let item = self.item(bytes, Kind::Direct);
        self.lossless_close(conn, item, &mut report);
        conn.mark_dirty();
        self.totals.delivered += report.delivered;
        self.totals.dropped += report.dropped;
        if report.delivered == 1 { SendStatus::Sent } else { SendStatus::Full }
    }

    pub(crate) fn control(&mut self, conn: &mut Connection, bytes: Vec<u8>, pong: bool) -> bool {
        if conn.gone {
            return false;
        }
        if !conn.closing {
            conn.wake(self.now);
            let item = Some(self.item(bytes, Kind::Control));
            if pong { conn.pong = item } else { conn.ping = item }
        }
        conn.mark_dirty();
        !conn.closing
    }

    pub(crate) fn close(&mut self, conn: &mut Connection, bytes: Vec<u8>, flush: Flush) -> bool {
        if conn.gone {
            return false;
        }
        if !conn.closing {
            conn.wake(self.now);
        }
        if flush == Flush::Now {
            self.totals.dropped += conn.queue.iter().filter(|i| i.kind.is_data()).count() as u64;
            conn.queue.retain(|item| item.kind == Kind::Close);
            if !conn.closing || !conn.queue.is_empty() {
                (conn.pong, conn.ping) = (None, None);
            }
        }
        if !conn.closing {
            conn.queue.push(self.item(bytes, Kind::Close));
            conn.closing = true;
            conn.mark_dirty();
        }
        true
    }

    pub(crate) fn expire(&mut self, conn: &mut Connection) -> Option<SlowReason> {
        if conn.gone || conn.is_empty() && !conn.is_held_back() || conn.closing {
            return None;
        }
        let OutboxLimits { age_max, stall_max, .. } = self.limits;
        let stall = self.now.since(conn.progress_at);
        let mut reason = (stall > stall_max).then_some(SlowReason::Stall { stall, stall_max });
        if reason.is_none() {
            reason = self.expire_aged(conn, age_max);
        }
        if let Some(reason) = reason {
            self.totals.dropped += self.close_slow(conn, reason);
        }
        reason
    }

    fn expire_aged(&mut self, conn: &mut Connection, age_max: Duration) -> Option<SlowReason> {
        let mut at = 0;
        while at < conn.queue.len() {
            let item = &conn.queue[at];
            let age_ms = self.now.0 / 1_000_000 - item.queued_at.0 / 1_000_000;
            let age = Duration::from_millis(age_ms);
            let policy = match item.kind {
                Kind::Of(Policy::Latest | Policy::LatestByKey)
                | Kind::Announcement
                | Kind::Gap
                | Kind::Close => {
                    at += 1;
                    continue;
                }
                _ if age <= age_max => return None,
                Kind::Of(policy) => policy,
                Kind::Notice => Policy::DropOldest,
                Kind::Direct | Kind::Control => Policy::default(),
            };
            let reason = SlowReason::Age { age, age_max };
            match (policy, item.topic) {
                (Policy::DropOldest, _)
                | (Policy::Lossless { overflow: Overflow::Gap | Overflow::Snapshot }, None) => {
                    conn.queue.remove(at);
                    self.totals.dropped += 1;
                }
                (
                    Policy::Lossless { overflow: Overflow::Gap | Overflow::Snapshot },
                    Some(topic),
                ) => {
                    let pauses = policy == Policy::Lossless { overflow: Overflow::Snapshot };
                    self.expire_topic(conn, topic, pauses, reason);
                    // What went with it may have stood ahead.
                    at = 0;
                }
                _ => return Some(reason),
            }
        }
        None
    }

    pub(crate) fn disconnect(&mut self, conn: &mut Connection) -> bool {
        if conn.gone {
            return false;
        }
        self.totals.abandoned += conn.data_frames();
        *conn = Connection { gone: true, ..Connection::default() };
        true
    }
}

/// The numbers that were lost.
pub(crate) fn range_of(lost: &[Item]) -> Option<(u64, u64)> {
    let ranges = lost.iter().filter_map(Item::range);
    ranges.reduce(|lost, (from, to)| (lost.0.min(from), lost.1.max(to)))
}

/// Takes a topic's frames and notices out; returns the place of the first, else the end.
pub(crate) fn discard_topic(conn: &mut Connection, topic: &str) -> (usize, Vec<Item>) {
    let place = conn.queue.iter().position(|item| item.topic == Some(topic));
    let place = place.unwrap_or(conn.queue.len());
    let is_of = |item: &mut Item| item.topic == Some(topic);
    let lost = conn.queue.extract_if(.., is_of).collect();
    (place, lost)
}

/// What waits of a topic is no longer of a subscription; a notice behind which nothing waits goes.
pub(crate) fn detach(conn: &mut Connection, topic: &str) {
    let newest = conn.queue.iter().rposition(|item| item.topic == Some(topic));
    if let Some(at) = newest.filter(|at| conn.queue[*at].kind == Kind::Gap) {
        conn.queue.remove(at);
    }
    for item in &mut conn.queue {
        if item.topic == Some(topic) {
            item.topic = None;
        }
    }
}
