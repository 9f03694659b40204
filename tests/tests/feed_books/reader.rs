//! One client that keeps books as the protocol says, is cut, comes back, and reads slowly. It
//! fails at the first thing that the protocol does not allow.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast_feed::Subprotocol;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use serde_json::{Value, json};

use crate::book::{Book, Print};
use crate::client::{Connection, Data, Told};
use crate::random::Random;

/// The messages of one topic, as they were recorded: the n-th has number n.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) topic: String,
    pub(crate) messages: Vec<Box<[u8]>>,
    /// The number of the whole book.
    pub(crate) whole: u64,
}

/// What happened to a reader, or to all of them.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) messages: u64,
    pub(crate) joins: u64,
    pub(crate) cuts: u64,
    pub(crate) stalls: u64,
    /// Times that a place to go on from was named, and times that it was granted.
    pub(crate) resumes: (u64, u64),
    pub(crate) gaps: u64,
    pub(crate) snapshots: u64,
    /// Snapshots that were older than the book.
    pub(crate) went_back: u64,
}

/// A book at some point: the topic's index, the number of the last message, and its print.
pub(crate) type Point = (usize, u64, Print);

/// How a reader behaves.
#[derive(Debug)]
pub(crate) struct Habits {
    pub(crate) protocol: Subprotocol,
    /// Of what is recorded: those that it subscribes to.
    pub(crate) topics: Vec<usize>,
    pub(crate) starts_after: Duration,
    /// Its receive buffer is small, and its stalls are long.
    pub(crate) is_slow: bool,
    pub(crate) seed: u64,
}

/// The reader.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    server: SocketAddr,
    over: &'a AtomicBool,
    habits: Habits,
    random: Random,
    epoch: Option<String>,
    topics: Vec<Topic<'a>>,
    points: Vec<Point>,
    tally: Tally,
}

/// One topic of a reader.
#[derive(Debug)]
struct Topic<'a> {
    index: usize,
    recorded: &'a Recorded,
    /// Empty until the first snapshot, and from a gap to the next.
    book: Option<Book>,
    /// The number of the next message; none while there is no subscription.
    next: Option<u64>,
    /// The number to go on from that was named when the connection was made.
    resumes_from: Option<u64>,
    /// The next that is told of this topic must be a snapshot.
    needs_snapshot: bool,
}

/// How a connection ended.
enum End {
    Cut,
    Over,
}

/// Once in so many messages the book is compared.
const POINT_ONE_IN: u64 = 40;
const SMALL_BUFFER_BYTES: usize = 16 * 1024;

impl<'a> Reader<'a> {
    /// A reader of these recorded topics.
    pub(crate) fn new(
        server: SocketAddr,
        recorded: &'a [Recorded],
        habits: Habits,
        over: &'a AtomicBool,
    ) -> Self {
        let topics = habits.topics.iter().map(|&index| {
            let recorded = &recorded[index];
            let (book, next, resumes_from) = (None, None, None);
            Topic { index, recorded, book, next, resumes_from, needs_snapshot: false }
        });
        let (topics, random) = (topics.collect(), Random::new(habits.seed));
        let (epoch, points, tally) = (None, Vec::new(), Tally::default());
        Self { server, over, habits, random, epoch, topics, points, tally }
    }

    /// Reads until the replay is over.
    pub(crate) fn run(mut self) -> Result<(Vec<Point>, Tally)> {
        thread::sleep(self.habits.starts_after);
        while let Some(client) = self.connect()? {
            match self.follow(client).wrap_err_with(|| format!("{:?}", self.habits))? {
                End::Over => break,
                End::Cut => {
                    self.tally.cuts += 1;
                    thread::sleep(Duration::from_millis(self.random.below(700)));
                }
            }
        }
        Ok((self.points, self.tally))
    }

