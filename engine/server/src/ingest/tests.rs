//! What a publisher hears when homes answer late, or never.

use super::publishers::Publishers;
use super::{Shared, connection};
use crate::intake::{Intake, Outcome, Settled, Sink, Taken};
use crate::secrets::Secrets;
use crate::take_over::Bequeathed;
use corecast::{Payload, PublishError, Update};
use corecast_feed::ingest::{self, Decoder, Frame, Hello, Record, RecordKind};
use corecast_feed::limits::IngestLimits;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

/// Takes what it is given and answers when the test does.
#[derive(Clone, Debug)]
struct Late {
    given: mpsc::UnboundedSender<Given>,
    /// So many more times it is found full.
    full: Arc<AtomicUsize>,
    /// How often it was asked what a topic's payloads are.
    asked: Arc<AtomicUsize>,
}

/// The number of updates of a batch, and where to say what became of them.
type Given = (usize, oneshot::Sender<Settled>);

impl Sink for Late {
    type Reported = std::future::Ready<Outcome>;
    type AllReported = Pin<Box<dyn Future<Output = Settled> + Send>>;

    fn payload(&self, _: &str) -> Option<Payload> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Some(Payload::Json)
    }

    fn update_reported(&self, _: Update) -> Result<Self::Reported, PublishError> {
        Ok(std::future::ready(Ok(Taken::default())))
    }

    fn update_all(&self, updates: &mut Vec<Update>) -> Result<Self::AllReported, PublishError> {
        let less = |full: usize| full.checked_sub(1);
        if self.full.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Err(PublishError::Full);
        }
        let (settle, settled) = oneshot::channel();
        self.given.send((updates.len(), settle)).map_err(|_| PublishError::Stopped)?;
        updates.clear();
        Ok(Box::pin(async { settled.await.unwrap_or_default() }))
    }

    fn batch_max(&self) -> (usize, usize) {
        (usize::MAX, usize::MAX)
    }

    async fn room_for(&self, updates: usize, bytes: usize) {
        assert!(updates > 0 && bytes > 0, "it is said for how much");
        tokio::task::yield_now().await;
    }
}

/// A server with one sink.
struct Server {
    shared: Arc<Shared<Late>>,
    stopping: watch::Sender<bool>,
    given: mpsc::UnboundedReceiver<Given>,
}

impl Server {
    fn new() -> Self {
        let (sender, given) = mpsc::unbounded_channel();
        let sink = Late { given: sender, full: Arc::default(), asked: Arc::default() };
        let shared = Arc::new(Shared {
            intake: Intake::new(sink, Bequeathed::default()),
            pass: Secrets::default(),
            limits: IngestLimits::default(),
            publishers: Arc::new(Publishers::new(4)),
            places: Arc::new(Semaphore::new(4)),
        });
        Self { shared, stopping: watch::Sender::new(false), given }
    }

    /// A connection that has said hello.
    async fn connect(&self) -> Client {
        let (ours, theirs) = duplex(64 * 1024);
        let (shared, stopping) = (Arc::clone(&self.shared), self.stopping.subscribe());
        tokio::spawn(async move { connection::serve(theirs, "test", shared, stopping).await });
        let mut client =
            Client { stream: ours, decoder: Decoder::new(IngestLimits::default()), said: vec![] };
        let mut bytes = Vec::new();
        let hello = Hello { version: ingest::VERSION, epoch: 7, name: "a", token: None };
        ingest::hello(&mut bytes, &hello).expect("a hello");
        client.stream.write_all(&bytes).await.expect("it listens");
        client
    }

    /// The next batch.
    async fn given(&mut self) -> Given {
        timeout(WITHIN, self.given.recv()).await.expect("in time").expect("the sink lives")
    }
}

struct Client {
    stream: DuplexStream,
    decoder: Decoder,
    said: Vec<Said>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Ack(u64),
    Error { seq: u64, code: u16 },
    End,
}

impl Client {
    async fn publish(&mut self, seq: u64) {
        let (kind, topic, data) = (RecordKind::Message, "trade.X", &b"1"[..]);
        let record = Record { seq, kind, topic, key: None, ts_ns: None, data, binary: None };
        let mut bytes = Vec::new();
        ingest::record(&mut bytes, &record, &IngestLimits::default()).expect("a record");
        self.stream.write_all(&bytes).await.expect("it listens");
    }

