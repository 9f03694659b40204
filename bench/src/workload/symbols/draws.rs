//! Chance, always the same for one seed: whose symbols, and which message.

use std::sync::Arc;

use super::Shape;
use crate::random::SplitMix64;
use crate::workload::gateway::Source;

/// The symbols of a client: the first ones of a shuffled list.
pub(super) fn choose(shape: &Shape, client: usize) -> Vec<usize> {
    let mut random = SplitMix64::new(shape.seed ^ ((client as u64 + 1) << 20));
    let mut symbols = Vec::from_iter(0..shape.symbols);
    for place in 0..shape.symbols_each {
        let left = (shape.symbols - place) as u64;
        symbols.swap(place, place + (random.next_u64() % left) as usize);
    }
    symbols.truncate(shape.symbols_each);
    symbols
}

/// Which symbol each message is of.
#[derive(Clone)]
pub(super) struct Draws {
    /// Each symbol's share and those of all before it; the last is 1.
    up_to: Arc<[f64]>,
    random: SplitMix64,
    number: u64,
    count: u64,
    rate: f64,
    payload_bytes: usize,
}

impl Draws {
    pub(super) fn new(shape: &Shape) -> Self {
        let weight = |rank: usize| (rank as f64).powf(-shape.exponent);
        let total: f64 = (1..=shape.symbols).map(weight).sum();
        let mut sum = 0.0;
        let up_to = (1..=shape.symbols).map(|rank| {
            sum += weight(rank) / total;
            sum
        });
        Self {
            up_to: up_to.collect(),
            random: SplitMix64::new(shape.seed),
            number: 0,
            count: (shape.rate * shape.measured.as_secs_f64()).ceil() as u64,
            rate: shape.rate,
            payload_bytes: shape.payload_bytes,
        }
    }

    /// The place of the next message's symbol.
    pub(super) fn draw(&mut self) -> usize {
        let unit = self.random.next_unit();
        self.number += 1;
        // The shares' sum may be a little less than 1.
        self.up_to.partition_point(|share| *share < unit).min(self.up_to.len() - 1)
    }
}

impl Source for Draws {
    fn next(&mut self, data: &mut Vec<u8>) -> Option<(u64, usize)> {
        if self.number >= self.count {
            return None;
        }
        let due_ns = (self.number as f64 * 1e9 / self.rate) as u64;
        let symbol = self.draw();
        data.clear();
        data.extend_from_slice(PAYLOAD_BEGIN);
        data.resize(self.payload_bytes - PAYLOAD_END.len(), b'-');
        data.extend_from_slice(PAYLOAD_END);
        Some((due_ns, symbol))
    }
}

const PAYLOAD_BEGIN: &[u8] = br#"{"quote":""#;
const PAYLOAD_END: &[u8] = br#""}"#;
const _: () = assert!(PAYLOAD_BEGIN.len() + PAYLOAD_END.len() <= super::PAYLOAD_BYTES_MIN);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::super::Expected;
    use super::*;

    fn shape() -> Shape {
        Shape {
            symbols: 1_000,
            symbols_each: 50,
            clients: 20,
            rate: 10_000.0,
            exponent: 1.0,
            payload_bytes: 128,
            measured: Duration::from_secs(2),
            drain: Duration::ZERO,
            memory_bytes_max: u64::MAX,
            seed: 7,
        }
    }

    #[test]
    fn each_client_has_its_own_symbols_and_none_twice() {
        let shape = shape();
        let choices = Vec::from_iter((0..20).map(|client| choose(&shape, client)));
        assert!(choices.iter().all(|choice| BTreeSet::from_iter(choice).len() == 50));
        assert_ne!(choices[0], choices[1]);
        assert_eq!(choices[3], choose(&shape, 3));
    }

    #[test]
    fn the_first_symbol_has_its_share_and_the_messages_their_size() {
        let (mut draws, mut data) = (Draws::new(&shape()), Vec::new());
        let (mut counts, mut last_ns) = (vec![0; 1_000], 0);
        while let Some((due_ns, symbol)) = draws.next(&mut data) {
            counts[symbol] += 1;
            assert!(due_ns >= last_ns && data.len() == 128);
            last_ns = due_ns;
        }
        assert_eq!(counts.iter().sum::<u64>(), 20_000);
        serde_json::from_slice::<serde_json::Value>(&data).expect("JSON");
        // The thousandth harmonic number is 7.485.
        let share = f64::from(counts[0] as u32) / 20_000.0;
        assert!((share * 7.485 - 1.0).abs() < 0.1, "{share}");
        assert!(counts[0] > 5 * counts[9]);
    }

    #[test]
    fn what_is_expected_follows_the_draws() {
        let mut draws = Draws::new(&shape());
        let listeners = Vec::from_iter(0..1_000);
        let sum: u64 = (0..500).map(|_| draws.draw() as u64).sum();
        let mut expected = Expected { draws: Draws::new(&shape()), listeners, sent: 0, sum: 0 };
        assert!(expected.of(100) < expected.of(500));
        assert_eq!(expected.of(500), sum);
    }
}
