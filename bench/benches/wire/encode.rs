//! A text message to one subscriber, and the same one to a hundred: corecast encodes it once
//! and hands out references, its peers encode it for each socket.

use std::hint::black_box;

use corecast_wire::Frame;
use criterion::{BenchmarkId, Criterion, Throughput};
use tungstenite::Utf8Bytes;

use crate::source::{Source, text};
use crate::{fastwebsockets_peer, tungstenite_peer};

pub(crate) fn bench(criterion: &mut Criterion) {
    for subscribers in [1_usize, 100] {
        let mut group = criterion.benchmark_group(format!("encode_for_{subscribers}"));
        group.throughput(Throughput::Elements(subscribers as u64));
        for bytes in [128, 1024, 16 * 1024] {
            let payload: &'static str = text(bytes).leak();
            group.bench_function(BenchmarkId::new("corecast", bytes), |bencher| {
                bencher.iter(|| {
                    let frame = Frame::text(black_box(payload));
                    for _ in 0..subscribers {
                        black_box(black_box(frame.clone()).as_bytes());
                    }
                });
            });
            let mut peer = tungstenite_peer::Peer::new(Source::sink());
            group.bench_function(BenchmarkId::new("tungstenite", bytes), |bencher| {
                bencher.iter(|| {
                    let text = Utf8Bytes::from(black_box(payload));
                    for _ in 0..subscribers {
                        peer.write(&text);
                    }
                });
            });
            let mut peer = fastwebsockets_peer::Peer::new(Source::sink());
            group.bench_function(BenchmarkId::new("fastwebsockets", bytes), |bencher| {
                bencher.iter(|| {
                    for _ in 0..subscribers {
                        peer.write(black_box(payload));
                    }
                });
            });
        }
        group.finish();
    }
}
