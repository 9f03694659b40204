//! Masked text frames from a stream: parse, unmask, validate, hand out.

use criterion::{BenchmarkId, Criterion, Throughput};

use crate::source::{MESSAGES, Source, text, text_not_ascii};
use crate::{corecast, fastwebsockets_peer, tungstenite_peer};

pub(crate) fn bench(criterion: &mut Criterion) {
    for (name, payload) in
        [("receive", text as fn(usize) -> String), ("receive_not_ascii", text_not_ascii)]
    {
        let mut group = criterion.benchmark_group(name);
        for bytes in [128, 1024, 16 * 1024] {
            let source = Source::of_text(&payload(bytes));
            let expected = MESSAGES * bytes;
            group.throughput(Throughput::Elements(MESSAGES as u64));
            let mut reader = corecast::Reader::new(source.clone());
            group.bench_function(BenchmarkId::new("corecast", bytes), |bencher| {
                bencher.iter(|| assert_eq!(reader.read(MESSAGES), expected));
            });
            let mut peer = tungstenite_peer::Peer::new(source.clone());
            group.bench_function(BenchmarkId::new("tungstenite", bytes), |bencher| {
                bencher.iter(|| assert_eq!(peer.read(MESSAGES), expected));
            });
            let mut peer = fastwebsockets_peer::Peer::new(source);
            group.bench_function(BenchmarkId::new("fastwebsockets", bytes), |bencher| {
                bencher.iter(|| assert_eq!(peer.read(MESSAGES), expected));
            });
        }
        group.finish();
    }
}
