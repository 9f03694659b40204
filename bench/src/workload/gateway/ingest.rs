//! Records over corecast's framed ingest.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use corecast_feed::ingest::{self, Decoder, Frame, Hello, Record, RecordKind};
use corecast_feed::limits::IngestLimits;
use eyre::{Result, WrapErr, bail, eyre};

use super::{Line, Shared, WRITE_BYTES};
use crate::clock;
use crate::stamp::Stamp;

/// A publisher's connection. What the server answers is read on a thread of its own.
pub(super) struct IngestLine {
    writer: Box<dyn Write + Send>,
    /// Says that nothing more comes.
    end: Box<dyn FnOnce() -> io::Result<()> + Send>,
    topics: Vec<String>,
    limits: IngestLimits,
    out: Vec<u8>,
    answers: Option<JoinHandle<Result<()>>>,
}

impl IngestLine {
    pub(super) fn unix(path: &Path, topics: Vec<String>, shared: &Arc<Shared>) -> Result<Self> {
        let stream = UnixStream::connect(path).wrap_err("cannot reach the ingest socket")?;
        let (reader, last) = (stream.try_clone()?, stream.try_clone()?);
        let end = Box::new(move || last.shutdown(Shutdown::Write));
        Self::open(Box::new(stream), reader, end, topics, shared)
    }

    pub(super) fn tcp(to: SocketAddr, topics: Vec<String>, shared: &Arc<Shared>) -> Result<Self> {
        let stream = TcpStream::connect(to).wrap_err("cannot reach the port for ingest")?;
        stream.set_nodelay(true)?;
        let (reader, last) = (stream.try_clone()?, stream.try_clone()?);
        let end = Box::new(move || last.shutdown(Shutdown::Write));
        Self::open(Box::new(stream), reader, end, topics, shared)
    }

    fn open(
        writer: Box<dyn Write + Send>,
        mut reader: impl Read + Send + 'static,
        end: Box<dyn FnOnce() -> io::Result<()> + Send>,
        topics: Vec<String>,
        shared: &Arc<Shared>,
    ) -> Result<Self> {
        let shared = Arc::clone(shared);
        let answers = thread::spawn(move || read_answers(&mut reader, &shared));
        let mut out = Vec::with_capacity(WRITE_BYTES);
        let hello =
            Hello { version: ingest::VERSION, epoch: clock::now_ns(), name: "bench", token: None };
        ingest::hello(&mut out, &hello)?;
        let limits = IngestLimits::default();
        Ok(Self { writer, end, topics, limits, out, answers: Some(answers) })
    }
}

impl Line for IngestLine {
    fn put(&mut self, stamp: Stamp, place: usize, key: Option<&[u8]>, data: &[u8]) -> Result<()> {
        let record = Record {
            seq: stamp.sequence + 1,
            kind: RecordKind::Message,
            topic: &self.topics[place],
            key,
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
        let is_over = self.answers.as_ref().is_none_or(JoinHandle::is_finished);
        let written = self.writer.write_all(&self.out);
        if is_over || written.is_err() {
            // Why it takes no more, the server has said before it closed.
            last_word(self.answers.take())?;
            written?;
            bail!("the server has closed the ingest connection");
        }
        self.out.clear();
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        let Self { end, answers, .. } = *self;
        let ended = end();
        last_word(answers)?;
        Ok(ended?)
    }
}

/// Waits for the server's last word: an error where it refused something.
fn last_word(answers: Option<JoinHandle<Result<()>>>) -> Result<()> {
    let Some(answers) = answers else { return Ok(()) };
    answers.join().map_err(|_| eyre!("the reader of answers panicked"))?
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
