//! What publishers of other processes bring in passes here on its way to the shards: whatever can
//! be refused is refused before it is taken, with a reason for its sender.

use crate::take_over::Bequeathed;
use bytes::Bytes;
use corecast::{
    BatchReport, BatchReported, Payload, PublishError, PublishReport, Publisher, Reported, Update,
    UpdateError, UpdateKind,
};
use corecast_feed::ErrorCode;
use corecast_feed::json::{self, DataError};
use corecast_feed::limits::Limits;
use futures_util::FutureExt;
use futures_util::future::Map;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;

/// What takes updates: the engine's publisher, or a list in a test.
pub(crate) trait Sink: Clone + Send + Sync + 'static {
    /// What became of an update, later.
    type Reported: Future<Output = Outcome> + Send + Unpin + 'static;

    /// What a topic's payloads are; none: no namespace has it.
    fn payload(&self, topic: &str) -> Option<Payload>;

    /// Takes an update, without waiting, and reports what became of it. What one task gives arrives
    /// in its order.
    fn update_reported(&self, update: Update) -> Result<Self::Reported, PublishError>;

    /// What became of many updates, later.
    type AllReported: Future<Output = Settled> + Send + Unpin + 'static;

    /// Takes many updates together, all or none of them, and reports what became of each.
    fn update_all(&self, updates: &mut Vec<Update>) -> Result<Self::AllReported, PublishError>;

    /// Updates and bytes of them that are taken together at most.
    fn batch_max(&self) -> (usize, usize);

    /// Waits until there is room again after [`PublishError::Full`], for so many updates and bytes.
    fn room_for(&self, updates: usize, bytes: usize) -> impl Future<Output = ()> + Send;
}

/// What became of an update: its number and the counts of all shards, or why its topic's home did
/// not take it.
pub(crate) type Outcome = Result<Taken, Fault>;

/// What became of an update that was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Taken {
    /// Its number in its topic, of a snapshot that of the last message; none: a snapshot before
    /// all messages.
    pub(crate) seq: Option<u64>,
    /// Sockets whose queue took it.
    pub(crate) delivered: u64,
    /// Older unsent messages that it replaced.
    pub(crate) conflated: u64,
    /// Messages that a policy discarded on this occasion.
    pub(crate) dropped: u64,
}

/// What became of updates that were given together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Updates that their homes have taken or refused; the others' homes have ended before.
    pub(crate) dealt: usize,
    /// Those that were refused, by their places in what was given, rising.
    pub(crate) refused: Vec<(usize, Fault)>,
}

/// Checks updates and passes them on. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Intake<S> {
    sink: S,
    bequeathed: Bequeathed,
}

/// Why an update was not taken. Nothing of it was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Too much is pending: the same update may be taken later.
    Full,
    /// The program ends.
    Stopped,
    /// Another process has this one's place: the same update is taken there.
    Bequeathed,
    /// It would never be taken.
    Bad(Fault),
}

/// What is wrong with something that a publisher sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// A code of HTTP's; most are those of the feed protocol as well.
    pub(crate) code: u16,
    /// Which field, where one is to blame.
    pub(crate) field: Option<Cow<'static, str>>,
    /// What is wrong, and what would be right.
    pub(crate) message: String,
}

impl<S: Sink> Intake<S> {
    /// Passes on to `sink`, unless another process has the place.
    pub(crate) fn new(sink: S, bequeathed: Bequeathed) -> Self {
        Self { sink, bequeathed }
    }

    /// Publishes an update that was [`checked`](Self::checked), without waiting; what comes back
    /// tells later what became of it.
    ///
    /// # Errors
    ///
    /// Why it was not taken.
    pub(crate) fn update_reported(&self, update: Update) -> Result<S::Reported, Refusal> {
        self.is_ours()?;
        self.sink.update_reported(update).map_err(|error| refusal(&error))
    }

    /// Publishes updates that were [`checked`](Self::checked) together, all or none of them,
    /// without waiting; what comes back tells later what became of each.
    ///
    /// # Errors
    ///
    /// Why none was taken.
    pub(crate) fn update_all(&self, updates: &mut Vec<Update>) -> Result<S::AllReported, Refusal> {
        self.is_ours()?;
        self.sink.update_all(updates).map_err(|error| refusal(&error))
    }

