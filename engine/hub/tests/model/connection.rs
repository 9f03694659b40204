//! A connection as the reference sees it: its subscriptions, and what waits for it.

use std::collections::BTreeMap;

use corecast_hub::{Encoding, OutboxLimits, Overflow, Policy, SlowReason, Timestamp};

/// What a queued frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Of(Policy),
    Direct,
    Notice,
    Gap,
    Announcement,
    Close,
    Control,
}

impl Kind {
    pub(crate) fn is_data(self) -> bool {
        matches!(self, Self::Of(_) | Self::Direct | Self::Notice)
    }

    pub(crate) fn is_lossless(self) -> bool {
        matches!(self, Self::Of(Policy::Lossless { .. }) | Self::Direct)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: Kind,
    /// The topic, while the subscription lasts.
    pub(crate) topic: Option<&'static str>,
    pub(crate) key: Vec<u8>,
    /// The number, or 0 for a notice, which has none.
    pub(crate) seq: u64,
    /// Of a gap: the last number lost.
    pub(crate) to: u64,
    pub(crate) is_snapshot: bool,
    pub(crate) queued_at: Timestamp,
    pub(crate) published_at: Timestamp,
}

impl Item {
    /// The numbers that are lost with it.
    pub(crate) fn range(&self) -> Option<(u64, u64)> {
        let snapshot = Policy::Lossless { overflow: Overflow::Snapshot };
        match self.kind {
            Kind::Gap => Some((self.seq, self.to)),
            Kind::Of(policy) if self.is_snapshot && policy == snapshot => {
                Some((self.seq + 1, self.seq))
            }
            _ if self.is_snapshot => Some((self.seq, self.seq)),
            _ => (self.seq > 0).then_some((self.seq, self.seq)),
        }
    }
}

/// A subscription.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) policy: Policy,
    pub(crate) encoding: Encoding,
    pub(crate) direct: bool,
    /// The patterns that hold it.
    pub(crate) holders: Vec<&'static str>,
    pub(crate) pause: Option<Pause>,
}

/// What a paused subscription has lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pause {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) reason: SlowReason,
    pub(crate) listed: bool,
    /// Its snapshot is still to come.
    pub(crate) begins: bool,
}

/// A pattern that a connection has asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own {
    pub(crate) pattern: &'static str,
    pub(crate) policy: Option<Policy>,
    pub(crate) encoding: Encoding,
}

#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(crate) gone: bool,
    pub(crate) closing: bool,
    pub(crate) blocked: bool,
    pub(crate) dirty: bool,
    pub(crate) subscriptions: BTreeMap<&'static str, Subscription>,
    /// The oldest first.
    pub(crate) patterns: Vec<Own>,
    /// It has a paused subscription that is to be listed.
    pub(crate) unlisted: bool,
    /// Not before nothing waits.
    pub(crate) patient: bool,
    /// It stands in the list.
    pub(crate) in_list: bool,
    pub(crate) begun: Option<(Item, usize)>,
    pub(crate) pong: Option<Item>,
    pub(crate) ping: Option<Item>,
    pub(crate) queue: Vec<Item>,
    pub(crate) progress_at: Timestamp,
}

/// What a send came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) frames: u32,
    pub(crate) data_frames: u32,
    pub(crate) published_at: Option<Timestamp>,
    pub(crate) finished_close: bool,
    pub(crate) more: bool,
}

impl Connection {
    pub(crate) fn is_empty(&self) -> bool {
        self.to_send().is_empty()
    }

    /// What is to be sent, in order, with how much of it was sent.
    pub(crate) fn to_send(&self) -> Vec<(&Item, usize)> {
        let begun = self.begun.iter().map(|(item, offset)| (item, *offset));
        let others = self.pong.iter().chain(&self.ping).chain(&self.queue);
        begun.chain(others.map(|item| (item, 0))).collect()
    }

    pub(crate) fn wire(&self) -> Vec<u8> {
        let slices = self.to_send().into_iter().map(|(item, offset)| &item.bytes[offset..]);
        slices.collect::<Vec<_>>().concat()
    }

    fn counted(&self) -> impl Iterator<Item = &Item> {
        let begun = self.begun.iter().map(|(item, _)| item);
        begun.chain(&self.queue).filter(|item| item.kind != Kind::Control)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.counted().map(|item| item.bytes.len()).sum()
    }

    pub(crate) fn frames(&self) -> u32 {
        self.counted().count() as u32
    }

    /// What counts against the bounds.
    fn bound(&self) -> impl Iterator<Item = &Item> {
        self.counted().filter(|item| item.kind != Kind::Announcement)
    }

    pub(crate) fn bound_bytes(&self) -> usize {
        self.bound().map(|item| item.bytes.len()).sum()
    }

    pub(crate) fn bound_frames(&self) -> u32 {
        self.bound().count() as u32
    }

    pub(crate) fn data_frames(&self) -> u64 {
        self.counted().filter(|item| item.kind.is_data()).count() as u64
    }

    pub(crate) fn is_congested(&self, limits: &OutboxLimits) -> bool {
        let lossless = || self.counted().filter(|item| item.kind.is_lossless());
        let bytes: usize = lossless().map(|item| item.bytes.len()).sum();
        let frames = lossless().count() as u32;
        !self.closing && (bytes > limits.bytes_max / 2 || frames > limits.frames_max / 2)
    }

    pub(crate) fn mark_dirty(&mut self) {
        self.dirty |= !self.blocked && !self.is_empty();
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.subscriptions.values().any(|subscription| subscription.pause.is_some())
    }

    pub(crate) fn is_held_back(&self) -> bool {
        self.blocked && self.is_paused()
    }

    /// Lists it if a paused subscription can go on.
    pub(crate) fn judge_resync(&mut self, limits: &OutboxLimits) {
        let has_room = self.bound_bytes() <= limits.bytes_max / 2
            && self.bound_frames() <= limits.frames_max / 2;
        let goes_on = self.bound_frames() == 0 || !self.patient && has_room;
        if self.unlisted && goes_on && !self.blocked && !self.closing {
            (self.unlisted, self.patient, self.in_list) = (false, false, true);
        }
    }

    /// Ends the pause of a subscription.
    pub(crate) fn end_pause(&mut self, topic: &str) -> Option<Pause> {
        let pause = self.subscriptions.get_mut(topic)?.pause.take()?;
        if !self.is_paused() {
            (self.unlisted, self.patient) = (false, false);
        }
        Some(pause)
    }

    pub(crate) fn wake(&mut self, now: Timestamp) {
        if self.is_empty() && !self.is_held_back() {
            self.progress_at = now;
        }
    }

    pub(crate) fn take(&mut self, mut bytes: usize, now: Timestamp) -> Taken {
        let mut taken = Taken::default();
        if bytes > 0 {
            self.progress_at = now;
        }
        while bytes > 0 {
            let (item, offset) = match self.begun.take() {
                Some(begun) => begun,
                None => match self.pong.take().or_else(|| self.ping.take()) {
                    Some(item) => (item, 0),
                    None => (self.queue.remove(0), 0),
                },
            };
            let rest = item.bytes.len() - offset;
            if bytes < rest {
                self.begun = Some((item, offset + bytes));
                break;
            }
            bytes -= rest;
            taken.frames += 1;
            taken.finished_close |= item.kind == Kind::Close;
            if item.kind.is_data() {
                taken.data_frames += 1;
                let at = item.published_at;
                taken.published_at = Some(taken.published_at.map_or(at, |earlier| earlier.min(at)));
            }
        }
        taken.more = !self.is_empty();
        taken
    }
}
