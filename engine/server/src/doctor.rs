//! `corecast doctor`: what the machine offers, group by group, and what to do.

use crate::cli::common::CommonArgs;
use crate::cli::exit::{Exit, Failure};
use crate::report;
use clap::Args;
use corecast_tuning::{
    Facts, Finding, Group, Level, Machine, Plan, Root, findings, start_problems,
};
use std::cmp::Reverse;
use std::fmt::Write;
use std::io::{self, IsTerminal};

/// No line of the report is longer.
const COLUMNS_MAX: usize = 100;

/// Where subjects begin, and what is said about them: behind the level.
const DETAIL_COLUMN: usize = 11;

/// Look at the machine, and say what to change
///
/// Checks kernel, io_uring, limits, container, cores, network, network cards and memory for as many
/// shards as a server would start here, or for --shards and --cpus. Each finding is ok, an advice
/// (it works; this makes it faster, roomier or safer) or a problem (it cannot start, or fails under
/// ordinary load), with the reason and the command or file that changes it. Nothing is changed.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Exit code: 0, also with advice; 78 where there is a problem.

Examples:
  corecast doctor
  corecast doctor --shards 16
  corecast doctor --cpus 2-5              against these cores: interrupts, nodes, siblings
  corecast doctor --json | jq '.findings[] | select(.level != \"ok\")'")]
pub(crate) struct DoctorArgs {
    /// Print what was found and what it means as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the findings.
///
/// # Errors
///
/// When one of them is a problem.
pub(crate) fn run(common: &CommonArgs, args: &DoctorArgs) -> Result<(), Failure> {
    let (facts, machine) = (Facts::read(), Machine::read(&Root::machine()));
    let cpus = common.cpus.as_ref().map(|cpus| cpus.0.as_slice());
    let plan = Plan::new(&facts, common.shards, cpus);
    let asked_for = common.shards.is_some_and(|shards| shards > 0) || cpus.is_some();
    let found = all_findings(&facts, &machine, &plan, asked_for);
    if args.json {
        report::say(json(&facts, &machine, &plan, &found)?);
    } else {
        report::say(table(&found, colors()).trim_end());
        report::say(format_args!("\n{}", summary(&found, &plan)));
    }
    match count(&found, Level::Problem) {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Config, "one problem found: see above for what to do")),
        n => {
            Err(Failure::new(Exit::Config, format!("{n} problems found: see above for what to do")))
        }
    }
}

/// What speaks about a server with that plan. Where the shards were asked for, what keeps so many
/// from starting replaces what is found for the rest.
fn all_findings(facts: &Facts, machine: &Machine, plan: &Plan, asked_for: bool) -> Vec<Finding> {
    let mut all = findings(facts, machine, plan);
    let problems = if asked_for { start_problems(facts, plan.shards) } else { Vec::new() };
    for problem in problems {
        match all.iter_mut().find(|finding| finding.subject == problem.subject) {
            Some(finding) => *finding = problem,
            None => all.push(problem),
        }
    }
    all
}

fn json(
    facts: &Facts,
    machine: &Machine,
    plan: &Plan,
    found: &[Finding],
) -> Result<String, Failure> {
    let value = serde_json::json!({
        "facts": facts,
        "machine": machine,
        "plan": plan,
        "findings": found,
        "problems": count(found, Level::Problem),
        "advice": count(found, Level::Advice),
    });
    serde_json::to_string_pretty(&value).map_err(|error| Failure::new(Exit::Software, error))
}

/// Group by group, what is worst first: a line for each finding, why and what to do below it. What
/// could not be seen is named together.
fn table(found: &[Finding], colored: bool) -> String {
    let width = found.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    let paint = |on: &'static str| if colored { (on, "\x1b[0m") } else { ("", "") };
    let mut text = String::new();
    for group in Group::ALL {
        let mut own: Vec<_> = found.iter().filter(|finding| finding.group == group).collect();
        if own.is_empty() {
            continue;
        }
        own.sort_by_key(|finding| Reverse(finding.level));
        let (on, off) = paint("\x1b[1m");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{on}{group}{off}");
        for Finding { subject, value, level, why, what_to_do, .. } in
            own.iter().filter(|finding| finding.is_visible())
        {
            let (on, off) = paint(color(*level));
            let _ = write!(text, "  {on}{level:<8}{off} {subject:<width$}  ");
            let column = DETAIL_COLUMN + width + 2;
            text += &wrapped(value, column, column);
            if !what_to_do.is_empty() {
                for (label, sentence) in [("why", *why), ("do", what_to_do)] {
                    let (on, off) = paint("\x1b[2m");
                    let _ = write!(text, "{:DETAIL_COLUMN$}{on}{label:<4}{off}", "");
                    text += &wrapped(sentence, DETAIL_COLUMN + 4, DETAIL_COLUMN + 4);
                }
            }
        }
        let unseen = own.iter().filter(|finding| !finding.is_visible());
        let unseen: Vec<_> = unseen.map(|finding| finding.subject).collect();
        if !unseen.is_empty() {
            text += &wrapped(
                &format!("  -        not visible here: {}", unseen.join(", ")),
                0,
                DETAIL_COLUMN,
            );
        }
        text.push('\n');
    }
    text
}

