//! One message to 1 to 10,000 subscribers and off to their sockets; and one beside 1,000 to 100,000
//! topics and 0 to 10,000 patterns that do not match.

use std::hint::black_box;

use corecast_hub::{HubConfig, Policy};
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::room::Room;
use crate::world::{SUBSCRIBERS, World};

const TOPICS: [usize; 3] = [1_000, 10_000, 100_000];
const PATTERNS: [usize; 4] = [0, 100, 1_000, 10_000];

const SUBSCRIBERS_BY: [usize; 5] = [1, 10, 100, 1_000, 10_000];

pub(crate) fn bench(criterion: &mut Criterion) {
    by_subscribers(criterion);
    curves(criterion, "publish_known", SUBSCRIBERS as u64, World::publish_known);
    curves(criterion, "publish_unheard", 0, World::publish_unheard);
}

fn by_subscribers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish_and_flush");
    for subscribers in SUBSCRIBERS_BY {
        group.throughput(Throughput::Elements(subscribers as u64));
        for policy in [Policy::default(), Policy::Latest] {
            let mut room = Room::new(HubConfig::default(), policy, subscribers);
            group.bench_function(BenchmarkId::new(policy.as_str(), subscribers), |bencher| {
                bencher.iter(|| {
                    assert_eq!(room.publish(0), subscribers as u64);
                    assert_eq!(room.flush(), subscribers as u64);
                });
            });
        }
    }
    group.finish();
}

/// A line for each number of topics, over the number of patterns.
fn curves(
    criterion: &mut Criterion,
    name: &str,
    delivered: u64,
    publish: impl Fn(&mut World) -> u64,
) {
    let mut group = criterion.benchmark_group(name);
    for topics in TOPICS {
        for patterns in PATTERNS {
            let mut world = World::new(topics, patterns);
            assert_eq!(publish(&mut world), delivered);
            let id = BenchmarkId::new(format!("{topics}_topics"), patterns);
            group.bench_function(id, |bencher| bencher.iter(|| black_box(publish(&mut world))));
        }
    }
    group.finish();
}
