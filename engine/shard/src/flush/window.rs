//! The flush window: a pause before the writes, in which frames pile up and leave in one.

use std::time::Duration;

use corecast_hub::Timestamp;

use crate::config::FlushConfig;

/// When to pause, and for how long.
#[derive(Debug)]
pub(crate) struct Window {
    pause: Duration,
    under_load: bool,
    last_begun: Timestamp,
    /// Share of the shard's time that goes into writing, smoothed, in 1/1,024.
    load: u64,
}

/// Above this share the shard counts as loaded.
const LOADED: u64 = 512;

impl Window {
    pub(crate) fn new(config: &FlushConfig) -> Self {
        Self {
            pause: Duration::from_micros(config.window_us),
            under_load: config.window_under_load,
            last_begun: Timestamp(0),
            load: 0,
        }
    }

    /// The pause before the next writes, if there is to be one.
    #[inline]
    pub(crate) fn due(&self) -> Option<Duration> {
        let due = !self.pause.is_zero() && (!self.under_load || self.load > LOADED);
        due.then_some(self.pause)
    }

    /// Takes note of how long the writes took, and how long it was since those before.
    #[inline]
    pub(crate) fn flushed(&mut self, begun: Timestamp, ended: Timestamp) {
        let period = begun.since(self.last_begun).as_nanos().max(1);
        let writing = ended.since(begun).as_nanos();
        self.last_begun = begun;
        let share = u64::try_from(writing * 1_024 / period).unwrap_or(1_024).min(1_024);
        // An eighth of the new value: a few dozen flushes make a load.
        self.load = (self.load * 7 + share) / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(under_load: bool) -> Window {
        let config =
            FlushConfig { window_us: 50, window_under_load: under_load, ..FlushConfig::default() };
        Window::new(&config)
    }

    /// Flushes `count` times, each `writing_us` long and `period_us` after the one before.
    fn flush(window: &mut Window, count: u64, writing_us: u64, period_us: u64) {
        for _ in 0..count {
            let begun = Timestamp(window.last_begun.0 + period_us * 1_000);
            window.flushed(begun, Timestamp(begun.0 + writing_us * 1_000));
        }
    }

    #[test]
    fn there_is_no_pause_by_default() {
        let mut window = Window::new(&FlushConfig::default());
        flush(&mut window, 100, 1_000, 1_000);
        assert_eq!(window.due(), None);
    }

    #[test]
    fn a_pause_comes_with_the_load_and_goes_with_it() {
        let mut window = window(true);
        assert_eq!(window.due(), None);
        flush(&mut window, 50, 100, 10_000);
        assert_eq!(window.due(), None, "1 % of the time is no load");
        flush(&mut window, 50, 2_000, 2_200);
        assert_eq!(window.due(), Some(Duration::from_micros(50)));
        flush(&mut window, 50, 100, 10_000);
        assert_eq!(window.due(), None);
    }

    #[test]
    fn asked_for_always_it_is_always_there() {
        assert_eq!(window(false).due(), Some(Duration::from_micros(50)));
    }
}
