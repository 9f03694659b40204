//! A publisher on a thread of its own, with messages of many topics, each due at its moment.
//!
//! It writes and waits as a program would whose server takes no more: then its messages are late by
//! the server's fault, and are stamped with the moment at which they were due all the same.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use corecast_feed::ingest::{self, Decoder, Frame, Hello, Record, RecordKind};
use corecast_feed::limits::IngestLimits;
use corecast_wire::client::mask_frame;
use corecast_wire::frame::Opcode;
use corecast_wire::{HeadScanner, client};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use hdrhistogram::Histogram;

use crate::clock;
use crate::outcome::histogram;
use crate::stamp::{STAMP_BYTES, Stamp};

/// Messages in the order in which they are due.
pub trait Source: Send {
    /// Puts the next message into `data`, and says when it is due, in nanoseconds from the start,
    /// and the place of its topic. Nothing when there is none left.
    fn next(&mut self, data: &mut Vec<u8>) -> Option<(u64, usize)>;
}

/// How a server is published to.
#[derive(Debug, Clone)]
pub enum Way {
    /// Records over corecast's ingest socket, with the moment at which they were due as their time.
    /// The names are topics.
    Ingest(PathBuf),
    /// Messages over WebSocket with a [`Stamp`] in front, a connection for each target. The names
    /// are targets.
    Sockets(SocketAddr),
}

/// A publisher at work. Dropping it leaves the thread behind until its source is exhausted.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<()>>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    sent: AtomicU64,
    last_due_ns: AtomicU64,
    late: Mutex<Histogram<u64>>,
}

impl Gateway {
    /// Connects, and publishes from `starts_ns` on.
    ///
    /// # Errors
    /// When the server is not reached or does not accept a connection.
    pub fn start(
        way: &Way,
        names: Vec<String>,
        source: Box<dyn Source>,
        starts_ns: u64,
    ) -> Result<Self> {
        ensure!(!names.is_empty(), "a publisher has a topic at least");
        let lines: Box<dyn Line> = match way {
            Way::Ingest(path) => Box::new(IngestLine::open(path, names)?),
            Way::Sockets(server) => Box::new(SocketLines::open(*server, &names)?),
        };
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            last_due_ns: AtomicU64::new(0),
            late: Mutex::new(histogram()?),
        });
        let seen = Arc::clone(&shared);
        let thread = thread::spawn(move || publish(lines, source, starts_ns, &seen));
        Ok(Self { shared, thread })
    }

    /// Messages that the server's socket has taken.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Whether it is through, or has failed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Sends nothing more.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for its end; says how many messages it has sent, and how late those were that no
    /// unfinished write held up.
    ///
    /// # Errors
    /// When the server has refused a message or closed the connection.
    pub fn join(self) -> Result<(u64, Histogram<u64>)> {
        self.thread.join().map_err(|_| eyre!("the publisher panicked"))??;
        let late = self.shared.late.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((self.shared.sent.load(Ordering::Relaxed), late.clone()))
    }
}

fn publish(
    mut lines: Box<dyn Line>,
    mut source: Box<dyn Source>,
    starts_ns: u64,
    shared: &Shared,
) -> Result<()> {
    let (mut data, mut number, mut written_ns) = (Vec::new(), 0, 0);
    let mut next = source.next(&mut data);
    while let Some((offset_ns, _)) = next {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let wait = (starts_ns + offset_ns).saturating_sub(clock::now_ns());
        if wait > 0 {
            thread::sleep(Duration::from_nanos(wait).min(LOOK_EVERY));
            continue;
        }
        // All that is due leaves at once, as far as a write goes.
        let now_ns = clock::now_ns();
        let mut late = shared.late.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((offset_ns, place)) = next.filter(|_| lines.has_room()) {
            let due_ns = starts_ns + offset_ns;
            if due_ns > now_ns {
                break;
            }
            lines.put(Stamp { due_ns, sequence: number }, place, &data)?;
            if due_ns >= written_ns {
                late.saturating_record(now_ns - due_ns);
            }
            number += 1;
            shared.last_due_ns.store(due_ns, Ordering::Relaxed);
            next = source.next(&mut data);
        }
        drop(late);
        lines.write().wrap_err("the server takes no more messages")?;
        written_ns = clock::now_ns();
        shared.sent.store(number, Ordering::Relaxed);
    }
    lines.close()
}

/// Where messages go.
trait Line: Send {
    /// Takes a message for the next write.
    fn put(&mut self, stamp: Stamp, place: usize, data: &[u8]) -> Result<()>;
    /// Whether the next write may take more.
    fn has_room(&self) -> bool;
    /// Writes what was taken; waits until the server has read it.
    fn write(&mut self) -> Result<()>;
    /// Waits for the server's answers to the end.
    fn close(self: Box<Self>) -> Result<()>;
}

