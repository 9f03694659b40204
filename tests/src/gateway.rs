//! The ways in for publishers: where they are, and a client of the framed one without scruples.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use corecast_feed::ingest::{self, Ack, Decoder, Frame, Hello, Record, RecordKind};
use corecast_feed::limits::IngestLimits;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use serde_json::Value;

use crate::server::TestServer;

/// The address that the server printed behind `prefix`, such as `admin on http://`.
///
/// # Errors
/// When it printed none in time.
pub fn address_of(server: &TestServer, prefix: &str) -> Result<SocketAddr> {
    let until = Instant::now() + WITHIN;
    loop {
        let output = server.process().output();
        let found = output.lines().find_map(|line| line.strip_prefix(prefix));
        if let Some(text) = found {
            return text.trim_end_matches('/').parse().wrap_err_with(|| text.to_owned());
        }
        ensure!(Instant::now() < until, "no line begins with {prefix:?}:\n{output}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What the server says to a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// All records up to this one are done with.
    Ack {
        /// The publisher's epoch.
        epoch: u64,
        /// The last record.
        seq: u64,
    },
    /// It refused a record (`seq`), or the connection (0).
    Error {
        /// Which record.
        seq: u64,
        /// Why, as a number.
        code: u16,
        /// Whether the connection ends.
        closing: bool,
        /// Why.
        message: String,
    },
    /// It closed the connection.
    End,
}

/// A publisher's connection.
#[derive(Debug)]
pub struct Framed<S> {
    stream: S,
    decoder: Decoder,
}

impl Framed<TcpStream> {
    /// Connects over TCP, without a byte sent.
    ///
    /// # Errors
    /// When nobody accepts.
    pub fn tcp(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(WITHIN))?;
        Ok(Self::on(stream))
    }
}

impl Framed<UnixStream> {
    /// Connects over a Unix socket, without a byte sent.
    ///
    /// # Errors
    /// When nobody accepts.
    pub fn unix(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(WITHIN))?;
        Ok(Self::on(stream))
    }
}

impl<S: Read + Write> Framed<S> {
    fn on(stream: S) -> Self {
        Self { stream, decoder: Decoder::new(IngestLimits::default()) }
    }

    /// Sends any bytes.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Says hello, and gives the last record that the server has of this publisher.
    ///
    /// # Errors
    /// When the server answers otherwise.
    pub fn hello(&mut self, name: &str, epoch: u64) -> Result<u64> {
        self.send(&hello(name, epoch)?)?;
        self.greeted(epoch)
    }

    /// As [`Framed::hello`], with a token.
    ///
    /// # Errors
    /// As [`Framed::hello`].
    pub fn hello_with(&mut self, name: &str, epoch: u64, token: &str) -> Result<u64> {
        self.send(&hello_with(name, epoch, Some(token))?)?;
        self.greeted(epoch)
    }

    fn greeted(&mut self, epoch: u64) -> Result<u64> {
        match self.next()? {
            Said::Ack { epoch: acked, seq } if acked == epoch => Ok(seq),
            other => bail!("{other:?} instead of an ack"),
        }
    }

    /// Publishes JSON with this number.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn publish(&mut self, seq: u64, topic: &str, data: &str) -> Result<()> {
        self.send(&record(seq, topic, data.as_bytes())?)
    }

    /// Waits until all up to `seq` is acknowledged.
    ///
    /// # Errors
    /// When something else comes.
    pub fn wait_ack(&mut self, seq: u64) -> Result<()> {
        loop {
            match self.next()? {
                Said::Ack { seq: acked, .. } if acked >= seq => return Ok(()),
                Said::Ack { .. } => {}
                other => bail!("{other:?} instead of the ack of {seq}"),
            }
        }
    }

    /// The next thing that is no ack.
    ///
    /// # Errors
    /// When nothing comes.
    pub fn next_but_acks(&mut self) -> Result<Said> {
        loop {
            match self.next()? {
                Said::Ack { .. } => {}
                other => return Ok(other),
            }
        }
    }

    /// The next thing that the server says.
    ///
    /// # Errors
    /// When nothing comes.
    #[expect(clippy::should_implement_trait, reason = "it is no iterator: it waits, and may fail")]
    pub fn next(&mut self) -> Result<Said> {
        let mut bytes = [0; 4_096];
        loop {
            match self.decoder.next()? {
                Some(Frame::Ack(Ack { epoch, seq, .. })) => return Ok(Said::Ack { epoch, seq }),
                Some(Frame::Error(said)) => {
                    let message = said.message.to_owned();
                    let (seq, code, closing) = (said.seq, said.code, said.closing);
                    return Ok(Said::Error { seq, code, closing, message });
                }
                Some(other) => bail!("{other:?} from a server"),
                None => {}
            }
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(Said::End),
                Ok(read) => self.decoder.feed(&bytes[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    bail!("nothing came within {WITHIN:?}");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The bytes of a hello.
///
/// # Errors
/// When the name is none.
pub fn hello(name: &str, epoch: u64) -> Result<Vec<u8>> {
    hello_with(name, epoch, None)
}

/// The bytes of a hello with a token.
///
/// # Errors
/// When name or token is none.
pub fn hello_with(name: &str, epoch: u64, token: Option<&str>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    ingest::hello(&mut bytes, &Hello { version: ingest::VERSION, epoch, name, token })?;
    Ok(bytes)
}

/// The bytes of a record.
///
/// # Errors
/// When it is out of bounds.
pub fn record(seq: u64, topic: &str, data: &[u8]) -> Result<Vec<u8>> {
    bytes_of(seq, topic, None, data)
}

/// The bytes of a record with a key.
///
/// # Errors
/// When it is out of bounds.
pub fn keyed(seq: u64, topic: &str, key: &str) -> Result<Vec<u8>> {
    bytes_of(seq, topic, Some(key), b"1")
}

fn bytes_of(seq: u64, topic: &str, key: Option<&str>, data: &[u8]) -> Result<Vec<u8>> {
    let (kind, key) = (RecordKind::Message, key.map(str::as_bytes));
    let record = Record { seq, kind, topic, key, ts_ns: None, data, binary: None };
    let mut bytes = Vec::new();
    ingest::record(&mut bytes, &record, &IngestLimits::default())?;
    Ok(bytes)
}

/// An answer over HTTP.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head as text.
    pub head: String,
    /// The body; `Null` when it is no JSON.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

/// Sends one request with these header lines on a connection of its own.
///
/// # Errors
/// When no answer comes.
pub fn http(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[&str],
    body: &[u8],
) -> Result<Answer> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(WITHIN))?;
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{lines}\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut bytes = Vec::new();
    // A body that is too long is refused before all of it is read.
    if let Err(error) = stream.read_to_end(&mut bytes) {
        ensure!(!bytes.is_empty(), "{error}");
    }
    let text = String::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| eyre!("no HTTP: {text}"))?;
    let status = head.split(' ').nth(1).unwrap_or_default().parse()?;
    let (text, body) = (body.to_owned(), serde_json::from_str(body).unwrap_or_default());
    Ok(Answer { status, head: head.to_ascii_lowercase(), body, text })
}

/// `POST`s a body.
///
/// # Errors
/// When no answer comes.
pub fn post(to: SocketAddr, target: &str, body: impl AsRef<[u8]>) -> Result<Answer> {
    http(to, "POST", target, &[], body.as_ref())
}

const WITHIN: Duration = Duration::from_secs(10);