    /// What the server says next; none: nothing for a while.
    async fn hear(&mut self, within: Duration) -> Option<Said> {
        timeout(within, self.next()).await.ok()
    }

    async fn next(&mut self) -> Said {
        loop {
            let said = match self.decoder.next().expect("a frame") {
                Some(Frame::Ack(ack)) => Some(Said::Ack(ack.seq)),
                Some(Frame::Error(no)) => Some(Said::Error { seq: no.seq, code: no.code }),
                Some(other) => panic!("{other:?} from a server"),
                None => None,
            };
            if let Some(said) = said {
                self.said.push(said);
                return said;
            }
            let mut bytes = [0; 1_024];
            match self.stream.read(&mut bytes).await.expect("it speaks") {
                0 => return Said::End,
                read => self.decoder.feed(&bytes[..read]),
            }
        }
    }
}

const WITHIN: Duration = Duration::from_secs(10);
const WHILE: Duration = Duration::from_millis(100);
const ENDED: Option<Said> = Some(Said::Error { seq: 0, code: 503 });

fn dealt(dealt: usize) -> Settled {
    Settled { dealt, refused: Vec::new() }
}

/// A publisher has sent its first record, and its home has not answered.
async fn one_record_on_its_way() -> (Server, Client, oneshot::Sender<Settled>) {
    let mut server = Server::new();
    let mut first = server.connect().await;
    assert_eq!(first.hear(WITHIN).await, Some(Said::Ack(0)));
    first.publish(1).await;
    let (1, settle) = server.given().await else { panic!("one record") };
    (server, first, settle)
}

#[tokio::test]
async fn a_hello_counts_what_homes_have_taken_and_waits_for_the_rest() {
    let (server, first, settle) = one_record_on_its_way().await;
    drop(first);
    let mut second = server.connect().await;
    assert_eq!(second.hear(WHILE).await, None, "nobody knows yet what became of record 1");
    settle.send(dealt(1)).expect("somebody waits");
    assert_eq!(second.hear(WITHIN).await, Some(Said::Ack(1)));
}

#[tokio::test]
async fn a_hello_does_not_count_what_was_lost_with_its_home() {
    let (server, mut first, settle) = one_record_on_its_way().await;
    let mut second = server.connect().await;
    settle.send(dealt(0)).expect("somebody waits");
    assert_eq!(second.hear(WITHIN).await, ENDED);
    assert_eq!(second.hear(WITHIN).await, Some(Said::End));
    let mut third = server.connect().await;
    assert_eq!(third.hear(WITHIN).await, ENDED, "nor later");
    while first.hear(WITHIN).await != Some(Said::End) {}
    assert!(!first.said.contains(&Said::Ack(1)), "{:?}", first.said);
}

#[tokio::test]
async fn what_comes_behind_a_lost_record_does_not_acknowledge_it() {
    let mut server = Server::new();
    let mut client = server.connect().await;
    assert_eq!(client.hear(WITHIN).await, Some(Said::Ack(0)));
    client.publish(1).await;
    let (1, lost) = server.given().await else { panic!("one record") };
    client.publish(2).await;
    let (1, taken) = server.given().await else { panic!("one record") };
    taken.send(dealt(1)).expect("somebody waits");
    lost.send(dealt(0)).expect("somebody waits");
    assert_eq!(client.hear(WITHIN).await, ENDED, "and no ack of 2, which would be one of 1");
    assert_eq!(client.hear(WITHIN).await, Some(Said::End));
}

#[tokio::test]
async fn what_finds_no_room_is_checked_once() {
    let mut server = Server::new();
    let sink = server.shared.intake.sink();
    sink.full.store(50, Ordering::SeqCst);
    let mut client = server.connect().await;
    for seq in 1..=3 {
        client.publish(seq).await;
    }
    let mut given = 0;
    while given < 3 {
        let (records, settle) = server.given().await;
        settle.send(dealt(records)).expect("somebody waits");
        given += records;
    }
    let sink = server.shared.intake.sink();
    assert_eq!(sink.full.load(Ordering::SeqCst), 0);
    assert_eq!(sink.asked.load(Ordering::SeqCst), 3, "each record was looked at once");
    while client.hear(WITHIN).await != Some(Said::Ack(3)) {}
}
