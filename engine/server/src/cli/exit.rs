//! How the program ends: exit codes after sysexits.h, and one line that says what to do.

use std::fmt;
use std::process::ExitCode;

/// The exit codes, as `--help` lists them.
pub(crate) const EXIT_CODES_HELP: &str = "\
Exit codes:
    0  all went well, or a signal asked for the end and it came in order
    2  the command line is wrong
   65  an input file has bad content, or a token is refused
   66  an input file cannot be opened
   69  an address cannot be listened on, or the server cannot be reached
   70  a shard panicked, or another error of the program itself
   74  reading or writing failed
   78  the configuration is wrong, or the machine lacks something (corecast doctor)
  130, 143  a second SIGINT or SIGTERM ended it at once (140: SIGUSR2)";

/// Why the program fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// An input file has bad content.
    BadData = 65,
    /// An input file cannot be opened.
    NoInput = 66,
    /// An address cannot be listened on, or the server cannot be reached.
    Unavailable = 69,
    /// A shard panicked, or another error of the program itself.
    Software = 70,
    /// Reading or writing failed.
    Io = 74,
    /// The configuration is wrong.
    Config = 78,
}

/// A failure: its exit code, and one line for stderr that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { code: exit as u8, message: one_line(&message.to_string()) }
    }

    /// With a code that another crate chose.
    pub(crate) fn with_code(code: u8, message: impl fmt::Display) -> Self {
        Self { code, message: one_line(&message.to_string()) }
    }

    /// Says on stderr what happened, and gives the code to end with.
    pub(crate) fn report(&self) -> ExitCode {
        crate::report::complain(&format!("corecast: {}", self.message));
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<corecast::StartError> for Failure {
    fn from(error: corecast::StartError) -> Self {
        Self::with_code(error.exit_code(), error)
    }
}

impl From<corecast::ShardPanic> for Failure {
    fn from(panic: corecast::ShardPanic) -> Self {
        Self::new(
            Exit::Software,
            format!(
                "{panic}; the other shards were drained. Please report this with the log above"
            ),
        )
    }
}

/// Line ends become semicolons: an error is one line, whatever it quotes.
fn one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_one_line() {
        let failure = Failure::new(Exit::BadData, "a\n  b\n\nc");
        assert_eq!(failure, Failure { code: 65, message: "a; b; c".into() });
    }

    #[test]
    fn every_exit_code_is_documented() {
        let of = [
            Exit::BadData,
            Exit::NoInput,
            Exit::Unavailable,
            Exit::Software,
            Exit::Io,
            Exit::Config,
        ];
        for code in of.map(|exit| exit as u8).into_iter().chain([0, 2]) {
            let column = format!("\n{code:>5}  ");
            assert!(EXIT_CODES_HELP.contains(&column), "{code} is missing");
        }
    }
}
