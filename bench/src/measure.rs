//! Figures out of measurements: medians, the load on this process, tables.

use std::fmt::Write as _;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::clock;

/// Above this share of one CPU the load client itself limits what is measured.
pub const CLIENT_BUSY_SHARE: f64 = 0.95;

/// The middle value, or the mean of the two in the middle; NaN for none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// How busy this process is over a stretch of time.
#[derive(Debug, Clone, Copy)]
pub struct OwnLoad {
    cpu_ns: u64,
    started_ns: u64,
}

impl OwnLoad {
    /// Begins a stretch.
    #[must_use]
    pub fn start() -> Self {
        Self { cpu_ns: own_cpu_ns(), started_ns: clock::now_ns() }
    }

    /// CPU time used since then as a share of one CPU.
    #[must_use]
    pub fn share(&self) -> f64 {
        let wall_ns = clock::now_ns() - self.started_ns;
        (own_cpu_ns() - self.cpu_ns) as f64 / wall_ns.max(1) as f64
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(clock::now_ns() - self.started_ns)
    }
}

fn own_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Rows as text: the first column to the left, the others to the right.
#[must_use]
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell_chars = |row: &Vec<String>, column: usize| {
        row.get(column).map_or(0, |cell: &String| cell.chars().count())
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| cell_chars(row, column)).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a string does not fail.
            let _ = match column {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_takes_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn table_aligns_columns_by_characters() {
        let rows = [vec!["µs".to_owned(), "1".to_owned()], vec!["abc".into(), "10".into()]];
        assert_eq!(table(&rows), "µs    1\nabc  10\n");
    }

    #[test]
    fn own_load_counts_work() {
        // On a machine with much else to do, the work takes its time; it is done all the same.
        let load = OwnLoad::start();
        let used = || Duration::from_nanos(own_cpu_ns() - load.cpu_ns);
        while used() < Duration::from_millis(50) {}
        assert!(load.share() > 0.0 && load.elapsed() > Duration::ZERO);
    }
}
