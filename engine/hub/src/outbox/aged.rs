//! What waited too long.

use core::time::Duration;

use crate::id::TopicId;
use crate::ledger::Ledger;
use crate::outbox::Outbox;
use crate::outbox::entry::Kind;
use crate::slow::SlowReason;

/// A frame that waited too long.
pub(crate) struct Aged {
    pub(crate) index: u64,
    pub(crate) kind: Kind,
    pub(crate) topic: TopicId,
    pub(crate) reason: SlowReason,
}

impl Outbox {
    /// The first frame at or behind `from` that is too old and whose policy cares. Frames are
    /// queued in the order of time, so the first that is young enough ends the search.
    pub(crate) fn next_aged(&self, from: u64, ledger: &Ledger) -> Option<Aged> {
        let age_max = ledger.bounds.age_max;
        let now_ms = ledger.now.wrapping_millis();
        for (index, entry) in self.ring.iter_from(from) {
            let ageless =
                matches!(entry.kind, Kind::Latest | Kind::Keyed | Kind::Announcement | Kind::Gap);
            if ageless || entry.kind == Kind::Close {
                continue;
            }
            let age_ms = now_ms.wrapping_sub(entry.queued_ms);
            let age = Duration::from_millis(age_ms.into());
            if age <= age_max {
                return None;
            }
            let reason = SlowReason::Age { age, age_max };
            return Some(Aged { index, kind: entry.kind, topic: entry.topic, reason });
        }
        None
    }

    /// Discards the entry at `index`; returns how many data frames that were: one.
    pub(crate) fn discard(&mut self, index: u64, ledger: &mut Ledger) -> u64 {
        let removed = self.remove(index, ledger);
        self.trim(ledger);
        u64::from(removed.is_some())
    }
}
