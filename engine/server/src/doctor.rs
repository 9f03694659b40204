//! `corecast doctor`: what the machine offers, as a table, and what to do.

use crate::cli::common::CommonArgs;
use crate::cli::exit::{Exit, Failure};
use crate::report;
use clap::Args;
use corecast_tuning::{Facts, Finding, Level, findings, start_problems};
use std::fmt::Write;
use std::io::{self, IsTerminal};

/// Look at the machine, and say what to change
///
/// Checks kernel, io_uring, limits of locked memory and open files, accept backlog, cores, clock
/// governor and socket buffers. With --shards or --cpus it also checks that so many shards can
/// start. Exit code 78 where there is a problem.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  corecast doctor
  corecast doctor --shards 16
  corecast doctor --json")]
pub(crate) struct DoctorArgs {
    /// Print facts and findings as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the findings.
///
/// # Errors
///
/// When one of them is a problem.
pub(crate) fn run(common: &CommonArgs, args: &DoctorArgs) -> Result<(), Failure> {
    let facts = Facts::read();
    let shards = common.shards.or(common.cpus.as_ref().map(|cpus| cpus.0.len()));
    let found = all_findings(&facts, shards.filter(|&shards| shards > 0));
    if args.json {
        report::say(json(&facts, &found)?);
    } else {
        report::say(table(&found, colors()).trim_end());
    }
    let problems = found.iter().filter(|finding| finding.level == Level::Problem).count();
    match problems {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Config, "one problem found: see above for what to do")),
        n => {
            Err(Failure::new(Exit::Config, format!("{n} problems found: see above for what to do")))
        }
    }
}

/// What speaks about a default start, and what stands against a start with `shards` shards.
fn all_findings(facts: &Facts, shards: Option<usize>) -> Vec<Finding> {
    let mut all = findings(facts);
    for problem in shards.map_or_else(Vec::new, |shards| start_problems(facts, shards)) {
        match all.iter_mut().find(|finding| finding.subject == problem.subject) {
            Some(finding) => *finding = problem,
            None => all.push(problem),
        }
    }
    all
}

fn json(facts: &Facts, findings: &[Finding]) -> Result<String, Failure> {
    let value = serde_json::json!({ "facts": facts, "findings": findings });
    serde_json::to_string_pretty(&value).map_err(|error| Failure::new(Exit::Software, error))
}

/// One finding a line, what to do below it.
fn table(findings: &[Finding], colored: bool) -> String {
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Finding { subject, value, level, what_to_do } in findings {
        let (on, off) = if colored { (color(*level), "\x1b[0m") } else { ("", "") };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{on}{level:<8}{off} {subject:<width$}  {value}");
        if !what_to_do.is_empty() {
            let _ = writeln!(text, "{:indent$}{what_to_do}", "", indent = 9 + width + 2);
        }
    }
    text
}

fn color(level: Level) -> &'static str {
    match level {
        Level::Ok => "\x1b[32m",
        Level::Advice => "\x1b[33m",
        Level::Problem => "\x1b[1;31m",
    }
}

/// Colours where a person looks, unless `NO_COLOR` is set.
fn colors() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(subject: &'static str, level: Level, what_to_do: &str) -> Finding {
        Finding { subject, value: "v".into(), level, what_to_do: what_to_do.into() }
    }

    #[test]
    fn the_table_is_aligned_and_says_what_to_do() {
        let found = [
            finding("kernel", Level::Ok, ""),
            finding("somaxconn", Level::Advice, "Do this"),
            finding("memlock", Level::Problem, "Do that"),
        ];
        let expected = "\
ok       kernel     v
advice   somaxconn  v
                    Do this
problem  memlock    v
                    Do that
";
        assert_eq!(table(&found, false), expected);
        assert!(table(&found, true).starts_with("\x1b[32mok      \x1b[0m kernel"));
    }

    #[test]
    fn shards_that_cannot_start_replace_what_was_found_for_the_default() {
        let mut facts = Facts::read();
        facts.nofile.soft = Some(100);
        facts.affinity = vec![0];
        let subject = |shards| {
            let all = all_findings(&facts, shards);
            all.into_iter().find(|finding| finding.subject == "nofile").expect("nofile").level
        };
        assert_ne!(subject(None), Level::Problem);
        assert_eq!(subject(Some(4)), Level::Problem);
    }

    #[test]
    fn the_json_has_facts_and_findings() {
        let facts = Facts::read();
        let text = json(&facts, &all_findings(&facts, None)).expect("JSON");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["findings"][0]["subject"], "kernel");
        assert_eq!(value["facts"]["kernel"]["release"], facts.kernel.release);
    }
}
