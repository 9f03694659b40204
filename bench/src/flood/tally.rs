//! What became of the attackers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Script;

/// How an attacking connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The connection could not be made.
    Refused(String),
    /// The server answered with this HTTP status.
    Status(u16),
    /// The server went on with a TLS handshake.
    TlsAnswer,
    /// The server sent a TLS alert.
    TlsAlert,
    /// The server said something else.
    Other,
    /// The server closed the connection without a word.
    Ended,
    /// The server reset it without a word.
    Reset,
    /// It stayed as long as it was to, and the server has said nothing.
    Silence,
    /// The attack ended first.
    Open,
}

impl Fate {
    /// What the beginning of an answer says; silence when there is none.
    pub(super) fn of_answer(answer: &[u8]) -> Self {
        match answer {
            [] => Self::Silence,
            [0x15, ..] => Self::TlsAlert,
            [0x16, ..] => Self::TlsAnswer,
            _ => status(answer).map_or(Self::Other, Self::Status),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Refused(why) => format!("not connected: {why}"),
            Self::Status(status) => status.to_string(),
            Self::TlsAnswer => "TLS answer".into(),
            Self::TlsAlert => "TLS alert".into(),
            Self::Other => "other answer".into(),
            Self::Ended => "closed".into(),
            Self::Reset => "reset".into(),
            Self::Silence => "no answer".into(),
            Self::Open => "open at the end".into(),
        }
    }
}

fn status(answer: &[u8]) -> Option<u16> {
    let digits = answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    str::from_utf8(digits).ok()?.parse().ok()
}

/// What became of all attackers of a kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// How long the attack took.
    pub seconds: f64,
    /// For each script how many connections ended in which way, by its name.
    pub fates: BTreeMap<String, BTreeMap<String, u64>>,
    /// Connections begun.
    pub begun: u64,
    #[serde(skip)]
    names: Vec<&'static str>,
}

impl Tally {
    pub(super) fn new(scripts: &[Script]) -> Self {
        let names = scripts.iter().map(|script| script.name).collect();
        Self { names, ..Self::default() }
    }

    pub(super) fn note(&mut self, place: usize, fate: &Fate) {
        let fates = self.fates.entry(self.names[place].to_owned()).or_default();
        *fates.entry(fate.name()).or_default() += 1;
    }

    /// Connections begun in a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.begun as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// How many ended in which way, whatever they did.
    #[must_use]
    pub fn ends(&self) -> BTreeMap<String, u64> {
        let mut ends = BTreeMap::new();
        for (name, count) in self.fates.values().flatten() {
            *ends.entry(name.clone()).or_default() += count;
        }
        ends
    }

    /// How many ended with this HTTP status.
    #[must_use]
    pub fn status(&self, status: u16) -> u64 {
        self.ends().get(&status.to_string()).copied().unwrap_or(0)
    }

    /// Adds another attack of the same kind.
    pub fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.begun += other.begun;
        for (script, fates) in &other.fates {
            let ours = self.fates.entry(script.clone()).or_default();
            for (fate, count) in fates {
                *ours.entry(fate.clone()).or_default() += count;
            }
        }
    }
}
