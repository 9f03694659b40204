//! A publisher of its own thread, over the server's Unix socket.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use corecast_feed::ingest::{self, Decoder, Frame, Hello, Record, RecordKind};
use corecast_feed::limits::IngestLimits;
use eyre::{Result, WrapErr, bail, eyre};

use crate::clock;

/// Publishes at a fixed rate until it is stopped.
#[derive(Debug)]
pub(super) struct Publisher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64>>,
}

impl Publisher {
    /// Connects and begins.
    pub(super) fn start(socket: &Path, topic: &str, rate: f64, bytes: usize) -> Result<Self> {
        let stream = UnixStream::connect(socket).wrap_err("cannot reach the ingest socket")?;
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, topic) = (Arc::clone(&stop), topic.to_owned());
        let thread = thread::spawn(move || publish(stream, &topic, rate, bytes, &seen));
        Ok(Self { stop, thread })
    }

    /// Stops it; fails when the server has refused anything.
    pub(super) fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| eyre!("the publisher panicked"))?
    }
}

fn publish(
    mut stream: UnixStream,
    topic: &str,
    rate: f64,
    bytes: usize,
    stop: &AtomicBool,
) -> Result<u64> {
    let mut answers = stream.try_clone()?;
    let reader = thread::spawn(move || read(&mut answers));
    let mut out = Vec::new();
    let hello = Hello { version: ingest::VERSION, epoch: clock::now_ns(), name: "bench" };
    ingest::hello(&mut out, &hello)?;
    let (limits, started_ns, mut seq) = (IngestLimits::default(), clock::now_ns(), 0);
    while !stop.load(Ordering::Relaxed) {
        let due_ns = started_ns + (seq as f64 * 1e9 / rate) as u64;
        let wait = due_ns.saturating_sub(clock::now_ns());
        if wait > 0 {
            thread::sleep(Duration::from_nanos(wait));
        }
        seq += 1;
        let data = payload(seq, bytes);
        let (kind, key, ts_ns, binary) = (RecordKind::Message, None, None, None);
        let data = data.as_bytes();
        let record = Record { seq, kind, topic, key, ts_ns, data, binary };
        ingest::record(&mut out, &record, &limits)?;
        stream.write_all(&out).wrap_err("the server takes no more")?;
        out.clear();
    }
    stream.shutdown(Shutdown::Write)?;
    reader.join().map_err(|_| eyre!("the reader of acks panicked"))??;
    Ok(seq)
}

/// JSON of so many bytes.
fn payload(seq: u64, bytes: usize) -> String {
    let mut data = format!(r#"{{"number":{seq},"pad":""#);
    let pad = bytes.saturating_sub(data.len() + 2);
    data.extend(std::iter::repeat_n('x', pad));
    data.push_str(r#""}"#);
    data
}

/// Reads acks to the end.
fn read(stream: &mut UnixStream) -> Result<()> {
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
