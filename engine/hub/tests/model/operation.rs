//! What can happen to a hub, and how likely it is.

use std::time::Duration;

use corecast_hub::{Encoding, Flush, OutboxLimits, Overflow, Policy};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Connections are named by a number that is taken modulo how many there ever were, so that
/// some of them are gone.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Connect,
    Disconnect(usize),
    Subscribe { conn: usize, topic: usize, policy: Option<Policy> },
    Attach { conn: usize, topic: usize, policy: Policy, encoding: Encoding },
    Start { conn: usize, topic: usize, policy: Policy, snapshot: bool, missed: u64 },
    Unsubscribe { conn: usize, topic: usize },
    AttachPattern { conn: usize, pattern: usize, policy: Option<Policy>, encoding: Encoding },
    DetachPattern { conn: usize, pattern: usize },
    Publish(Message),
    TakeResync,
    Resync { which: usize, snapshot: bool, missed: u64 },
    Send { conn: usize, bytes: usize },
    Pong(usize),
    Ping(usize),
    Close { conn: usize, flush: Flush },
    TakeDirty,
    Sent { conn: usize, bytes: usize },
    SentAll(usize),
    SetBlocked { conn: usize, blocked: bool },
    Expire(usize),
    Wait(Duration),
}

/// What is published.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) topic: usize,
    pub(crate) key: Option<u8>,
    pub(crate) bytes: usize,
    pub(crate) except: Option<usize>,
    /// Encodings in which there is a frame.
    pub(crate) encodings: Vec<Encoding>,
    /// Outside the feed: no pattern matches.
    pub(crate) raw: bool,
    /// Without a number.
    pub(crate) notice: bool,
}

/// A run: bounds, and what happens.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) limits: OutboxLimits,
    pub(crate) operations: Vec<Operation>,
}

pub(crate) const TOPICS: [&str; 8] = [
    "trade.a",
    "book.gap",
    "quote.latest",
    "keyed",
    "log.drop",
    "strict",
    "book.gap2",
    "book.snap",
];
/// Several of them match one topic.
pub(crate) const PATTERNS: [&str; 8] =
    ["book.*", "book.>", ">", "*.latest", "*", "*.snap", "trade.a", "nothing.*"];
pub(crate) const RULES: [&str; 7] = [
    "lossless:snapshot=*.snap",
    "lossless=trade.*",
    "lossless:gap=book.>",
    "latest=*.latest",
    "latest_by_key=keyed",
    "drop_oldest=log.*",
    "close=strict",
];

pub(crate) fn runs() -> impl Strategy<Value = Run> {
    let limits = prop_oneof![
        (40_usize..800, 1_u32..16),
        (800_usize..6_000, 16_u32..200),
        (6_000_usize..9_000, 150_u32..300),
    ];
    let limits = limits.prop_map(|(bytes_max, frames_max)| OutboxLimits {
        bytes_max,
        frames_max,
        age_max: Duration::from_millis(50),
        stall_max: Duration::from_millis(80),
    });
    let length = prop_oneof![0_usize..60, 200_usize..900];
    (limits, length.prop_flat_map(|length| vec(operation(), length)))
        .prop_map(|(limits, operations)| Run { limits, operations })
}

