//! Quotes as exchanges send them: what compression is measured with, since it depends on the text.

use std::fmt::Write as _;

use super::gateway::Source;
use crate::random::SplitMix64;

/// One symbol's best prices with some of the book behind them, at a fixed rate, without end.
#[derive(Debug, Clone)]
pub struct Quotes {
    rate: f64,
    levels: usize,
    random: SplitMix64,
    number: u64,
    /// In hundredths.
    price: u64,
    text: String,
}

impl Quotes {
    /// `rate` quotes a second of about so many bytes each, the same for one seed.
    #[must_use]
    pub fn new(rate: f64, payload_bytes: usize, seed: u64) -> Self {
        let levels = (payload_bytes.saturating_sub(HEAD_BYTES) / LEVEL_BYTES).max(1);
        let (random, text) = (SplitMix64::new(seed), String::new());
        Self { rate, levels, random, number: 0, price: 6_100_000, text }
    }

    fn side(&mut self, name: &str, step: i64) {
        let _ = write!(self.text, ",\"{name}\":[");
        for level in 0..self.levels {
            let price = self.price.saturating_add_signed(step * (level as i64 + 1));
            let size = self.random.next_u64() % 5_000_000;
            let comma = if level == 0 { "" } else { "," };
            let _ = write!(
                self.text,
                "{comma}[\"{}.{:02}\",\"{}.{:06}\"]",
                price / 100,
                price % 100,
                size / 1_000_000,
                size % 1_000_000
            );
        }
        self.text.push(']');
    }
}

impl Source for Quotes {
    fn next(&mut self, data: &mut Vec<u8>) -> Option<(u64, usize)> {
        let due_ns = (self.number as f64 * 1e9 / self.rate) as u64;
        self.number += 1;
        // A walk of up to ten steps to either side.
        self.price = self.price.saturating_add(self.random.next_u64() % 21).saturating_sub(10);
        self.text.clear();
        let (number, time) = (self.number + 48_213_377, 1_792_324_800_000 + due_ns / 1_000_000);
        // Writing to a string does not fail.
        let _ =
            write!(self.text, "{{\"e\":\"depth\",\"s\":\"BTCUSDT\",\"u\":{number},\"T\":{time}");
        self.side("b", -1);
        self.side("a", 1);
        self.text.push('}');
        data.clear();
        data.extend_from_slice(self.text.as_bytes());
        Some((due_ns, 0))
    }
}

/// What stands around the levels of a quote, and one level of each side: bytes.
const HEAD_BYTES: usize = 70;
const LEVEL_BYTES: usize = 46;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_json_of_about_their_size_and_differ() {
        let mut quotes = Quotes::new(10.0, 1_024, 7);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        assert_eq!(quotes.next(&mut one), Some((0, 0)));
        assert_eq!(quotes.next(&mut other), Some((100_000_000, 0)));
        assert!(one != other && one.len().abs_diff(1_024) < 100, "{}", one.len());
        let quote: serde_json::Value = serde_json::from_slice(&other).unwrap();
        assert_eq!(quote["b"].as_array().unwrap().len(), quote["a"].as_array().unwrap().len());
        let mut again = Vec::new();
        Quotes::new(10.0, 1_024, 7).next(&mut again);
        assert_eq!(one, again);
    }
}
