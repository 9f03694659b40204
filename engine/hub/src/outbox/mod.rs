//! What one socket is still to be sent.

pub(crate) mod aged;
pub(crate) mod backlog;
pub(crate) mod drain;
pub(crate) mod entry;
mod keys;
pub(crate) mod ring;

use crate::frame::SharedFrame;
use crate::id::{ConnId, Timestamp};
use crate::ledger::Ledger;
use entry::{Entry, Kind};
use keys::KeyIndex;
use ring::Ring;

/// The frames that wait for one socket, in the order in which they will be sent:
///
/// 1. the frame that is partly sent, if any: it left the ring when it was begun, so that no
///    policy can touch it;
/// 2. the pending pong, the pending ping (at most one of each, not counted in the bounds);
/// 3. the ring: data, gap notices, and last of all the Close frame.
///
/// Idle, it owns no heap memory; one waiting frame needs none either.
#[derive(Debug)]
pub struct Outbox {
    ring: Ring,
    begun: Option<SharedFrame>,
    pong: Option<SharedFrame>,
    ping: Option<SharedFrame>,
    keys: Option<Box<KeyIndex>>,
    /// When the peer last took a byte, or the outbox last ceased to be empty.
    progress_at: Timestamp,
    bytes: u32,
    lossless_bytes: u32,
    lossless_frames: u32,
    /// Announcements, which are in `bytes` and in no bound but their own.
    announced_bytes: u32,
    announced_frames: u32,
    /// How much of the begun frame was sent.
    begun_bytes: u32,
    /// Places from the front in which no `DropOldest` entry stands.
    droppable_from: u32,
    begun_kind: Kind,
    flags: Flags,
}

