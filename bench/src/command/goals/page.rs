//! The goals as text, and as a page with its plots.

use std::fmt::Write as _;

use eyre::Result;
use serde::Serialize;

use super::{GOALS, NOTHING, Run, Verdict};
use crate::command::compare::saturation::Saturation;
use crate::command::compare::{HELD, rates};
use crate::command::replay;
use crate::measure::table;
use crate::report::machine::Machine;
use crate::report::summary::{Figure, Section};
use crate::report::text::{markdown_table, markdown_words};
use crate::report::{File, figures};

#[derive(Debug, Serialize)]
struct Report<'a> {
    machine: &'a Machine,
    quick: bool,
    verdicts: &'a [Verdict],
    sections: &'a [(&'static str, Section)],
    rates: &'a [Saturation],
}

impl Run<'_> {
    fn rows(&self) -> Vec<Vec<String>> {
        let heading = ["goal", "workload", "wanted", "measured", "reached"];
        let row = |verdict: &Verdict| {
            let reached = match verdict.reached {
                Some(true) => "yes",
                Some(false) => "no",
                None if verdict.measured == NOTHING => "not measured",
                None => "not known",
            };
            let Verdict { goal, workload, wanted, measured, .. } = verdict;
            vec![
                (*goal).to_owned(),
                (*workload).to_owned(),
                (*wanted).to_owned(),
                measured.clone(),
                reached.to_owned(),
            ]
        };
        let rows = self.verdicts.iter().map(row);
        std::iter::once(heading.map(str::to_owned).to_vec()).chain(rows).collect()
    }

    fn remarks(&self, mark: &str) -> String {
        let mut text = String::new();
        for verdict in &self.verdicts {
            for remark in &verdict.remarks {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{mark}{}: {remark}", verdict.goal);
            }
        }
        text
    }

    pub(super) fn text(&self) -> String {
        let details = self.sections.iter().map(|(goal, section)| match *goal {
            "T10" => format!("{}\n{}", section.name, table(&replay::rows(section))),
            _ => section.text(),
        });
        let details = Vec::from_iter(details).join("\n");
        let rates = match self.rates.is_empty() {
            true => String::new(),
            false => format!("Highest rates\n{}\n", table(&rates(&self.rates))),
        };
        format!("{details}\n{rates}{}{}", table(&self.rows()), self.remarks(""))
    }

    pub(super) fn files(&self, machine: &Machine) -> Result<Vec<File>> {
        let mut files = Vec::new();
        let mut body = String::new();
        for (goal, ..) in GOALS {
            let sections = self.sections.iter().filter(|(of, _)| *of == goal);
            for (_, section) in sections {
                body += &told(goal, section);
                let has_latency = |server: &String| section.median(server, &Figure::P50).is_some();
                if section.servers.iter().any(has_latency) {
                    let plot = figures::latency(&format!("{goal}-{}", section.name), section)?;
                    show(&mut body, &mut files, plot);
                }
            }
            match goal {
                "T3" => {
                    let beside = self.sections.iter().filter(|(of, _)| BESIDE_BUN.contains(of));
                    let beside = Vec::from_iter(beside.map(|(_, section)| section.clone()));
                    for plot in figures::ratios(&beside)? {
                        show(&mut body, &mut files, plot);
                    }
                }
                "T4" if !self.rates.is_empty() => self.highest_rates(&mut body, &mut files)?,
                _ => {}
            }
        }
        files.push(("goals.md".to_owned(), self.page(machine, &body)));
        let (quick, verdicts) = (self.options.quick, &*self.verdicts);
        let (sections, rates) = (&*self.sections, &*self.rates);
        let report = Report { machine, quick, verdicts, sections, rates };
        files.push(("goals.json".to_owned(), serde_json::to_string_pretty(&report)?));
        files.push(("machine.md".to_owned(), machine.markdown()));
        Ok(files)
    }

    fn highest_rates(&self, body: &mut String, files: &mut Vec<File>) -> Result<()> {
        // Writing to a string does not fail.
        let _ = write!(body, "\n## T4: highest rate\n\n{HELD}\n\n");
        body.push_str(&markdown_table(&rates(&self.rates)));
        for (file, label, figure) in [
            ("cost-by-rate", "CPU per delivery, µs", Figure::CpuPerDelivery),
            ("p99-by-rate", "latency p99, µs", Figure::P99),
        ] {
            show(body, files, figures::by_rate(file, "T4", &self.rates, &figure, label)?);
        }
        Ok(())
    }

    fn page(&self, machine: &Machine, body: &str) -> String {
        let quick = if self.options.quick {
            "\nThis was a quick run: one short round of each. Its verdicts mean little.\n"
        } else {
            ""
        };
        format!(
            "# Goals\n\n{}, corecast of commit {}, {}. The machine: [machine.md](machine.md). How \
             it was measured and how to read it: `bench/README.md`. A ratio is a median over the \
             rounds, with the least and the greatest in brackets.\n{quick}\n{}\n{}{body}",
            machine.date,
            machine.commit,
            machine.cpu,
            markdown_words(&self.rows()),
            self.remarks("- ")
        )
    }
}

/// A section with its heading, and what its columns mean where that is not deliveries.
fn told(goal: &str, section: &Section) -> String {
    let body = match goal {
        "T10" => markdown_table(&replay::rows(section)),
        _ => section.markdown(),
    };
    let note = match goal {
        "T6" => "\nThe stalled round with the middle p99.9; latency is that of the verdict.\n",
        "T10" => "\nEach round ends when all has come, or the server does not catch up.\n",
        "T11" => "\nA delivery is a round trip here.\n",
        "T13" => "\nA delivery is a handshake here.\n",
        _ => "",
    };
    format!("\n## {goal}: {}\n{note}\n{body}", section.name)
}

/// Shows a plot where the page stands, unless nothing could be drawn in it.
fn show(body: &mut String, files: &mut Vec<File>, (name, svg): File) {
    let _ = write!(body, "\n![{}]({name})\n", name.trim_end_matches(".svg"));
    files.push((name, svg));
}

/// The goals whose ratios are drawn side by side.
const BESIDE_BUN: [&str; 3] = ["T1", "T2", "T3"];
