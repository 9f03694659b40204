//! Log lines: tracing to stderr, as text or JSON, above the progress bar where there is one.

use super::common::{CommonArgs, LogFormat};
use super::exit::{Exit, Failure};
use crate::report;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Starts logging for the whole process.
///
/// # Errors
///
/// When the level is none.
pub(crate) fn start(common: &CommonArgs) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&common.log_level).map_err(|error| {
        let message = format!(
            "--log-level {:?}: {error}; use error, warn, info, debug or trace",
            common.log_level
        );
        Failure::new(Exit::Config, message)
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(AboveBars);
    match common.log {
        LogFormat::Text => {
            lines.with_ansi(io::stderr().is_terminal()).with_target(false).init();
        }
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
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
