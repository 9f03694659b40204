//! What can happen to a topic, and how likely it is.

use corecast_hub::{Namespace, Overflow, Policy, SnapshotKind};
use proptest::collection::vec;
use proptest::prelude::*;

pub(super) const TOPICS: [&str; 2] = ["n.a", "n.b"];
pub(super) const INTERVALS_MS: [u32; 3] = [0, 20, 50];
pub(super) const CLIENTS: usize = 6;

#[derive(Debug, Clone)]
pub(super) enum Operation {
    Publish {
        topic: usize,
        key: u8,
        padding: usize,
    },
    Snapshot {
        topic: usize,
    },
    /// Attaches a client, online or not, as if it had nothing.
    Attach {
        client: usize,
        topic: usize,
        interval: usize,
    },
    Detach {
        client: usize,
    },
    /// Attaches a client where it was before, with what it has.
    Resume {
        client: usize,
    },
    Resync {
        client: usize,
    },
    Pass {
        ms: u64,
    },
    Tick,
    /// The shard has found that nobody hears it.
    Unheard {
        topic: usize,
        interval: usize,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) namespace: Namespace,
    pub(super) encodings: usize,
    pub(super) operations: Vec<Operation>,
}

pub(super) fn runs() -> impl Strategy<Value = Run> {
    let bounds = (1_u32..9, 20_usize..900, prop_oneof![Just(0), Just(60), Just(200)], 32_usize..80);
    (kinds(), bounds, prop::bool::ANY, 1_usize..4, vec(operations(), 1..150)).prop_map(
        |((policy, snapshot), bounds, keeps, encodings, operations)| {
            let (history_entries, history_bytes, history_age_ms, message_bytes_max) = bounds;
            let keeps = keeps || snapshot == SnapshotKind::Published;
            let namespace = Namespace {
                policy,
                snapshot,
                history_entries: if keeps { history_entries } else { 0 },
                history_bytes,
                history_age_ms,
                message_bytes_max,
                ..Namespace::default()
            };
            Run { namespace, encodings, operations }
        },
    )
}

/// Policies, with the snapshots that make sense of them.
fn kinds() -> impl Strategy<Value = (Policy, SnapshotKind)> {
    let lossless = Policy::Lossless { overflow: Overflow::Gap };
    prop_oneof![
        1 => Just((lossless, SnapshotKind::None)),
        1 => Just((lossless, SnapshotKind::Last)),
        1 => Just((lossless, SnapshotKind::Keys)),
        3 => Just((lossless, SnapshotKind::Published)),
        1 => Just((Policy::Latest, SnapshotKind::None)),
        1 => Just((Policy::Latest, SnapshotKind::Last)),
        1 => Just((Policy::LatestByKey, SnapshotKind::None)),
        1 => Just((Policy::LatestByKey, SnapshotKind::Last)),
        1 => Just((Policy::LatestByKey, SnapshotKind::Keys)),
    ]
}

fn operations() -> impl Strategy<Value = Operation> {
    let topic = 0..TOPICS.len();
    let interval = 0..INTERVALS_MS.len();
    let client = 0..CLIENTS;
    prop_oneof![
        12 => (topic.clone(), 0_u8..4, 0_usize..12)
            .prop_map(|(topic, key, padding)| Operation::Publish { topic, key, padding }),
        2 => topic.clone().prop_map(|topic| Operation::Snapshot { topic }),
        4 => (client.clone(), topic.clone(), interval.clone())
            .prop_map(|(client, topic, interval)| Operation::Attach { client, topic, interval }),
        3 => client.clone().prop_map(|client| Operation::Detach { client }),
        4 => client.clone().prop_map(|client| Operation::Resume { client }),
        1 => client.prop_map(|client| Operation::Resync { client }),
        4 => (1_u64..40).prop_map(|ms| Operation::Pass { ms }),
        4 => Just(Operation::Tick),
        2 => (topic, interval)
            .prop_map(|(topic, interval)| Operation::Unheard { topic, interval }),
    ]
}
