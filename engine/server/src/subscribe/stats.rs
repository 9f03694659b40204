//! The table of `--stats`: one line for each topic, each second.

use super::limits::{ROWS_MAX, SAMPLES_MAX};
use super::track::{Track, Tracks};
use crate::report::{Latency, thousands};
use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

/// What has happened since the last table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    before: HashMap<String, Track>,
    latencies: HashMap<String, Samples>,
    /// Lines of the last table: a terminal writes the next one over it.
    lines: usize,
}

/// Latencies of one topic since the last table.
#[derive(Clone, Debug, Default)]
struct Samples {
    ns: Vec<u64>,
    /// All that came; of more than are kept, each has replaced another.
    seen: usize,
}

impl Table {
    /// A message took so long, by the two clocks.
    pub(crate) fn latency(&mut self, topic: &str, ns: u64) {
        if let Some(samples) = self.latencies.get_mut(topic) {
            samples.add(ns);
        } else if self.latencies.len() < ROWS_MAX {
            self.latencies.entry(topic.to_owned()).or_default().add(ns);
        }
    }

    /// The table, `elapsed` after the last one. On a terminal it stands where that stood.
    pub(crate) fn render(&mut self, tracks: &Tracks, elapsed: Duration, terminal: bool) -> String {
        let mut text = String::new();
        if terminal && self.lines > 0 {
            // Up to the first line of the last table, and away with it.
            let _ = write!(text, "\x1b[{}A\x1b[J", self.lines);
        }
        let seconds = elapsed.as_secs_f64().max(1e-3);
        let width = tracks.iter().take(ROWS_MAX).map(|(topic, _)| topic.len()).max();
        let width = width.unwrap_or(0).max("topic".len());
        let mut rows = vec![format!(
            "{:<width$} {:>10} {:>12} {:>10} {:>10} {:>9} {:>9} {:>12}",
            "topic", "msg/s", "messages", "conflated", "lost", "p50", "p99", "seq"
        )];
        for (topic, track) in tracks.iter().take(ROWS_MAX) {
            let before = self.before.insert(topic.to_owned(), track.clone()).unwrap_or_default();
            let rate = (track.received - before.received) as f64 / seconds;
            let mut samples = self.latencies.remove(topic).unwrap_or_default();
            rows.push(format!(
                "{topic:<width$} {:>10} {:>12} {:>10} {:>10} {:>9} {:>9} {:>12}",
                thousands(rate.round() as u64),
                thousands(track.received),
                thousands(track.conflated),
                thousands(track.lost),
                Latency(samples.quantile(0.5)),
                Latency(samples.quantile(0.99)),
                track.last,
            ));
        }
        let more = tracks.iter().count().saturating_sub(ROWS_MAX);
        if more > 0 {
            rows.push(format!("and {} topics more", thousands(more as u64)));
        }
        self.latencies.clear();
        self.lines = rows.len();
        text + &rows.join("\n") + "\n"
    }
}

impl Samples {
    fn add(&mut self, ns: u64) {
        if self.ns.len() < SAMPLES_MAX {
            self.ns.push(ns);
        } else {
            self.ns[self.seen % SAMPLES_MAX] = ns;
        }
        self.seen += 1;
    }

    /// 0: there are none.
    fn quantile(&mut self, quantile: f64) -> u64 {
        let rank = (quantile * self.ns.len().saturating_sub(1) as f64).round() as usize;
        match self.ns.get(rank) {
            Some(_) => *self.ns.select_nth_unstable(rank).1,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_rates_losses_and_latencies() {
        let (mut table, mut tracks) = (Table::default(), Tracks::default());
        tracks.granted("quote.X", Some("quote.X"), 0, None);
        for seq in [1, 2, 5] {
            tracks.message("quote.X", seq);
            table.latency("quote.X", 2_000 * seq);
        }
        tracks.gap("quote.X", 6, 7);
        let text = table.render(&tracks, Duration::from_millis(500), true);
        let row: Vec<_> = text.lines().nth(1).expect("a row").split_whitespace().collect();
        assert_eq!(row, ["quote.X", "6", "3", "2", "2", "4", "µs", "10", "µs", "7"]);
        assert!(!text.contains('\x1b'), "nothing to write over yet");
        let text = table.render(&tracks, Duration::from_secs(1), true);
        assert!(text.starts_with("\x1b[2A\x1b[J"), "{text:?}");
        let row: Vec<_> = text.lines().nth(1).expect("a row").split_whitespace().collect();
        assert_eq!(row, ["quote.X", "0", "3", "2", "2", "-", "-", "7"], "this second was quiet");
        let text = table.render(&tracks, Duration::from_secs(1), false);
        assert!(!text.contains('\x1b'), "no terminal");
    }

    #[test]
    fn rows_and_samples_are_bounded() {
        let (mut table, mut tracks) = (Table::default(), Tracks::default());
        for index in 0..ROWS_MAX + 5 {
            tracks.message(&format!("t{index:03}"), 1);
        }
        for _ in 0..2 * SAMPLES_MAX {
            table.latency("t000", 7);
        }
        assert_eq!(table.latencies["t000"].ns.len(), SAMPLES_MAX);
        let text = table.render(&tracks, Duration::from_secs(1), false);
        assert_eq!(text.lines().count(), ROWS_MAX + 2);
        assert!(text.ends_with("and 5 topics more\n"), "{text}");
    }
}
