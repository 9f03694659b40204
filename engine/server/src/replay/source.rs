//! One recorded file: opened, unpacked where it is gzip, read line by line.

use super::limits::{LINE_BYTES_MAX, READ_AHEAD_BYTES, SKIPPED_NAMED_MAX, TOPICS_MAX};
use super::line::{self, Kind, LineError, shortened};
use super::topic::{Topics, is_token, topic_of};
use flate2::bufread::MultiGzDecoder;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, ops::Range};

/// A file to replay, with the name that stands in its topics: `FILE` or `NAME=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    /// Between kind and symbol of each topic: `quote.usdm.BTCUSDT`.
    pub(crate) name: Option<String>,
    /// Where the file is.
    pub(crate) path: PathBuf,
}

/// What stands before the first `=` is a name, unless it has a character that only paths have: a
/// file with a `=` in its name is written `./a=b`.
impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) if !name.contains(['/', '.']) => {
                if !is_token(name) {
                    return Err(format!(
                        "the name before = is not 1 to 64 letters, digits, - or _: {name:?}"
                    ));
                }
                (Some(name.to_owned()), path)
            }
            _ => (None, text),
        };
        if path.is_empty() {
            return Err("the file's path is empty".to_owned());
        }
        Ok(Self { name, path: path.into() })
    }
}

/// What happens to a line that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnBadLine {
    /// The replay ends and names it.
    Stop,
    /// It is counted, and the next one is read.
    Skip,
}

/// Why a file could not be read on.
#[derive(Debug)]
pub(crate) enum SourceError {
    /// It could not be opened.
    Open { path: PathBuf, error: io::Error },
    /// Reading or unpacking failed at this line.
    Read { path: PathBuf, line: u64, error: io::Error },
    /// This line is bad.
    Line { path: PathBuf, line: u64, error: LineError },
    /// A new topic on this line would be one too many.
    Topics { path: PathBuf, line: u64 },
}

impl SourceError {
    /// Whether the file's content is to blame, not the machine.
    pub(crate) fn is_bad_data(&self) -> bool {
        match self {
            Self::Open { .. } => false,
            Self::Line { .. } | Self::Topics { .. } => true,
            Self::Read { error, .. } => matches!(
                error.kind(),
                io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::UnexpectedEof
            ),
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, error } => write!(f, "cannot open {}: {error}", path.display()),
            Self::Read { path, line, error } => {
                write!(f, "{}:{line}: cannot read on: {error}", path.display())
            }
            Self::Line { path, line, error } => {
                write!(f, "{}:{line}: {error}", path.display())
            }
            Self::Topics { path, line } => {
                write!(f, "{}:{line}: more than {TOPICS_MAX} topics", path.display())
            }
        }
    }
}

/// One message of a file, still in the file's line buffer.
#[derive(Clone, Debug)]
struct Head {
    topic: usize,
    payload: Range<usize>,
}

/// A file that is read line by line.
pub(crate) struct Source {
    spec: Spec,
    reader: Box<dyn Buffered>,
    on_bad: OnBadLine,
    line: Vec<u8>,
    line_number: u64,
    head: Option<Head>,
    position_ns: u64,
    streams: Streams,
    skipped: u64,
    bytes_read: Arc<AtomicU64>,
    bytes_total: u64,
}

impl Source {
    /// Opens a file, looks whether it is gzip (by its first two bytes, not by its name).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn open(spec: Spec, on_bad: OnBadLine) -> Result<Self, SourceError> {
        let failed = |error| SourceError::Open { path: spec.path.clone(), error };
        let file = File::open(&spec.path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted { inner: file, bytes: Arc::clone(&bytes_read) };
        let reader = unpacked(counted).map_err(failed)?;
        Ok(Self {
            spec,
            reader,
            on_bad,
            line: Vec::new(),
            line_number: 0,
            head: None,
            position_ns: 0,
            streams: Streams::default(),
            skipped: 0,
            bytes_read,
            bytes_total: metadata.len(),
        })
    }

    /// Reads the next message and returns its place in time, in nanoseconds since 1970; `None` at
    /// the end. The place never goes backwards: a line whose receive time is before its
    /// predecessor's takes the predecessor's, so that a file's own order is always kept.
    ///
    /// `before_wait` is called before each read that may have to wait for whoever writes the file.
    ///
    /// # Errors
    ///
    /// What is wrong with file or line.
    pub(crate) fn advance(
        &mut self,
        topics: &mut Topics,
        before_wait: &mut dyn FnMut(),
    ) -> Result<Option<u64>, SourceError> {
        self.head = None;
        loop {
            self.line_number += 1;
            if !self.reader.ahead().contains(&b'\n') {
                before_wait();
            }
            let error = match self.read_line() {
                Ok(Reading::End) => return Ok(None),
                Ok(Reading::Line) => match self.understand(topics)? {
                    Ok(()) => return Ok(Some(self.position_ns)),
                    Err(error) => error,
                },
                Ok(Reading::TooLong) => LineError::TooLong,
                Err(error) => {
                    let path = self.spec.path.clone();
                    return Err(SourceError::Read { path, line: self.line_number, error });
                }
            };
            self.bad_line(error)?;
        }
    }

