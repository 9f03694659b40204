//! The handle that publishes from anywhere: tokio, plain threads, a handler.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use corecast_hub::home::{UpdateError, check_update};
use corecast_hub::node::{self, Batch, Sent};
use corecast_hub::{Namespaces, Update, check_topic};
use corecast_wire::{CloseCode, Frame};

use crate::clock::Clock;
use crate::limits::{JOB_BYTES_MAX, JOB_UPDATES_MAX};
use crate::mesh::admission::{Ticket, Want};
use crate::mesh::{BatchCell, BatchReported, Direct, Job, Mesh, Pass, Publication, ReportCell};
use crate::versions::Versions;
use crate::{ConnectionId, PublishError, Reported, ShardId};

/// Publishes to topics and connections of one engine. Cheap to clone; never blocks.
#[derive(Clone, Debug)]
pub struct Publisher {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) clock: Clock,
    pub(crate) topic_bytes_max: usize,
    pub(crate) namespaces: Versions<Namespaces>,
}

impl Publisher {
    /// Publishes a frame to all subscribers of a topic. What one thread publishes through
    /// publishers arrives in its order; a handler's [`Context::publish`](crate::Context::publish)
    /// takes a shorter way and may overtake it.
    ///
    /// # Errors
    /// [`PublishError::Full`] when too much is pending: nothing was delivered, try again after
    /// [`room`](Self::room).
    pub fn publish(&self, topic: &str, frame: &Frame) -> Result<(), PublishError> {
        self.post(topic, frame, None, None)
    }

