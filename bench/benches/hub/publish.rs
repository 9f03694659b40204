//! One message, beside 1,000 to 100,000 topics and 0 to 10,000 patterns that do not match.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};

use crate::world::{SUBSCRIBERS, World};

const TOPICS: [usize; 3] = [1_000, 10_000, 100_000];
const PATTERNS: [usize; 4] = [0, 100, 1_000, 10_000];

pub(crate) fn bench(criterion: &mut Criterion) {
    curves(criterion, "publish_known", SUBSCRIBERS as u64, World::publish_known);
    curves(criterion, "publish_unheard", 0, World::publish_unheard);
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
