//! A publisher on a thread of its own, with messages of many topics, each due at its moment: the
//! one publisher of all workloads that are not plain fan-out.
//!
//! It writes and waits as a program would whose server takes no more: then its messages are late by
//! the server's fault, and are stamped with the moment at which they were due all the same.

mod ingest;
mod sockets;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use eyre::{Result, WrapErr, ensure, eyre};
use hdrhistogram::Histogram;

use crate::clock;
use crate::outcome::histogram;
use crate::stamp::Stamp;
use ingest::IngestLine;
use sockets::SocketLines;

/// Messages in the order in which they are due.
pub trait Source: Send {
    /// Puts the next message into `data`, and says when it is due, in nanoseconds from the start,
    /// and the place of its topic. Nothing when there is none left.
    fn next(&mut self, data: &mut Vec<u8>) -> Option<(u64, usize)>;

    /// The key of the message that [`next`](Self::next) gave last, where messages have one. Only
    /// ingest carries it.
    fn key(&self) -> Option<&[u8]> {
        None
    }
}

/// How a server is published to.
#[derive(Debug, Clone)]
pub enum Way {
    /// Records over corecast's ingest socket, with the moment at which they were due as their time.
    /// The names are topics.
    Ingest(PathBuf),
    /// The same over its TCP port for ingest.
    IngestTcp(SocketAddr),
    /// Messages over WebSocket with a [`Stamp`] in front, a connection for each target. The names
    /// are targets.
    Sockets(SocketAddr),
}

/// When a publisher writes.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    /// The moment from which messages are due.
    pub starts_ns: u64,
    /// With nothing due it sleeps at least this long, and what becomes due meanwhile leaves
    /// together; zero: each message leaves when it is due.
    pub rest: Duration,
}

impl Rhythm {
    /// Each message leaves when it is due, from this moment on.
    #[must_use]
    pub fn prompt(starts_ns: u64) -> Self {
        Self { starts_ns, rest: Duration::ZERO }
    }
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
    acknowledged: AtomicU64,
    behind_ns_max: AtomicU64,
    late: Mutex<Histogram<u64>>,
}

/// How far a publisher has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages that the server's socket has taken.
    pub sent: u64,
    /// Messages that the server has acknowledged; over WebSocket there are none.
    pub acknowledged: u64,
    /// The most that the oldest message of a write was behind its time when the socket had taken
    /// it, since the last look, in nanoseconds.
    pub behind_ns_max: u64,
}

impl Gateway {
    /// Connects, and publishes.
    ///
    /// # Errors
    /// When the server is not reached or does not accept a connection.
    pub fn start(
        way: &Way,
        names: Vec<String>,
        source: Box<dyn Source>,
        rhythm: Rhythm,
    ) -> Result<Self> {
        ensure!(!names.is_empty(), "a publisher has a topic at least");
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            behind_ns_max: AtomicU64::new(0),
            late: Mutex::new(histogram()?),
        });
        let lines: Box<dyn Line> = match way {
            Way::Ingest(path) => Box::new(IngestLine::unix(path, names, &shared)?),
            Way::IngestTcp(address) => Box::new(IngestLine::tcp(*address, names, &shared)?),
            Way::Sockets(server) => Box::new(SocketLines::open(*server, &names)?),
        };
        let seen = Arc::clone(&shared);
        let thread = thread::spawn(move || publish(lines, source, rhythm, &seen));
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

    /// Stops, and waits until the server has acknowledged everything; says how much that was.
    ///
    /// # Errors
    /// As [`join`](Self::join), and when the server has not acknowledged all that it got, as over
    /// WebSocket.
    pub fn finish(self) -> Result<u64> {
        self.stop();
        let shared = Arc::clone(&self.shared);
        let (sent, _) = self.join()?;
        let acknowledged = shared.acknowledged.load(Ordering::Relaxed);
        ensure!(sent == acknowledged, "{acknowledged} of {sent} records were acknowledged");
        Ok(sent)
    }
}

fn publish(
    mut lines: Box<dyn Line>,
    mut source: Box<dyn Source>,
    rhythm: Rhythm,
    shared: &Shared,
) -> Result<()> {
    let Rhythm { starts_ns, rest } = rhythm;
    let (mut data, mut number, mut written_ns) = (Vec::new(), 0, 0);
    let mut next = source.next(&mut data);
    while let Some((offset_ns, _)) = next {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let oldest_ns = starts_ns + offset_ns;
        let wait = oldest_ns.saturating_sub(clock::now_ns());
        if wait > 0 {
            thread::sleep(Duration::from_nanos(wait).min(LOOK_EVERY).max(rest));
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
            lines.put(Stamp { due_ns, sequence: number }, place, source.key(), &data)?;
            if due_ns >= written_ns {
                late.saturating_record(now_ns - due_ns);
            }
            number += 1;
            next = source.next(&mut data);
        }
        drop(late);
        lines.write().wrap_err("the server takes no more messages")?;
        written_ns = clock::now_ns();
        let behind_ns = written_ns.saturating_sub(oldest_ns);
        shared.behind_ns_max.fetch_max(behind_ns, Ordering::Relaxed);
        shared.sent.store(number, Ordering::Relaxed);
    }
    lines.close()
}

/// Where messages go.
trait Line: Send {
    /// Takes a message for the next write.
    fn put(&mut self, stamp: Stamp, place: usize, key: Option<&[u8]>, data: &[u8]) -> Result<()>;
    /// Whether the next write may take more.
    fn has_room(&self) -> bool;
    /// Writes what was taken; waits until the server has read it.
    fn write(&mut self) -> Result<()>;
    /// Waits for the server's answers to the end.
    fn close(self: Box<Self>) -> Result<()>;
}

/// A write takes what is due up to about this much.
const WRITE_BYTES: usize = 64 << 10;
/// While nothing is due, whether to stop is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(20);
