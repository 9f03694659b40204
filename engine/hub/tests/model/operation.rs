//! What can happen to a hub, and how likely it is.

use std::time::Duration;

use corecast_hub::{Flush, OutboxLimits, Overflow, Policy};
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
    Unsubscribe { conn: usize, topic: usize },
    Publish { topic: usize, key: Option<u8>, bytes: usize, except: Option<usize> },
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

/// A run: bounds, and what happens.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) limits: OutboxLimits,
    pub(crate) operations: Vec<Operation>,
}

pub(crate) const TOPICS: [&str; 7] =
    ["trade.a", "book.gap", "quote.latest", "keyed", "log.drop", "strict", "book.gap2"];
pub(crate) const RULES: [&str; 6] = [
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
    let bytes = || prop_oneof![9 => 0_usize..40, 1 => 40_usize..300, 1 => 900_usize..1_500];
    let key = || option::of(0_u8..20);
    prop_oneof![
        6 => Just(Operation::Connect),
        1 => conn().prop_map(Operation::Disconnect),
        30 => (conn(), topic(), policies())
            .prop_map(|(conn, topic, policy)| Operation::Subscribe { conn, topic, policy }),
        3 => (conn(), topic()).prop_map(|(conn, topic)| Operation::Unsubscribe { conn, topic }),
        200 => (topic(), key(), bytes(), option::weighted(0.2, conn())).prop_map(
            |(topic, key, bytes, except)| Operation::Publish { topic, key, bytes, except }
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

fn policies() -> impl Strategy<Value = Option<Policy>> {
    let gap = Policy::Lossless { overflow: Overflow::Gap };
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Policy::default())),
        1 => Just(Some(gap)),
        1 => Just(Some(Policy::Latest)),
        1 => Just(Some(Policy::LatestByKey)),
        1 => Just(Some(Policy::DropOldest)),
        1 => Just(Some(Policy::Close)),
    ]
}
