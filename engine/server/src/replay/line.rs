//! One line of a recording: `<receive time, ns since 1970> <raw JSON>`.
//!
//! The JSON is a message of a combined stream, `{"stream":…,"data":…}`, or the whole book that a
//! recorder asked for when it began: `{"lastUpdateId":…,"bids":…,"asks":…}`, which names no stream.

use super::topic::StreamError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::fmt;

/// A line taken apart; everything in it is borrowed from the line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// When the recorder received the message, in nanoseconds since 1970 by its own clock.
    pub(crate) received_ns: u64,
    /// What the message is.
    pub(crate) kind: Kind<'a>,
    /// The message as it was received, byte for byte.
    pub(crate) payload: &'a str,
}

/// What a message is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// A message of the stream with this name, `btcusdt@bookTicker`.
    Stream(Cow<'a, str>),
    /// A whole book, to which the messages of the file's depth stream are the changes.
    Snapshot,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LineError {
    /// Longer than [`LINE_BYTES_MAX`](super::limits::LINE_BYTES_MAX).
    TooLong,
    /// Nothing in it.
    Empty,
    /// Not UTF-8 from this byte on.
    Utf8(usize),
    /// No blank after the receive time.
    NoBlank,
    /// The receive time is no number of nanoseconds.
    Time(String),
    /// The message is not the JSON it should be.
    Json(String),
    /// The stream's name gives no topic.
    Stream(String, StreamError),
    /// A whole book in a file that had not exactly one depth stream before: whose is it?
    Snapshot,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => {
                write!(f, "the line is longer than {} bytes", super::limits::LINE_BYTES_MAX)
            }
            Self::Empty => write!(f, "the line is empty"),
            Self::Utf8(at) => write!(f, "invalid UTF-8 at byte {at} of the line"),
            Self::NoBlank => write!(f, "no blank between receive time and message"),
            Self::Time(text) => write!(f, "the receive time {text:?} is no number of ns"),
            Self::Json(problem) => write!(f, "the message is not as expected: {problem}"),
            Self::Snapshot => write!(
                f,
                "a book without a stream's name needs one depth stream, and only one, before it \
                 in its file"
            ),
            Self::Stream(stream, problem) => {
                write!(f, "the stream {stream:?} gives no topic: {problem}")
            }
        }
    }
}

/// The envelope of a message. What is ignored is checked to be JSON and not looked at.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    stream: Option<Name<'a>>,
    data: Option<IgnoredAny>,
    #[serde(rename = "lastUpdateId")]
    last_update_id: Option<IgnoredAny>,
    bids: Option<IgnoredAny>,
    asks: Option<IgnoredAny>,
}

/// A string that is borrowed unless it has escapes: serde does not see a `Cow` inside an `Option`.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Envelope<'a> {
    fn kind(self) -> Result<Kind<'a>, LineError> {
        let missing = |field| Err(LineError::Json(format!("missing field `{field}`")));
        match self {
            Self { stream: Some(_), data: None, .. } => missing("data"),
            Self { stream: Some(Name(stream)), .. } => Ok(Kind::Stream(stream)),
            Self { last_update_id: None, .. } => missing("stream"),
            Self { bids: Some(_), asks: Some(_), .. } => Ok(Kind::Snapshot),
            Self { bids: None, .. } => missing("bids"),
            Self { asks: None, .. } => missing("asks"),
        }
    }
}

/// Takes a line, without its line end, apart. The message must be one whole JSON object with the
/// fields of its kind, each once; other fields are not looked at.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub(crate) fn parse(line: &[u8]) -> Result<Line<'_>, LineError> {
    if line.is_empty() {
        return Err(LineError::Empty);
    }
    let line = std::str::from_utf8(line).map_err(|error| LineError::Utf8(error.valid_up_to()))?;
    let (time, payload) = line.split_once(' ').ok_or(LineError::NoBlank)?;
    // `u64::from_str` takes a leading plus sign; a recorder writes none.
    let received_ns = time
        .parse()
        .ok()
        .filter(|_| !time.starts_with('+'))
        .ok_or_else(|| LineError::Time(shortened(time)))?;
    // serde would take an array of the fields, too.
    if !payload.starts_with('{') {
        let problem = format!("expected an object (byte {} of the line)", time.len() + 1);
        return Err(LineError::Json(problem));
    }
    let envelope: Envelope<'_> = serde_json::from_str(payload)
        .map_err(|error| LineError::Json(json_problem(&error, time.len() + 1)))?;
    Ok(Line { received_ns, kind: envelope.kind()?, payload })
}

