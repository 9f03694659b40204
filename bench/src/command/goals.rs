//! `goals`: what corecast is to reach, each goal measured beside whom it names, reached or not.

mod codec;
mod fanout;
mod feed;
mod page;
mod quiet;
mod stalled;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use eyre::{Result, bail, ensure};
use serde::Serialize;

use super::compare::saturation::Saturation;
use super::compare::versions;
use super::place::Place;
use crate::report::machine::Machine;
use crate::report::rounds::Progress;
use crate::report::summary::{Figure, Ratio, Section};
use crate::report::write;
use crate::servers::{Server, ServerOptions, softirq};

/// `corecast-bench goals`.
#[derive(Debug, Clone, Args)]
#[command(after_help = super::WORDS)]
pub struct Options {
    #[command(flatten)]
    place: Place,
    /// Only these, such as T1,T3
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    only: Vec<String>,
    /// A few minutes in all: one short round of each, to see that everything runs. Its verdicts
    /// mean little
    #[arg(long)]
    quick: bool,
    /// Folder with the recorded ticks for T6 and T10; see `replay --help`. Without them T6 is
    /// measured with a steady load, and T10 not at all
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Criterion's files for T8, no older than the program; see `micro --help`
    #[arg(long, value_name = "DIR")]
    criterion: Option<PathBuf>,
    /// Write goals.md, goals.json, machine.md and plots into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What came of one goal.
#[derive(Debug, Clone, Serialize)]
struct Verdict {
    goal: &'static str,
    workload: &'static str,
    wanted: &'static str,
    measured: String,
    /// Absent when it could not be measured.
    reached: Option<bool>,
    /// What the figures do not say.
    remarks: Vec<String>,
}

/// Number, workload, what is wanted, and how long measuring it takes, in seconds: at length and
/// quickly.
const GOALS: [(&str, &str, &str, f64, f64); 13] = [
    ("T1", "1,000 × 1 KiB × 200/s", "CPU ≤ 0.75 × Bun, p99 ≤ 0.9 × Bun", 95.0, 7.0),
    ("T2", "1,000 × 128 B × 50/s", "CPU ≤ 0.75 × Bun, p50 and p99 ≤ 0.9 ×", 95.0, 7.0),
    ("T3", "10 × 64 B × 1,000/s", "p50 and p99 ≤ 1.0 × Bun", 95.0, 7.0),
    ("T4", "1,000 × 128 B, highest rate", "≥ 1.2 × the best peer", 350.0, 100.0),
    ("T5", "10,000 idle connections", "≤ 1 KiB each, CPU ≤ 0.1 %", 45.0, 12.0),
    ("T6", "recorded ticks, 5 % stalled", "healthy p99.9 ≤ 1.1 × none stalled", 65.0, 20.0),
    ("T7", "T1 beside floor", "CPU ≤ 1.15 × floor", 50.0, 4.0),
    ("T8", "codec", "unmask ≥ 80 % of memcpy from 4 KiB, ahead of all peers", 0.0, 0.0),
    ("T9", "400k records/s in, conflated to 1,000", "data age p99 ≤ 120 ms", 15.0, 8.0),
    ("T10", "recorded ticks at 50× to 1,000", "none missing, age p99 ≤ 50 ms", 240.0, 60.0),
    ("T11", "echo, 1 and 100 × 64 B", "p50 ≤ 1.0 × Bun", 80.0, 10.0),
    ("T12", "T1 on 1 and 2 shards", "CPU per delivery within 10 %", 140.0, 10.0),
    ("T13", "5,000 handshakes", "CPU each ≤ 1.25 × Bun", 50.0, 10.0),
];

/// What a goal is measured with, and what came out so far.
struct Run<'a> {
    options: &'a Options,
    server: ServerOptions,
    progress: Progress,
    chosen: BTreeSet<&'static str>,
    verdicts: Vec<Verdict>,
    sections: Vec<(&'static str, Section)>,
    rates: Vec<Saturation>,
}

/// Measures, prints and writes. A goal that is not reached is no error.
///
/// # Errors
/// When a goal has no such name, a server is not installed, or a file cannot be written.
pub fn run(options: &Options) -> Result<()> {
    let chosen = chosen(&options.only)?;
    let seconds = |goal: &(&str, &str, &str, f64, f64)| if options.quick { goal.4 } else { goal.3 };
    let expected = GOALS.iter().filter(|goal| chosen.contains(goal.0)).map(seconds).sum();
    let server = options.place.options();
    let machine = Machine::describe(versions(&Server::ALL, &server)?, &server.corecast()?);
    server.prepare_client()?;
    let mut run = Run {
        options,
        server,
        progress: Progress::new(Duration::from_secs_f64(expected)),
        chosen,
        verdicts: Vec::new(),
        sections: Vec::new(),
        rates: Vec::new(),
    };
    run.fan_out();
    run.highest_rate();
    run.idle();
    run.stalled();
    run.codec();
    run.ingest();
    run.recorded();
    run.echo();
    run.shards();
    run.connect();
    run.verdicts.sort_by_key(|verdict| GOALS.iter().position(|goal| goal.0 == verdict.goal));
    print!("{}", run.text());
    match &options.out {
        Some(folder) => write(folder, &run.files(&machine)?),
        None => Ok(()),
    }
}

fn chosen(only: &[String]) -> Result<BTreeSet<&'static str>> {
    let all = GOALS.map(|goal| goal.0);
    if only.is_empty() {
        return Ok(BTreeSet::from(all));
    }
    let find = |wanted: &String| {
        let found = all.into_iter().find(|goal| goal.eq_ignore_ascii_case(wanted));
        match found {
            Some(goal) => Ok(goal),
            None => bail!("--only {wanted}: the goals are T1 to T13"),
        }
    };
    only.iter().map(find).collect()
}

