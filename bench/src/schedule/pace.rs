//! What decides when a message is sent: a schedule, or what has come back.

use std::fmt;
use std::str::FromStr;

use eyre::{Result, ensure, eyre};

use super::Schedule;

/// What decides when the next message is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Pace {
    /// Its moment.
    Open(Schedule),
    /// Room among those that are not yet delivered to everybody: it finds how much a server takes,
    /// and says nothing about latency at a given rate.
    Closed {
        /// Messages on their way at once.
        window: usize,
    },
}

/// Messages on their way at once, at most.
pub const WINDOW_MAX: usize = 1 << 20;

impl Pace {
    /// # Errors
    /// As [`Schedule::check`], or when the window is 0 or above [`WINDOW_MAX`].
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Open(schedule) => schedule.check(),
            Self::Closed { window } => {
                let range = 1..=WINDOW_MAX;
                ensure!(range.contains(window), "a window holds 1 to {WINDOW_MAX} messages");
                Ok(())
            }
        }
    }
}

impl FromStr for Pace {
    type Err = eyre::Report;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || eyre!("{text:?} is no pace: {SYNTAX}");
        let number = |text: &str| text.parse::<f64>().map_err(|_| wrong());
        let pace = match text.split_once(':') {
            None | Some(("constant", _)) => {
                let rate = text.strip_prefix("constant:").unwrap_or(text);
                Self::Open(Schedule::Constant { rate: number(rate)? })
            }
            Some(("poisson", rate)) => Self::Open(Schedule::Poisson { rate: number(rate)? }),
            Some(("bursty", rest)) => {
                let (rate, burst) = rest.split_once('/').ok_or_else(wrong)?;
                let (rate, burst) = (number(rate)?, burst.parse().map_err(|_| wrong())?);
                Self::Open(Schedule::Bursty { rate, burst })
            }
            Some(("window", window)) => {
                Self::Closed { window: window.parse().map_err(|_| wrong())? }
            }
            Some(_) => return Err(wrong()),
        };
        pace.check().map_err(|error| eyre!("{text:?}: {error}"))?;
        Ok(pace)
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(Schedule::Constant { rate }) => write!(f, "{rate}"),
            Self::Open(Schedule::Poisson { rate }) => write!(f, "poisson:{rate}"),
            Self::Open(Schedule::Bursty { rate, burst }) => write!(f, "bursty:{rate}/{burst}"),
            Self::Open(Schedule::Recorded { speed, .. }) => write!(f, "recorded:{speed}"),
            Self::Closed { window } => write!(f, "window:{window}"),
        }
    }
}

const SYNTAX: &str =
    "RATE, poisson:RATE, bursty:RATE/BURST (messages a second, in the mean) or window:MESSAGES";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_are_read_and_written_alike() {
        for text in ["50", "0.5", "poisson:50", "bursty:50/20", "window:16"] {
            assert_eq!(text.parse::<Pace>().unwrap().to_string(), text);
        }
        let constant = Pace::Open(Schedule::Constant { rate: 7.0 });
        assert_eq!("constant:7".parse::<Pace>().unwrap(), constant);
    }

    #[test]
    fn a_wrong_pace_is_named_with_what_would_be_right() {
        for wrong in ["", "fast", "0", "-1", "inf", "poisson:", "bursty:5", "window:0", "uniform:1"]
        {
            let error = wrong.parse::<Pace>().unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
    }
}