    /// None when the replay is over.
    fn connect(&mut self) -> Result<Option<Connection>> {
        let Habits { protocol, is_slow, .. } = self.habits;
        let buffer_bytes = is_slow.then_some(SMALL_BUFFER_BYTES);
        let mut client = match Connection::open(self.server, protocol, buffer_bytes) {
            Ok(client) => client,
            Err(error) => {
                let until = Instant::now() + Duration::from_secs(10);
                while !self.over.load(Ordering::Relaxed) {
                    ensure!(Instant::now() < until, "cannot connect: {error:#}");
                    thread::sleep(Duration::from_millis(50));
                }
                return Ok(None);
            }
        };
        let known = self.epoch.get_or_insert_with(|| client.epoch().to_owned());
        ensure!(known == client.epoch(), "the epoch changed while the server ran");
        client.send(&self.subscribe())?;
        self.tally.joins += 1;
        Ok(Some(client))
    }

    /// Goes on where a book is, and begins afresh where there is none. Now and then it comes back
    /// with the epoch of another server.
    fn subscribe(&mut self) -> Value {
        let is_stale = self.random.one_in(8);
        let mut seqs = serde_json::Map::new();
        for topic in &mut self.topics {
            let last = topic.next.take().map(|next| next - 1).filter(|_| topic.book.is_some());
            if let Some(last) = last {
                seqs.insert(topic.recorded.topic.clone(), json!(last));
            }
            topic.resumes_from = last.filter(|_| !is_stale);
        }
        let topics: Vec<_> = self.topics.iter().map(|topic| &topic.recorded.topic).collect();
        let mut command = json!({"type": "subscribe", "topics": topics});
        self.tally.resumes.0 += seqs.len() as u64;
        if !seqs.is_empty() {
            let epoch = if is_stale { Some("2a") } else { self.epoch.as_deref() };
            command["resume"] = json!({"epoch": epoch, "seq": seqs});
        }
        command
    }

    /// Reads until the plan says to cut the connection, or the server ends it.
    fn follow(&mut self, mut client: Connection) -> Result<End> {
        let lives = Duration::from_millis(self.random.within(200, 8_000));
        let cut_at = Instant::now() + lives;
        let (between, stall) = if self.habits.is_slow {
            ((300, 2_000), (1_000, 4_000))
        } else {
            ((1_000, 6_000), (50, 1_000))
        };
        let mut stall_at = Instant::now() + self.milliseconds(between);
        loop {
            let told = client.told()?;
            if let Told::Closed(close) = told {
                return self.closed(close.as_ref());
            }
            self.told(told)?;
            // After an exchange that is half done, a client knows nothing to go on from.
            let now = Instant::now();
            if now >= cut_at {
                client.cut(self.random.one_in(2))?;
                return Ok(End::Cut);
            }
            if now >= stall_at {
                self.tally.stalls += 1;
                thread::sleep(self.milliseconds(stall));
                stall_at = Instant::now() + self.milliseconds(between);
            }
        }
    }

    fn milliseconds(&mut self, (from, to): (u64, u64)) -> Duration {
        Duration::from_millis(self.random.within(from, to))
    }

    /// Only the end of the replay may end a connection, and only when everything was told.
    fn closed(&mut self, close: Option<&(u16, String)>) -> Result<End> {
        let code = close.map(|(code, _)| *code);
        ensure!(code == Some(1001), "the server ended the connection: {close:?}");
        self.over.store(true, Ordering::Relaxed);
        for topic in &self.topics {
            let Some(next) = topic.next else { continue };
            let (name, all) = (&topic.recorded.topic, topic.recorded.messages.len() as u64);
            ensure!(next == all + 1, "{name}: over at {} of {all} messages", next - 1);
            let book = topic.book.as_ref().ok_or_else(|| eyre!("{name}: no book at the end"))?;
            self.points.push((topic.index, all, book.print()));
        }
        Ok(End::Over)
    }

    fn told(&mut self, told: Told) -> Result<()> {
        match told {
            Told::Event(event) => self.event(&event),
            Told::Snapshot(data) => {
                self.tally.snapshots += 1;
                self.tally.went_back += u64::from(self.topic(&data.topic)?.snapshot(&data)?);
                Ok(())
            }
            Told::Gap { topic, from, to } => {
                self.tally.gaps += 1;
                self.topic(&topic)?.gap(from, to)
            }
            Told::Message(data) => {
                self.tally.messages += 1;
                let is_point = self.random.one_in(POINT_ONE_IN);
                let topic = self.topic(&data.topic)?;
                topic.message(&data)?;
                let (index, print) = (topic.index, topic.book.as_ref().map(Book::print));
                self.points
                    .extend(print.filter(|_| is_point).map(|print| (index, data.seq, print)));
                Ok(())
            }
            Told::Closed(_) => bail!("the end is no event"),
        }
    }

