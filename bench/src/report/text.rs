//! A section as a table, for the terminal and for Markdown.

use std::fmt::Write as _;

use super::summary::{Figure, Ratio, Section};
use crate::measure::table;

/// A Markdown table; the first row is the heading, the first column stands to the left.
#[must_use]
pub fn markdown_table(rows: &[Vec<String>]) -> String {
    let Some((heading, rows)) = rows.split_first() else { return String::new() };
    let line = |cells: &[String]| {
        let cells = Vec::from_iter(cells.iter().map(|cell| cell.replace('|', "\\|")));
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = "---:|".repeat(heading.len().saturating_sub(1));
    let mut text = line(heading) + "|---|" + &rule + "\n";
    text.extend(rows.iter().map(|row| line(row)));
    text
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
        rows
    }

    fn row(&self, server: &str) -> Vec<String> {
        let middle = |figure: Figure, unit: f64, digits: usize| {
            let value = self.median(server, &figure);
            value.map_or_else(|| "–".to_owned(), |value| format!("{:.digits$}", value / unit))
        };
        let ratio = |figure: Figure| said(self.ratio(server, &self.base, &figure));
        let measured = self.outcomes(server).next().is_some();
        let lost = self.lost(server);
        vec![
            server.to_owned(),
            middle(Figure::CpuPerDelivery, 1e3, 2),
            ratio(Figure::CpuPerDelivery),
            middle(Figure::P50, 1e3, 0),
            ratio(Figure::P50),
            middle(Figure::P99, 1e3, 0),
            ratio(Figure::P99),
            middle(Figure::P999, 1e3, 0),
            middle(Figure::DeliveriesPerSecond, 1.0, 0),
            percent(middle(Figure::ServerCpu, 0.01, 0)),
            percent(middle(Figure::ClientCpu, 0.01, 0)),
            middle(Figure::Rss, 1024.0 * 1024.0, 0),
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
            let bound = self.client_bound(server);
            if bound > 0 {
                let _ = writeln!(
                    text,
                    "{mark}{server}: in {bound} of {} rounds the load client was the bottleneck: \
                     latency and rate are its own there.",
                    self.outcomes(server).count()
                );
            }
        }
        text
    }
}

/// A ratio with its spread over the rounds, or a dash.
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

    #[test]
    fn a_section_names_ratios_losses_and_failures() {
        let section =
            section(&[("corecast", &[Some(1_000.0), None]), ("bun", &[Some(2_000.0), Some(2e3)])]);
        let page = section.markdown();
        for line in [
            "| corecast | 1.00 | 0.50 | 1 | 1.00 | 9 |",
            "- corecast: round 2 failed: the server died",
            "- bun: 2 missing, 0 twice, 0 out of order over all rounds.",
            "- bun: in 2 of 2 rounds the load client was the bottleneck",
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
        assert!(page.starts_with("|  | µs/delivery | / bun |"), "{page}");
        assert_eq!(page.lines().nth(1).unwrap().matches('|').count(), 14);
    }
}
