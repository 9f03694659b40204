//! What a hub is told when it is made.

use core::time::Duration;
use std::sync::Arc;

use corecast_wire::Frame;

use crate::codec::{Codec, RawCodec};
use crate::limits::{
    OUTBOX_AGE_MAX, OUTBOX_BYTES_MAX, OUTBOX_FRAMES_MAX, OUTBOX_STALL_MAX, SUBSCRIPTIONS_MAX,
    TOPIC_BYTES_MAX, TOPICS_MAX,
};
use crate::namespace::Namespaces;
use crate::rules::Rules;
use crate::slow::Gap;

/// Bounds of one socket's outbox.
///
/// Beyond them an outbox holds at most: one frame of any size when nothing else waits; conflated
/// entries up to a quarter more ([`CONFLATED_ALLOWANCE_PART`](crate::limits)); one gap notice
/// per `lossless:gap` or `lossless:snapshot` subscription and one that is partly sent;
/// notices that belong to no subscription, above all announcements of what patterns matched
/// ([`ANNOUNCEMENT_BYTES_ALLOWANCE`](crate::limits::ANNOUNCEMENT_BYTES_ALLOWANCE)); one pong, one
/// ping, one Close.
/// Values outside the ceilings of [`limits`](crate::limits) are brought to the nearest inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Bytes of frames that wait or are partly sent, 1 byte to 1 GiB.
    pub bytes_max: usize,
    /// Frames that wait or are partly sent, 1 to 1,048,576.
    pub frames_max: u32,
    /// How long a frame may wait, judged when the sweep calls
    /// [`Hub::expire`](crate::Hub::expire), to the millisecond.
    pub age_max: Duration,
    /// How long the peer may take no byte while something waits for it.
    pub stall_max: Duration,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self {
            bytes_max: OUTBOX_BYTES_MAX,
            frames_max: OUTBOX_FRAMES_MAX,
            age_max: OUTBOX_AGE_MAX,
            stall_max: OUTBOX_STALL_MAX,
        }
    }
}

/// What a hub is told when it is made.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Which policy a topic has.
    pub rules: Rules,
    /// Bounds of each socket's outbox.
    pub outbox: OutboxLimits,
    /// Bytes of a topic's name.
    pub topic_bytes_max: usize,
    /// Topics that have at least one subscriber.
    pub topics_max: usize,
    /// Subscriptions of one connection, those by patterns left out.
    pub subscriptions_max: usize,
    /// Makes the notices: the hub does not know the client-facing protocol. The default makes
    /// small JSON texts.
    pub codec: Arc<dyn Codec>,
    /// Which policy a pattern's subscriber gets for a topic; where none names the topic, it is
    /// the one that was asked for, or that of the rules.
    pub namespaces: Arc<Namespaces>,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            rules: Rules::new(),
            outbox: OutboxLimits::default(),
            topic_bytes_max: TOPIC_BYTES_MAX,
            topics_max: TOPICS_MAX,
            subscriptions_max: SUBSCRIPTIONS_MAX,
            codec: Arc::new(RawCodec),
            namespaces: Arc::default(),
        }
    }
}

/// `{"gap":{"topic":"trade.BTC","from":7,"to":9,"reason":"bytes"}}` as a text frame. The topic
/// grammar has no character that JSON would escape.
#[must_use]
pub fn json_gap_notice(gap: &Gap<'_>) -> Frame {
    let Gap { topic, from, to, reason } = gap;
    let reason = reason.name();
    Frame::text(&format!(
        r#"{{"gap":{{"topic":"{topic}","from":{from},"to":{to},"reason":"{reason}"}}}}"#
    ))
}
