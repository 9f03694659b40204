//! A section as a table, for the terminal and for Markdown.

use std::fmt::Write as _;

use super::summary::{Figure, Ratio, Section};
use crate::measure::table;
use crate::servers::softirq;

/// A Markdown table; the first row is the heading, the first column stands to the left, figures
/// to the right.
#[must_use]
pub fn markdown_table(rows: &[Vec<String>]) -> String {
    aligned(rows, "---:|")
}

/// A Markdown table of words: all columns stand to the left.
#[must_use]
pub fn markdown_words(rows: &[Vec<String>]) -> String {
    aligned(rows, "---|")
}

fn aligned(rows: &[Vec<String>], rule: &str) -> String {
    let Some((heading, rows)) = rows.split_first() else { return String::new() };
    let line = |cells: &[String]| {
        let cells = Vec::from_iter(cells.iter().map(|cell| cell.replace('|', "\\|")));
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = rule.repeat(heading.len().saturating_sub(1));
    let mut text = line(heading) + "|---|" + &rule + "\n";
    text.extend(rows.iter().map(|row| line(row)));
    text
}

/// A figure with three digits that count, or more where they stand before the point.
#[must_use]
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ if value == 0.0 => 0,
        _ => 3,
    };
    format!("{value:.digits$}")
}

impl Section {
    /// Medians of each server, as text with aligned columns, and what is wrong with them.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}{}", self.name, table(&self.rows()), self.remarks(""))
    }

    /// The same as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let remarks = self.remarks("- ");
        let gap = if remarks.is_empty() { "" } else { "\n" };
        format!("{}{gap}{remarks}", markdown_table(&self.rows()))
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let base = &self.base;
        let mut rows = vec![
            [
                "",
                "µs/delivery",
                &format!("/ {base}"),
                "p50 µs",
                &format!("/ {base}"),
                "p99 µs",
                &format!("/ {base}"),
                "p99.9 µs",
                "deliveries/s",
                "server CPU",
                "client CPU",
                "RSS MiB",
                "missing",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        rows.extend(self.servers.iter().map(|server| self.row(server)));
        without_empty(&rows)
    }

    fn row(&self, server: &str) -> Vec<String> {
        let middle = |figure: Figure, unit: f64| {
            let value = self.median(server, &figure);
            value.map_or_else(|| "–".to_owned(), |value| number(value / unit))
        };
        let alone = self.servers.len() == 1;
        let ratio =
            |figure: Figure| said(self.ratio(server, &self.base, &figure).filter(|_| !alone));
        let measured = self.outcomes(server).next().is_some();
        let lost = self.lost(server);
        vec![
            server.to_owned(),
            middle(Figure::CpuPerDelivery, 1e3),
            ratio(Figure::CpuPerDelivery),
            middle(Figure::P50, 1e3),
            ratio(Figure::P50),
            middle(Figure::P99, 1e3),
            ratio(Figure::P99),
            middle(Figure::P999, 1e3),
            middle(Figure::DeliveriesPerSecond, 1.0),
            percent(middle(Figure::ServerCpu, 0.01)),
            percent(middle(Figure::ClientCpu, 0.01)),
            middle(Figure::Rss, 1024.0 * 1024.0),
            if measured { lost.sum().to_string() } else { "–".to_owned() },
        ]
    }

    /// What the table does not say: losses in detail, rounds that failed, and those in which the
    /// client measured itself.
    fn remarks(&self, mark: &str) -> String {
        let mut text = String::new();
        for server in &self.servers {
            let lost = self.lost(server);
            // Writing to a string does not fail.
            if lost.sum() > 0 {
                let _ = writeln!(
                    text,
                    "{mark}{server}: {} missing, {} twice, {} out of order over all rounds.",
                    lost.missing, lost.duplicated, lost.reordered
                );
            }
            for (round, why) in self.failures(server) {
                let why = why.replace('\n', " · ");
                let _ = writeln!(text, "{mark}{server}: round {} failed: {why}", round + 1);
            }
            let softirq = self.median(server, &Figure::Extra(softirq::SHARE.into()));
            if let Some(share) = softirq.filter(|share| *share > softirq::SHARE_TOLD) {
                let _ = writeln!(
                    text,
                    "{mark}{server}: the kernel's ksoftirqd took {:.0} % of the server's time on \
                     its CPU besides: that stands in nobody's bill.",
                    share * 100.0
                );
            }
            let bound = self.client_bound(server);
            if bound > 0 {
                let _ = writeln!(
                    text,
                    "{mark}{server}: in {bound} of {} rounds the load client was the bottleneck: \
                     latency and rate are its own there.",
                    self.outcomes(server).count()
                );
            }
            let lagged = self.lagged(server);
            if lagged > 0 {
                let _ = writeln!(
                    text,
                    "{mark}{server}: in {lagged} of {} rounds p99 is the load client's as much as \
                     the server's: deliveries waited for it.",
                    self.outcomes(server).count()
                );
            }
        }
        text
    }
}

/// Without the columns in which no server has anything.
fn without_empty(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let is_said = |column: usize| rows.iter().skip(1).any(|row| row[column] != "–");
    let of = |row: &Vec<String>| {
        let cells = row.iter().enumerate();
        cells.filter(|(column, _)| is_said(*column)).map(|(_, cell)| cell.clone()).collect()
    };
    rows.iter().map(of).collect()
}

/// The median of a ratio, or a dash.
#[must_use]
pub fn said(ratio: Option<Ratio>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{:.2}", ratio.median))
}

fn percent(number: String) -> String {
    if number == "–" { number } else { number + " %" }
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::section;
    use super::*;
    use crate::outcome::Latency;

    #[test]
    fn a_section_names_ratios_losses_and_failures() {
        let section =
            section(&[("corecast", &[Some(1_000.0), None]), ("bun", &[Some(2_000.0), Some(2e3)])]);
        let page = section.markdown();
        for line in [
            "| corecast | 1.00 | 0.50 | 1.00 | 1.00 | 9.00 |",
            "- corecast: round 2 failed: the server died",
            "- bun: 2 missing, 0 twice, 0 out of order over all rounds.",
            "- bun: in 2 of 2 rounds the load client was the bottleneck",
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
        assert!(page.starts_with("|  | µs/delivery | / bun |"), "{page}");
        assert_eq!(page.lines().nth(1).unwrap().matches('|').count(), 14);
    }

    #[test]
    fn columns_that_say_nothing_are_left_out() {
        let mut alone = section(&[("corecast", &[Some(1_000.0)])]);
        let outcome = alone.turns[0].outcome.as_mut().unwrap();
        (outcome.delivered, outcome.latency) = (0, Latency::default());
        outcome.extra.insert(softirq::SHARE.to_owned(), 0.031);
        let page = alone.markdown();
        assert!(page.starts_with("|  | server CPU | client CPU | RSS MiB | missing |\n"), "{page}");
        assert!(page.contains("ksoftirqd took 3 % of the server's time"), "{page}");
    }

    #[test]
    fn figures_have_three_digits_that_count() {
        let said = [0.0, 0.0944, 2.236, 16.04, 119.6, 1417.2].map(number);
        assert_eq!(said, ["0", "0.094", "2.24", "16.0", "120", "1417"]);
    }
}
