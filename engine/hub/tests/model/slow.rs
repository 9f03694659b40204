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
            report.dropped += self.pause(conn, topic, (from, to), reason);
        }
    }

    /// Discards what waits of a topic and pauses it; returns how many data frames there were.
    fn pause(
        &self,
        conn: &mut Connection,
        topic: &'static str,
        (from, to): (u64, u64),
        reason: SlowReason,
    ) -> u64 {
        let (_, lost) = discard_topic(conn, topic);
        let from = range_of(&lost).map_or(from, |(from, _)| from);
        if let Some(subscription) = conn.subscriptions.get_mut(topic) {
            subscription.pause = Some(Pause { from, to, reason, listed: false });
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
            self.totals.dropped += self.pause(conn, topic, (to, to), reason);
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
        let Some(pause) = conn.end_pause(topic) else { return detach(conn, topic) };
        if !conn.closing {
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
        let OutboxLimits { bytes_max, frames_max, .. } = self.limits;
        if conn.closing {
            return false;
        }
        let bytes: usize = frames.iter().map(|item| item.bytes.len()).sum();
        let count = frames.len() as u32;
        let fits = conn.frames() == 0 && count <= 1
            || conn.bytes() + bytes <= bytes_max && conn.frames() + count <= frames_max;
        if !fits && conn.is_queue_empty() {
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
        let Some(Pause { from, reason, .. }) = conn.end_pause(topic) else { return false };
        if covered >= from || !frames.is_empty() {
            conn.wake(self.now);
        }
        if covered >= from {
            let end = conn.queue.len();
            self.declare(conn, end, Gap { topic, from, to: covered, reason }, Some(topic));
        }
        let policy = conn.subscriptions[topic].policy;
        for item in frames {
            self.totals.offered += 1;
            self.totals.delivered += 1;
            conn.queue.push(Item { kind: Kind::Of(policy), ..item });
        }
        conn.mark_dirty();
        conn.judge_resync(&self.limits);
        true
    }
}
