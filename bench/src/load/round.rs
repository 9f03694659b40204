//! One round: publishes what is due, counts what arrives.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use corecast_wire::frame::Opcode;
use eyre::Result;
use hdrhistogram::Histogram;

use super::tracker::{Arrival, Tracker};
use super::{Audience, Shape};
use crate::clock;
use crate::outcome::{Latency, Outcome, histogram};
use crate::schedule::{Moments, Pace};
use crate::stamp::Stamp;
use crate::swarm::{Delivery, Driver, Due};
use crate::target::Message;

/// The state of a round, driven by the swarm.
pub(super) struct Round {
    publishers: Range<usize>,
    readers: Range<usize>,
    message: Message,
    printed: bool,
    payload_bytes: usize,
    pace: Source,
    /// Messages sent, by all publishers.
    sent: u64,
    /// Since when stamps are ours, and which of them count.
    began_ns: u64,
    counted: Range<u64>,
    held: bool,
    ended: bool,
    tracker: Tracker,
    tally: Tally,
    latency: Histogram<u64>,
    late: Histogram<u64>,
}

/// Where moments come from.
enum Source {
    Open { moments: Box<Moments>, start_ns: u64, due_ns: u64 },
    Closed { window: usize, on_their_way: Window },
}

/// The deliveries that messages on their way still lack, the oldest first.
#[derive(Debug, Default)]
struct Window {
    first: u64,
    lacking: VecDeque<usize>,
    incomplete: usize,
    /// When a message was completed last.
    moved_ns: u64,
}

#[derive(Debug, Default)]
struct Tally {
    received: u64,
    published: u64,
    delivered: u64,
    duplicated: u64,
    reordered: u64,
    held_back: u64,
    /// When the first delivery that counts came, and the last; 0 before that.
    first_ns: u64,
    last_ns: u64,
}

impl Round {
    /// Begins with the first message, now.
    pub(super) fn begin(shape: &Shape, audience: &Audience) -> Result<Self> {
        let now_ns = clock::now_ns();
        let pace = match &shape.pace {
            Pace::Open(schedule) => {
                let mut moments = Box::new(schedule.moments(shape.seed));
                let due_ns = now_ns + moments.next().unwrap_or(0);
                Source::Open { moments, start_ns: now_ns, due_ns }
            }
            Pace::Closed { window } => {
                let on_their_way = Window { moved_ns: now_ns, ..Window::default() };
                Source::Closed { window: *window, on_their_way }
            }
        };
        Ok(Self {
            publishers: audience.publishers.clone(),
            readers: audience.readers.clone(),
            message: Message::new(&shape.target, shape.payload_bytes)?,
            printed: shape.target.publish.is_some(),
            payload_bytes: shape.payload_bytes,
            pace,
            sent: 0,
            began_ns: now_ns,
            counted: 0..0,
            held: false,
            ended: false,
            tracker: Tracker::new(audience.readers.len(), audience.publishers.len())?,
            tally: Tally::default(),
            latency: histogram()?,
            late: histogram()?,
        })
    }

    /// Counts what is due from `from_ns` until `until_ns`.
    pub(super) fn measure(&mut self, from_ns: u64, until_ns: u64) {
        self.counted = from_ns..until_ns;
    }

    /// Publishes no more.
    pub(super) fn end_publishing(&mut self) {
        self.ended = true;
        if let Source::Open { moments, start_ns, due_ns } = &mut self.pace {
            // What was due and has not left: the server did not read it.
            while *due_ns < self.counted.end {
                self.tally.held_back += u64::from(self.counted.contains(due_ns));
                *due_ns = *start_ns + moments.next().unwrap_or(u64::MAX / 2);
            }
        }
    }

    /// Messages that have arrived since the round began, on whichever connection.
    pub(super) fn received(&self) -> u64 {
        self.tally.received
    }

    /// Whether all expected deliveries have arrived.
    pub(super) fn is_complete(&self) -> bool {
        self.tally.delivered >= self.expected()
    }

    /// How late messages left, in nanoseconds, where that was the client's doing.
    pub(super) fn late(&self) -> &Histogram<u64> {
        &self.late
    }

    /// The counts and the latency.
    pub(super) fn outcome(&self) -> Outcome {
        let Tally { published, delivered, duplicated, reordered, held_back, .. } = self.tally;
        let expected = self.expected();
        let extra = BTreeMap::from([("held_back_messages".to_owned(), held_back as f64)]);
        Outcome {
            published,
            expected,
            delivered,
            missing: expected - delivered.min(expected),
            duplicated,
            reordered,
            latency: Latency::from_histogram(&self.latency),
            delivering_seconds: (self.tally.last_ns - self.tally.first_ns) as f64 / 1e9,
            extra,
            ..Outcome::default()
        }
    }

    /// One delivery of each message to each reader; of those, too, that were due and did not leave,
    /// because the server did not read.
    fn expected(&self) -> u64 {
        (self.tally.published + self.tally.held_back) * self.readers.len() as u64
    }

    fn publisher(&self) -> usize {
        (self.sent % self.publishers.len() as u64) as usize
    }

