//! Publishes the merged messages when they are due, and each book's snapshots between them.

use super::book::Keeper;
use super::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX};
use super::merge::{Merge, Record};
use super::pace::{Schedule, Speed, wait_until};
use super::progress::Progress;
use super::source::{OnBadLine, SourceError, Spec};
use super::topic::Topics;
use crate::clock;
use crate::control::Control;
use corecast::{PublishError, Publisher, Update, UpdateKind};
use std::collections::HashMap;
use std::time::Duration;

/// What is fed, how, and whereto.
#[derive(Debug)]
pub(crate) struct Feed<'a> {
    pub(crate) specs: &'a [Spec],
    pub(crate) on_bad: OnBadLine,
    pub(crate) speed: Speed,
    pub(crate) looped: bool,
    /// Messages of a book from one snapshot to the next; 0: only where the recording has one.
    pub(crate) snapshot_every: u32,
    pub(crate) publisher: Publisher,
    pub(crate) control: &'a Control,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Fed {
    /// Topics with their messages.
    pub(crate) topics: Topics,
    /// Bad lines that were skipped.
    pub(crate) skipped: u64,
    /// The most a message was late; nothing at full speed.
    pub(crate) lag_max: Duration,
    /// The part of the recording that was replayed, in recording time; of the last round.
    pub(crate) recorded: Duration,
    /// Snapshots of books that were published.
    pub(crate) snapshots: u64,
    /// Whether a signal, or the engine's end, cut it short.
    pub(crate) interrupted: bool,
    /// The topic of a message that the engine refused, and why.
    pub(crate) refused: Option<(String, PublishError)>,
    /// What was wrong with a file.
    pub(crate) error: Option<SourceError>,
}

/// Why a round ended.
enum Round {
    Whole,
    Interrupted,
    /// The engine does not take a message of this topic.
    Refused(String, PublishError),
}

