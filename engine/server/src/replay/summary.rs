//! The table at the end of a replay.

use super::feed::Fed;
use crate::report::{clock_time, span, thousands};
use corecast::Stats;
use std::fmt;
use std::time::Duration;

/// Topics that are listed one by one; the rest is one line.
const TOPICS_LISTED_MAX: usize = 60;

/// The first column is at least as wide as the longest title below the topics.
const WIDTH_MIN: usize = "clients closed as too slow".len();

/// What was replayed, and what became of it.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    pub(crate) fed: &'a Fed,
    pub(crate) stats: Stats,
    pub(crate) wall: Duration,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fed, stats, wall } = self;
        let topics = fed.topics.sorted();
        let (listed, rest) = topics.split_at(topics.len().min(TOPICS_LISTED_MAX));
        let width = listed.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(WIDTH_MIN);
        writeln!(f, "{:<width$} {:>14}", "topic", "messages")?;
        for (name, messages) in listed {
            writeln!(f, "{name:<width$} {:>14}", thousands(*messages))?;
        }
        if !rest.is_empty() {
            let (name, messages) =
                (format!("{} more topics", rest.len()), rest.iter().map(|(_, n)| n).sum());
            writeln!(f, "{name:<width$} {:>14}", thousands(messages))?;
        }
        let total = fed.topics.total();
        writeln!(f, "{:<width$} {:>14}", "all topics", thousands(total))?;
        writeln!(f)?;
        // At full speed nothing is due, so nothing is late.
        let lag = if fed.lag_max.is_zero() { "-".to_owned() } else { span(fed.lag_max) };
        let rate = (total as f64 / wall.as_secs_f64().max(1e-9)).round() as u64;
        for (name, value) in [
            ("deliveries", thousands(stats.deliveries)),
            ("conflated", thousands(stats.conflated)),
            ("dropped", thousands(stats.dropped)),
            ("clients closed as too slow", thousands(stats.slow_closed)),
            ("snapshots of books", thousands(fed.snapshots)),
            ("bad lines skipped", thousands(fed.skipped)),
            ("recording time", clock_time(fed.recorded)),
            ("wall time", span(*wall)),
            ("messages/s", thousands(rate)),
            ("lag, most", lag),
        ] {
            writeln!(f, "{name:<width$} {value:>14}")?;
        }
        if fed.interrupted {
            writeln!(f, "interrupted before the end")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_lists_topics_and_totals() {
        let mut fed = Fed { lag_max: Duration::from_micros(1_250), skipped: 3, ..Fed::default() };
        for (name, messages) in [("trade.BTCUSDT", 2), ("quote.BTCUSDT", 1_000)] {
            let topic = fed.topics.intern(name.into());
            (0..messages).for_each(|_| fed.topics.count(topic));
        }
        let mut stats = Stats::default();
        stats.deliveries = 4_008;
        let text = Summary { fed: &fed, stats, wall: Duration::from_secs(2) }.to_string();
        let words: Vec<Vec<_>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(words[1], ["quote.BTCUSDT", "1,000"]);
        assert_eq!(words[2], ["trade.BTCUSDT", "2"]);
        assert_eq!(words[3], ["all", "topics", "1,002"]);
        for line in
            ["deliveries 4,008", "bad lines skipped 3", "messages/s 501", "lag, most 1.2 ms"]
        {
            assert!(words.iter().any(|words| words.join(" ") == line), "{line} in {text}");
        }
        assert!(!text.contains("interrupted"));
    }

    #[test]
    fn thousands_of_topics_are_summed_up() {
        let mut fed = Fed::default();
        for number in 0..1_000 {
            let topic = fed.topics.intern(format!("trade.S{number:04}"));
            fed.topics.count(topic);
        }
        let text = Summary { fed: &fed, stats: Stats::default(), wall: Duration::ZERO }.to_string();
        assert!(text.contains("940 more topics"), "{text}");
        assert!(text.lines().count() < 80);
    }
}