fn operation() -> impl Strategy<Value = Operation> {
    let conn = || 0_usize..8;
    let topic = || 0..TOPICS.len();
    prop_oneof![
        6 => Just(Operation::Connect),
        1 => conn().prop_map(Operation::Disconnect),
        30 => (conn(), topic(), policies())
            .prop_map(|(conn, topic, policy)| Operation::Subscribe { conn, topic, policy }),
        3 => (conn(), topic()).prop_map(|(conn, topic)| Operation::Unsubscribe { conn, topic }),
        20 => (conn(), topic(), policies(), encoding()).prop_map(
            |(conn, topic, policy, encoding)| {
                let policy = policy.unwrap_or(SNAPSHOT);
                Operation::Attach { conn, topic, policy, encoding }
            }
        ),
        4 => (conn(), topic(), policies(), any::<bool>(), 0_u64..4).prop_map(
            |(conn, topic, policy, snapshot, missed)| {
                let policy = policy.unwrap_or(SNAPSHOT);
                Operation::Start { conn, topic, policy, snapshot, missed }
            }
        ),
        6 => (conn(), 0..PATTERNS.len(), pattern_policies(), encoding()).prop_map(
            |(conn, pattern, policy, encoding)| {
                Operation::AttachPattern { conn, pattern, policy, encoding }
            }
        ),
        3 => (conn(), 0..PATTERNS.len())
            .prop_map(|(conn, pattern)| Operation::DetachPattern { conn, pattern }),
        200 => messages().prop_map(Operation::Publish),
        6 => Just(Operation::TakeResync),
        10 => (0_usize..100, any::<bool>(), 0_u64..6).prop_map(
            |(which, snapshot, missed)| Operation::Resync { which, snapshot, missed }
        ),
        6 => (conn(), bytes()).prop_map(|(conn, bytes)| Operation::Send { conn, bytes }),
        3 => conn().prop_map(Operation::Pong),
        2 => conn().prop_map(Operation::Ping),
        1 => (conn(), prop_oneof![Just(Flush::Queued), Just(Flush::Now)])
            .prop_map(|(conn, flush)| Operation::Close { conn, flush }),
        12 => Just(Operation::TakeDirty),
        30 => (conn(), 0_usize..60).prop_map(|(conn, bytes)| Operation::Sent { conn, bytes }),
        1 => conn().prop_map(Operation::SentAll),
        8 => (conn(), any::<bool>())
            .prop_map(|(conn, blocked)| Operation::SetBlocked { conn, blocked }),
        6 => conn().prop_map(Operation::Expire),
        6 => (0_u64..25).prop_map(|ms| Operation::Wait(Duration::from_millis(ms))),
    ]
}

fn bytes() -> impl Strategy<Value = usize> {
    prop_oneof![9 => 0_usize..40, 1 => 40_usize..300, 1 => 900_usize..1_500]
}

fn messages() -> impl Strategy<Value = Message> {
    let except = option::weighted(0.2, 0_usize..8);
    let key = option::of(0_u8..20);
    let encodings = prop_oneof![
        8 => Just(Encoding::ALL.to_vec()),
        1 => proptest::sample::subsequence(Encoding::ALL.to_vec(), 0..=3),
    ];
    let kinds = (proptest::bool::weighted(0.1), proptest::bool::weighted(0.05));
    (0..TOPICS.len(), key, bytes(), except, encodings, kinds).prop_map(
        |(topic, key, bytes, except, encodings, (raw, notice))| Message {
            topic,
            key,
            bytes,
            except,
            encodings,
            raw,
            notice,
        },
    )
}

fn encoding() -> impl Strategy<Value = Encoding> {
    proptest::sample::select(Encoding::ALL.to_vec())
}

const SNAPSHOT: Policy = Policy::Lossless { overflow: Overflow::Snapshot };

/// At most one topic is paused by a pattern, so that what ends with it ends in one order.
fn pattern_policies() -> impl Strategy<Value = Option<Policy>> {
    policies().prop_map(|policy| policy.filter(|policy| *policy != SNAPSHOT))
}

fn policies() -> impl Strategy<Value = Option<Policy>> {
    let gap = Policy::Lossless { overflow: Overflow::Gap };
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Policy::default())),
        1 => Just(Some(gap)),
        1 => Just(Some(SNAPSHOT)),
        1 => Just(Some(Policy::Latest)),
        1 => Just(Some(Policy::LatestByKey)),
        1 => Just(Some(Policy::DropOldest)),
        1 => Just(Some(Policy::Close)),
    ]
}