    /// Publishes with a key: under `latest_by_key` an unsent value of the same key is replaced.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn publish_key(&self, topic: &str, key: &[u8], frame: &Frame) -> Result<(), PublishError> {
        self.post(topic, frame, Some(key), None)
    }

    /// Publishes, and reports over all shards how many queues took it, and what it replaced or
    /// pushed out.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn publish_reported(&self, topic: &str, frame: &Frame) -> Result<Reported, PublishError> {
        let cell = Arc::new(ReportCell::default());
        self.post(topic, frame, None, Some(Arc::clone(&cell)))?;
        Ok(Reported { cell })
    }

    /// Publishes a message of the feed: its topic's home gives it the next number, keeps it as the
    /// namespace says, and encodes it once for each encoding that is in use.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); [`PublishError::Update`] when no namespace takes it. What
    /// only its home can know (there is no room for one topic more, or for one key more in its
    /// snapshot) is counted and told by [`update_reported`](Self::update_reported).
    pub fn update(&self, update: Update) -> Result<(), PublishError> {
        self.post_update(update, Pass::new)
    }

    /// Publishes a message of the feed, and reports its number and how many queues took it.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn update_reported(&self, update: Update) -> Result<Reported, PublishError> {
        let cell = Arc::new(ReportCell::default());
        self.post_update(update, |ticket| Pass::reported(ticket, Arc::clone(&cell)))?;
        Ok(Reported { cell })
    }

    /// Publishes many messages of the feed together, dozens as one job: for who has many at once,
    /// far cheaper than one by one. They arrive in their order, as if each had been published by
    /// itself; those that are wrong are refused, and hold no other up. `updates` is empty then,
    /// and keeps its memory.
    ///
    /// # Errors
    /// [`PublishError::Full`] when there is no room for all of them, of which there may be
    /// [`batch_max`](Self::batch_max): nothing was published, `updates` is as it was, try again
    /// after [`room_for`](Self::room_for) them. [`PublishError::TooLarge`] when they are larger
    /// than all that may be pending.
    pub fn update_all(&self, updates: &mut Vec<Update>) -> Result<BatchReported, PublishError> {
        self.update_many(updates, false)
    }

    /// Publishes many messages of the feed of which none may be left out, since those behind it
    /// would get its number: where one is wrong, none is published; where a home refuses one,
    /// it refuses all behind it. Each home does its part in one step, so it should not be large.
    ///
    /// # Errors
    /// As [`update_all`](Self::update_all).
    pub fn update_run(&self, updates: &mut Vec<Update>) -> Result<BatchReported, PublishError> {
        self.update_many(updates, true)
    }

    fn update_many(
        &self,
        updates: &mut Vec<Update>,
        is_run: bool,
    ) -> Result<BatchReported, PublishError> {
        let admission = &self.mesh.admission;
        if admission.is_stopped() {
            return Err(PublishError::Stopped);
        }
        let namespaces = self.namespaces.latest();
        let mut refused = Vec::new();
        let of = Vec::with_capacity(updates.len());
        let mut parts = Parts { of, is_run, ..Parts::default() };
        for (place, update) in (0..).zip(&*updates) {
            match self.check_with(update, namespaces) {
                Ok(()) => parts.count(self.mesh.home(&update.topic), update),
                Err(error) => {
                    parts.of.push(None);
                    refused.push((place, error));
                }
            }
        }
        if is_run && !refused.is_empty() {
            updates.clear();
            return Ok(BatchReported { cell: Arc::new(BatchCell::new(0, refused)) });
        }
        // All or none: a part that is let in alone would be seen, and would keep others out.
        let (updates_count, bytes) = parts.sum();
        let mut whole = admission.admit_many(updates_count, bytes)?;
        let published_at = self.clock.now();
        for (place, error) in &refused {
            let topic = &*updates[*place as usize].topic;
            self.mesh.refusals.note(published_at, topic, error);
        }
        let split = |part: &Part| whole.split(part.updates_count, part.bytes);
        let tickets: Vec<_> = parts.by_home.iter().map(split).collect();
        let cell = Arc::new(BatchCell::new(tickets.len(), refused));
        for ((home, updates), ticket) in parts.fill(updates).zip(tickets) {
            let ticket = Pass::part(ticket, Arc::clone(&cell), &self.mesh, self.clock);
            let batch = Batch { updates, is_run, published_at, ticket };
            // Where the home has ended, its part is dropped, and counted as not dealt with.
            self.mesh.post(home, Job::Node(node::Job::Updates(Box::new(batch))));
        }
        Ok(BatchReported { cell })
    }

    /// What [`update`](Self::update) would refuse at once, whatever room there is.
    ///
    /// # Errors
    /// The one that it would give.
    pub fn check(&self, update: &Update) -> Result<(), PublishError> {
        Ok(self.check_with(update, self.namespaces.latest())?)
    }

    /// How many updates, and how many bytes of them, [`update_all`](Self::update_all) takes at
    /// once wherever there is [`room`](Self::room); more may find it full for ever. One update
    /// may be larger.
    #[must_use]
    pub fn batch_max(&self) -> (usize, usize) {
        self.mesh.admission.batch_max()
    }

    /// The same for who publishes when it is [`ready`](Self::ready), and wants to lose nothing:
    /// so much fits into every lossless outbox then. One update may be larger.
    #[must_use]
    pub fn paced_batch_max(&self) -> (usize, usize) {
        self.mesh.admission.paced_batch_max()
    }

    /// The namespaces, as they are now.
    #[must_use]
    pub fn namespaces(&self) -> &Namespaces {
        self.namespaces.latest()
    }

    /// Queues a frame for one connection. Nothing happens when it is gone by then.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn send(&self, to: ConnectionId, frame: &Frame) -> Result<(), PublishError> {
        self.direct(to, frame.len(), Direct::Send(frame.clone()))
    }

    /// Begins the closing handshake of one connection. Nothing happens when it is gone by then.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    ///
    /// # Panics
    /// When `code` may not be sent (RFC 6455 §7.4).
    pub fn close(
        &self,
        target: ConnectionId,
        code: CloseCode,
        reason: &str,
    ) -> Result<(), PublishError> {
        assert!(code.is_sendable(), "close code {code} may not be sent");
        self.direct(target, reason.len(), Direct::Close(code, reason.into()))
    }

    /// Waits until there is room for as much as is pending at most again, and every lossless
    /// subscriber is less than half a queue behind: who publishes only then is paced by the slowest
    /// of them, and need lose nothing. A subscriber that takes nothing at all holds it up no longer
    /// than the outbox's `stall_max_ms`.
    pub async fn ready(&self) {
        self.mesh.admission.wait(Want::Ready).await;
    }

    /// Waits until at most half of what may be pending is, whatever the subscribers do.
    pub async fn room(&self) {
        self.mesh.admission.wait(Want::Room).await;
    }

    /// Waits as [`room`](Self::room) does, and until so many updates (or frames) of so many bytes
    /// together fit: what is larger than half of all that may be pending can be refused as
    /// [`PublishError::Full`] where there is room. Bytes are those of [`Update::bytes`]. Under the
    /// load of others it may wait long.
    pub async fn room_for(&self, updates: usize, bytes: usize) {
        self.mesh.admission.wait_for(updates, bytes).await;
    }

    /// [`ready`](Self::ready) for a plain thread. Never call it on a shard.
    pub fn wait_ready(&self) {
        futures_lite::future::block_on(self.ready());
    }

    /// [`room`](Self::room) for a plain thread. Never call it on a shard.
    pub fn wait_room(&self) {
        futures_lite::future::block_on(self.room());
    }

    /// [`room_for`](Self::room_for) for a plain thread. Never call it on a shard.
    pub fn wait_room_for(&self, updates: usize, bytes: usize) {
        futures_lite::future::block_on(self.room_for(updates, bytes));
    }

    /// Publications and sends that are accepted and not yet queued on every shard.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.mesh.admission.pending()
    }

    fn post(
        &self,
        topic: &str,
        frame: &Frame,
        key: Option<&[u8]>,
        report: Option<Arc<ReportCell>>,
    ) -> Result<(), PublishError> {
        check_topic(topic, self.topic_bytes_max)?;
        let admission = &self.mesh.admission;
        if admission.is_stopped() {
            return Err(PublishError::Stopped);
        }
        let bytes = frame.len() + topic.len() + key.map_or(0, <[u8]>::len);
        let ticket = admission.admit(bytes)?;
        let publication = Arc::new(Publication {
            topic: topic.into(),
            frame: frame.clone(),
            pressed: OnceLock::new(),
            key: key.map(Into::into),
            except: None,
            published_at: self.clock.now(),
            seq: AtomicU64::new(0),
            report,
            _ticket: ticket,
        });
        let home = self.mesh.home(topic);
        let posted = self.mesh.post(home, Job::Publish(publication));
        posted.then_some(()).ok_or(PublishError::Stopped)
    }

    fn post_update(
        &self,
        update: Update,
        pass: impl FnOnce(Ticket) -> Pass,
    ) -> Result<(), PublishError> {
        check_topic(&update.topic, self.topic_bytes_max)?;
        check_update(&update, self.namespaces.latest())?;
        let admission = &self.mesh.admission;
        if admission.is_stopped() {
            return Err(PublishError::Stopped);
        }
        let ticket = pass(admission.admit(update.bytes())?);
        let home = self.mesh.home(&update.topic);
        let published_at = self.clock.now();
        let sent = Sent { update, except: None, origin: None, published_at, ticket };
        let posted = self.mesh.post(home, Job::Node(node::Job::Update(Box::new(sent))));
        posted.then_some(()).ok_or(PublishError::Stopped)
    }

    fn check_with(&self, update: &Update, namespaces: &Namespaces) -> Result<(), UpdateError> {
        check_topic(&update.topic, self.topic_bytes_max)?;
        check_update(update, namespaces)?;
        let (bytes, bytes_max) = (update.bytes(), self.mesh.admission.bytes_max());
        if bytes > bytes_max {
            return Err(UpdateError::TooLarge { bytes, bytes_max });
        }
        Ok(())
    }

    fn direct(&self, to: ConnectionId, bytes: usize, what: Direct) -> Result<(), PublishError> {
        let ticket = self.mesh.admission.admit(bytes)?;
        let job = Job::Direct { to: to.conn, what, _ticket: ticket };
        let posted = self.mesh.post(to.shard, job);
        posted.then_some(()).ok_or(PublishError::Stopped)
    }
}

