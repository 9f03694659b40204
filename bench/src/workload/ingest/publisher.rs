//! A publisher on a thread of its own over the framed ingest: at each wake, everything that has
//! become due since the last leaves in as few writes as the kernel takes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use corecast_feed::ingest::{self, Decoder, Frame, Hello, Record, RecordKind};
use corecast_feed::limits::IngestLimits;
use eyre::{Result, WrapErr, bail, ensure, eyre};

use super::payload;
use crate::clock;

/// Where the server takes records.
#[derive(Debug, Clone)]
pub enum Way {
    /// Its Unix socket.
    Unix(PathBuf),
    /// Its TCP port.
    Tcp(SocketAddr),
}

/// What is published.
#[derive(Debug, Clone)]
pub struct Publishing {
    /// Where.
    pub way: Way,
    /// Topics, each record to the next of them.
    pub topics: Vec<String>,
    /// Keys of each topic, each record of it with the next of them; 0: records without a key.
    pub keys: usize,
    /// Records a second, over all topics.
    pub rate: f64,
    /// Bytes of each payload; see [`payload::write`].
    pub payload_bytes: usize,
    /// How long the publisher sleeps between two looks at what is due.
    pub wake_every: Duration,
}

/// Publishes at a fixed rate until it is stopped.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<()>>,
}

/// What the threads tell while they run.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    sent: AtomicU64,
    acknowledged: AtomicU64,
    behind_ns_max: AtomicU64,
}

/// How far a publisher has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records that the socket has taken.
    pub sent: u64,
    /// Records that the server has acknowledged.
    pub acknowledged: u64,
    /// The most that the oldest record of a write was behind its time when the socket had taken
    /// it, since the last look, in nanoseconds.
    pub behind_ns_max: u64,
}

impl Publisher {
    /// Connects and begins.
    ///
    /// # Errors
    /// When the server is not reached.
    pub fn start(publishing: Publishing) -> Result<Self> {
        ensure!(publishing.rate > 0.0, "a rate is positive");
        ensure!(!publishing.topics.is_empty(), "there is a topic at least");
        let streams = connect(&publishing.way).wrap_err("cannot reach the server's ingest")?;
        let shared = Arc::<Shared>::default();
        let seen = Arc::clone(&shared);
        let thread = thread::spawn(move || publish(streams, &publishing, &seen));
        Ok(Self { shared, thread })
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let Shared { sent, acknowledged, behind_ns_max, .. } = &*self.shared;
        Progress {
            sent: sent.load(Ordering::Relaxed),
            acknowledged: acknowledged.load(Ordering::Relaxed),
            behind_ns_max: behind_ns_max.swap(0, Ordering::Relaxed),
        }
    }

    /// Stops it, and waits until the server has acknowledged everything; says how much that was.
    ///
    /// # Errors
    /// When the server has refused anything, or has not acknowledged what it got.
    pub fn stop(self) -> Result<u64> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| eyre!("the publisher panicked"))??;
        let Shared { sent, acknowledged, .. } = &*self.shared;
        let (sent, acknowledged) =
            (sent.load(Ordering::Relaxed), acknowledged.load(Ordering::Relaxed));
        ensure!(sent == acknowledged, "{acknowledged} of {sent} records were acknowledged");
        Ok(sent)
    }
}

fn publish(streams: Streams, publishing: &Publishing, shared: &Arc<Shared>) -> Result<()> {
    let Streams { mut writer, mut reader, close } = streams;
    let seen = Arc::clone(shared);
    let reader = thread::spawn(move || read_answers(&mut *reader, &seen));
    let mut out = Vec::with_capacity(WRITE_BYTES + RECORD_ROOM_BYTES);
    let hello = Hello { version: ingest::VERSION, epoch: clock::now_ns(), name: "bench" };
    ingest::hello(&mut out, &hello)?;
    let mut records = Records::new(publishing);
    while !shared.stop.load(Ordering::Relaxed) && !reader.is_finished() {
        let (oldest_ns, now_ns) = (records.due_ns(), clock::now_ns());
        records.write_due(now_ns, &mut out)?;
        if !out.is_empty() {
            writer.write_all(&out).wrap_err("the server takes no more")?;
            out.clear();
            let behind_ns = clock::now_ns().saturating_sub(oldest_ns);
            shared.behind_ns_max.fetch_max(behind_ns, Ordering::Relaxed);
            shared.sent.store(records.seq, Ordering::Relaxed);
        }
        // More than one write is due: no time to sleep.
        if records.due_ns() > clock::now_ns() {
            thread::sleep(publishing.wake_every);
        }
    }
    // The server answers what it got, then closes.
    close()?;
    reader.join().map_err(|_| eyre!("the reader of answers panicked"))?
}

