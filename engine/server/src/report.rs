//! What the program says to people: lines on stdout, complaints on stderr, numbers that read well.

use corecast::{Engine, Stats};
use indicatif::MultiProgress;
use std::fmt;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::Duration;

/// Writes one line to stdout. A reader who has gone away is no reason to fail.
pub(crate) fn say(line: impl fmt::Display) {
    bars().suspend(|| {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    });
}

/// Writes where an engine listens: a line for each address, the first of them for `listen`.
pub(crate) fn say_addresses(engine: &Engine) {
    let (listen, secure) = (engine.local_addr(), engine.secure_addr());
    let is_secure = secure == Some(listen);
    say(format_args!("listening on {}://{listen}/", if is_secure { "https" } else { "http" }));
    if let Some(address) = secure.filter(|_| !is_secure) {
        say(format_args!("listening on https://{address}/"));
    }
}

/// Writes one line to stderr.
pub(crate) fn complain(line: &str) {
    bars().suspend(|| {
        let _ = writeln!(io::stderr(), "{line}");
    });
}

/// The progress bars of this process; lines are written above them.
pub(crate) fn bars() -> &'static MultiProgress {
    static BARS: OnceLock<MultiProgress> = OnceLock::new();
    BARS.get_or_init(MultiProgress::new)
}

/// One line a second: what happened since the last one.
#[derive(Debug, Default)]
pub(crate) struct Ticker {
    last: Stats,
    lines: u32,
}

impl Ticker {
    /// The line for `now`, with column titles above it now and then. `seconds` passed since the
    /// last.
    pub(crate) fn line(&mut self, now: Stats, messages: u64, seconds: f64) -> String {
        const TITLES_EVERY: u32 = 20;
        let rate =
            |now: u64, last: u64| (now.saturating_sub(last) as f64 / seconds.max(1e-3)).round();
        let line = format!(
            "{:>11} {:>12} {:>14} {:>9} {:>9} {:>9} {:>11}",
            thousands(now.connections),
            thousands((messages as f64 / seconds.max(1e-3)).round() as u64),
            thousands(rate(now.deliveries, self.last.deliveries) as u64),
            Latency(now.latency.p50_ns),
            Latency(now.latency.p99_ns),
            thousands(now.dropped.saturating_sub(self.last.dropped)),
            thousands(now.conflated.saturating_sub(self.last.conflated)),
        );
        self.last = now;
        let titles = self.lines.is_multiple_of(TITLES_EVERY);
        self.lines += 1;
        if !titles {
            return line;
        }
        format!(
            "{:>11} {:>12} {:>14} {:>9} {:>9} {:>9} {:>11}\n{line}",
            "connections", "messages/s", "deliveries/s", "p50", "p99", "dropped", "conflated"
        )
    }
}

/// Nanoseconds with a unit that fits: `840 ns`, `69 µs`, `1.95 ms`, `2.10 s`; a dash for none.
pub(crate) struct Latency(pub(crate) u64);

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self.0 {
            0 => "-".to_owned(),
            ns @ 1..=999 => format!("{ns} ns"),
            ns @ 1_000..=999_999 => format!("{} µs", ns / 1_000),
            ns @ 1_000_000..=999_999_999 => format!("{:.2} ms", ns as f64 / 1e6),
            ns => format!("{:.2} s", ns as f64 / 1e9),
        })
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration as a clock shows it: `5:46`, `1:02:03`.
pub(crate) fn clock_time(duration: Duration) -> String {
    let (hours, minutes, seconds) =
        (duration.as_secs() / 3600, duration.as_secs() / 60 % 60, duration.as_secs() % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A duration with a unit that fits: `0 ms`, `1.5 ms`, `12.3 s`.
pub(crate) fn span(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis < 1e3 { format!("{millis:.1} ms") } else { format!("{:.2} s", millis / 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (332_200, "332,200"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(number), text);
        }
        for (ns, text) in [
            (0, "-"),
            (840, "840 ns"),
            (69_400, "69 µs"),
            (1_950_000, "1.95 ms"),
            (2_100_000_000, "2.10 s"),
        ] {
            assert_eq!(Latency(ns).to_string(), text);
        }
        assert_eq!(clock_time(Duration::from_secs(346)), "5:46");
        assert_eq!(clock_time(Duration::from_secs(3_723)), "1:02:03");
        assert_eq!(span(Duration::from_micros(1_500)), "1.5 ms");
        assert_eq!(span(Duration::from_millis(12_340)), "12.34 s");
    }

    #[test]
    fn the_ticker_shows_differences_and_repeats_its_titles() {
        let mut ticker = Ticker::default();
        let mut stats = Stats::default();
        stats.deliveries = 5_000;
        stats.connections = 2;
        let first = ticker.line(stats, 1_000, 1.0);
        assert!(first.starts_with("connections") && first.contains("5,000"), "{first}");
        stats.deliveries = 7_000;
        let second = ticker.line(stats, 1_000, 2.0);
        assert_eq!(
            second.split_whitespace().collect::<Vec<_>>(),
            ["2", "500", "1,000", "-", "-", "0", "0"]
        );
        let later: Vec<_> = (0..20).map(|_| ticker.line(stats, 1, 1.0)).collect();
        assert_eq!(later.iter().filter(|line| line.contains("connections")).count(), 1);
    }
}
