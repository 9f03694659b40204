//! What leaves: frames that the socket took.

use corecast_wire::Frame;

use crate::frame::SharedFrame;
use crate::id::Timestamp;
use crate::ledger::Ledger;
use crate::outbox::Outbox;
use crate::outbox::entry::Kind;

/// What a send came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Frames of which the last byte was taken, control frames included.
    pub frames: u32,
    /// Of them, those that were published or sent by someone: not the hub's own notices.
    pub data_frames: u32,
    /// The earliest instant of publication among `data_frames`: where their latency counts
    /// from.
    pub published_at: Option<Timestamp>,
    /// Whether the Close frame was taken: nothing will follow.
    pub finished_close: bool,
    /// Whether more waits, not even a control frame left out.
    pub more: bool,
}

impl Outbox {
    /// Takes `bytes` off the front. What it calls for each frame is inlined by force: left to
    /// itself, the compiler copies each entry twice.
    pub(crate) fn advance(&mut self, bytes: usize, ledger: &mut Ledger) -> Sent {
        let mut sent = Sent::default();
        let mut left = bytes;
        if left > 0 {
            self.progress_at = ledger.now;
        }
        while left > 0 {
            let Some((frame, kind, begun_bytes)) = self.take_front(ledger) else {
                debug_assert!(false, "{left} bytes sent beyond the outbox");
                break;
            };
            let rest = frame.len() - begun_bytes;
            if left < rest {
                self.begun_bytes = (begun_bytes + left) as u32;
                self.begun_kind = kind;
                self.begun = Some(frame);
                break;
            }
            left -= rest;
            self.finish(&frame, kind, &mut sent, ledger);
        }
        sent.more = !self.is_empty();
        sent
    }

    /// The peer took bytes which are not known as bytes of a frame.
    pub(crate) fn progressed(&mut self, now: Timestamp) {
        self.progress_at = now;
    }

    /// Replaces the pending pong; false when the Close frame was queued.
    pub(crate) fn set_pong(&mut self, frame: Frame, ledger: &Ledger) -> bool {
        if self.close_queued() {
            return false;
        }
        self.wake(ledger);
        self.pong = Some(SharedFrame::new(frame, ledger.now));
        true
    }

    /// Replaces the pending ping; false when the Close frame was queued.
    pub(crate) fn set_ping(&mut self, frame: Frame, ledger: &Ledger) -> bool {
        if self.close_queued() {
            return false;
        }
        self.wake(ledger);
        self.ping = Some(SharedFrame::new(frame, ledger.now));
        true
    }

    /// The frame that is sent next, with its kind and how much of it was sent. It stays
    /// counted until it is finished.
    #[inline(always)]
    fn take_front(&mut self, ledger: &mut Ledger) -> Option<(SharedFrame, Kind, usize)> {
        if let Some(frame) = self.begun.take() {
            return Some((frame, self.begun_kind, self.begun_bytes as usize));
        }
        if let Some(frame) = self.pong.take().or_else(|| self.ping.take()) {
            return Some((frame, Kind::Control, 0));
        }
        let entry = self.pop(ledger)?;
        Some((entry.frame?, entry.kind, 0))
    }

    #[inline(always)]
    fn finish(&mut self, frame: &SharedFrame, kind: Kind, sent: &mut Sent, ledger: &mut Ledger) {
        sent.frames += 1;
        if kind != Kind::Control {
            self.count_out(kind, frame.len() as u32, ledger);
        }
        if kind.is_data() {
            ledger.totals.sent += 1;
            sent.data_frames += 1;
            let published_at = frame.published_at();
            let earliest = sent.published_at.map_or(published_at, |at| at.min(published_at));
            sent.published_at = Some(earliest);
        }
        sent.finished_close |= kind == Kind::Close;
    }
}
