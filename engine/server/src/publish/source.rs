//! Where the messages come from: one from the command line, or standard input, one to a line.

use super::limits::{LINE_BYTES_MAX, LINES_AHEAD};
use crate::cli::exit::{Exit, Failure};
use corecast_feed::json;
use corecast_feed::limits::Limits;
use std::io::{self, BufRead, IsTerminal, Read};
use std::thread;
use tokio::sync::mpsc;

/// How a message's text becomes a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// It is JSON, and is checked
    Json,
    /// It becomes a JSON string
    Text,
    /// Its bytes as they are, for topics whose payloads are binary
    Binary,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its number in the input, from 1.
    pub(crate) number: u64,
    /// The payload.
    pub(crate) data: Vec<u8>,
}

/// Messages, one after the other.
#[derive(Debug)]
pub(crate) struct Source {
    lines: mpsc::Receiver<io::Result<Line>>,
    form: Form,
}

impl Source {
    /// The one message of the command line.
    pub(crate) fn one(message: &str, form: Form) -> Self {
        let (sender, lines) = mpsc::channel(1);
        let line = Line { number: 1, data: message.as_bytes().to_vec() };
        // The channel is empty and has room for one.
        let _ = sender.try_send(Ok(line));
        Self { lines, form }
    }

    /// The lines of standard input; empty ones are left out.
    ///
    /// # Errors
    ///
    /// When no thread can be made to read them.
    pub(crate) fn stdin(form: Form) -> Result<Self, Failure> {
        if io::stdin().is_terminal() {
            crate::report::complain("one message to a line; Ctrl-D ends");
        }
        let (sender, lines) = mpsc::channel(LINES_AHEAD);
        let read =
            move || read_lines(io::stdin().lock(), |line| sender.blocking_send(line).is_ok());
        thread::Builder::new().name("stdin".to_owned()).spawn(read).map_err(|error| {
            Failure::new(Exit::Software, format!("cannot start a thread: {error}"))
        })?;
        Ok(Self { lines, form })
    }

    /// The next message; none: the end.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is no payload.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, Failure> {
        let line = self.lines.recv().await;
        line.map(|line| self.payload(line)).transpose()
    }

    /// The next message, if it is there already.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub(crate) fn ready(&mut self) -> Result<Option<Line>, Failure> {
        let line = self.lines.try_recv().ok();
        line.map(|line| self.payload(line)).transpose()
    }

    fn payload(&self, line: io::Result<Line>) -> Result<Line, Failure> {
        let mut line = line.map_err(|error| {
            Failure::new(Exit::Io, format!("cannot read standard input: {error}"))
        })?;
        let bad = |problem: String| {
            let Line { number, .. } = line;
            Failure::new(Exit::BadData, format!("message {number}: {problem}"))
        };
        match self.form {
            Form::Binary => {}
            Form::Json => {
                let json = json::payload(&line.data, &Limits::default()).map_err(|error| {
                    bad(format!("{error} (--as text sends it as a JSON string)"))
                })?;
                // A batch has one message to a line. White space within JSON may be any.
                line.data = json.replace(['\r', '\n'], " ").into_bytes();
            }
            Form::Text => {
                let text = std::str::from_utf8(&line.data)
                    .map_err(|error| bad(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
                line.data = serde_json::Value::from(text).to_string().into_bytes();
            }
        }
        Ok(line)
    }
}

/// Gives each line that is not empty to `take`, until it wants no more.
fn read_lines(mut from: impl BufRead, mut take: impl FnMut(io::Result<Line>) -> bool) {
    for number in 1.. {
        let mut data = Vec::new();
        let limit = LINE_BYTES_MAX as u64 + 1;
        match from.by_ref().take(limit).read_until(b'\n', &mut data) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                take(Err(error));
                return;
            }
        }
        if data.len() > LINE_BYTES_MAX {
            let message = format!("line {number} has more than {LINE_BYTES_MAX} bytes");
            take(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
            return;
        }
        data.truncate(data.strip_suffix(b"\n").unwrap_or(&data).len());
        data.truncate(data.strip_suffix(b"\r").unwrap_or(&data).len());
        if !data.is_empty() && !take(Ok(Line { number, data })) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Vec::new();
        read_lines(text, |line| {
            let Line { number, data } = line.expect("it can be read");
            lines.push((number, String::from_utf8(data).expect("UTF-8")));
            true
        });
        lines
    }

    #[test]
    fn lines_keep_their_numbers_and_empty_ones_are_left_out() {
        let expected = [(1, "a".to_owned()), (4, " b ".to_owned()), (5, "c".to_owned())];
        assert_eq!(lines(b"a\r\n\n\r\n b \nc"), expected);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn a_line_without_end_is_an_error() {
        let mut last = None;
        read_lines(io::BufReader::new(io::repeat(b'x')), |line| {
            last = Some(line);
            true
        });
        let error = last.expect("something").expect_err("too long").to_string();
        assert!(error.contains("line 1 has more"), "{error}");
    }

    #[tokio::test]
    async fn texts_become_what_their_form_says() {
        let payload = async |text: &str, form| {
            let line = Source::one(text, form).next().await;
            line.map(|line| String::from_utf8(line.expect("one").data).expect("UTF-8"))
        };
        assert_eq!(payload(" {\"a\":\n1} ", Form::Json).await, Ok("{\"a\": 1}".to_owned()));
        assert_eq!(payload("say \"hi\"", Form::Text).await, Ok(r#""say \"hi\"""#.to_owned()));
        assert_eq!(payload(" {", Form::Binary).await, Ok(" {".to_owned()));
        let failure = payload("{", Form::Json).await.expect_err("no JSON").to_string();
        assert!(failure.contains("message 1") && failure.contains("--as text"), "{failure}");
    }
}