    fn take_stamp(&mut self, stamp: Stamp, connection: usize, received_ns: u64) {
        let (publisher, sequence) = unpack(stamp.sequence);
        // What somebody else wrote looks like no moment of this round.
        let ours = (self.began_ns..=received_ns).contains(&stamp.due_ns);
        if !ours || publisher >= self.publishers.len() {
            return;
        }
        let arrival = self.tracker.note(connection - self.readers.start, publisher, sequence);
        let counts = u64::from(self.counted.contains(&stamp.due_ns));
        match arrival {
            Arrival::Duplicate => self.tally.duplicated += counts,
            Arrival::InOrder | Arrival::Reordered => {
                self.tally.delivered += counts;
                self.tally.reordered += counts * u64::from(arrival == Arrival::Reordered);
                if counts == 1 {
                    if self.tally.first_ns == 0 {
                        self.tally.first_ns = received_ns;
                    }
                    self.tally.last_ns = received_ns;
                    self.latency.saturating_record(received_ns - stamp.due_ns);
                }
                if let Source::Closed { on_their_way, .. } = &mut self.pace {
                    let number = sequence * self.publishers.len() as u64 + publisher as u64;
                    on_their_way.arrived(number, received_ns);
                }
            }
        }
    }
}

impl Driver for Round {
    fn take(&mut self, delivery: Delivery<'_>) {
        self.tally.received += 1;
        let Delivery { connection, payload, received_ns, .. } = delivery;
        if !self.readers.contains(&connection) {
            return;
        }
        if !self.printed {
            if let Some(stamp) = Stamp::read(payload) {
                self.take_stamp(stamp, connection, received_ns);
            }
            return;
        }
        let mut from = 0;
        while let Some((at, stamp)) = Stamp::find(payload, from) {
            self.take_stamp(stamp, connection, received_ns);
            from = at + self.payload_bytes;
        }
    }

    fn due(&self) -> Option<Due> {
        if self.ended {
            return None;
        }
        let connection = self.publishers.start + self.publisher();
        match &self.pace {
            Source::Open { due_ns, .. } => {
                let counts = self.counted.is_empty() || *due_ns < self.counted.end;
                counts.then_some(Due { at_ns: *due_ns, connection })
            }
            Source::Closed { window, on_their_way } => {
                let room = on_their_way.incomplete < *window;
                let at_ns = if room { 0 } else { on_their_way.moved_ns + LOST_AFTER_NS };
                Some(Due { at_ns, connection })
            }
        }
    }

    fn message(&mut self, sent_ns: u64) -> Option<(Opcode, &[u8])> {
        let readers = self.readers.len();
        let due_ns = match &mut self.pace {
            Source::Open { moments, start_ns, due_ns } => {
                let next_ns = *start_ns + moments.next()?;
                std::mem::replace(due_ns, next_ns)
            }
            Source::Closed { window, on_their_way } => {
                if on_their_way.incomplete >= *window {
                    on_their_way.give_up_oldest(sent_ns);
                }
                on_their_way.send(readers);
                sent_ns
            }
        };
        let publisher = self.publisher();
        let sequence = self.sent / self.publishers.len() as u64;
        self.sent += 1;
        if self.counted.contains(&due_ns) {
            self.tally.published += 1;
            if !self.held {
                self.late.saturating_record(sent_ns - due_ns);
            }
        }
        self.held &= matches!(&self.pace, Source::Open { due_ns, .. } if *due_ns <= sent_ns);
        let opcode = if self.message.is_text() { Opcode::Text } else { Opcode::Binary };
        let stamp = Stamp { due_ns, sequence: pack(publisher, sequence) };
        Some((opcode, self.message.stamped(stamp)))
    }

    fn held(&mut self) {
        self.held = true;
    }
}

impl Window {
    fn send(&mut self, readers: usize) {
        self.lacking.push_back(readers);
        self.incomplete += 1;
    }

    fn arrived(&mut self, number: u64, at_ns: u64) {
        // What was given up may still come.
        let Some(place) = number.checked_sub(self.first) else { return };
        let Some(lacking) = self.lacking.get_mut(place as usize) else { return };
        *lacking = lacking.saturating_sub(1);
        if *lacking == 0 {
            self.incomplete -= 1;
            self.moved_ns = at_ns;
            self.drop_complete();
        }
    }

    /// Waits no longer for what the oldest message lacks.
    fn give_up_oldest(&mut self, now_ns: u64) {
        if self.lacking.pop_front().is_some() {
            self.first += 1;
            self.incomplete -= 1;
        }
        self.moved_ns = now_ns;
        self.drop_complete();
    }

    fn drop_complete(&mut self) {
        while self.lacking.front() == Some(&0) {
            self.lacking.pop_front();
            self.first += 1;
        }
    }
}

/// A publisher's number stands in the upper 16 bits of a stamp's sequence.
fn pack(publisher: usize, sequence: u64) -> u64 {
    (publisher as u64) << PUBLISHER_SHIFT | sequence
}

fn unpack(packed: u64) -> (usize, u64) {
    ((packed >> PUBLISHER_SHIFT) as usize, packed & ((1 << PUBLISHER_SHIFT) - 1))
}

const PUBLISHER_SHIFT: u32 = 48;

/// A message of a closed loop that lacks a delivery makes room after this long without progress.
const LOST_AFTER_NS: u64 = 1_000_000_000;
