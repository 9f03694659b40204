//! How far a replay is: written by the feeder, shown by the main thread.

use super::pace::Speed;
use crate::clock;
use crate::report::{bars, clock_time, span, thousands};
use corecast::Engine;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// So many messages go by between two looks at how much of the files is read.
const BYTES_EVERY: u64 = 256;

/// Without a terminal, a log line that often.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// The feeder's counters. One thread writes, one reads; nothing else is ordered by them.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    messages: AtomicU64,
    recorded_ns: AtomicU64,
    lag_ns: AtomicU64,
    bytes_read: AtomicU64,
    bytes_total: AtomicU64,
}

impl Progress {
    /// Counts a message at this place of the recording; `bytes` gives how much of the files is
    /// read.
    pub(crate) fn published(&self, recorded: Duration, bytes: impl Fn() -> (u64, u64)) {
        let messages = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        self.recorded_ns.store(nanos(recorded), Ordering::Relaxed);
        if messages % BYTES_EVERY == 1 {
            let (read, total) = bytes();
            self.bytes_read.store(read, Ordering::Relaxed);
            self.bytes_total.store(total, Ordering::Relaxed);
        }
    }

    /// The last message was so late.
    pub(crate) fn late(&self, lag: Duration) {
        self.lag_ns.store(nanos(lag), Ordering::Relaxed);
    }
}

/// A progress bar on a terminal, a log line now and then elsewhere.
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
    speed: Speed,
    seen: (Instant, u64),
    rate: f64,
}

impl Bar {
    pub(crate) fn new(speed: Speed) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:24.cyan} {percent:>3}% {msg}");
            let bar = ProgressBar::new(0);
            bars().add(match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            })
        });
        Self { bar, speed, seen: (clock::now(), 0), rate: 0.0 }
    }

    /// The time between two looks.
    pub(crate) fn interval(&self) -> Duration {
        if self.bar.is_some() { Duration::from_millis(200) } else { LOG_EVERY }
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, progress: &Progress, engine: &Engine) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let messages = read(&progress.messages);
        let (now, (then, before)) = (clock::now(), self.seen);
        let seconds = (now - then).as_secs_f64();
        if self.bar.is_none() && seconds < LOG_EVERY.as_secs_f64() {
            return;
        }
        if seconds > 0.1 {
            self.rate = (messages - before) as f64 / seconds;
            self.seen = (now, messages);
        }
        let stats = engine.stats();
        let recorded = clock_time(Duration::from_nanos(read(&progress.recorded_ns)));
        let lag = match self.speed {
            Speed::Max => "-".to_owned(),
            Speed::Times(_) => span(Duration::from_nanos(read(&progress.lag_ns))),
        };
        let rate = thousands(self.rate.round() as u64);
        let Some(bar) = &self.bar else {
            tracing::info!(
                messages,
                rate = %rate,
                recorded = %recorded,
                lag = %lag,
                connections = stats.connections,
                deliveries = stats.deliveries,
                "replaying"
            );
            return;
        };
        bar.set_length(read(&progress.bytes_total).max(1));
        bar.set_position(read(&progress.bytes_read));
        bar.set_message(format!(
            "{} messages  {rate}/s  at {recorded}  lag {lag}  {} clients  {} deliveries",
            thousands(messages),
            thousands(stats.connections),
            thousands(stats.deliveries),
        ));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
