//! Pauses in the reference: how they begin, and how they end.

use corecast_hub::{Gap, OutboxLimits, Policy, Report, SlowReason};

use crate::connection::{Connection, Item, Kind, Pause};
use crate::reference::{Reference, detach, discard_topic, range_of};

impl Reference {
    pub(crate) fn lossless_snapshot(
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
        report.dropped += 1;
        if let Some((from, to)) = item.range() {
            let reason = self.crossed(conn, item.bytes.len());
            report.dropped += self.pause(conn, topic, (from, to), reason, false);
        }
    }

    /// Discards what waits of a topic and pauses it; returns how many data frames there were.
    pub(crate) fn pause(
        &self,
        conn: &mut Connection,
        topic: &'static str,
        (from, to): (u64, u64),
        reason: SlowReason,
        begins: bool,
    ) -> u64 {
        let (_, lost) = discard_topic(conn, topic);
        let from = range_of(&lost).map_or(from, |(from, _)| from);
        if let Some(subscription) = conn.subscriptions.get_mut(topic) {
            subscription.pause = Some(Pause { from, to, reason, listed: false, begins });
        }
        conn.unlisted = true;
        conn.judge_resync(&self.limits);
        lost.iter().filter(|item| item.kind.is_data()).count() as u64
    }

    pub(crate) fn expire_topic(
        &mut self,
        conn: &mut Connection,
        topic: &'static str,
        pauses: bool,
        reason: SlowReason,
    ) {
        let of_topic: Vec<Item> =
            conn.queue.iter().filter(|item| item.topic == Some(topic)).cloned().collect();
        let range = range_of(&of_topic);
        if let Some((_, to)) = range.filter(|_| pauses) {
            self.totals.dropped += self.pause(conn, topic, (to, to), reason, false);
            return;
        }
        let (place, lost) = discard_topic(conn, topic);
        self.totals.dropped += lost.iter().filter(|item| item.kind.is_data()).count() as u64;
        if let Some((from, to)) = range {
            self.declare(conn, place, Gap { topic, from, to, reason }, Some(topic));
        }
    }

    /// Changes the policy of a subscription.
    pub(crate) fn set_policy(
        &mut self,
        conn: &mut Connection,
        topic: &'static str,
        policy: Policy,
    ) {
        let Some(subscription) = conn.subscriptions.get_mut(topic) else { return };
        if std::mem::replace(&mut subscription.policy, policy) == policy {
            return;
        }
        if subscription.pause.is_some_and(|pause| pause.begins) {
            return;
        }
        let Some(pause) = conn.end_pause(topic) else { return detach(conn, topic) };
        if !conn.closing && pause.to > 0 {
            let Pause { from, to, reason, .. } = pause;
            conn.wake(self.now);
            let end = conn.queue.len();
            self.declare(conn, end, Gap { topic, from: from.min(to), to, reason }, None);
            conn.mark_dirty();
        }
    }

    /// Lets a paused subscription go on. `frames`: a snapshot and what came behind it, up to
    /// number `seq`.
    pub(crate) fn resume(
        &mut self,
        conn: &mut Connection,
        topic: &'static str,
        covered: u64,
        frames: Vec<Item>,
    ) -> bool {
        if conn.closing {
            return false;
        }
        let bytes: usize = frames.iter().map(|item| item.bytes.len()).sum();
        let fits = self.fits_all(conn, &frames);
        if !fits && conn.bound_frames() == 0 {
            let reason = self.crossed(conn, bytes);
            self.totals.dropped += self.close_slow(conn, reason);
            return false;
        }
        if !fits {
            if let Some(pause) = conn.subscriptions.get_mut(topic).and_then(|s| s.pause.as_mut()) {
                pause.listed = false;
            }
            (conn.unlisted, conn.patient) = (true, true);
            return false;
        }
        let Some(Pause { from, reason, begins, .. }) = conn.end_pause(topic) else { return false };
        let from = from.max(1);
        let policy = conn.subscriptions[topic].policy;
        let tells = !matches!(policy, Policy::Latest | Policy::LatestByKey | Policy::DropOldest);
        let is_whole = begins && frames.first().is_some_and(|item| item.is_snapshot);
        let has_gap = covered >= from && tells && !is_whole;
        if has_gap {
            conn.wake(self.now);
            let end = conn.queue.len();
            self.declare(conn, end, Gap { topic, from, to: covered, reason }, Some(topic));
            conn.mark_dirty();
        }
        self.put(conn, policy, frames);
        conn.judge_resync(&self.limits);
        true
    }

    /// Queues frames that are known to fit.
    pub(crate) fn put(&mut self, conn: &mut Connection, policy: Policy, frames: Vec<Item>) {
        if policy == Policy::Latest {
            for item in frames {
                self.publish(conn, item);
            }
            conn.mark_dirty();
            return;
        }
        if frames.is_empty() {
            // Nothing is queued: who was taken off the dirty list is with its writer.
            return;
        }
        conn.wake(self.now);
        for item in frames {
            self.totals.offered += 1;
            self.totals.delivered += 1;
            conn.queue.push(Item { kind: Kind::Of(policy), ..item });
        }
        conn.mark_dirty();
    }

    /// Whether frames fit: a snapshot, or one alone, of any size if nothing else waits.
    pub(crate) fn fits_all(&self, conn: &Connection, frames: &[Item]) -> bool {
        let OutboxLimits { bytes_max, frames_max, .. } = self.limits;
        let bytes = |items: &[Item]| items.iter().map(|item| item.bytes.len()).sum::<usize>();
        let (waiting, count) = (conn.bound_bytes(), conn.bound_frames() as usize);
        let fits = |items: &[Item]| {
            waiting + bytes(items) <= bytes_max && count + items.len() <= frames_max as usize
        };
        let is_free = count == 0
            && frames.first().is_some_and(|first| first.is_snapshot || frames.len() == 1);
        fits(if is_free { &frames[1..] } else { frames })
    }
}
