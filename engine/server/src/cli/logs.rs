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
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(AboveBars);
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
    EnvFilter::try_new(level).map_err(|error| {
        let message =
            format!("the log level {level:?}: {error}; use error, warn, info, debug or trace");
        Failure::new(Exit::Config, message)
    })
}

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
