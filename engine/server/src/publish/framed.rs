//! Publishing over TCP or a Unix socket with the framed protocol: the fast way.

use super::PublishArgs;
use super::limits::ACK_WITHIN;
use super::source::Line;
use crate::cli::exit::{Exit, Failure};
use crate::clock;
use corecast_feed::ingest::{self, Decoder, Frame, Hello, Record, RecordKind};
use corecast_feed::limits::IngestLimits;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Where the server takes frames.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A byte stream of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Sends records for one topic, and reads what the server says of them.
pub(crate) struct FramedSender {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    answers: Answers,
    topic: String,
    key: Option<String>,
    kind: RecordKind,
    epoch: u64,
    output: Vec<u8>,
}

/// What the server has said.
struct Answers {
    place: Place,
    decoder: Decoder,
    /// The number of the last record that was sent.
    sent: u64,
    /// The messages of the records that are not acknowledged, the last one is `sent`.
    waiting: VecDeque<u64>,
}

impl FramedSender {
    /// Connects and says hello.
    ///
    /// # Errors
    ///
    /// When nobody is there.
    pub(crate) async fn open(place: Place, args: &PublishArgs) -> Result<Self, Failure> {
        let unreachable = |error| Failure::new(Exit::Unavailable, place.unreachable(&error));
        let stream: Box<dyn Stream> = match &place {
            Place::Tcp(address) => {
                Box::new(TcpStream::connect(address).await.map_err(unreachable)?)
            }
            Place::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(unreachable)?),
        };
        let (reader, writer) = split(stream);
        let epoch = clock::wall_ns();
        let name = args.name.clone();
        let name = name.unwrap_or_else(|| format!("corecast-publish-{}", std::process::id()));
        let token = args.token().map(|place| place.token()).transpose()?;
        let hello = Hello { version: ingest::VERSION, epoch, name: &name, token: token.as_deref() };
        let mut output = Vec::new();
        ingest::hello(&mut output, &hello)
            .map_err(|error| Failure::with_code(2, format!("--name or token: {error}")))?;
        let kind = if args.snapshot { RecordKind::Snapshot } else { RecordKind::Message };
        let decoder = Decoder::new(IngestLimits::default());
        let answers = Answers { place, decoder, sent: 0, waiting: VecDeque::new() };
        let (topic, key) = (args.topic.clone(), args.key.clone());
        Ok(Self { reader, writer, answers, topic, key, kind, epoch, output })
    }

    /// Sends messages in their order. Where the server has no room this waits.
    ///
    /// # Errors
    ///
    /// When one of them, or an earlier one, was refused, or the connection broke.
    pub(crate) async fn send(&mut self, lines: &[Line]) -> Result<(), Failure> {
        for line in lines {
            self.answers.sent += 1;
            self.answers.waiting.push_back(line.number);
            let record = Record {
                seq: self.answers.sent,
                kind: self.kind,
                topic: &self.topic,
                key: self.key.as_deref().map(str::as_bytes),
                ts_ns: None,
                data: &line.data,
                binary: None,
            };
            // The server's own limit may be lower, and it says so.
            ingest::record(&mut self.output, &record, &IngestLimits::default()).map_err(
                |error| Failure::new(Exit::BadData, format!("message {}: {error}", line.number)),
            )?;
        }
        let mut written = 0;
        let mut input = Vec::with_capacity(4_096);
        while written < self.output.len() {
            tokio::select! {
                wrote = self.writer.write(&self.output[written..]) => match wrote {
                    Ok(bytes) => written += bytes,
                    // What the server said before it closed is worth more.
                    Err(error) => return Err(self.last_words(&error).await),
                },
                read = self.reader.read_buf(&mut input) => self.heard(read, &mut input)?,
            }
        }
        self.output.clear();
        Ok(())
    }

    /// Waits until all records are acknowledged.
    ///
    /// # Errors
    ///
    /// When one was refused, the connection broke, or it takes too long.
    pub(crate) async fn finish(&mut self) -> Result<(), Failure> {
        let mut input = Vec::with_capacity(4_096);
        while !self.answers.waiting.is_empty() {
            match timeout(ACK_WITHIN, self.reader.read_buf(&mut input)).await {
                Ok(read) => self.heard(read, &mut input)?,
                Err(_) => return Err(self.answers.broken(&"no acknowledgement in time")),
            }
        }
        let _ = self.writer.shutdown().await;
        Ok(())
    }

    fn heard(&mut self, read: io::Result<usize>, input: &mut Vec<u8>) -> Result<(), Failure> {
        match read {
            Ok(0) => return Err(self.answers.broken(&"the server closed the connection")),
            Ok(_) => {}
            Err(error) => return Err(self.answers.broken(&error)),
        }
        self.answers.take(input, self.epoch)?;
        input.clear();
        Ok(())
    }

    async fn last_words(&mut self, broken: &io::Error) -> Failure {
        let mut input = Vec::new();
        let _ = timeout(ACK_WITHIN, self.reader.read_to_end(&mut input)).await;
        let said = self.answers.take(&input, self.epoch);
        said.err().unwrap_or_else(|| self.answers.broken(broken))
    }
}

impl Answers {
    fn take(&mut self, bytes: &[u8], own_epoch: u64) -> Result<(), Failure> {
        self.decoder.feed(bytes);
        loop {
            match self.decoder.next() {
                Ok(Some(Frame::Ack(ack))) if ack.epoch == own_epoch => {
                    let unacked = usize::try_from(self.sent.saturating_sub(ack.seq));
                    let done = self.waiting.len().saturating_sub(unacked.unwrap_or(usize::MAX));
                    self.waiting.drain(..done);
                }
                Ok(Some(Frame::Error(refusal))) => {
                    let place = &self.place;
                    let (code, text) = (refusal.code, refusal.message.to_owned());
                    let back = self.sent.checked_sub(refusal.seq).filter(|_| refusal.seq > 0);
                    let index = back.and_then(|back| {
                        self.waiting.len().checked_sub(1 + usize::try_from(back).ok()?)
                    });
                    let message = match index.and_then(|index| self.waiting.get(index)) {
                        Some(number) => format!("message {number}: {text} ({code})"),
                        None => format!("{place} refuses: {text} ({code})"),
                    };
                    return Err(Failure::new(Exit::BadData, message));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.broken(&error)),
            }
        }
    }

    fn broken(&self, problem: &dyn fmt::Display) -> Failure {
        let Self { place, waiting, .. } = self;
        let unknown = waiting.len();
        let message =
            format!("{place}: {problem}; whether the last {unknown} messages arrived is not known");
        Failure::new(Exit::Io, message)
    }
}

impl Place {
    fn unreachable(&self, error: &io::Error) -> String {
        let option = match self {
            Self::Tcp(_) => "--ingest-tcp",
            Self::Unix(_) => "--ingest-unix",
        };
        format!("cannot reach {self}: {error}; start the server with {option} {self}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}