/// `text` with line ends, so that no line is longer than [`COLUMNS_MAX`], where it begins at column
/// `first` and goes on at column `next`. A command between backticks stays on one line.
fn wrapped(text: &str, first: usize, next: usize) -> String {
    let mut lines = String::new();
    let (mut column, mut in_command) = (first, false);
    let mut word = String::new();
    for part in text.split_inclusive(' ') {
        word += part;
        in_command ^= part.matches('`').count() % 2 == 1;
        if in_command && word.len() + next < COLUMNS_MAX {
            continue;
        }
        if column > next && column + word.trim_end().chars().count() > COLUMNS_MAX {
            lines.truncate(lines.trim_end().len());
            let _ = write!(lines, "\n{:next$}", "");
            column = next;
        }
        column += word.chars().count();
        lines += &word;
        word.clear();
    }
    lines + &word + "\n"
}

/// `1 problem, 3 pieces of advice, 40 ok, 5 not visible here (2 shards on cores 0-1)`.
fn summary(found: &[Finding], plan: &Plan) -> String {
    let number = |n: usize, one: &str, many: &str| match n {
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    };
    let unseen = found.iter().filter(|finding| !finding.is_visible()).count();
    format!(
        "{}, {}, {} ok, {unseen} not visible here ({} on {})",
        number(count(found, Level::Problem), "problem", "problems"),
        number(count(found, Level::Advice), "piece of advice", "pieces of advice"),
        count(found, Level::Ok) - unseen,
        number(plan.shards, "shard", "shards"),
        match plan.cores.len() {
            1 => format!("core {}", plan.cores),
            _ => format!("cores {}", plan.cores),
        }
    )
}

fn count(found: &[Finding], level: Level) -> usize {
    found.iter().filter(|finding| finding.level == level).count()
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
        let (group, why) = (Group::Limits, "For a reason");
        Finding { group, subject, value: "v".into(), level, why, what_to_do: what_to_do.into() }
    }

    #[test]
    fn the_table_has_the_worst_first_and_says_why_and_what_to_do() {
        let mut unseen = finding("smt", Level::Ok, "");
        unseen.value = "not visible here".into();
        let found = [
            finding("kernel", Level::Ok, ""),
            finding("somaxconn", Level::Advice, "Do this"),
            unseen,
            finding("memlock", Level::Problem, "Do that"),
        ];
        let expected = "\
Limits
  problem  memlock    v
           why For a reason
           do  Do that
  advice   somaxconn  v
           why For a reason
           do  Do this
  ok       kernel     v
  -        not visible here: smt

";
        assert_eq!(table(&found, false), expected);
        assert!(table(&found, true).contains("\x1b[32mok      \x1b[0m kernel"));
        let facts = Facts::read();
        let plan = Plan::new(&facts, Some(3), Some(&[0, 1, 2]));
        assert_eq!(
            summary(&found, &plan),
            "1 problem, 1 piece of advice, 1 ok, 1 not visible here (3 shards on cores 0-2)"
        );
    }

    #[test]
    fn lines_are_broken_between_words_and_never_in_a_command() {
        let long = format!("{} `sysctl -w a=1` end", "word ".repeat(18).trim_end());
        let text = wrapped(&long, 4, 4);
        assert!(text.lines().all(|line| line.len() <= COLUMNS_MAX - 4), "{text}");
        assert!(text.contains("\n    `sysctl -w a=1` end\n"), "{text}");
        assert_eq!(wrapped("short", 10, 10), "short\n");
        assert_eq!(text.split_whitespace().count(), long.split_whitespace().count());
    }

    #[test]
    fn the_report_of_this_machine_fits_its_columns() {
        let (facts, machine) = (Facts::read(), Machine::read(&Root::machine()));
        let plan = Plan::new(&facts, None, None);
        let text = table(&all_findings(&facts, &machine, &plan, false), false);
        let long: Vec<_> = text.lines().filter(|l| l.chars().count() > COLUMNS_MAX).collect();
        assert_eq!(long, Vec::<&str>::new());
        assert!(text.starts_with("Kernel and io_uring\n"), "{text}");
        // A machine of which nothing can be seen is no reason to fail, either.
        let blind = all_findings(&facts, &Machine::default(), &plan, false);
        assert!(table(&blind, false).contains("not visible here: cgroup"));
    }

    #[test]
    fn shards_that_cannot_start_replace_what_was_found_for_the_default() {
        let mut facts = Facts::read();
        facts.nofile.soft = Some(100);
        facts.affinity = vec![0];
        let level = |shards| {
            let plan = Plan::new(&facts, shards, None);
            let all = all_findings(&facts, &Machine::default(), &plan, shards.is_some());
            all.into_iter().find(|finding| finding.subject == "nofile").expect("nofile").level
        };
        assert_ne!(level(None), Level::Problem);
        assert_eq!(level(Some(4)), Level::Problem);
    }

    #[test]
    fn the_json_has_facts_machine_plan_and_findings() {
        let (facts, machine) = (Facts::read(), Machine::read(&Root::machine()));
        let plan = Plan::new(&facts, Some(1), Some(&[0]));
        let found = all_findings(&facts, &machine, &plan, true);
        let text = json(&facts, &machine, &plan, &found).expect("JSON");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["findings"][0]["subject"], "kernel");
        assert_eq!(value["findings"][0]["group"], "kernel");
        assert_eq!(value["facts"]["kernel"]["release"], facts.kernel.release);
        assert_eq!(value["plan"]["cores"][0], 0);
        assert!(value["machine"]["sysctls"]["net.core.somaxconn"].is_string());
        assert_eq!(value["advice"], count(&found, Level::Advice));
    }
}