const _: () = assert!(size_of::<Outbox>() <= 136 && size_of::<Entry>() == 32);

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            ring: Ring::new(),
            begun: None,
            pong: None,
            ping: None,
            keys: None,
            progress_at: Timestamp(0),
            bytes: 0,
            lossless_bytes: 0,
            lossless_frames: 0,
            announced_bytes: 0,
            announced_frames: 0,
            begun_bytes: 0,
            droppable_from: 0,
            begun_kind: Kind::Direct,
            flags: Flags(0),
        }
    }

    /// Adds the bytes that are to be sent next to `out`, one slice per frame, at most `max` of
    /// them; returns their sum. The first slice starts where the last send stopped.
    ///
    /// Between this call and [`Hub::sent`](crate::Hub::sent) nothing may be queued or
    /// discarded for this connection.
    pub fn gather<'a>(&'a self, out: &mut Vec<&'a [u8]>, max: usize) -> usize {
        let mut bytes = 0;
        out.extend(self.slices().take(max).inspect(|slice| bytes += slice.len()));
        bytes
    }

    /// The bytes that are to be sent, one slice per frame, as in [`gather`](Self::gather).
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let begun = self.begun.iter().map(|frame| &frame.as_bytes()[self.begun_bytes as usize..]);
        let control = self.pong.iter().chain(&self.ping).map(SharedFrame::as_bytes);
        let ring = self.ring.iter().filter_map(|(_, entry)| entry.frame.as_ref());
        begun.chain(control).chain(ring.map(SharedFrame::as_bytes))
    }

    /// Whether nothing waits, not even a control frame.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_queue_empty() && self.pong.is_none() && self.ping.is_none()
    }

    /// Bytes of the frames that wait or are partly sent, the latter in full, pings and pongs
    /// left out.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Frames that wait or are partly sent, pings and pongs left out.
    #[must_use]
    pub const fn frames(&self) -> u32 {
        let begun = self.begun.is_some() && !matches!(self.begun_kind, Kind::Control);
        self.ring.live() + begun as u32
    }

    /// Frames that count against the bounds: all but announcements.
    #[inline]
    pub(crate) const fn bound_frames(&self) -> u32 {
        self.frames() - self.announced_frames
    }

    /// Bytes that count against the bounds: all but announcements.
    #[inline]
    pub(crate) const fn bound_bytes(&self) -> u32 {
        self.bytes - self.announced_bytes
    }

    /// Whether a frame is partly sent.
    #[must_use]
    pub const fn is_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether the socket was reported to take nothing for now.
    #[inline]
    #[must_use]
    pub const fn is_blocked(&self) -> bool {
        self.flags.has(Flags::BLOCKED)
    }

    /// Whether a pong waits, which another one would replace.
    #[must_use]
    pub const fn is_pong_pending(&self) -> bool {
        self.pong.is_some()
    }

    /// Whether the Close frame was queued: nothing more is accepted.
    #[inline]
    #[must_use]
    pub const fn close_queued(&self) -> bool {
        self.flags.has(Flags::CLOSING)
    }

    /// When the peer last took a byte, or the outbox last ceased to be empty.
    #[must_use]
    pub const fn progress_at(&self) -> Timestamp {
        self.progress_at
    }

    /// Bytes of heap memory for handles (not the frames, which are shared): zero when idle.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.ring.storage_bytes() + self.keys.as_ref().map_or(0, |keys| keys.heap_bytes())
    }

    /// Whether nothing but control frames waits.
    #[inline]
    pub(crate) const fn is_queue_empty(&self) -> bool {
        self.ring.live() == 0 && self.begun.is_none()
    }

    pub(crate) fn set_blocked(&mut self, blocked: bool) {
        self.flags.set(Flags::BLOCKED, blocked);
    }

    /// Takes the flag that keeps a connection from standing twice in the dirty list.
    pub(crate) fn clear_dirty(&mut self) {
        self.flags.set(Flags::DIRTY, false);
    }

    /// Puts the connection on the dirty list, unless it is there or cannot send.
    #[inline]
    pub(crate) fn mark_dirty(&mut self, conn: ConnId, ledger: &mut Ledger) {
        if !self.flags.has(Flags::DIRTY) && !self.is_blocked() && !self.is_empty() {
            self.flags.set(Flags::DIRTY, true);
            ledger.dirty.push(conn);
        }
    }

    /// Called before an operation that may queue something: when nothing waited, the time
    /// without progress starts now. What is discarded meanwhile is no progress.
    #[inline]
    pub(crate) fn wake(&mut self, ledger: &Ledger) {
        if self.is_empty() && !self.is_held_back() {
            self.progress_at = ledger.now;
        }
    }

    /// Whether the socket takes nothing, and a paused subscription waits for that to end: then
    /// time passes without progress even while nothing is queued.
    #[inline]
    pub(crate) const fn is_held_back(&self) -> bool {
        self.flags.has(Flags::BLOCKED) && self.flags.has(Flags::PAUSED)
    }

    /// A subscription has paused. `patient`: it goes on when nothing waits any more, else when
    /// less than half of what may wait does.
    pub(crate) fn set_paused(&mut self, patient: bool) {
        self.flags.set(Flags::PAUSED, true);
        self.flags.set(Flags::UNLISTED, true);
        if patient {
            self.flags.set(Flags::PATIENT, true);
        }
    }

    /// No subscription is paused any more.
    pub(crate) fn clear_paused(&mut self) {
        self.flags.set(Flags::PAUSED, false);
        self.flags.set(Flags::UNLISTED, false);
        self.flags.set(Flags::PATIENT, false);
    }

    /// Lists the connection, if it has paused subscriptions that can go on.
    #[inline]
    pub(crate) fn judge_resync(&mut self, conn: ConnId, ledger: &mut Ledger) {
        if self.flags.has(Flags::UNLISTED) {
            self.judge_unlisted(conn, ledger);
        }
    }

    #[cold]
    fn judge_unlisted(&mut self, conn: ConnId, ledger: &mut Ledger) {
        let bounds = &ledger.bounds;
        let goes_on = self.bound_frames() == 0
            || !self.flags.has(Flags::PATIENT)
                && self.bound_bytes() <= bounds.bytes_max / 2
                && self.bound_frames() <= bounds.frames_max / 2;
        if goes_on && !self.is_blocked() && !self.close_queued() {
            self.flags.set(Flags::UNLISTED, false);
            self.flags.set(Flags::PATIENT, false);
            ledger.resync.push(conn);
        }
    }

    /// Counts a frame in.
    #[inline]
    fn count_in(&mut self, kind: Kind, bytes: u32, ledger: &mut Ledger) {
        self.bytes += bytes;
        ledger.queued_bytes += u64::from(bytes);
        ledger.queued_frames += u64::from(kind.is_data());
        if kind.is_lossless() {
            self.lossless_bytes += bytes;
            self.lossless_frames += 1;
            self.judge_congestion(ledger);
        } else if kind.is_announcement() {
            self.announced_bytes += bytes;
            self.announced_frames += 1;
        }
    }

    /// Counts a frame out.
    #[inline]
    fn count_out(&mut self, kind: Kind, bytes: u32, ledger: &mut Ledger) {
        self.bytes -= bytes;
        ledger.queued_bytes -= u64::from(bytes);
        ledger.queued_frames -= u64::from(kind.is_data());
        if kind.is_lossless() {
            self.lossless_bytes -= bytes;
            self.lossless_frames -= 1;
            self.judge_congestion(ledger);
        } else if kind.is_announcement() {
            self.announced_bytes -= bytes;
            self.announced_frames -= 1;
        }
    }

    /// Keeps the count of congested outboxes: an open one of which lossless frames take more
    /// than half of a bound.
    #[inline]
    fn judge_congestion(&mut self, ledger: &mut Ledger) {
        let bounds = &ledger.bounds;
        let congested = !self.close_queued()
            && (self.lossless_bytes > bounds.bytes_max / 2
                || self.lossless_frames > bounds.frames_max / 2);
        if congested != self.flags.has(Flags::CONGESTED) {
            self.flags.set(Flags::CONGESTED, congested);
            if congested {
                ledger.congested += 1;
            } else {
                ledger.congested -= 1;
            }
        }
    }

    /// Marks the outbox as closing: publishers no longer wait for it.
    pub(crate) fn set_closing(&mut self, ledger: &mut Ledger) {
        self.flags.set(Flags::CLOSING, true);
        self.judge_congestion(ledger);
    }
}

/// Yes-or-no facts in a byte.
#[derive(Debug, Clone, Copy)]
struct Flags(u8);

impl Flags {
    /// The socket takes nothing for now.
    const BLOCKED: u8 = 1;
    /// The connection stands in the dirty list.
    const DIRTY: u8 = 2;
    /// The Close frame was queued.
    const CLOSING: u8 = 4;
    /// The outbox is counted as congested.
    const CONGESTED: u8 = 8;
    /// A subscription of the connection is paused.
    const PAUSED: u8 = 16;
    /// One of them is to be listed as soon as there is room.
    const UNLISTED: u8 = 32;
    /// Room is there only when nothing waits.
    const PATIENT: u8 = 64;

    #[inline]
    const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    #[inline]
    const fn set(&mut self, flag: u8, on: bool) {
        if on {
            self.0 |= flag;
        } else {
            self.0 &= !flag;
        }
    }
}