/// The parts of a batch: a few updates of one home each.
#[derive(Default)]
struct Parts {
    by_home: Vec<Part>,
    /// Which part each update belongs to; none: it is refused.
    of: Vec<Option<usize>>,
    /// Each home has one.
    is_run: bool,
}

struct Part {
    home: ShardId,
    updates_count: usize,
    bytes: usize,
}

impl Parts {
    /// The next update is for this home. What is one job must be little: a home does it, and all
    /// shards queue what comes of it, in one step.
    fn count(&mut self, home: ShardId, update: &Update) {
        let last = self.by_home.iter().rposition(|part| part.home == home);
        let open = last.filter(|&last| {
            let part = &self.by_home[last];
            let is_little = part.updates_count < JOB_UPDATES_MAX
                && part.bytes + update.bytes() <= JOB_BYTES_MAX;
            self.is_run || is_little
        });
        let part = open.unwrap_or_else(|| {
            self.by_home.push(Part { home, updates_count: 0, bytes: 0 });
            self.by_home.len() - 1
        });
        self.of.push(Some(part));
        self.by_home[part].updates_count += 1;
        self.by_home[part].bytes += update.bytes();
    }

    /// Updates and bytes of all of them.
    fn sum(&self) -> (usize, usize) {
        let add =
            |(updates, bytes), part: &Part| (updates + part.updates_count, bytes + part.bytes);
        self.by_home.iter().fold((0, 0), add)
    }

    /// Gives each home its updates, with their places among all.
    fn fill(self, updates: &mut Vec<Update>) -> impl Iterator<Item = (ShardId, Homeward)> {
        let room = |part: &Part| Homeward::with_capacity(part.updates_count);
        let mut filled: Vec<Homeward> = self.by_home.iter().map(room).collect();
        for ((place, update), part) in (0..).zip(updates.drain(..)).zip(self.of) {
            if let Some(part) = part {
                filled[part].push((place, update));
            }
        }
        self.by_home.into_iter().map(|part| part.home).zip(filled)
    }
}

type Homeward = Vec<(u32, Update)>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_goes_home_in_small_jobs_and_in_its_order() {
        let large = "x".repeat(JOB_BYTES_MAX / 3);
        let data = |number: usize| if number < 200 { "1".to_owned() } else { large.clone() };
        let mut updates: Vec<_> = (0..210).map(|number| Update::new("a", data(number))).collect();
        let mut parts = Parts::default();
        for (number, update) in updates.iter().enumerate() {
            parts.count(ShardId(number as u16 % 2), update);
        }
        let mut places = [Vec::new(), Vec::new()];
        for (home, part) in parts.fill(&mut updates) {
            assert!(part.len() <= JOB_UPDATES_MAX);
            let bytes: usize = part.iter().map(|(_, update)| update.bytes()).sum();
            assert!(bytes <= JOB_BYTES_MAX, "{bytes}");
            places[usize::from(home.0)].extend(part.iter().map(|(place, _)| *place));
        }
        let every_second = |first| (first..210).step_by(2).collect::<Vec<u32>>();
        assert_eq!(places, [every_second(0), every_second(1)]);
    }
}