/// The parser's words, with the place in the line instead of the place in the message.
fn json_problem(error: &serde_json::Error, before: usize) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("{what} (byte {} of the line)", before + error.column())
}

/// At most 40 characters of `text`, for an error.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_line_keeps_its_message_byte_for_byte() {
        let payload = r#"{"stream":"btcusdt@trade","data":{"p" : "1.50","x":[1,{"y":null}]}}  "#;
        let line = format!("1723161255030314667 {payload}");
        let parsed = parse(line.as_bytes()).expect("a good line");
        assert_eq!(parsed.received_ns, 1_723_161_255_030_314_667);
        assert_eq!(parsed.kind, Kind::Stream("btcusdt@trade".into()));
        assert_eq!(parsed.payload, payload);
        assert!(matches!(parsed.kind, Kind::Stream(Cow::Borrowed(_))));
    }

    #[test]
    fn the_stream_may_stand_anywhere_and_be_escaped() {
        let line = br#"7 {"data":{"stream":"not@this"},"stream":"\u0062tc@trade"}"#;
        let kind = parse(line).expect("a good line").kind;
        assert_eq!(kind, Kind::Stream("btc@trade".into()));
    }

    #[test]
    fn a_book_without_a_stream_is_a_snapshot() {
        let line = br#"7 {"lastUpdateId":1,"E":2,"bids":[["1","2"]],"asks":[]}"#;
        assert_eq!(parse(line).expect("a good line").kind, Kind::Snapshot);
    }

    #[track_caller]
    fn problem(line: &[u8]) -> String {
        parse(line).expect_err("a bad line").to_string()
    }

    #[test]
    fn each_bad_line_says_what_is_wrong() {
        for (line, word) in [
            (&b""[..], "empty"),
            (b"12", "no blank"),
            (b" {}", "receive time \"\""),
            (b"+1 {}", "receive time \"+1\""),
            (b"-1 {}", "receive time \"-1\""),
            (b"18446744073709551616 {}", "receive time"),
            (b"1 ", "expected an object"),
            (b"1 {", "EOF while parsing an object"),
            (b"1 {}", "missing field `stream`"),
            (b"1 []", "expected an object (byte 2"),
            (br#"1 ["a@trade",1,null,null,null]"#, "expected an object"),
            (b"1 5", "expected an object"),
            (b"1  {}", "expected an object"),
            (br#"1 {"lastUpdateId":5,"asks":[]}"#, "missing field `bids`"),
            (br#"1 {"lastUpdateId":5,"bids":[]}"#, "missing field `asks`"),
            (br#"1 {"stream":"a@trade"}"#, "missing field `data`"),
            (br#"1 {"stream":5,"data":1}"#, "invalid type: integer `5`, expected a string"),
            (br#"1 {"stream":"a","stream":"b","data":1}"#, "duplicate field `stream`"),
            (br#"1 {"stream":"a","data":{"x":}}"#, "expected value (byte 29 of the line)"),
            (br#"1 {"stream":"a","data":1} x"#, "trailing characters"),
            (br#"1 {"stream":"a","data":1"#, "EOF while parsing an object"),
            (b"1 {\"stream\":\"\xff\",\"data\":1}", "invalid UTF-8 at byte 13"),
        ] {
            let said = problem(line);
            assert!(said.contains(word), "{line:?} gave {said:?}, without {word:?}");
        }
    }

    #[test]
    fn a_long_word_is_shortened_in_the_error() {
        let line = format!("{} {{}}", "x".repeat(10_000));
        assert!(problem(line.as_bytes()).len() < 200);
    }
}
