//! `micro`: what the micro-benchmarks measured, as a table.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use eyre::Result;

use crate::micro::{self, CORECAST, MEMCPY, PEERS, Row};

/// What to print.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Criterion's files: CRITERION_HOME, or `criterion` in CARGO_TARGET_DIR or `target`
    #[arg(long, value_name = "DIR")]
    pub criterion: Option<PathBuf>,
    /// Only the rows that a goal is about: the codec's
    #[arg(long)]
    pub goals: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Prints what `cargo bench -p corecast-bench` has left.
///
/// # Errors
/// Nothing was measured there, or what is there cannot be read.
pub fn run(options: &Options) -> Result<()> {
    let directory = options.criterion.clone().unwrap_or_else(micro::default_directory);
    let rows = if options.goals { micro::goals(&directory) } else { micro::read(&directory) }?;
    super::show(options.json, &rows, |rows| table(rows))
}

/// Rows that have a peer or a copy beside them, then those of ours alone.
fn table(rows: &[Row]) -> String {
    let (beside, alone): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| is_beside(row));
    let mut out = String::new();
    if !beside.is_empty() {
        write_beside(&mut out, &beside);
    }
    for row in alone {
        for name in row.times_ns.keys() {
            let work = format!("{} {name}", row.work);
            let _ = write!(out, "{work:<40} {:>8} {}", row.size, time(row.time_ns(name)));
            if let Some(speed) = row.gib_per_second(name) {
                let _ = write!(out, "  {speed:.1} GiB/s");
            }
            out.push('\n');
        }
    }
    out
}

fn is_beside(row: &Row) -> bool {
    row.times_ns.contains_key(CORECAST) && row.times_ns.len() > 1
}

fn write_beside(out: &mut String, rows: &[&Row]) {
    let _ = write!(out, "{:<18} {:>8} {:>10}", "work", "size", CORECAST);
    for name in PEERS {
        let _ = write!(out, " {name:>16}");
    }
    let _ = writeln!(out, " {:>10} {:>9} {:>10}  reached", "best peer", "of memcpy", "GiB/s");
    for row in rows {
        let _ = write!(out, "{:<18} {:>8} {}", row.work, row.size, time(row.time_ns(CORECAST)));
        for name in PEERS {
            let _ = write!(out, " {:>16}", time(row.time_ns(name)).trim());
        }
        let ratio = row.best_peer().map(|(_, ratio)| format!("{ratio:.2}"));
        let share = row.memcpy_share().map(|share| format!("{:.0} %", share * 100.0));
        let speed = row.gib_per_second(CORECAST).map(|speed| format!("{speed:.1}"));
        for (text, width) in [(ratio, 10), (share, 9), (speed, 10)] {
            let _ = write!(out, " {:>width$}", text.as_deref().unwrap_or("-"));
        }
        let reached = row.reached.map_or("", |reached| if reached { "yes" } else { "NO" });
        let _ = writeln!(out, "  {reached}");
        for (name, _) in row.times_ns.iter().filter(|(name, _)| !is_column(name)) {
            let work = format!("  {name}");
            let _ = writeln!(out, "{work:<18} {:>8} {}", row.size, time(row.time_ns(name)));
        }
    }
    let _ = writeln!(
        out,
        "Medians for one message, or one socket of an encoding; `best peer`: our time over that of \
         the fastest one.\n"
    );
}

fn is_column(name: &str) -> bool {
    name == CORECAST || name == MEMCPY || PEERS.contains(&name)
}

/// Nanoseconds in the unit that reads best, ten columns wide.
fn time(time_ns: Option<f64>) -> String {
    let text = match time_ns {
        None => "-".to_owned(),
        Some(ns) if ns < 1e4 => format!("{ns:.1} ns"),
        Some(ns) if ns < 1e7 => format!("{:.1} us", ns / 1e3),
        Some(ns) => format!("{:.1} ms", ns / 1e6),
    };
    format!("{text:>10}")
}
