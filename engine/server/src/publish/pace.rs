//! So many messages a second, and not more.

use super::limits::BATCHES_PER_SECOND;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Holds a rate over the whole run: what was late is caught up with, for a second at most.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Option<f64>,
    /// When the next message is due.
    due: Instant,
}

impl Pace {
    pub(crate) fn new(rate: Option<f64>) -> Self {
        Self { rate, due: Instant::now() }
    }

    /// Messages that may be sent together, of `max`.
    pub(crate) fn batch_max(&self, max: usize) -> usize {
        let of_rate = |rate: f64| (rate / BATCHES_PER_SECOND).ceil() as usize;
        self.rate.map_or(max, |rate| of_rate(rate).clamp(1, max))
    }

    /// So many were sent: waits until the next is due.
    pub(crate) async fn sent(&mut self, messages: usize) {
        let Some(rate) = self.rate else { return };
        let earliest = Instant::now().checked_sub(LAG_MAX).unwrap_or(self.due);
        self.due = self.due.max(earliest) + Duration::from_secs_f64(messages as f64 / rate);
        sleep_until(self.due).await;
    }
}

/// Reads a rate in messages a second.
///
/// # Errors
///
/// What it may be.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|rate| (RATE_MIN..=RATE_MAX).contains(rate));
    number.ok_or_else(|| format!("expected messages a second, from {RATE_MIN} to {RATE_MAX}"))
}

const LAG_MAX: Duration = Duration::from_secs(1);
const RATE_MIN: f64 = 0.001;
const RATE_MAX: f64 = 10_000_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_rate_is_held() {
        let started = Instant::now();
        let mut pace = Pace::new(Some(1_000.0));
        assert_eq!(pace.batch_max(500), 20);
        for _ in 0..5 {
            pace.sent(20).await;
        }
        assert!(started.elapsed() >= Duration::from_millis(100), "100 messages at 1,000 a second");
        assert_eq!(Pace::new(None).batch_max(500), 500);
        assert_eq!(Pace::new(Some(0.5)).batch_max(500), 1);
    }

    #[test]
    fn rates_are_bounded() {
        assert_eq!(rate("0.5"), Ok(0.5));
        for bad in ["", "0", "-1", "NaN", "inf", "1e9"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
