//! What an engine takes over from another process: its listeners, and its topics.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corecast_hub::home::{Home, HomeConfig, Tap, TopicImage};
use corecast_hub::{Codec, Namespaces, Now, Timestamp};

use crate::clock::Clock;
use crate::config::Config;
use crate::error::StartError;
use crate::mesh::Job;
use crate::{Engine, ShardId, socket};

/// What another process leaves to this one.
#[derive(Debug, Default)]
pub struct Heritage {
    /// Its listening sockets: who waits in them is accepted here. None: new ones are made.
    pub listeners: Vec<OwnedFd>,
    /// The same, of the address that speaks TLS alone.
    pub tls_listeners: Vec<OwnedFd>,
    /// Its topics. None: a new epoch begins.
    pub estate: Option<Estate>,
}

/// Topics that go on with their numbers.
#[derive(Debug)]
pub struct Estate {
    /// The epoch that the numbers belong to.
    pub epoch: u64,
    /// How often the epoch had changed hands before: see
    /// [`Engine::generation`](crate::Engine::generation).
    pub generation: u32,
    /// What the other engine's clock says now: see [`Engine::now`](crate::Engine::now).
    pub now: Timestamp,
    /// All topics that were ever published to.
    pub topics: Vec<TopicImage>,
    /// Is told of each update that is taken, from the first on.
    pub tap: Option<Arc<dyn Tap>>,
}

impl Engine {
    /// The listening sockets, for another process to go on with; or those of the address of TLS,
    /// where it has one of its own.
    pub fn listeners(&self, of_tls: bool) -> impl Iterator<Item = &OwnedFd> {
        let has_own = self.addresses.secure.is_some_and(|it| it != self.addresses.listen);
        let wanted = move |secure: bool| (has_own && secure) == of_tls;
        self.listeners.iter().filter(move |(_, secure)| wanted(*secure)).map(|(fd, _)| fd)
    }

    /// Accepts nobody any more, or again. Who comes meanwhile waits in the kernel, and while they
    /// are held, the listeners are not closed, whatever happens here: another process may have
    /// them.
    pub fn hold_listeners(&self, hold: bool) {
        self.mesh.listeners_held.store(hold, Ordering::SeqCst);
        if !hold {
            for listener in self.joining.lock().drain(..) {
                if let Err(error) = socket::begin_to_listen(&listener, &self.socket) {
                    tracing::error!(%error, "a shard has no listener of its own");
                }
            }
        }
        for inbox in &self.mesh.inboxes {
            inbox.post(Job::Accept(!hold));
        }
    }

    /// Gives all topics that were ever published to, in parts of about `bytes_max` bytes. Never
    /// call it on a shard.
    ///
    /// # Errors
    /// What `each` gives, or when a shard does not answer within 10 s.
    pub fn images(
        &self,
        bytes_max: usize,
        each: &mut dyn FnMut(Vec<TopicImage>) -> io::Result<()>,
    ) -> io::Result<()> {
        for inbox in &self.mesh.inboxes {
            let mut after = None;
            loop {
                let (reply, answer) = std::sync::mpsc::channel();
                inbox.post(Job::Images { after, bytes_max, reply });
                let (images, next) = answer
                    .recv_timeout(Duration::from_secs(10))
                    .map_err(|_| io::Error::other("a shard does not answer"))?;
                each(images)?;
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        Ok(())
    }
}

/// What a shard has of it.
#[derive(Debug, Default)]
pub(crate) struct Share {
    topics: Vec<TopicImage>,
    tap: Option<Arc<dyn Tap>>,
}

/// What all homes of an engine are made with.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) config: &'a Config,
    pub(crate) shards: u16,
    pub(crate) codec: &'a Arc<dyn Codec>,
    pub(crate) namespaces: &'a Arc<Namespaces>,
    pub(crate) epoch: u64,
    pub(crate) generation: u32,
    pub(crate) clock: Clock,
}

impl Ground<'_> {
    /// Each shard's share of the topics. What would not fit is found here, before a shard runs.
    pub(crate) fn shares(
        self,
        estate: Option<Estate>,
        home_of: impl Fn(&str) -> ShardId,
    ) -> Result<Vec<Share>, StartError> {
        let mut shares: Vec<Share> = (0..self.shards).map(|_| Share::default()).collect();
        let Some(Estate { topics, tap, .. }) = estate else { return Ok(shares) };
        for image in topics {
            shares[usize::from(home_of(&image.name).0)].topics.push(image);
        }
        for (shard, share) in (0..).zip(&mut shares) {
            let mut trial = self.home(shard);
            for image in &share.topics {
                self.inherit(&mut trial, image.clone())?;
            }
            share.tap.clone_from(&tap);
        }
        Ok(shares)
    }

    /// A shard's home, with its share.
    pub(crate) fn home_with(self, shard: u16, share: Share) -> Result<Home, StartError> {
        let mut home = self.home(shard);
        for image in share.topics {
            self.inherit(&mut home, image)?;
        }
        home.set_tap(share.tap);
        Ok(home)
    }

    fn inherit(self, home: &mut Home, image: TopicImage) -> Result<(), StartError> {
        let now = Now { mono: self.clock.now(), wall_ns: self.clock.wall_ns() };
        let topic = image.name.clone();
        home.inherit(image, now).map_err(|source| StartError::Heritage { topic, source })
    }

    fn home(self, shard: u16) -> Home {
        let config = self.config;
        Home::new(HomeConfig {
            shard,
            shards: self.shards,
            epoch: self.epoch,
            generation: self.generation,
            namespaces: Arc::clone(self.namespaces),
            codec: Arc::clone(self.codec),
            topic_bytes_max: config.topics.topic_bytes_max,
            topics_max: config.topics.topics_max,
            // What is missed comes at once: it must leave room for what goes on.
            missed_entries_max: config.outbox.frames_max as usize / 2,
            missed_bytes_max: config.outbox.bytes_max / 2,
        })
    }
}