impl Feed<'_> {
    /// Publishes everything, once or for ever, until a file is bad or the program is to end.
    pub(crate) fn run(&self, merge: Merge, progress: &Progress) -> Fed {
        let mut fed = Fed::default();
        let mut next = Some(merge);
        while let Some(mut merge) = next.take() {
            let published_before = merge.topics().total();
            let round = self.round(&mut merge, &mut fed, progress);
            fed.skipped += merge.skipped();
            let topics = merge.into_topics();
            // An empty recording again and again would only burn a core.
            let again = self.looped && topics.total() > published_before;
            match round {
                Ok(Round::Whole) if again => {
                    match Merge::open(self.specs, self.on_bad, topics) {
                        Ok(again) => next = Some(again),
                        Err(error) => fed.error = Some(error),
                    }
                    continue;
                }
                Ok(Round::Whole) => {}
                Ok(Round::Interrupted) => fed.interrupted = true,
                Ok(Round::Refused(topic, error)) => fed.refused = Some((topic, error)),
                Err(error) => fed.error = Some(error),
            }
            fed.topics = topics;
        }
        fed
    }

    fn round(
        &self,
        merge: &mut Merge,
        fed: &mut Fed,
        progress: &Progress,
    ) -> Result<Round, SourceError> {
        let mut first_ns = None;
        let mut schedule = None;
        let mut batch = Batch::default();
        // Of this round: in the next one the recording's numbers begin again.
        let mut books: HashMap<usize, Keeper> = HashMap::new();
        loop {
            // What is due does not wait for the next line, which may be long in coming. Where the
            // engine has ended, that is found again when something is published the next time.
            let record = match merge.next(&mut || drop(self.publish(&mut batch))) {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(error) => {
                    // What was good before it is published.
                    let _ = self.publish(&mut batch);
                    return Err(error);
                }
            };
            let first_ns = *first_ns.get_or_insert(record.position_ns);
            fed.recorded = Duration::from_nanos(record.position_ns - first_ns);
            if let Speed::Times(times) = self.speed {
                let schedule =
                    schedule.get_or_insert_with(|| Schedule::new(first_ns, times, clock::now()));
                let due = schedule.due(record.position_ns);
                // What is due goes off before it waits for what is not.
                if due > clock::now() && self.publish(&mut batch).is_err() {
                    return Ok(Round::Interrupted);
                }
                let lag = wait_until(due, || self.control.is_stopping());
                fed.lag_max = fed.lag_max.max(lag);
                progress.late(lag);
            }
            if self.control.is_stopping() {
                // What is counted is published, where there is room.
                let _ = self.publisher.update_all(&mut batch.updates);
                return Ok(Round::Interrupted);
            }
            let message = Update::new(record.topic_name, record.payload.to_owned());
            if let Err(error) = self.publisher.check(&message) {
                let _ = self.publish(&mut batch);
                return Ok(Round::Refused(record.topic_name.to_owned(), error));
            }
            let snapshot = is_book(record.topic_name).then(|| {
                let book = books.entry(record.topic).or_default();
                self.snapshot_after(&record, book)
            });
            let snapshot = snapshot.flatten();
            fed.snapshots += u64::from(snapshot.is_some());
            let topic = record.topic;
            merge.topics_mut().count(topic);
            for update in [Some(message), snapshot].into_iter().flatten() {
                if self.add(update, &mut batch).is_err() {
                    return Ok(Round::Interrupted);
                }
            }
            progress.published(fed.recorded, || merge.progress());
        }
        let published = self.publish(&mut batch);
        Ok(if published.is_ok() { Round::Whole } else { Round::Interrupted })
    }

    /// The book, where it should follow the message.
    fn snapshot_after(&self, record: &Record<'_>, book: &mut Keeper) -> Option<Update> {
        let topic = record.topic_name;
        let snapshot = match book.take(record.payload, self.snapshot_every) {
            Ok(due) => due.then(|| book.snapshot()).flatten(),
            Err(lost) => {
                tracing::warn!(topic, "no snapshots until the next whole book: {lost}");
                None
            }
        };
        let update = Update { kind: UpdateKind::Snapshot, ..Update::new(topic, snapshot?) };
        match self.publisher.check(&update) {
            Ok(()) => Some(update),
            Err(error) => {
                let bytes = update.data.len();
                tracing::warn!(topic, "a snapshot of {bytes} bytes is refused: {error}");
                None
            }
        }
    }

    /// Adds an update to a batch; what was in it goes off where both are too much.
    fn add(&self, update: Update, batch: &mut Batch) -> Result<(), Ended> {
        // At full speed what is ready for a message is not ready for more than this.
        let (updates_max, bytes_max) = self.publisher.paced_batch_max();
        let updates_max = BATCH_MESSAGES_MAX.min(updates_max).max(1);
        let bytes = update.bytes();
        if batch.bytes + bytes > BATCH_BYTES_MAX.min(bytes_max) {
            self.publish(batch)?;
        }
        batch.bytes += bytes;
        batch.updates.push(update);
        if batch.updates.len() < updates_max { Ok(()) } else { self.publish(batch) }
    }

    /// Publishes what is gathered, waiting for room as often as there is none; at full speed for
    /// the slowest lossless subscriber, too.
    fn publish(&self, batch: &mut Batch) -> Result<(), Ended> {
        while !batch.updates.is_empty() {
            if self.speed == Speed::Max {
                self.publisher.wait_ready();
            }
            match self.publisher.update_all(&mut batch.updates) {
                Ok(_) => {}
                Err(PublishError::Full) => {
                    self.publisher.wait_room_for(batch.updates.len(), batch.bytes);
                }
                Err(_) => return Err(Ended),
            }
        }
        batch.bytes = 0;
        Ok(())
    }
}

/// The engine has ended.
struct Ended;

/// What is to be published together.
#[derive(Debug, Default)]
struct Batch {
    updates: Vec<Update>,
    bytes: usize,
}

fn is_book(topic: &str) -> bool {
    topic.starts_with("book.")
}