    /// Topic and payload of the message that [`advance`](Self::advance) read.
    pub(crate) fn head(&self) -> Option<(usize, &str)> {
        let head = self.head.as_ref()?;
        let payload = std::str::from_utf8(&self.line[head.payload.clone()]).ok()?;
        Some((head.topic, payload))
    }

    /// Bad lines that were skipped.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Bytes of the file that were read, and how many it has; packed bytes where it is gzip.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.bytes_read.load(Ordering::Relaxed), self.bytes_total)
    }

    fn understand(&mut self, topics: &mut Topics) -> Result<Result<(), LineError>, SourceError> {
        let parsed = match line::parse(&self.line) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Err(error)),
        };
        let streams = &mut self.streams;
        let topic = match &parsed.kind {
            Kind::Stream(stream) => streams.topic(stream, self.spec.name.as_deref(), topics),
            Kind::Snapshot => streams.only_book(),
        };
        let topic = match topic {
            Ok(topic) => topic,
            Err(error) => return Ok(Err(error)),
        };
        if topic >= TOPICS_MAX {
            let path = self.spec.path.clone();
            return Err(SourceError::Topics { path, line: self.line_number });
        }
        let payload = self.line.len() - parsed.payload.len()..self.line.len();
        self.position_ns = self.position_ns.max(parsed.received_ns);
        self.head = Some(Head { topic, payload });
        Ok(Ok(()))
    }

    fn bad_line(&mut self, error: LineError) -> Result<(), SourceError> {
        let bad = SourceError::Line { path: self.spec.path.clone(), line: self.line_number, error };
        if self.on_bad == OnBadLine::Stop {
            return Err(bad);
        }
        self.skipped += 1;
        if self.skipped <= SKIPPED_NAMED_MAX {
            tracing::warn!("skipped {bad}");
        }
        Ok(())
    }

    /// Reads one line into the line buffer, without its line end (`\n`, or `\r\n`).
    fn read_line(&mut self) -> io::Result<Reading> {
        self.line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        self.reader.by_ref().take(limit).read_until(b'\n', &mut self.line)?;
        if self.line.is_empty() {
            return Ok(Reading::End);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
        } else if self.line.len() > LINE_BYTES_MAX {
            self.line.clear();
            self.reader.skip_until(b'\n')?;
            return Ok(Reading::TooLong);
        }
        Ok(Reading::Line)
    }
}

/// The streams of one file that were met so far, with the numbers of their topics.
#[derive(Debug, Default)]
struct Streams {
    known: HashMap<String, usize>,
    books: Vec<usize>,
}

impl Streams {
    fn topic(
        &mut self,
        stream: &str,
        name: Option<&str>,
        topics: &mut Topics,
    ) -> Result<usize, LineError> {
        if let Some(&topic) = self.known.get(stream) {
            return Ok(topic);
        }
        let topic_name =
            topic_of(stream, name).map_err(|error| LineError::Stream(shortened(stream), error))?;
        let is_book = topic_name.starts_with("book.");
        let topic = topics.intern(topic_name);
        self.known.insert(stream.to_owned(), topic);
        if is_book && !self.books.contains(&topic) {
            self.books.push(topic);
        }
        Ok(topic)
    }

    /// The topic of a book that comes without a stream's name.
    fn only_book(&self) -> Result<usize, LineError> {
        match self.books.as_slice() {
            [only] => Ok(*only),
            _ => Err(LineError::Snapshot),
        }
    }
}

/// What reading one line came to.
enum Reading {
    Line,
    TooLong,
    End,
}

/// A reader that says what it has read ahead.
trait Buffered: BufRead + Send {
    fn ahead(&self) -> &[u8];
}

impl<R: Read + Send> Buffered for BufReader<R> {
    fn ahead(&self) -> &[u8] {
        self.buffer()
    }
}

/// Counts what is read, for the progress bar.
struct Counted {
    inner: File,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn unpacked(file: Counted) -> io::Result<Box<dyn Buffered>> {
    const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
    let mut packed = BufReader::with_capacity(READ_AHEAD_BYTES, file);
    // `fill_buf` may give one byte (a pipe): what is that short is not gzip either way.
    if packed.fill_buf()?.starts_with(GZIP_MAGIC) {
        let unpacked = MultiGzDecoder::new(packed);
        return Ok(Box::new(BufReader::with_capacity(READ_AHEAD_BYTES, unpacked)));
    }
    Ok(Box::new(packed))
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spec, line_number, .. } = self;
        f.debug_struct("Source").field("spec", spec).field("line", line_number).finish()
    }
}
