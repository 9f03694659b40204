//! The handle that publishes from anywhere: tokio, plain threads, a handler.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use corecast_hub::home::check_update;
use corecast_hub::node::{self, Sent};
use corecast_hub::{Namespaces, Update, check_topic};
use corecast_wire::{CloseCode, Frame};

use crate::clock::Clock;
use crate::mesh::admission::{Ticket, Want};
use crate::mesh::{Direct, Job, Mesh, Pass, Publication, ReportCell};
use crate::versions::Versions;
use crate::{ConnectionId, PublishError, Reported};

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

    /// [`ready`](Self::ready) for a plain thread. Never call it on a shard.
    pub fn wait_ready(&self) {
        futures_lite::future::block_on(self.ready());
    }

    /// [`room`](Self::room) for a plain thread. Never call it on a shard.
    pub fn wait_room(&self) {
        futures_lite::future::block_on(self.room());
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

    fn direct(&self, to: ConnectionId, bytes: usize, what: Direct) -> Result<(), PublishError> {
        let ticket = self.mesh.admission.admit(bytes)?;
        let job = Job::Direct { to: to.conn, what, _ticket: ticket };
        let posted = self.mesh.post(to.shard, job);
        posted.then_some(()).ok_or(PublishError::Stopped)
    }
}
