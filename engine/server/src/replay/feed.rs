//! Publishes the merged messages when they are due.

use super::merge::Merge;
use super::pace::{Schedule, Speed, wait_until};
use super::progress::Progress;
use super::source::{OnBadLine, SourceError, Spec};
use super::topic::Topics;
use crate::clock;
use crate::control::Control;
use corecast::{Frame, PublishError, Publisher};
use std::time::Duration;

/// What is fed, how, and whereto.
#[derive(Debug)]
pub(crate) struct Feed<'a> {
    pub(crate) specs: &'a [Spec],
    pub(crate) on_bad: OnBadLine,
    pub(crate) speed: Speed,
    pub(crate) looped: bool,
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
    /// Whether a signal, or the engine's end, cut it short.
    pub(crate) interrupted: bool,
    /// What was wrong with a file.
    pub(crate) error: Option<SourceError>,
}

/// Why a round ended.
enum Round {
    Whole,
    Interrupted,
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
        while let Some(record) = merge.next()? {
            let first_ns = *first_ns.get_or_insert(record.position_ns);
            fed.recorded = Duration::from_nanos(record.position_ns - first_ns);
            match self.speed {
                Speed::Max => self.publisher.wait_ready(),
                Speed::Times(times) => {
                    let schedule = schedule
                        .get_or_insert_with(|| Schedule::new(first_ns, times, clock::now()));
                    let due = schedule.due(record.position_ns);
                    let lag = wait_until(due, || self.control.is_stopping());
                    fed.lag_max = fed.lag_max.max(lag);
                    progress.late(lag);
                }
            }
            if self.control.is_stopping() || !self.publish(record.topic_name, record.payload) {
                return Ok(Round::Interrupted);
            }
            let topic = record.topic;
            merge.topics_mut().count(topic);
            progress.published(fed.recorded, || merge.progress());
        }
        Ok(Round::Whole)
    }

    /// Publishes, waiting for room as often as there is none. False when the engine has ended.
    fn publish(&self, topic: &str, payload: &str) -> bool {
        let frame = Frame::text(payload);
        loop {
            match self.publisher.publish(topic, &frame) {
                Ok(()) => return true,
                Err(PublishError::Full) => self.publisher.wait_room(),
                Err(error) => {
                    tracing::debug!(%error, topic, "the replay ends");
                    return false;
                }
            }
        }
    }
}
