//! Publishing at a fixed rate, whatever the swarm is doing besides.

use corecast_wire::frame::Opcode;

use super::Swarm;
use crate::clock;
use crate::stamp::{STAMP_BYTES, Stamp};

/// A connection that publishes stamped binary messages at a fixed rate.
#[derive(Debug, Clone, Copy)]
pub struct Publishing {
    /// The connection to send on.
    pub connection: usize,
    /// Messages a second.
    pub rate: f64,
    /// Payload bytes of each; at least [`STAMP_BYTES`].
    pub payload_bytes: usize,
    /// How many to send.
    pub count: u64,
}

/// An open loop: each message has its moment, and one that comes late is still stamped with it.
#[derive(Debug)]
pub(super) struct Schedule {
    publishing: Publishing,
    started_ns: u64,
    sequence: u64,
    payload: Vec<u8>,
}

impl Schedule {
    pub(super) fn due_ns(&self) -> u64 {
        self.started_ns + (self.sequence as f64 * 1e9 / self.publishing.rate) as u64
    }

    fn is_finished(&self) -> bool {
        self.sequence >= self.publishing.count
    }
}

impl Swarm {
    /// Publishes from now on, during calls of [`Swarm::poll`].
    ///
    /// # Panics
    /// When the payload is too short for a stamp, or the rate is not positive.
    pub fn publish(&mut self, publishing: Publishing) {
        assert!(publishing.payload_bytes >= STAMP_BYTES, "a payload has at least 16 bytes");
        assert!(publishing.rate > 0.0, "a rate is positive");
        self.schedules.push(Schedule {
            publishing,
            started_ns: clock::now_ns(),
            sequence: 0,
            payload: vec![b'x'; publishing.payload_bytes],
        });
    }

    /// Ends what a connection publishes; says how many messages it has sent of it.
    pub fn stop_publishing(&mut self, connection: usize) -> u64 {
        let ends = |schedule: &mut Schedule| schedule.publishing.connection == connection;
        self.schedules.extract_if(.., ends).map(|schedule| schedule.sequence).sum()
    }

    /// Whether something is still to be published.
    pub fn is_publishing(&self) -> bool {
        !self.schedules.is_empty()
    }

    /// Sends what is due.
    pub(super) fn publish_due(&mut self) {
        if self.schedules.is_empty() {
            return;
        }
        let mut schedules = std::mem::take(&mut self.schedules);
        for schedule in &mut schedules {
            while !schedule.is_finished() && schedule.due_ns() <= clock::now_ns() {
                let stamp = Stamp { due_ns: schedule.due_ns(), sequence: schedule.sequence };
                stamp.write(&mut schedule.payload);
                let connection = schedule.publishing.connection;
                self.send(connection, Opcode::Binary, &schedule.payload);
                schedule.sequence += 1;
            }
        }
        schedules.retain(|schedule| !schedule.is_finished());
        self.schedules = schedules;
    }
}