    fn event(&mut self, event: &Value) -> Result<()> {
        match event["type"].as_str() {
            Some("subscribed") => {
                ensure!(event["errors"] == json!([]), "{event}");
                for granted in event["ok"].as_array().into_iter().flatten() {
                    let name = granted["topic"].as_str().unwrap_or_default();
                    let resumed = granted["resumed"] == true;
                    self.tally.resumes.1 += u64::from(resumed);
                    self.topic(name)?
                        .granted(granted, resumed)
                        .wrap_err_with(|| event.to_string())?;
                }
                Ok(())
            }
            Some("heartbeat" | "going_away" | "stream_state") => Ok(()),
            _ => bail!("an unexpected event: {event}"),
        }
    }

    fn topic(&mut self, name: &str) -> Result<&mut Topic<'a>> {
        let topic = self.topics.iter_mut().find(|topic| topic.recorded.topic == name);
        topic.ok_or_else(|| eyre!("told of {name:?}, which was not asked for"))
    }
}

impl Topic<'_> {
    fn granted(&mut self, granted: &Value, resumed: bool) -> Result<()> {
        ensure!(self.next.is_none(), "granted twice");
        let policy = &granted["policy"];
        ensure!(policy == "lossless:snapshot", "a book's policy is {policy}");
        let seq = granted["seq"].as_u64().ok_or_else(|| eyre!("no seq"))?;
        if resumed {
            let last = self.resumes_from.ok_or_else(|| eyre!("resumed from nowhere"))?;
            self.next = Some(last + 1);
            return Ok(());
        }
        self.book = None;
        self.next = Some(seq + 1);
        // Before the recording's whole book there is nothing to begin with.
        self.needs_snapshot = granted["snapshot"] != false && seq > 0;
        ensure!(self.needs_snapshot || seq < self.recorded.whole, "there must be a snapshot");
        Ok(())
    }

    /// Begins again with what the snapshot says. True when that is older than what was there: a
    /// slow reader's queue was discarded, and the messages in it and some before come again.
    fn snapshot(&mut self, data: &Data) -> Result<bool> {
        let Data { topic, seq, data, .. } = data;
        let next = self.next.ok_or_else(|| eyre!("{topic}: a snapshot before the answer"))?;
        let went_back = !self.needs_snapshot && *seq + 1 < next;
        self.book = Some(Book::whole(&serde_json::from_slice(data)?)?);
        (self.next, self.needs_snapshot) = (Some(seq + 1), false);
        Ok(went_back)
    }

    fn message(&mut self, data: &Data) -> Result<()> {
        let Data { topic, seq, data, .. } = data;
        ensure!(!self.needs_snapshot, "{topic}: message {seq} instead of a snapshot");
        ensure!(self.next == Some(*seq), "{topic}: {seq} instead of {:?}", self.next);
        self.next = Some(seq + 1);
        let recorded = &self.recorded.messages[*seq as usize - 1];
        ensure!(**recorded == **data, "{topic}: message {seq} is not as recorded");
        if let Some(book) = &mut self.book {
            let message: Value = serde_json::from_slice(data)?;
            // A whole book is followed by the publisher's own, for whoever had none.
            if message.get("stream").is_some() {
                book.change(&message["data"])?;
            }
        }
        Ok(())
    }

    fn gap(&mut self, from: u64, to: u64) -> Result<()> {
        let topic = &self.recorded.topic;
        let next = self.next.ok_or_else(|| eyre!("{topic}: a gap before the answer"))?;
        // Where a slow reader's queue was discarded and what its snapshot repeats is lost as well,
        // the gap begins with the repetition. It never leaves out a message that did not come.
        ensure!(from <= next && next <= to, "{topic}: a gap {from} to {to}, {next} was next");
        self.book = None;
        (self.next, self.needs_snapshot) = (Some(to + 1), to >= self.recorded.whole);
        Ok(())
    }
}
