//! Pong, ping and Close: frames that go ahead of what waits, and the one that goes last.

use corecast_wire::Frame;

use crate::frame::SharedFrame;
use crate::hub::Hub;
use crate::id::ConnId;

/// What becomes of the frames that wait when a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// They are sent before the Close frame.
    Queued,
    /// They are discarded, but for one that is partly sent.
    Now,
}

// None of these takes the time: what they queue counts from the latest instant that the hub
// was given.
impl Hub {
    /// Queues a Pong directly behind the frame that is partly sent. At most one is pending:
    /// a later one replaces it. False when the connection is gone or closing.
    pub fn pong(&mut self, conn: ConnId, frame: Frame) -> bool {
        //= RFC 6455 §5.5.3
        //# If an endpoint receives a Ping frame and has not yet sent Pong
        //# frame(s) in response to previous Ping frame(s), the endpoint MAY
        //# elect to send a Pong frame for only the most recently processed Ping
        //# frame.
        let Some(slot) = self.slots.get_mut(conn) else { return false };
        let queued = slot.outbox.set_pong(frame, &self.ledger);
        slot.outbox.mark_dirty(conn, &mut self.ledger);
        queued
    }

    /// Queues a Ping ahead of the data that waits. At most one is pending. False when the
    /// connection is gone or closing.
    pub fn ping(&mut self, conn: ConnId, frame: Frame) -> bool {
        let Some(slot) = self.slots.get_mut(conn) else { return false };
        let queued = slot.outbox.set_ping(frame, &self.ledger);
        slot.outbox.mark_dirty(conn, &mut self.ledger);
        queued
    }

    /// Queues the Close frame, the last one that this connection gets. Frames that
    /// [`Flush::Now`] discards count as dropped. A second call keeps the frame of the first,
    /// but may still discard what waits before it. False when the connection is gone.
    pub fn close(&mut self, conn: ConnId, frame: Frame, flush: Flush) -> bool {
        //= RFC 6455 §5.5.1
        //# The application MUST NOT send any more data frames after sending a
        //# Close frame.
        let Some(slot) = self.slots.get_mut(conn) else { return false };
        let (outbox, ledger) = (&mut slot.outbox, &mut self.ledger);
        if outbox.close_queued() {
            if flush == Flush::Now {
                ledger.totals.dropped += outbox.discard_before_close(ledger);
            }
            return true;
        }
        outbox.wake(ledger);
        if flush == Flush::Now {
            ledger.totals.dropped += outbox.discard_all(ledger);
        }
        outbox.append_close(SharedFrame::new(frame, ledger.now), ledger);
        outbox.mark_dirty(conn, ledger);
        true
    }
}