struct IngestLine {
    stream: UnixStream,
    topics: Vec<String>,
    limits: IngestLimits,
    out: Vec<u8>,
    answers: JoinHandle<Result<()>>,
}

impl IngestLine {
    fn open(path: &Path, topics: Vec<String>) -> Result<Self> {
        let stream = UnixStream::connect(path).wrap_err("cannot reach the ingest socket")?;
        let reader = stream.try_clone()?;
        let answers = thread::spawn(move || read_answers(reader));
        let mut out = Vec::new();
        let hello = Hello { version: ingest::VERSION, epoch: clock::now_ns(), name: "bench" };
        ingest::hello(&mut out, &hello)?;
        Ok(Self { stream, topics, limits: IngestLimits::default(), out, answers })
    }
}

impl Line for IngestLine {
    fn put(&mut self, stamp: Stamp, place: usize, data: &[u8]) -> Result<()> {
        let record = Record {
            seq: stamp.sequence + 1,
            kind: RecordKind::Message,
            topic: &self.topics[place],
            key: None,
            ts_ns: Some(stamp.due_ns as i64),
            data,
            binary: None,
        };
        Ok(ingest::record(&mut self.out, &record, &self.limits)?)
    }

    fn has_room(&self) -> bool {
        self.out.len() < WRITE_BYTES
    }

    fn write(&mut self) -> Result<()> {
        if self.answers.is_finished() {
            bail!("the server has closed the ingest connection");
        }
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        self.answers.join().map_err(|_| eyre!("the reader of answers panicked"))?
    }
}

fn read_answers(mut stream: UnixStream) -> Result<()> {
    let mut decoder = Decoder::new(IngestLimits::default());
    let mut bytes = vec![0; 4096];
    loop {
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            read => decoder.feed(&bytes[..read]),
        }
        while let Some(frame) = decoder.next()? {
            if let Frame::Error(refusal) = frame {
                bail!("record {} was refused: {}", refusal.seq, refusal.message);
            }
        }
    }
}

struct SocketLines {
    streams: Vec<TcpStream>,
    out: Vec<Vec<u8>>,
    bytes: usize,
    payload: Vec<u8>,
}

impl SocketLines {
    fn open(server: SocketAddr, targets: &[String]) -> Result<Self> {
        let streams = targets.iter().map(|target| connect(server, target));
        let streams = streams.collect::<Result<Vec<_>>>()?;
        let out = vec![Vec::new(); streams.len()];
        Ok(Self { streams, out, bytes: 0, payload: Vec::new() })
    }
}

impl Line for SocketLines {
    fn put(&mut self, stamp: Stamp, place: usize, data: &[u8]) -> Result<()> {
        self.payload.clear();
        self.payload.resize(STAMP_BYTES, 0);
        stamp.write(&mut self.payload);
        self.payload.extend_from_slice(data);
        // Any key will do where nobody but the server reads what is masked.
        let key = (stamp.sequence as u32 ^ 0x5bd1_e995).to_le_bytes();
        let frame = mask_frame(Opcode::Binary, &self.payload, key);
        self.bytes += frame.len();
        self.out[place].extend_from_slice(&frame);
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.bytes < WRITE_BYTES
    }

    fn write(&mut self) -> Result<()> {
        for (stream, out) in self.streams.iter_mut().zip(&mut self.out) {
            if !out.is_empty() {
                stream.write_all(out)?;
                out.clear();
            }
        }
        self.bytes = 0;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// The opening handshake, waiting for it.
fn connect(server: SocketAddr, target: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(server).wrap_err("cannot connect to the server")?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(STUCK_AFTER))?;
    stream.set_read_timeout(Some(STUCK_AFTER))?;
    let key = client::key(u128::from(clock::now_ns()).to_le_bytes());
    stream.write_all(&client::request(&server.to_string(), target, &key, &[], &[])?)?;
    let (mut scanner, mut head, mut byte) = (HeadScanner::new(), Vec::new(), [0]);
    loop {
        // One by one: what follows the head is none of ours.
        stream.read_exact(&mut byte).wrap_err("the server does not answer the handshake")?;
        head.push(byte[0]);
        if scanner.feed(&byte)?.is_some() {
            client::verify(&head, &key, &[])?;
            return Ok(stream);
        }
    }
}

/// A write takes what is due up to about this much.
const WRITE_BYTES: usize = 64 << 10;
/// While nothing is due, whether to stop is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A server that reads nothing for so long has failed.
const STUCK_AFTER: Duration = Duration::from_secs(30);
