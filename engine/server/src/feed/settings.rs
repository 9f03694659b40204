//! What the configuration says of the feed, as its handlers need it. One for all shards.

use super::budget::Budget;
use super::client::Names;
use super::codec::FeedCodec;
use super::limits::BEATS;
use crate::config::feed::FeedConfig;
use crate::raw::Audience;
use crate::take_over::Bequeathed;
use corecast::Config;
use corecast_feed::event::WelcomeLimits;
use corecast_feed::limits::Limits;
use std::time::Duration;

/// The settings of all sessions of a shard, and what they share with the engine.
#[derive(Clone, Debug)]
pub(crate) struct FeedSettings {
    /// What all this was made of.
    pub(crate) made_of: FeedConfig,
    pub(crate) codec: FeedCodec,
    pub(crate) audience: Audience,
    /// Of clients.
    pub(crate) names: Names,
    /// Whether another process has this one's place.
    pub(crate) bequeathed: Bequeathed,
    /// Of the parser.
    pub(crate) limits: Limits,
    pub(crate) commands: Budget,
    pub(crate) errors: Budget,
    pub(crate) heartbeat_ms: u32,
    pub(crate) subscriptions_max: usize,
    pub(crate) topic_bytes_max: usize,
}

impl FeedSettings {
    pub(crate) fn new(
        feed: &FeedConfig,
        engine: &Config,
        codec: FeedCodec,
        audience: Audience,
    ) -> Self {
        let limits = Limits {
            message_bytes_max: engine.connection.message_bytes_max,
            topic_bytes_max: engine.topics.topic_bytes_max,
            ..Limits::default()
        };
        let settings = Self {
            made_of: FeedConfig::default(),
            codec,
            audience,
            names: Names::default(),
            bequeathed: Bequeathed::default(),
            limits,
            commands: Budget::new(0, SECOND_NS, 1),
            errors: Budget::strict(0, SECOND_NS),
            heartbeat_ms: 0,
            subscriptions_max: engine.topics.subscriptions_max,
            topic_bytes_max: engine.topics.topic_bytes_max,
        };
        settings.renewed(feed)
    }

    /// The same with what may change at run time.
    pub(crate) fn renewed(self, feed: &FeedConfig) -> Self {
        let limits = Limits {
            topics_max: feed.topics_per_command_max,
            history_max: feed.history_reply_max,
            ..self.limits
        };
        let (rate, burst) = (feed.commands_per_second_max, feed.commands_burst.max(1));
        Self {
            made_of: feed.clone(),
            limits,
            commands: Budget::new(rate, SECOND_NS, burst),
            errors: Budget::strict(feed.errors_max, 60 * SECOND_NS),
            heartbeat_ms: u32::try_from(feed.heartbeat_ms).unwrap_or(u32::MAX),
            ..self
        }
    }

    /// Time from one slice's heartbeat to the next one's; none: there are no heartbeats.
    pub(crate) fn beat(&self) -> Option<Duration> {
        let each = Duration::from_millis(u64::from(self.heartbeat_ms)) / BEATS;
        (self.heartbeat_ms > 0).then_some(each)
    }

    /// What `welcome` says that a connection may do.
    pub(crate) fn welcome_limits(&self) -> WelcomeLimits {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        WelcomeLimits {
            subscriptions: number(self.subscriptions_max),
            message_bytes: number(self.limits.message_bytes_max),
            topics: number(self.limits.topics_max),
        }
    }
}

const SECOND_NS: u64 = 1_000_000_000;
