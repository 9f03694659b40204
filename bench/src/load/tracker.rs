//! What has arrived already: for each connection and publisher the last few sequence numbers.

use eyre::{Result, ensure};

/// A pair of connection and publisher takes 24 bytes.
const PAIRS_MAX: usize = 8 << 20;

/// How far behind the latest one a message is still known: later ones of which as many have come
/// since count as duplicates.
const KNOWN: u64 = 128;

/// What a message is to who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// In its turn, or behind a hole.
    InOrder,
    /// For the first time, and behind a later one.
    Reordered,
    /// Again.
    Duplicate,
}

/// The messages that connections have received, in memory that does not grow.
#[derive(Debug)]
pub(super) struct Tracker {
    pairs: Vec<Pair>,
    publishers: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    /// One more than the greatest sequence number seen.
    next: u64,
    /// Bit `n` is set when `next - 1 - n` has come.
    seen: u128,
}

impl Tracker {
    /// Nothing has arrived yet.
    pub(super) fn new(connections: usize, publishers: usize) -> Result<Self> {
        let pairs = connections.saturating_mul(publishers);
        ensure!(
            pairs <= PAIRS_MAX,
            "{connections} subscribers of {publishers} publishers are more than {PAIRS_MAX} pairs: \
             take fewer publishers"
        );
        Ok(Self { pairs: vec![Pair::default(); pairs], publishers })
    }

    /// Notes a message.
    pub(super) fn note(&mut self, connection: usize, publisher: usize, sequence: u64) -> Arrival {
        let pair = &mut self.pairs[connection * self.publishers + publisher];
        if sequence >= pair.next {
            let step = sequence + 1 - pair.next;
            let shifted = if step < KNOWN { pair.seen << step } else { 0 };
            *pair = Pair { next: sequence + 1, seen: shifted | 1 };
            return Arrival::InOrder;
        }
        let behind = pair.next - 1 - sequence;
        if behind >= KNOWN || pair.seen >> behind & 1 == 1 {
            return Arrival::Duplicate;
        }
        pair.seen |= 1 << behind;
        Arrival::Reordered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Arrival::{Duplicate, InOrder, Reordered};

    #[test]
    fn each_message_is_new_once() {
        let mut tracker = Tracker::new(2, 2).unwrap();
        let arrivals = [0, 1, 1, 5, 3, 3, 2, 4, 0].map(|sequence| tracker.note(1, 0, sequence));
        let expected = [
            InOrder, InOrder, Duplicate, InOrder, Reordered, Duplicate, Reordered, Reordered,
            Duplicate,
        ];
        assert_eq!(arrivals, expected);
        assert_eq!(tracker.note(1, 1, 0), InOrder);
        assert_eq!(tracker.note(0, 0, 7), InOrder);
    }

    #[test]
    fn holes_of_any_size_are_passed() {
        let mut tracker = Tracker::new(1, 1).unwrap();
        for (sequence, arrival) in [
            (126, InOrder),
            (127, InOrder),
            (0, Reordered),
            (128, InOrder),
            (0, Duplicate),
            (10_000, InOrder),
            (9_999, Reordered),
            (9_873, Reordered),
            (9_872, Duplicate),
            (u64::MAX - 1, InOrder),
        ] {
            assert_eq!(tracker.note(0, 0, sequence), arrival, "{sequence}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        assert!(Tracker::new(20_000, 10_000).is_err());
    }
}
