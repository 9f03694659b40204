//! What came of a publication, and of all of them together.

/// What came of one publication inside this hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Sockets for which this frame was queued.
    pub delivered: u64,
    /// Older frames, not yet begun, that this one replaced (`latest`, `latest_by_key`).
    pub conflated: u64,
    /// Frames that policy discarded: this one, for sockets that could not take it or are
    /// closing, and older ones, not yet begun, that had to go.
    pub dropped: u64,
}

impl Report {
    /// Adds another hub's report on the same publication.
    pub const fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.conflated += other.conflated;
        self.dropped += other.dropped;
    }
}

/// Totals of a hub since it was made. Counted per frame **and** socket, published and sent
/// frames alike; pings, pongs, gap notices, announcements and Close frames are not counted.
///
/// At any time `offered = sent + conflated + dropped + abandoned + queued`, where `queued` is
/// [`Hub::queued_frames`](crate::Hub::queued_frames).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Frames meant for a socket.
    pub offered: u64,
    /// Of them, those that were queued, whatever became of them later.
    pub delivered: u64,
    /// Frames that were replaced before they were begun.
    pub conflated: u64,
    /// Frames that policy discarded, before or after they were queued.
    pub dropped: u64,
    /// Frames that the socket took to their last byte.
    pub sent: u64,
    /// Frames that were still queued, or partly sent, when their connection went.
    pub abandoned: u64,
    /// Connections that were closed as too slow.
    pub slow_closed: u64,
    /// Gap notices that were queued, each merged one counted again.
    pub gaps: u64,
}

impl Totals {
    /// Counts frames that were meant for sockets and what came of them.
    pub(crate) const fn count(&mut self, offered: u64, report: Report) {
        self.offered += offered;
        self.delivered += report.delivered;
        self.conflated += report.conflated;
        self.dropped += report.dropped;
    }
}
