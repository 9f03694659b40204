//! What one connection sends: messages and bytes in a second.

use super::bucket::Rate;

/// The two rates of a connection. A rate of 0 is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeterRates {
    /// Messages, whole ones.
    pub messages: Rate,
    /// Bytes as they were read, headers of frames included; where a message was compressed, those
    /// that it stands for.
    pub bytes: Rate,
}

/// What a connection has sent of late. A new one has sent nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    messages_spent: u64,
    bytes_spent: u64,
    at: u64,
}

/// Which of the two rates was passed, and how long it takes to make up for it, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spending {
    /// Both are kept.
    Within,
    /// Too many messages.
    Messages(u64),
    /// Too many bytes.
    Bytes(u64),
}

impl MeterRates {
    /// Whether there is any bound.
    #[inline]
    #[must_use]
    pub const fn is_bounded(&self) -> bool {
        self.messages.is_bounded() || self.bytes.is_bounded()
    }
}

impl Meter {
    /// Counts what came in, whether there was room for it or not.
    #[inline]
    pub fn count(
        &mut self,
        rates: &MeterRates,
        messages: u64,
        bytes: u64,
        now_ns: u64,
    ) -> Spending {
        let elapsed_ns = now_ns.saturating_sub(self.at);
        self.at = self.at.max(now_ns);
        self.messages_spent = self.messages_spent.saturating_sub(rates.messages.earned(elapsed_ns));
        self.bytes_spent = self.bytes_spent.saturating_sub(rates.bytes.earned(elapsed_ns));
        let messages_ns = rates.messages.spend(&mut self.messages_spent, messages);
        let bytes_ns = rates.bytes.spend(&mut self.bytes_spent, bytes);
        match (messages_ns, bytes_ns) {
            (0, 0) => Spending::Within,
            (messages_ns, bytes_ns) if messages_ns >= bytes_ns => Spending::Messages(messages_ns),
            (_, bytes_ns) => Spending::Bytes(bytes_ns),
        }
    }
}

const _: () = assert!(size_of::<Meter>() == 24, "what a connection pays for its budgets");

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const RATES: MeterRates =
        MeterRates { messages: Rate::new(5, 50), bytes: Rate::new(1_000, 10_000) };

    #[test]
    fn each_budget_ends_a_flood_by_itself() {
        let mut meter = Meter::default();
        for _ in 0..50 {
            assert_eq!(meter.count(&RATES, 1, 10, 0), Spending::Within);
        }
        assert_eq!(meter.count(&RATES, 1, 10, 0), Spending::Messages(SECOND / 5));
        let mut meter = Meter::default();
        assert_eq!(meter.count(&RATES, 1, 10_000, 0), Spending::Within);
        assert_eq!(meter.count(&RATES, 0, 1, 0), Spending::Bytes(SECOND / 1_000));
    }

    #[test]
    fn what_was_too_much_is_made_up_for() {
        let mut meter = Meter::default();
        assert_eq!(meter.count(&RATES, 0, 15_000, 0), Spending::Bytes(5 * SECOND));
        assert_eq!(meter.count(&RATES, 0, 0, 5 * SECOND - 1), Spending::Bytes(1));
        assert_eq!(meter.count(&RATES, 0, 0, 5 * SECOND), Spending::Within);
        assert_eq!(meter.count(&RATES, 0, 1, 5 * SECOND), Spending::Bytes(SECOND / 1_000));
    }

    #[test]
    fn one_bound_leaves_the_other_open() {
        let rates = MeterRates { messages: Rate::new(1, 1), bytes: Rate::default() };
        assert!(rates.is_bounded() && !MeterRates::default().is_bounded());
        let mut meter = Meter::default();
        assert_eq!(meter.count(&rates, 1, u64::MAX, 0), Spending::Within);
        assert_eq!(meter.count(&rates, 1, 0, 0), Spending::Messages(SECOND));
        let mut meter = Meter::default();
        assert_eq!(meter.count(&MeterRates::default(), u64::MAX, u64::MAX, 0), Spending::Within);
    }
}
