//! Topics of the tokio peers: a bounded queue for each connection, filled by whoever publishes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// The path whose messages come back; every other one is a topic.
pub const ECHO: &str = "/echo";

/// Messages that a connection sends between two looks at what else it has to do.
pub const BATCH_MESSAGES_MAX: usize = 256;

/// Messages that wait for one connection; one that falls further behind is ended.
const QUEUE_MESSAGES_MAX: usize = 16 << 10;

/// All topics. One thread runs all connections, so the lock is never contended.
#[derive(Debug)]
pub struct Hub<M> {
    topics: Mutex<Topics<M>>,
}

type Topics<M> = HashMap<String, Vec<(u64, mpsc::Sender<M>)>>;

impl<M: Clone> Hub<M> {
    /// A hub without topics.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { topics: Mutex::default() })
    }

    /// Takes a connection into a topic; `id` is its own. What the others publish comes out of
    /// `queue`, which is let go of when the connection has fallen too far behind, and so ends.
    pub fn join(self: &Arc<Self>, id: u64, topic: &str, queue: mpsc::Sender<M>) -> Member<M> {
        self.lock().entry(topic.to_owned()).or_default().push((id, queue));
        Member { hub: Arc::clone(self), id, topic: topic.to_owned() }
    }

    fn lock(&self) -> MutexGuard<'_, Topics<M>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue of one connection.
#[must_use]
pub fn queue<M>() -> (mpsc::Sender<M>, mpsc::Receiver<M>) {
    mpsc::channel(QUEUE_MESSAGES_MAX)
}

/// A connection in its topic, until it is dropped.
#[derive(Debug)]
pub struct Member<M: Clone> {
    hub: Arc<Hub<M>>,
    id: u64,
    topic: String,
}

impl<M: Clone> Member<M> {
    /// Queues a message for all others of the topic.
    pub fn publish(&self, message: &M) {
        if let Some(members) = self.hub.lock().get_mut(&self.topic) {
            members.retain(|(id, queue)| {
                let others = *id != self.id;
                !(others && matches!(queue.try_send(message.clone()), Err(TrySendError::Full(_))))
            });
        }
    }
}

impl<M: Clone> Drop for Member<M> {
    fn drop(&mut self) {
        let mut topics = self.hub.lock();
        if let Some(members) = topics.get_mut(&self.topic) {
            members.retain(|(id, _)| *id != self.id);
            if members.is_empty() {
                topics.remove(&self.topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(hub: &Arc<Hub<usize>>, id: u64, topic: &str) -> (Member<usize>, mpsc::Receiver<usize>) {
        let (sender, receiver) = queue();
        (hub.join(id, topic, sender), receiver)
    }

    #[test]
    fn others_of_the_topic_hear_and_nobody_else() {
        let hub = Hub::new();
        let (one, mut to_one) = join(&hub, 1, "a");
        let (_two, mut to_two) = join(&hub, 2, "a");
        let (_three, mut to_three) = join(&hub, 3, "b");
        one.publish(&7);
        assert_eq!(to_two.try_recv(), Ok(7));
        assert!(to_one.try_recv().is_err() && to_three.try_recv().is_err());
    }

    #[test]
    fn who_falls_too_far_behind_is_let_go_and_who_leaves_is_forgotten() {
        let hub = Hub::new();
        let (one, to_one) = join(&hub, 1, "a");
        let (two, mut to_two) = join(&hub, 2, "a");
        for number in 0..=QUEUE_MESSAGES_MAX {
            one.publish(&number);
        }
        for number in 0..QUEUE_MESSAGES_MAX {
            assert_eq!(to_two.try_recv(), Ok(number));
        }
        assert_eq!(to_two.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
        drop((one, to_one, two));
        assert!(hub.lock().is_empty());
    }
}
