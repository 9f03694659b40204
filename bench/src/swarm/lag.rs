//! How long what has arrived can have waited for the load client.

use hdrhistogram::Histogram;

use crate::outcome::{LATENCY_NS_MAX, histogram};

/// What becomes ready after the kernel has told of all that was ready is told of by the next look.
/// So a delivery has waited at most since the look before; and where that next look had to sleep,
/// nothing was ready before it woke.
#[derive(Debug)]
pub(super) struct Lag {
    /// What the current look has brought was not ready before this moment.
    since_ns: u64,
    /// The last look that brought all there was.
    looked_ns: u64,
    /// One entry for each delivery, in nanoseconds.
    waited: Histogram<u64>,
}

impl Lag {
    pub(super) fn new(now_ns: u64) -> eyre::Result<Self> {
        Ok(Self { since_ns: now_ns, looked_ns: now_ns, waited: histogram()? })
    }

    /// The kernel was asked from `asked_ns` until `told_ns` and told of `events`; `all` when there
    /// were no more, and nothing of what it told before is still unread.
    pub(super) fn look(&mut self, asked_ns: u64, told_ns: u64, events: usize, all: bool) {
        let awake_ns = AWAKE_NS_MAX + events as u64 * EVENT_NS_MAX;
        let slept = told_ns - asked_ns > awake_ns;
        self.since_ns = if slept && all { told_ns } else { self.looked_ns };
        if all {
            self.looked_ns = told_ns;
        }
    }

    /// `deliveries` were read at `now_ns`.
    pub(super) fn note(&mut self, now_ns: u64, deliveries: u64) {
        let waited_ns = now_ns.saturating_sub(self.since_ns).min(LATENCY_NS_MAX);
        self.waited.saturating_record_n(waited_ns, deliveries);
    }

    pub(super) fn waited(&self) -> &Histogram<u64> {
        &self.waited
    }

    pub(super) fn forget(&mut self) {
        self.waited.reset();
    }
}

/// To ask the kernel takes at most this long, and this long for each event: what takes longer has
/// slept. (By `perf`, an event takes 0.2 µs; to sleep and be woken takes 5 µs and more.)
const AWAKE_NS_MAX: u64 = 2_000;
const EVENT_NS_MAX: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn waited(looks: &[(u64, u64, usize, bool)], read_ns: u64) -> u64 {
        let mut lag = Lag::new(0).unwrap();
        for &(asked_ns, told_ns, events, all) in looks {
            lag.look(asked_ns, told_ns, events, all);
        }
        lag.note(read_ns, 3);
        assert_eq!(lag.waited().len(), 3);
        lag.waited().max()
    }

    #[test]
    fn what_was_ready_at_once_may_have_waited_since_the_look_before() {
        let near = |value: u64, expected: u64| value.abs_diff(expected) <= expected / 500;
        // The second look finds two events without sleeping, after 90 µs of handling others.
        let value = waited(&[(0, 10_000, 1, true), (100_000, 101_000, 2, true)], 103_000);
        assert!(near(value, 93_000), "{value}");
        // Had it slept, they would have come at its end.
        let value = waited(&[(0, 10_000, 1, true), (100_000, 201_000, 2, true)], 203_000);
        assert!(near(value, 2_000), "{value}");
        // A full look leaves some behind, which the next one brings.
        let full =
            [(0, 10_000, 1, true), (100_000, 101_000, 9, false), (150_000, 151_000, 1, true)];
        let value = waited(&full, 152_000);
        assert!(near(value, 142_000), "{value}");
    }

    #[test]
    fn what_is_forgotten_does_not_count() {
        let mut lag = Lag::new(0).unwrap();
        lag.note(5_000, 1);
        lag.forget();
        assert!(lag.waited().is_empty());
    }
}
