//! What an engine takes over from another process: its listeners, and its topics.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use corecast_hub::home::{Home, HomeConfig, Tap, TopicImage};
use corecast_hub::{Codec, Namespaces, Now, Timestamp};

use crate::ShardId;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::StartError;

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
    /// What the other engine's clock says now: see [`Engine::now`](crate::Engine::now).
    pub now: Timestamp,
    /// All topics that were ever published to.
    pub topics: Vec<TopicImage>,
    /// Is told of each update that is taken, from the first on.
    pub tap: Option<Arc<dyn Tap>>,
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
