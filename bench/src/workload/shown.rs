//! How long what a client shows is out of date: of each message that was due, the time until the
//! client got it or a newer one of the same key.
//!
//! The age of what arrives says less: a server that sends but now and then, always the newest, has
//! a low one. Here the messages that it left out meanwhile count, too, each with its own wait; and
//! those that nobody had got at the end, with the time until then.

use eyre::Result;
use hdrhistogram::Histogram;

use crate::outcome::histogram;

/// What the clients show. Every [`CLIENTS_STEP`]th client is looked at: to count each message for
/// each client would take the load client's time.
#[derive(Debug)]
pub struct Shown {
    /// When the messages of each key are due, rising, in nanoseconds from the start.
    due_ns: Vec<Vec<u64>>,
    starts_ns: u64,
    /// How many of a key's messages a client has got or has newer ones of; by client and key.
    shown: Vec<usize>,
    waits: Histogram<u64>,
}

/// Of so many clients one is looked at; the others get the same, before it or behind it.
pub const CLIENTS_STEP: usize = 16;

impl Shown {
    /// Nothing is shown yet. `due_ns` has the moments of each key's messages, rising, from
    /// `starts_ns` on.
    ///
    /// # Errors
    /// Never: as [`histogram`].
    pub fn new(clients: usize, due_ns: Vec<Vec<u64>>, starts_ns: u64) -> Result<Self> {
        let shown = vec![0; clients.div_ceil(CLIENTS_STEP) * due_ns.len()];
        Ok(Self { due_ns, starts_ns, shown, waits: histogram()? })
    }

    /// Another moment from which on the messages are due.
    pub fn begin(&mut self, starts_ns: u64) {
        self.starts_ns = starts_ns;
    }

    /// A client has got the message of `key` that was due at `due_ns`, by the clock.
    pub fn take(&mut self, client: usize, key: usize, due_ns: u64, received_ns: u64) {
        if client.is_multiple_of(CLIENTS_STEP) {
            let newest_ns = due_ns.saturating_sub(self.starts_ns);
            let place = client / CLIENTS_STEP * self.due_ns.len() + key;
            self.advance(place, newest_ns, received_ns);
        }
    }

    /// Whether each client that is looked at has the last message of each key.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let last = self.due_ns.iter().map(Vec::len).cycle();
        self.shown.iter().zip(last).all(|(shown, last)| *shown == last)
    }

    /// The waits of all messages that were due until `until_ns`, by the clock: those that a client
    /// has not got have waited until then at least.
    #[must_use]
    pub fn end(mut self, until_ns: u64) -> Histogram<u64> {
        let last_ns = until_ns.saturating_sub(self.starts_ns);
        for place in 0..self.shown.len() {
            self.advance(place, last_ns, until_ns);
        }
        self.waits
    }

    /// All that was due until `newest_ns` from the start has its end now.
    fn advance(&mut self, place: usize, newest_ns: u64, now_ns: u64) {
        let due_ns = &self.due_ns[place % self.due_ns.len()];
        let waiting = &due_ns[self.shown[place]..];
        let ended = waiting.partition_point(|due_ns| *due_ns <= newest_ns);
        for due_ns in &waiting[..ended] {
            let due_ns = self.starts_ns + due_ns;
            self.waits.saturating_record(now_ns.saturating_sub(due_ns));
        }
        self.shown[place] += ended;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(shown: Shown, until_ns: u64) -> Vec<u64> {
        let waits = shown.end(until_ns);
        let each = |step: hdrhistogram::iterators::IterationValue<u64>| {
            vec![step.value_iterated_to(); step.count_at_value() as usize]
        };
        waits.iter_recorded().flat_map(each).collect()
    }

    #[test]
    fn messages_that_were_left_out_wait_for_the_next_one() {
        let mut shown = Shown::new(1, vec![vec![0, 10, 20, 30]], 1_000).unwrap();
        shown.take(0, 0, 1_020, 1_025);
        shown.take(0, 0, 1_010, 1_026); // an older one shows nothing new
        assert!(!shown.is_current());
        shown.take(0, 0, 1_030, 1_031);
        assert!(shown.is_current());
        assert_eq!(waits(shown, 2_000), [1, 5, 15, 25]);
    }

    #[test]
    fn what_never_came_has_waited_until_the_end() {
        let mut shown = Shown::new(17, vec![vec![0, 50], vec![20]], 0).unwrap();
        shown.begin(100);
        shown.take(16, 1, 120, 121);
        shown.take(1, 0, 100, 100); // not looked at
        // Of the first client all, of the other one its first key; what was due later is not.
        assert_eq!(waits(shown, 140), [1, 20, 40, 40]);
    }
}
