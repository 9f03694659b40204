//! What `corecast subscribe` writes to stdout: lines for people, events as they came, payloads
//! alone, or a table each second. What concerns the connection goes to stderr.

use super::stats::Table;
use super::track::Tracks;
use crate::report::{Latency, complain};
use corecast_feed::Event;
use corecast_feed::value::{Nanos, StreamState};
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `TOPIC SEQ AGE DATA`, one line for each message.
    Lines,
    /// Each event but heartbeats as it came, one to a line.
    Json,
    /// The payloads of messages and snapshots, one to a line.
    Raw,
    /// A table each second.
    Stats,
}

/// Collects what is written until there is a pause.
#[derive(Debug)]
pub(crate) struct Output {
    mode: Mode,
    buffer: Vec<u8>,
    table: Table,
    terminal: bool,
}

impl Output {
    pub(crate) fn new(mode: Mode) -> Self {
        let terminal = io::stdout().is_terminal();
        Self { mode, buffer: Vec::new(), table: Table::default(), terminal }
    }

    /// Shows one event: its text as it came, and what it says. `now_ns`: the wall clock.
    pub(crate) fn event(&mut self, text: &str, event: &Event<'_>, now_ns: u64) {
        match self.mode {
            Mode::Json if matches!(event, Event::Heartbeat(_)) => {}
            Mode::Json => self.line(one_line(text).as_bytes()),
            Mode::Lines => {
                if let Some(line) = line(event, now_ns) {
                    self.line(line.as_bytes());
                }
            }
            Mode::Raw => self.payload(event),
            Mode::Stats => {
                if let Event::Message(message) = event {
                    self.table.latency(&message.topic, age_ns(message.ts, now_ns));
                }
            }
        }
        if self.mode != Mode::Json && (self.mode != Mode::Lines || !is_of_stream(event)) {
            notice(event);
        }
    }

    /// Writes the table, where one is wanted.
    pub(crate) fn second(&mut self, tracks: &Tracks, elapsed: Duration) {
        let text = self.table.render(tracks, elapsed, self.terminal);
        self.buffer.extend_from_slice(text.as_bytes());
    }

    /// Writes what has been collected.
    ///
    /// # Errors
    ///
    /// When nobody reads any more.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(&self.buffer)?;
        self.buffer.clear();
        out.flush()
    }

    /// Whether so much is collected that it should be written.
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() > BUFFER_BYTES
    }

    fn payload(&mut self, event: &Event<'_>) {
        let bytes = match event {
            Event::Message(message) => message.bytes(),
            Event::Snapshot(snapshot) => snapshot.bytes(),
            Event::Direct(direct) => direct.bytes(),
            _ => return,
        };
        match bytes {
            // JSON comes borrowed from the event, other bytes are decoded.
            Ok(Cow::Borrowed(json)) => {
                let json = String::from_utf8_lossy(json);
                self.line(one_line(&json).as_bytes());
            }
            Ok(Cow::Owned(bytes)) => self.line(&bytes),
            Err(error) => complain(&format!("corecast: a payload was left out: {error}")),
        }
    }

    fn line(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.buffer.push(b'\n');
    }
}

/// The line for people, of what belongs to a stream.
fn line(event: &Event<'_>, now_ns: u64) -> Option<String> {
    let age = |ts: Nanos| Latency(age_ns(ts, now_ns));
    Some(match event {
        Event::Message(message) => {
            let data = one_line(message.data.get());
            format!("{} {} {} {data}", message.topic, message.seq, age(message.ts))
        }
        Event::Snapshot(state) => {
            let data = one_line(state.data.get());
            format!("{} {} {} snapshot {data}", state.topic, state.seq, age(state.ts))
        }
        Event::Gap(gap) => {
            format!("{} gap: {} to {} are missing ({})", gap.topic, gap.from, gap.to, gap.reason)
        }
        Event::Joined(moved) | Event::Left(moved) => {
            let verb = if matches!(event, Event::Joined(_)) { "joined" } else { "left" };
            let user = moved.user.as_deref().unwrap_or("-");
            format!("{} {verb}: {} {user}", moved.topic, moved.client)
        }
        Event::StreamState(change) => match change.state {
            StreamState::Stale => format!("{} stale: its publisher is silent", change.topic),
            StreamState::Live => format!("{} live: its publisher is heard again", change.topic),
        },
        Event::Direct(direct) => {
            let from = direct.from.user.as_deref().unwrap_or(&direct.from.client);
            format!("from {from} {} {}", age(direct.ts), one_line(direct.data.get()))
        }
        _ => return None,
    })
}

fn is_of_stream(event: &Event<'_>) -> bool {
    line(event, 0).is_some()
}

/// What somebody who looks at something else should know all the same.
fn notice(event: &Event<'_>) {
    match event {
        Event::Gap(_) | Event::StreamState(_) => {
            complain(&format!("corecast: {}", line(event, 0).unwrap_or_default()));
        }
        Event::GoingAway(going) => {
            let seconds = f64::from(going.deadline_ms) / 1e3;
            complain(&format!("corecast: the server goes away within {seconds} s"));
        }
        Event::Error(error) => {
            complain(&format!("corecast: {} ({})", error.message, error.code));
        }
        _ => {}
    }
}

/// White space within JSON may be line ends: here a line is a message.
fn one_line(json: &str) -> Cow<'_, str> {
    if json.contains(['\n', '\r']) {
        Cow::Owned(json.replace(['\n', '\r'], " "))
    } else {
        Cow::Borrowed(json)
    }
}

fn age_ns(ts: Nanos, now_ns: u64) -> u64 {
    now_ns.saturating_sub(u64::try_from(ts.0).unwrap_or(0))
}

const BUFFER_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "{\"type\":\"message\",\"topic\":\"quote.X\",\"seq\":7,\"ts\":\"1000\",\
                           \"data\":{\"a\":\n1}}";

    fn written(mode: Mode, texts: &[&str]) -> String {
        let mut output = Output::new(mode);
        for text in texts {
            output.event(text, &Event::parse(text).expect("an event"), 3_500);
        }
        String::from_utf8(output.buffer).expect("UTF-8")
    }

    #[test]
    fn each_mode_writes_its_own() {
        let gap = r#"{"type":"gap","topic":"quote.X","from":3,"to":6,"reason":"slow"}"#;
        let beat = r#"{"type":"heartbeat","time":"5"}"#;
        let all = [MESSAGE, gap, beat];
        let lines = "quote.X 7 2 µs {\"a\": 1}\nquote.X gap: 3 to 6 are missing (slow)\n";
        assert_eq!(written(Mode::Lines, &all), lines);
        let json = format!("{}\n{gap}\n", MESSAGE.replace('\n', " "));
        assert_eq!(written(Mode::Json, &all), json);
        assert_eq!(written(Mode::Raw, &all), "{\"a\": 1}\n");
        assert_eq!(written(Mode::Stats, &all), "");
    }

    #[test]
    fn raw_payloads_of_binary_topics_are_their_bytes() {
        let text =
            r#"{"type":"snapshot","topic":"b","seq":1,"ts":"1","data":"AP8K","encoding":"base64"}"#;
        let mut output = Output::new(Mode::Raw);
        output.event(text, &Event::parse(text).expect("an event"), 1);
        assert_eq!(output.buffer, b"\x00\xff\n\n");
    }
}