impl Run<'_> {
    fn wants(&self, goal: &str) -> bool {
        self.chosen.contains(goal)
    }

    fn rounds(&self, at_length: usize) -> usize {
        if self.options.quick { 1 } else { at_length }
    }

    fn seconds(&self, at_length: f64) -> f64 {
        if self.options.quick { at_length.min(2.0) } else { at_length }
    }

    fn expect(&mut self, seconds: f64) {
        self.progress.expect(Duration::from_secs_f64(seconds));
    }

    /// Writes a verdict down.
    fn judge(&mut self, goal: &'static str, judged: Result<Judged>) {
        let Some(&(goal, workload, wanted, ..)) = GOALS.iter().find(|one| one.0 == goal) else {
            return;
        };
        let (measured, reached, remarks) = match judged {
            Ok(Judged { measured, reached, remarks }) => (measured, reached, remarks),
            Err(error) => {
                eprintln!("  {goal} could not be measured: {error:#}");
                let why = format!("{error:#}").replace('\n', " · ");
                (NOTHING.to_owned(), None, vec![why])
            }
        };
        self.verdicts.push(Verdict { goal, workload, wanted, measured, reached, remarks });
    }
}

/// What was measured, in words, and whether it is enough.
struct Judged {
    measured: String,
    /// Absent where the figures do not tell.
    reached: Option<bool>,
    remarks: Vec<String>,
}

/// Whether corecast stays within each share of another server's figure.
fn beside(section: &Section, other: &str, wanted: &[(&str, Figure, f64)]) -> Result<Judged> {
    let mut said = Vec::new();
    let mut reached = true;
    for (what, figure, most) in wanted {
        let Some(ratio) = section.ratio(CORECAST, other, figure) else {
            let why = section.failures(CORECAST).chain(section.failures(other)).next();
            bail!("no round has both: {}", why.map_or("no failure is known", |(_, why)| why));
        };
        said.push(format!("{what} {}", spread(&ratio)));
        reached &= ratio.median <= *most;
    }
    let mut remarks = remarks(section);
    if wanted.iter().any(|(_, figure, _)| *figure == Figure::CpuPerDelivery) {
        remarks.extend(with_softirq(section, other));
    }
    reached &= whole(section, CORECAST, &mut remarks);
    Ok(Judged { measured: said.join(", "), reached: Some(reached), remarks })
}

/// What becomes of the CPU's ratio with the time that stands in nobody's bill, where that is much.
fn with_softirq(section: &Section, other: &str) -> Option<String> {
    let share = |server: &str| section.median(server, &Figure::Extra(softirq::SHARE.into()));
    let (ours, theirs) = (share(CORECAST)?, share(other)?);
    let ratio = section.ratio(CORECAST, other, &Figure::CpuWithSoftirq)?;
    (ours.max(theirs) > softirq::SHARE_TOLD).then(|| {
        format!(
            "with the time of ksoftirqd on the server's CPU ({:.0} % of corecast's own, {:.0} % of \
             {other}'s), CPU is {} × {other}",
            ours * 100.0,
            theirs * 100.0,
            spread(&ratio)
        )
    })
}

/// Whether a server has lost nothing and failed in no round: one that does has not reached
/// anything. What it lost is said; its failures are among the remarks already.
fn whole(section: &Section, server: &str, remarks: &mut Vec<String>) -> bool {
    let lost = section.lost(server).sum();
    if lost > 0 {
        remarks.push(format!("{server} lost or misplaced {lost} deliveries"));
    }
    lost == 0 && section.failures(server).next().is_none()
}

/// A ratio with its least and greatest over the rounds.
fn spread(ratio: &Ratio) -> String {
    let Ratio { median, least, greatest } = ratio;
    format!("{median:.2} ({least:.2}–{greatest:.2})")
}

/// Rounds that say less than they seem to.
fn remarks(section: &Section) -> Vec<String> {
    let bound = section.servers.iter().filter(|server| section.client_bound(server) > 0);
    let bound = bound.map(|server| {
        let rounds = section.client_bound(server);
        format!(
            "{}: the load client was the bottleneck in {rounds} rounds of {server}",
            section.name
        )
    });
    let failed = section.servers.iter().flat_map(|server| {
        section.failures(server).map(move |(round, why)| {
            format!("{server}, round {}: {}", round + 1, why.replace('\n', " · "))
        })
    });
    bound.chain(failed).collect()
}

/// The median of a figure, which must have been measured.
fn median(section: &Section, server: &str, figure: &Figure) -> Result<f64> {
    let found = section.median(server, figure);
    let why = section.failures(server).next().map_or("it was not measured", |(_, why)| why);
    ensure!(found.is_some(), "{server}: {why}");
    Ok(found.unwrap_or(f64::NAN))
}

const CORECAST: &str = "corecast";

/// In the place of what could not be measured.
const NOTHING: &str = "–";