    /// Whether another process has the place.
    pub(crate) fn bequeathed(&self) -> &Bequeathed {
        &self.bequeathed
    }

    fn is_ours(&self) -> Result<(), Refusal> {
        if self.bequeathed.is_set() { Err(Refusal::Bequeathed) } else { Ok(()) }
    }

    /// Updates and bytes of them that are taken together at most.
    pub(crate) fn batch_max(&self) -> (usize, usize) {
        self.sink.batch_max()
    }

    /// Waits until there is room again after [`Refusal::Full`], for so many updates and bytes.
    pub(crate) async fn room_for(&self, (updates, bytes): (usize, usize)) {
        self.sink.room_for(updates, bytes).await;
    }

    /// What takes the updates in a test.
    #[cfg(test)]
    pub(crate) fn sink(&self) -> &S {
        &self.sink
    }

    /// What a topic's payloads are; none: no namespace has it.
    pub(crate) fn payload(&self, topic: &str) -> Option<Payload> {
        self.sink.payload(topic)
    }

    /// JSON goes into the messages of others as it is: so it is checked, as data and as snapshot.
    /// Everything else the engine checks by itself.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn checked(&self, mut update: Update) -> Result<Update, Fault> {
        if self.sink.payload(&update.topic) == Some(Payload::Json) {
            let json = json::payload(&update.data, &Limits::default())
                .map_err(|error| Fault::new(code_of(&error), "data", &error))?;
            if json.len() < update.data.len() {
                update.data = update.data.slice_ref(json.as_bytes());
            }
        }
        Ok(update)
    }
}

impl Sink for Publisher {
    type Reported = Map<Reported, fn(PublishReport) -> Outcome>;

    fn payload(&self, topic: &str) -> Option<Payload> {
        self.namespaces().find(topic).map(|namespace| namespace.payload)
    }

    fn update_reported(&self, update: Update) -> Result<Self::Reported, PublishError> {
        let is_message = update.kind == UpdateKind::Message;
        let outcome: fn(PublishReport) -> Outcome =
            if is_message { message_outcome } else { outcome_of };
        Ok(self.update_reported(update)?.map(outcome))
    }

    type AllReported = Map<BatchReported, fn(BatchReport) -> Settled>;

    fn update_all(&self, updates: &mut Vec<Update>) -> Result<Self::AllReported, PublishError> {
        let settled: fn(BatchReport) -> Settled = settled_of;
        Ok(self.update_all(updates)?.map(settled))
    }

    fn batch_max(&self) -> (usize, usize) {
        self.batch_max()
    }

    fn room_for(&self, updates: usize, bytes: usize) -> impl Future<Output = ()> + Send {
        self.room_for(updates, bytes)
    }
}

fn settled_of(report: BatchReport) -> Settled {
    let BatchReport { dealt, refused } = report;
    let refused = refused.iter().map(|(place, error)| (*place as usize, update_fault(error)));
    Settled { dealt, refused: refused.collect() }
}

/// What only the home could know is a fault of the update like any other.
fn outcome_of(report: PublishReport) -> Outcome {
    let PublishReport { seq, delivered, conflated, dropped, refused } = report;
    match refused {
        Some(error) => Err(update_fault(&error)),
        None => Ok(Taken { seq, delivered, conflated, dropped }),
    }
}

/// A message that was taken has a number: without one its home has ended.
fn message_outcome(report: PublishReport) -> Outcome {
    let taken = outcome_of(report)?;
    if taken.seq.is_none() {
        return Err(Fault::whole(503, "the server is ending"));
    }
    Ok(taken)
}

impl Fault {
    pub(crate) fn new(
        code: ErrorCode,
        field: impl Into<Cow<'static, str>>,
        message: impl fmt::Display,
    ) -> Self {
        Self { code: code.code(), field: Some(field.into()), message: message.to_string() }
    }

