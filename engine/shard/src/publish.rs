//! Publishing on a shard: the home gives the number, every shard queues for its own subscribers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use corecast_hub::{
    Compress, ConnId, Encoding, Hub, Press, Publication as Delivery, Report, SendStatus,
    SharedFrame, SharedFrames, Timestamp,
};
use corecast_wire::Frame;

use crate::mesh::{Job, Mesh, Publication};
use crate::stats::ShardStats;
use crate::{PublishError, ShardId};

/// What publishing from a shard needs.
pub(crate) struct Publishing<'a> {
    pub(crate) shard: ShardId,
    pub(crate) now: Timestamp,
    pub(crate) topic_bytes_max: usize,
    pub(crate) hub: &'a mut Hub,
    pub(crate) sequences: &'a RefCell<Sequences>,
    pub(crate) published: &'a RefCell<Vec<Arc<Publication>>>,
    pub(crate) mesh: &'a Arc<Mesh>,
    pub(crate) stats: &'a ShardStats,
    pub(crate) press: &'a Press,
}

impl Publishing<'_> {
    /// Takes a publication on its way from this shard: to its home, or home it is.
    pub(crate) fn publish(&mut self, publication: Arc<Publication>) -> Result<(), PublishError> {
        let home = self.mesh.home(&publication.topic);
        if home == self.shard {
            self.sequence(&publication);
            self.published.borrow_mut().push(publication);
            return Ok(());
        }
        let posted = self.mesh.post(home, Job::Publish(publication));
        posted.then_some(()).ok_or(PublishError::Stopped)
    }

    /// This shard is the topic's home: number, forward, queue. Returns the deliveries queued here.
    pub(crate) fn sequence(&mut self, publication: &Arc<Publication>) -> Report {
        let seq = self.sequences.borrow_mut().next(&publication.topic);
        publication.seq.store(seq, Ordering::Relaxed);
        if self.mesh.is_twin_wanted(Encoding::Raw) {
            let frame = publication.frame.clone();
            // Nobody else sets it.
            let _ = publication.pressed.set(self.press.press(frame, false, Compress::Default));
        }
        self.stats.publishes.add(1);
        for (shard, inbox) in self.mesh.inboxes.iter().enumerate() {
            if shard != usize::from(self.shard.0) {
                // An inbox has a place for all that the admission lets in: it is full only where a
                // shard has died.
                inbox.post(Job::Deliver(Arc::clone(publication)));
            }
        }
        self.deliver(publication)
    }

    /// Queues a numbered publication for the subscribers here.
    pub(crate) fn deliver(&mut self, publication: &Publication) -> Report {
        let frames = SharedFrames::of_raw(publication.frame(), publication.published_at);
        let seq = publication.seq.load(Ordering::Relaxed);
        let except = publication.except.filter(|id| id.shard == self.shard).map(|id| id.conn);
        let delivery = Delivery {
            key: publication.key.as_deref(),
            except,
            ..Delivery::raw(&publication.topic, seq, &frames)
        };
        let report = self.hub.publish(&delivery, self.now);
        publication.add(report);
        report
    }

    /// Queues a frame for one connection of this shard.
    pub(crate) fn send(&mut self, to: ConnId, frame: &Frame) -> SendStatus {
        let mut frame = frame.clone();
        if self.hub.takes_twins(to) {
            frame = self.press.press(frame, false, Compress::Default);
        }
        self.hub.send(to, &SharedFrame::new(frame, self.now), self.now)
    }
}

/// The last sequence number of each topic whose home is this shard: rising, by one for each
/// publication, as long as the topic is remembered.
#[derive(Debug)]
pub(crate) struct Sequences {
    last: HashMap<Box<str>, u64>,
    topics_max: usize,
    /// At least the last number of every topic that was forgotten.
    floor: u64,
}

impl Sequences {
    pub(crate) fn new(topics_max: usize) -> Self {
        Self { last: HashMap::new(), topics_max, floor: 0 }
    }

    /// The next number of a topic.
    fn next(&mut self, topic: &str) -> u64 {
        if let Some(last) = self.last.get_mut(topic) {
            *last += 1;
            return *last;
        }
        if self.last.len() >= self.topics_max {
            // Peers may make up topics without end. All are forgotten, and go on where the highest
            // was: no number comes twice, and none is smaller than one before it.
            self.floor = self.last.values().copied().max().unwrap_or(self.floor);
            self.last = HashMap::new();
        }
        let first = self.floor + 1;
        self.last.insert(topic.into(), first);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::Sequences;

    #[test]
    fn numbers_rise_also_when_topics_are_forgotten() {
        let mut sequences = Sequences::new(2);
        assert_eq!([(); 3].map(|()| sequences.next("a")), [1, 2, 3]);
        assert_eq!(sequences.next("b"), 1);
        assert_eq!(sequences.next("c"), 4, "a third topic makes the two forgotten");
        assert_eq!(sequences.next("a"), 4);
        assert_eq!(sequences.next("a"), 5);
        assert_eq!(sequences.last.len(), 2);
    }
}
