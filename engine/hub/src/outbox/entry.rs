//! One place in a ring: a frame handle and what it needs to know about itself.

use crate::frame::SharedFrame;
use crate::id::TopicId;
use crate::policy::{Overflow, Policy};

/// One queued frame, or a hole where one was.
#[derive(Debug)]
pub(crate) struct Entry {
    /// `None`: a hole.
    pub(crate) frame: Option<SharedFrame>,
    /// The sequence number, or [`UNNUMBERED`]; of a `Keyed` entry its key; of a `Gap` the first
    /// number lost.
    pub(crate) detail: u64,
    /// The topic, as long as the subscription lasts.
    pub(crate) topic: TopicId,
    /// How far ahead the previous entry of the same subscription stands; 0: there is none.
    pub(crate) back: u32,
    /// When it was queued, in wrapping milliseconds; of a `Gap`, which no age bound touches, how
    /// many numbers behind the first were lost.
    pub(crate) queued_ms: u32,
    /// What may happen to it.
    pub(crate) kind: Kind,
    /// It is a snapshot: no message itself, it stands for all up to its number.
    pub(crate) is_snapshot: bool,
}

/// What stands for the sequence number of a frame that has none: its loss is in no gap.
pub(crate) const UNNUMBERED: u64 = u64::MAX;

impl Entry {
    /// The numbers that are lost with it. Of a snapshot whose subscription will get another one
    /// none is lost, but what is lost with it comes behind its number. Of keyed values nobody is
    /// told.
    pub(crate) fn range(&self) -> Option<(u64, u64)> {
        if self.is_snapshot && self.kind == Kind::LosslessSnapshot {
            return Some((self.detail + 1, self.detail));
        }
        if self.kind == Kind::Keyed {
            return None;
        }
        let more = if self.kind == Kind::Gap { u64::from(self.queued_ms) } else { 0 };
        (self.detail != UNNUMBERED).then(|| (self.detail, self.detail.saturating_add(more)))
    }

    /// An empty place.
    pub(crate) const HOLE: Self = Self {
        frame: None,
        detail: 0,
        topic: TopicId::NONE,
        back: 0,
        queued_ms: 0,
        kind: Kind::Direct,
        is_snapshot: false,
    };
}

/// What may happen to a queued frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Sent to this connection only; as `Lossless`.
    Direct,
    /// Of a `lossless` subscription that closes at a bound.
    Lossless,
    /// Of a `lossless:gap` subscription.
    LosslessGap,
    /// Of a `lossless:snapshot` subscription.
    LosslessSnapshot,
    /// Of a `close` subscription.
    Strict,
    /// Of a `latest` subscription.
    Latest,
    /// Of a `latest_by_key` subscription.
    Keyed,
    /// Of a `drop_oldest` subscription.
    DropOldest,
    /// Something about a stream that has no number; it belongs to no subscription.
    Notice,
    /// The notice of a lost range.
    Gap,
    /// The announcement of a subscription that a pattern brought about, or a notice of what one
    /// lost that has ended: it belongs to no subscription.
    Announcement,
    /// The Close frame: the last one.
    Close,
    /// Ping or Pong.
    Control,
}

impl Kind {
    /// The kind of a subscription's frames.
    #[inline]
    pub(crate) const fn of(policy: Policy) -> Self {
        match policy {
            Policy::Lossless { overflow: Overflow::Close } => Self::Lossless,
            Policy::Lossless { overflow: Overflow::Gap } => Self::LosslessGap,
            Policy::Lossless { overflow: Overflow::Snapshot } => Self::LosslessSnapshot,
            Policy::Latest => Self::Latest,
            Policy::LatestByKey => Self::Keyed,
            Policy::DropOldest => Self::DropOldest,
            Policy::Close => Self::Strict,
        }
    }

    /// Whether publishers wait for it.
    #[inline]
    pub(crate) const fn is_lossless(self) -> bool {
        matches!(self, Self::Direct | Self::Lossless | Self::LosslessGap | Self::LosslessSnapshot)
    }

    /// Whether it counts against no bound but that of announcements.
    #[inline]
    pub(crate) const fn is_announcement(self) -> bool {
        matches!(self, Self::Announcement)
    }

    /// Whether someone published or sent it: not one of the hub's own notices.
    #[inline]
    pub(crate) const fn is_data(self) -> bool {
        !matches!(self, Self::Gap | Self::Announcement | Self::Close | Self::Control)
    }
}
