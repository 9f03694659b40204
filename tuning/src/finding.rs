//! One finding: a subject, what was found, how bad it is, and what to do.

use serde::Serialize;
use std::fmt;

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing to do.
    Ok,
    /// It works; the advice makes it faster or roomier.
    Advice,
    /// The program cannot start, or fails under ordinary load.
    Problem,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Advice => "advice",
            Self::Problem => "problem",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in one or two words: `io_uring`, `memlock`.
    pub subject: &'static str,
    /// What was found there, for people: `soft 8 MiB, hard 8 MiB`.
    pub value: String,
    /// How to take it.
    pub level: Level,
    /// One or two plain sentences; empty where the level is [`Level::Ok`].
    pub what_to_do: String,
}

impl Finding {
    pub(crate) fn ok(subject: &'static str, value: impl Into<String>) -> Self {
        Self { subject, value: value.into(), level: Level::Ok, what_to_do: String::new() }
    }

    pub(crate) fn advice(
        subject: &'static str,
        value: impl Into<String>,
        what_to_do: impl Into<String>,
    ) -> Self {
        let what_to_do = what_to_do.into();
        Self { subject, value: value.into(), level: Level::Advice, what_to_do }
    }

    pub(crate) fn problem(
        subject: &'static str,
        value: impl Into<String>,
        what_to_do: impl Into<String>,
    ) -> Self {
        let what_to_do = what_to_do.into();
        Self { subject, value: value.into(), level: Level::Problem, what_to_do }
    }
}

/// `subject: value. What to do`: one line for a log or an error.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.value)?;
        if !self.what_to_do.is_empty() {
            write!(f, ". {}", self.what_to_do)?;
        }
        Ok(())
    }
}
