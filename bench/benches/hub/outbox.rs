//! One socket's outbox under each policy: messages in and out again, and messages into a backlog of
//! a socket that takes nothing.

use corecast_hub::{HubConfig, OutboxLimits, Policy};
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::room::Room;

pub(crate) fn bench(criterion: &mut Criterion) {
    push_and_flush(criterion);
    conflate(criterion);
}

/// Messages between two flushes, each with a key of its own.
fn push_and_flush(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outbox_push_and_flush");
    for messages in [1, 64] {
        group.throughput(Throughput::Elements(messages));
        for policy in Policy::ALL {
            let mut room = Room::new(HubConfig::default(), policy, 1);
            let frames = if policy == Policy::Latest { 1 } else { messages };
            group.bench_function(BenchmarkId::new(policy.as_str(), messages), |bencher| {
                bencher.iter(|| {
                    for key in 0..messages {
                        assert_eq!(room.publish(key), 1);
                    }
                    assert_eq!(room.flush(), frames);
                });
            });
        }
    }
    group.finish();
}

/// A message more where so many values wait that no more will: it takes the place of one.
fn conflate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outbox_conflate");
    for (policy, waiting) in [
        (Policy::Latest, 1),
        (Policy::LatestByKey, 16),
        (Policy::LatestByKey, 1_024),
        (Policy::DropOldest, 16),
        (Policy::DropOldest, 1_024),
    ] {
        let outbox = OutboxLimits { frames_max: waiting, ..OutboxLimits::default() };
        let mut room = Room::new(HubConfig { outbox, ..HubConfig::default() }, policy, 1);
        room.block();
        let mut message = 0;
        let mut publish = || {
            message += 1;
            room.publish(message % u64::from(waiting))
        };
        for _ in 0..2 * waiting {
            publish();
        }
        group.bench_function(BenchmarkId::new(policy.as_str(), waiting), |bencher| {
            bencher.iter(&mut publish);
        });
        assert_eq!(room.waiting(), waiting, "{policy}: as many as before");
    }
    group.finish();
}
