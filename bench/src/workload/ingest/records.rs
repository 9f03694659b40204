//! Records at a fixed rate, without end: each to the next topic and with the next key of it.

use super::payload;
use crate::workload::gateway::Source;

/// What is published.
#[derive(Debug, Clone)]
pub struct Records {
    topics: usize,
    keys: Vec<String>,
    rate: f64,
    payload_bytes: usize,
    starts_ns: u64,
    /// The last record's number.
    number: u64,
}

impl Records {
    /// `rate` records a second, over so many topics, from this moment on. `keys` of each topic; 0:
    /// records without a key. Each payload has so many bytes; see [`payload::write`].
    #[must_use]
    pub fn new(
        topics: usize,
        keys: usize,
        rate: f64,
        payload_bytes: usize,
        starts_ns: u64,
    ) -> Self {
        let keys = (0..keys).map(|key| format!("K{key:03}")).collect();
        Self { topics, keys, rate, payload_bytes, starts_ns, number: 0 }
    }
}

impl Source for Records {
    fn next(&mut self, data: &mut Vec<u8>) -> Option<(u64, usize)> {
        let due_ns = (self.number as f64 * 1e9 / self.rate) as u64;
        let place = self.number as usize % self.topics;
        self.number += 1;
        payload::write(data, self.starts_ns + due_ns, self.number, self.payload_bytes);
        Some((due_ns, place))
    }

    fn key(&self) -> Option<&[u8]> {
        let turn = (self.number as usize - 1) / self.topics;
        (!self.keys.is_empty()).then(|| self.keys[turn % self.keys.len()].as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_go_to_the_topics_in_turn_each_with_its_next_key() {
        let mut records = Records::new(2, 3, 1_000.0, 64, 5);
        let mut data = Vec::new();
        for number in 0..12_u64 {
            let (due_ns, place) = records.next(&mut data).expect("without end");
            assert_eq!((due_ns, place), (number * 1_000_000, number as usize % 2));
            let key = format!("K{:03}", number / 2 % 3);
            assert_eq!(records.key(), Some(key.as_bytes()));
            let stamp = payload::stamps(&data).next().expect("a stamp");
            assert_eq!((stamp.due_ns, stamp.sequence), (5 + due_ns, number + 1));
        }
        let mut without = Records::new(1, 0, 1.0, 64, 0);
        without.next(&mut data);
        assert_eq!(without.key(), None);
    }
}
