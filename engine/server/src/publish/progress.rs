//! How far it is, on a terminal.

use crate::report::{bars, span, thousands};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::Duration;
use tokio::time::Instant;

/// Counts messages, and shows them where somebody looks.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    messages: u64,
    started: Instant,
    shown_at: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        // Who types into the terminal would have the bar within his lines.
        let looks = io::stderr().is_terminal() && !io::stdin().is_terminal();
        let bar = looks.then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}");
            let bar = ProgressBar::new_spinner();
            bars().add(match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            })
        });
        let now = Instant::now();
        Self { bar, messages: 0, started: now, shown_at: now }
    }

    /// So many more were sent.
    pub(crate) fn sent(&mut self, messages: usize) {
        self.messages += messages as u64;
        let Some(bar) = &self.bar else { return };
        if self.shown_at.elapsed() >= SHOW_EVERY {
            self.shown_at = Instant::now();
            bar.set_message(self.line());
            bar.tick();
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// What was done in all.
    pub(crate) fn summary(&self, topic: &str) -> String {
        format!("published to {topic}: {}", self.line())
    }

    fn line(&self) -> String {
        let elapsed = self.started.elapsed();
        let rate = self.messages as f64 / elapsed.as_secs_f64().max(1e-3);
        let (messages, rate) = (thousands(self.messages), thousands(rate.round() as u64));
        format!("{messages} messages in {}, {rate} a second", span(elapsed))
    }
}

const SHOW_EVERY: Duration = Duration::from_millis(100);
