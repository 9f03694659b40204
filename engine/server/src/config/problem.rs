//! What is wrong with the settings, and where.

use super::limits::PROBLEMS_MAX;
use crate::cli::exit::{Exit, Failure};
use std::fmt;

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In this line of the file, from 1.
    Line(usize),
    /// In this environment variable.
    Variable(String),
    /// On the command line, or nowhere.
    Elsewhere,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where it stands.
    pub(crate) origin: Origin,
    /// The whole key, such as `namespaces[1].policy`; empty where there is none.
    pub(crate) key: String,
    /// What is wrong, and what it should be.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(origin: &Origin, key: &str, message: impl fmt::Display) -> Self {
        Self { origin: origin.clone(), key: key.to_owned(), message: message.to_string() }
    }
}

/// All that is wrong; never nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problems {
    /// The file's name as it was given; empty where there is none.
    pub(crate) file: String,
    /// In the order of the file, those of the environment behind.
    pub(crate) problems: Vec<Problem>,
}

impl Problems {
    /// One line for each: `FILE:LINE: in KEY: what is wrong`, or with `VARIABLE` instead of the
    /// place in the file.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut problems: Vec<_> = self.problems.iter().collect();
        problems.sort_by_key(|problem| match problem.origin {
            Origin::Line(line) => line,
            Origin::Variable(_) => usize::MAX - 1,
            Origin::Elsewhere => usize::MAX,
        });
        let mut lines: Vec<_> =
            problems.iter().take(PROBLEMS_MAX).map(|problem| self.line(problem)).collect();
        if problems.len() > PROBLEMS_MAX {
            lines.push(format!("and {} more", problems.len() - PROBLEMS_MAX));
        }
        lines
    }

    fn line(&self, Problem { origin, key, message }: &Problem) -> String {
        let place = match origin {
            Origin::Line(line) => format!("{}:{line}: ", self.file),
            Origin::Variable(name) => format!("{name}: "),
            Origin::Elsewhere if self.file.is_empty() => String::new(),
            Origin::Elsewhere => format!("{}: ", self.file),
        };
        let key = if key.is_empty() { String::new() } else { format!("in `{key}`: ") };
        format!("{place}{key}{}", message.trim_end())
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::new(Exit::Config, problems.lines().join("\n"))
    }
}