    /// Something that is wrong as a whole.
    pub(crate) fn whole(code: u16, message: impl Into<String>) -> Self {
        Self { code, field: None, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Bad(fault)
    }
}

fn refusal(error: &PublishError) -> Refusal {
    let (code, field) = match error {
        PublishError::Full => return Refusal::Full,
        PublishError::Stopped => return Refusal::Stopped,
        PublishError::TooLarge { .. } => (ErrorCode::TooLarge, "data"),
        PublishError::Update(update) => return update_fault(update).into(),
        // A name that is no topic.
        _ => (ErrorCode::Malformed, "topic"),
    };
    Fault::new(code, field, error).into()
}

fn update_fault(error: &UpdateError) -> Fault {
    let (code, field) = match error {
        UpdateError::Unknown => (ErrorCode::NotFound, "topic"),
        UpdateError::TooLarge { .. } | UpdateError::KeysFull => (ErrorCode::TooLarge, "data"),
        UpdateError::KeyTooLong { .. } => (ErrorCode::TooLarge, "key"),
        UpdateError::NotSupported => (ErrorCode::Unsupported, "snapshot"),
        UpdateError::Full(_) => (ErrorCode::TooMany, "topic"),
        // A name that is none, or a conflated variant of one.
        _ => (ErrorCode::Malformed, "topic"),
    };
    Fault::new(code, field, error)
}

fn code_of(error: &DataError) -> ErrorCode {
    match error {
        DataError::Depth { .. } => ErrorCode::TooLarge,
        _ => ErrorCode::Malformed,
    }
}

/// A payload that shares no memory with what it was read with: a short one that is kept for long
/// must not keep all of that.
pub(crate) fn own(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::mpsc;

    /// Keeps what it takes, in order, up to a bound. Topics of `blob` are binary, those of `none`
    /// unknown, all others JSON.
    #[derive(Clone, Debug)]
    pub(crate) struct Kept {
        taken: mpsc::UnboundedSender<Update>,
        room: Arc<AtomicUsize>,
        seq: Arc<AtomicUsize>,
    }

    impl Kept {
        /// A sink with room for so many updates, and what it takes.
        pub(crate) fn with_room(room: usize) -> (Self, mpsc::UnboundedReceiver<Update>) {
            let (taken, updates) = mpsc::unbounded_channel();
            (Self { taken, room: Arc::new(AtomicUsize::new(room)), seq: Arc::default() }, updates)
        }

        /// Makes room for more.
        pub(crate) fn make_room(&self, more: usize) {
            self.room.fetch_add(more, Ordering::SeqCst);
        }
    }

    impl Sink for Kept {
        type Reported = std::future::Ready<Outcome>;

        fn payload(&self, topic: &str) -> Option<Payload> {
            match topic.split('.').next() {
                Some("blob") => Some(Payload::Binary),
                Some("none") => None,
                _ => Some(Payload::Json),
            }
        }

        fn update_reported(&self, update: Update) -> Result<Self::Reported, PublishError> {
            if self.payload(&update.topic).is_none() {
                return Err(UpdateError::Unknown.into());
            }
            let take = |room: usize| room.checked_sub(1);
            let ordering = Ordering::SeqCst;
            self.room.fetch_update(ordering, ordering, take).map_err(|_| PublishError::Full)?;
            self.taken.send(update).map_err(|_| PublishError::Stopped)?;
            let seq = self.seq.fetch_add(1, Ordering::SeqCst) as u64 + 1;
            Ok(std::future::ready(Ok(Taken { seq: Some(seq), ..Taken::default() })))
        }

        type AllReported = std::future::Ready<Settled>;

        fn update_all(&self, updates: &mut Vec<Update>) -> Result<Self::AllReported, PublishError> {
            if self.room.load(Ordering::SeqCst) < updates.len() {
                return Err(PublishError::Full);
            }
            let mut settled = Settled { dealt: updates.len(), ..Settled::default() };
            for (place, update) in updates.drain(..).enumerate() {
                if let Err(PublishError::Update(error)) = self.update_reported(update) {
                    settled.refused.push((place, update_fault(&error)));
                }
            }
            Ok(std::future::ready(settled))
        }

        fn batch_max(&self) -> (usize, usize) {
            (usize::MAX, usize::MAX)
        }

        async fn room_for(&self, _: usize, _: usize) {
            while self.room.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn publish(intake: &Intake<Kept>, update: Update) -> Result<(), Refusal> {
        intake.update_reported(intake.checked(update)?).map(drop)
    }

    fn refused(update: Update) -> Fault {
        let (sink, _updates) = Kept::with_room(1);
        match publish(&Intake::new(sink, Bequeathed::default()), update) {
            Err(Refusal::Bad(fault)) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let fault = refused(Update::new("none.X", "1"));
        assert_eq!((fault.code, fault.field.as_deref()), (404, Some("topic")), "{fault}");
        let deep = "[".repeat(65) + &"]".repeat(65);
        let texts = [&b"{\"a\":"[..], b"", b"1 2", b"\"\xff\"", deep.as_bytes()];
        for (data, code) in texts.into_iter().zip([400, 400, 400, 400, 413]) {
            let fault = refused(Update::new("quote.X", data.to_vec()));
            assert_eq!((fault.code, fault.field.as_deref()), (code, Some("data")), "{fault}");
        }
    }

    #[test]
    fn every_error_of_the_engine_has_its_code_and_field() {
        for (error, code, field) in [
            (PublishError::Update(UpdateError::Variant), 400, "topic"),
            (PublishError::Update(UpdateError::NotSupported), 405, "snapshot"),
            (PublishError::Update(UpdateError::KeyTooLong { bytes: 300 }), 413, "key"),
            (PublishError::Update(UpdateError::TooLarge { bytes: 2, bytes_max: 1 }), 413, "data"),
            (PublishError::TooLarge { bytes: 2, bytes_max: 1 }, 413, "data"),
            (PublishError::Topic(corecast::TopicError::Empty), 400, "topic"),
        ] {
            let Refusal::Bad(fault) = refusal(&error) else { panic!("it will never be taken") };
            assert_eq!((fault.code, fault.field.as_deref()), (code, Some(field)), "{fault}");
        }
        assert_eq!(refusal(&PublishError::Full), Refusal::Full);
        assert_eq!(refusal(&PublishError::Stopped), Refusal::Stopped);
    }

    #[test]
    fn json_loses_the_space_around_it_and_bytes_lose_nothing() {
        let (sink, mut updates) = Kept::with_room(2);
        let intake = Intake::new(sink, Bequeathed::default());
        assert_eq!(publish(&intake, Update::new("quote.X", " { \"a\": 1 }\r\n")), Ok(()));
        assert_eq!(updates.try_recv().expect("taken").data, "{ \"a\": 1 }");
        assert_eq!(publish(&intake, Update::new("blob.X", b" \xff\n".to_vec())), Ok(()));
        assert_eq!(updates.try_recv().expect("taken").data, &b" \xff\n"[..]);
    }

    #[test]
    fn a_full_sink_takes_the_same_update_later() {
        let (sink, _updates) = Kept::with_room(0);
        let intake = Intake::new(sink.clone(), Bequeathed::default());
        assert_eq!(publish(&intake, Update::new("quote.X", "1")), Err(Refusal::Full));
        sink.make_room(1);
        assert_eq!(publish(&intake, Update::new("quote.X", "1")), Ok(()));
    }

    #[test]
    fn nothing_is_taken_while_another_process_has_the_place() {
        let (sink, mut updates) = Kept::with_room(2);
        let bequeathed = Bequeathed::default();
        let intake = Intake::new(sink, bequeathed.clone());
        bequeathed.set(true);
        assert_eq!(publish(&intake, Update::new("quote.X", "1")), Err(Refusal::Bequeathed));
        let mut all = vec![Update::new("quote.X", "1")];
        assert_eq!(intake.update_all(&mut all).err(), Some(Refusal::Bequeathed));
        updates.try_recv().expect_err("nothing was published");
        bequeathed.set(false);
        assert_eq!(publish(&intake, Update::new("quote.X", "1")), Ok(()));
    }
}
