//! Unmasking in place against a copy of the same bytes, which is what memory allows.

use std::hint::black_box;

use corecast_wire::mask;
use criterion::{BenchmarkId, Criterion, Throughput};

/// Where a payload begins behind a short and a long header: never aligned.
const PAYLOAD_OFFSET: usize = 6;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unmask");
    for bytes in [16, 64, 128, 1024, 4096, 64 * 1024, 1024 * 1024] {
        let mut payload = vec![0x5a_u8; bytes + PAYLOAD_OFFSET];
        let mut copy = payload.clone();
        let key = [0x37, 0xfa, 0x21, 0x3d];
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("memcpy", bytes), |bencher| {
            bencher.iter(|| {
                let from = &black_box(&payload)[PAYLOAD_OFFSET..];
                black_box(&mut copy)[PAYLOAD_OFFSET..].copy_from_slice(from);
            });
        });
        group.bench_function(BenchmarkId::new("corecast", bytes), |bencher| {
            bencher.iter(|| {
                let payload = &mut black_box(&mut payload)[PAYLOAD_OFFSET..];
                mask::apply(payload, black_box(key), black_box(0));
            });
        });
        group.bench_function(BenchmarkId::new("fastwebsockets", bytes), |bencher| {
            bencher.iter(|| {
                let payload = &mut black_box(&mut payload)[PAYLOAD_OFFSET..];
                fastwebsockets::unmask(payload, black_box(key));
            });
        });
    }
    group.finish();
}