/// The records in their order, each due at its moment.
struct Records<'a> {
    publishing: &'a Publishing,
    limits: IngestLimits,
    keys: Vec<String>,
    started_ns: u64,
    /// The last record's number.
    seq: u64,
    data: Vec<u8>,
}

impl<'a> Records<'a> {
    fn new(publishing: &'a Publishing) -> Self {
        let keys = (0..publishing.keys).map(|key| format!("K{key:03}")).collect();
        let limits = IngestLimits::default();
        Self { publishing, limits, keys, started_ns: clock::now_ns(), seq: 0, data: Vec::new() }
    }

    /// When the next one is due.
    fn due_ns(&self) -> u64 {
        self.started_ns + (self.seq as f64 * 1e9 / self.publishing.rate) as u64
    }

    /// Appends what is due, as far as one write goes.
    fn write_due(&mut self, now_ns: u64, out: &mut Vec<u8>) -> Result<()> {
        let Publishing { topics, payload_bytes, .. } = self.publishing;
        while out.len() < WRITE_BYTES {
            let due_ns = self.due_ns();
            if due_ns > now_ns {
                break;
            }
            let turn = self.seq as usize;
            self.seq += 1;
            payload::write(&mut self.data, due_ns, self.seq, *payload_bytes);
            let key = (!self.keys.is_empty())
                .then(|| self.keys[turn / topics.len() % self.keys.len()].as_bytes());
            let (kind, ts_ns, binary) = (RecordKind::Message, None, None);
            let (seq, topic, data) = (self.seq, &*topics[turn % topics.len()], &*self.data);
            let record = Record { seq, kind, topic, key, ts_ns, data, binary };
            ingest::record(out, &record, &self.limits)?;
        }
        Ok(())
    }
}

fn read_answers(stream: &mut dyn Read, shared: &Shared) -> Result<()> {
    let mut decoder = Decoder::new(IngestLimits::default());
    let mut bytes = vec![0; 4096];
    loop {
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            read => decoder.feed(&bytes[..read]),
        }
        while let Some(frame) = decoder.next()? {
            match frame {
                Frame::Ack(ack) => shared.acknowledged.store(ack.seq, Ordering::Relaxed),
                Frame::Error(no) => bail!("record {} was refused: {}", no.seq, no.message),
                Frame::Hello(_) | Frame::Record(_) => bail!("the server sent a publisher's frame"),
            }
        }
    }
}

/// Both directions of a connection, and how to say that nothing more comes.
struct Streams {
    writer: Box<dyn Write + Send>,
    reader: Box<dyn Read + Send>,
    close: Box<dyn FnOnce() -> io::Result<()> + Send>,
}

fn connect(way: &Way) -> io::Result<Streams> {
    Ok(match way {
        Way::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            let (reader, last) = (stream.try_clone()?, stream.try_clone()?);
            let close = Box::new(move || last.shutdown(Shutdown::Write));
            Streams { writer: Box::new(stream), reader: Box::new(reader), close }
        }
        Way::Tcp(address) => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let (reader, last) = (stream.try_clone()?, stream.try_clone()?);
            let close = Box::new(move || last.shutdown(Shutdown::Write));
            Streams { writer: Box::new(stream), reader: Box::new(reader), close }
        }
    })
}

/// A write takes what is due up to about this much.
const WRITE_BYTES: usize = 64 << 10;
/// The last record of a write goes beyond that.
const RECORD_ROOM_BYTES: usize = 4 << 10;
