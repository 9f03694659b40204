//! When each message is due: the differences of receive times, divided by the speed.

use crate::clock;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How fast a recording is replayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    /// As fast as the slowest lossless subscriber takes it.
    Max,
    /// So many times as fast as it was recorded.
    Times(f64),
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let number = text.strip_suffix('x').unwrap_or(text).parse::<f64>().ok();
        match number {
            Some(times) if (SPEED_MIN..=SPEED_MAX).contains(&times) => Ok(Self::Times(times)),
            _ => Err(format!("neither `max` nor a number from {SPEED_MIN} to {SPEED_MAX}")),
        }
    }
}

const SPEED_MIN: f64 = 0.001;
const SPEED_MAX: f64 = 1_000_000.0;

/// The time table of one round through the recording.
///
/// Only differences of receive times count: the recorder's clock need not agree with any other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    first_ns: u64,
    times: f64,
    started: Instant,
}

impl Schedule {
    /// A round that begins at `started` with a message received at `first_ns`.
    pub(crate) fn new(first_ns: u64, times: f64, started: Instant) -> Self {
        Self { first_ns, times, started }
    }

    /// When a message received at `position_ns` is due.
    pub(crate) fn due(&self, position_ns: u64) -> Instant {
        let after = Duration::from_nanos(position_ns.saturating_sub(self.first_ns));
        let after = after.div_f64(self.times);
        // Centuries away, at the slowest speed and with a broken time: as good as never.
        self.started
            .checked_add(after)
            .unwrap_or(self.started + Duration::from_secs(u32::MAX.into()))
    }
}

/// The longest time asleep before looking whether the program is to end.
const NAP_MAX: Duration = Duration::from_millis(50);

/// So much before the due time sleeping ends and spinning begins: a timer fires that late.
const SPIN: Duration = Duration::from_micros(60);

/// Waits until `due` or until `stopping` says so, and returns how late it is then.
pub(crate) fn wait_until(due: Instant, stopping: impl Fn() -> bool) -> Duration {
    loop {
        let now = clock::now();
        let left = due.saturating_duration_since(now);
        if left.is_zero() || stopping() {
            return now.saturating_duration_since(due);
        }
        if left > SPIN {
            clock::sleep((left - SPIN).min(NAP_MAX));
        } else {
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("1".parse(), Ok(Speed::Times(1.0)));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        assert_eq!("10x".parse(), Ok(Speed::Times(10.0)));
        for bad in ["", "x", "0", "-1", "NaN", "inf", "1e9", "Max"] {
            let error = bad.parse::<Speed>().expect_err(bad);
            assert!(error.contains("max"), "{error}");
        }
    }

    #[test]
    fn due_times_are_differences_divided_by_the_speed() {
        let started = clock::now();
        let second = 1_000_000_000;
        let schedule = Schedule::new(1_700_000_000 * second, 4.0, started);
        let due = |after_ns| schedule.due(1_700_000_000 * second + after_ns) - started;
        assert_eq!(due(0), Duration::ZERO);
        assert_eq!(due(2 * second), Duration::from_millis(500));
        assert_eq!(schedule.due(5), started, "before the first is due at once");
        let slow = Schedule::new(0, SPEED_MIN, started);
        assert!(slow.due(u64::MAX) > started);
    }

    #[test]
    fn waiting_ends_when_due_and_tells_the_lag() {
        let due = clock::now() + Duration::from_millis(20);
        wait_until(due, || false);
        assert!(clock::now() >= due);
        let late = wait_until(clock::now() - Duration::from_millis(5), || false);
        assert!(late >= Duration::from_millis(5));
    }

    #[test]
    fn waiting_ends_at_once_when_the_program_ends() {
        let started = clock::now();
        wait_until(started + Duration::from_secs(60), || true);
        assert!(clock::now() - started < Duration::from_secs(5));
    }
}
