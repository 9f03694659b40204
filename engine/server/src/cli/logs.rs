//! Log lines: tracing to stderr, as text or JSON, above the progress bar where there is one.

use super::common::{CommonArgs, LogFormat};
use super::exit::{Exit, Failure};
use crate::report;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::{EnvFilter, reload};

/// What is logged where nothing else is said.
pub(crate) const DEFAULT_LEVEL: &str = "info";

/// Starts logging for the whole process, at the level that the command line names.
///
/// # Errors
///
/// When the level is none.
pub(crate) fn start(common: &CommonArgs) -> Result<(), Failure> {
    let filter = filter(common.log_level.as_deref().unwrap_or(DEFAULT_LEVEL))?;
    // What cannot be logged is lost: to say so on the same stderr would panic, and end whichever
    // thread had something to say.
    let lines = tracing_subscriber::fmt().log_internal_errors(false);
    let lines = lines.with_env_filter(filter).with_writer(AboveBars);
    match common.log {
        LogFormat::Text => {
            let lines = lines.with_ansi(io::stderr().is_terminal()).with_target(false);
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            keep(move |filter| handle.reload(filter));
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            keep(move |filter| handle.reload(filter));
        }
    }
    Ok(())
}

/// Changes the level of a process that logs already.
///
/// # Errors
///
/// When the level is none.
pub(crate) fn set_level(level: &str) -> Result<(), Failure> {
    let filter = filter(level)?;
    let Some(set) = SET.get() else { return Ok(()) };
    set(filter).map_err(|error| {
        Failure::new(Exit::Software, format!("the log level cannot be changed: {error}"))
    })
}

fn filter(level: &str) -> Result<EnvFilter, Failure> {
    let is_capped = |directive: &&str| TELL_SECRETS.iter().any(|it| directive.contains(it));
    let asked: Vec<&str> = level.split(',').filter(|directive| !is_capped(directive)).collect();
    let capped = TELL_SECRETS.iter().map(|target| format!("{target}=info"));
    let wrong = |error: &dyn std::fmt::Display| {
        let message =
            format!("the log level {level:?}: {error}; use error, warn, info, debug or trace");
        Failure::new(Exit::Config, message)
    };
    let filter = EnvFilter::try_new(asked.join(",")).map_err(|error| wrong(&error))?;
    capped.into_iter().try_fold(filter, |filter, directive| {
        Ok(filter.add_directive(directive.parse().map_err(|error| wrong(&error))?))
    })
}

/// What logs whole requests, tokens and all, or what they are sent in: heard from `info` on, no
/// matter what is asked for.
const TELL_SECRETS: [&str; 2] = ["tungstenite", "tokio_tungstenite"];

type SetFilter = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// How the filter of this process is changed.
static SET: OnceLock<SetFilter> = OnceLock::new();

fn keep(set: impl Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync + 'static) {
    // `init` has panicked where somebody was faster.
    let _ = SET.set(Box::new(set));
}

/// Writes a log line to stderr, and moves progress bars out of its way.
struct AboveBars;

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line
    }
}

struct Line;

impl io::Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        report::bars().suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_logs_tokens_is_not_heard_whatever_is_asked_for() {
        for level in ["trace", "info,tungstenite=trace", "debug,tungstenite::handshake=trace"] {
            let shown = filter(level).expect(level).to_string();
            assert!(shown.contains("tungstenite=info"), "{level}: {shown}");
            assert!(!shown.contains("handshake"), "{level}: {shown}");
        }
        assert!(filter("loud=very").is_err() && filter("tungstenite=trace").is_ok());
    }
}
