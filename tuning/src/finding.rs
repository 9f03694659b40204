//! One finding: a subject, what was found, how bad it is, why it matters, and what to do.

use serde::Serialize;
use std::fmt;

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing to do.
    Ok,
    /// It works; the advice makes it faster, roomier or safer.
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

/// What a finding is about, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Kernel, `io_uring`, clock.
    Kernel,
    /// Limits of this process and of the machine.
    Limits,
    /// Control groups, seccomp.
    Container,
    /// Which cores the shards have, and with whom they share them.
    Cores,
    /// Settings of the network stack.
    Network,
    /// Network cards and their interrupts.
    Cards,
    /// Huge pages, swap.
    Memory,
}

impl Group {
    /// All, in the order of the report.
    pub const ALL: [Self; 7] = [
        Self::Kernel,
        Self::Limits,
        Self::Container,
        Self::Cores,
        Self::Network,
        Self::Cards,
        Self::Memory,
    ];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kernel => "Kernel and io_uring",
            Self::Limits => "Limits",
            Self::Container => "Container",
            Self::Cores => "Cores",
            Self::Network => "Network",
            Self::Cards => "Network cards",
            Self::Memory => "Memory",
        })
    }
}

/// The value of a finding whose files are not there.
const NOT_VISIBLE: &str = "not visible here";

/// Something that is looked at, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    pub(crate) group: Group,
    pub(crate) subject: &'static str,
    pub(crate) why: &'static str,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it belongs to.
    pub group: Group,
    /// What was looked at, in one or two words: `io_uring`, `memlock`.
    pub subject: &'static str,
    /// What was found there, for people: `soft 8 MiB, hard 8 MiB`.
    pub value: String,
    /// How to take it.
    pub level: Level,
    /// Why it matters: measured (`tuning/README.md` has the figures) or with its source.
    pub why: &'static str,
    /// The command or the file that changes it; empty where the level is [`Level::Ok`].
    pub what_to_do: String,
}

impl Finding {
    /// Whether its files could be read at all. What cannot be seen has the level [`Level::Ok`].
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.value != NOT_VISIBLE
    }
}

impl Check {
    pub(crate) const fn new(group: Group, subject: &'static str, why: &'static str) -> Self {
        Self { group, subject, why }
    }

    pub(crate) fn ok(self, value: impl Into<String>) -> Finding {
        self.found(Level::Ok, value, "")
    }

    pub(crate) fn unseen(self) -> Finding {
        self.found(Level::Ok, NOT_VISIBLE, "")
    }

    pub(crate) fn advice(self, value: impl Into<String>, what_to_do: impl Into<String>) -> Finding {
        self.found(Level::Advice, value, what_to_do)
    }

    pub(crate) fn problem(
        self,
        value: impl Into<String>,
        what_to_do: impl Into<String>,
    ) -> Finding {
        self.found(Level::Problem, value, what_to_do)
    }

    fn found(
        self,
        level: Level,
        value: impl Into<String>,
        what_to_do: impl Into<String>,
    ) -> Finding {
        let (value, what_to_do) = (value.into(), what_to_do.into());
        let Self { group, subject, why } = self;
        Finding { group, subject, value, level, why, what_to_do }
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
