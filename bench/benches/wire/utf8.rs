//! Validation of UTF-8 beside what it is made of: `simdutf8` alone, and the standard library. All
//! three peers validate with `simdutf8` or the standard library inside; only fastwebsockets lets
//! one call that. What they make of it is in `parse_validate` and `receive_fragmented`.

use std::hint::black_box;

use corecast_wire::utf8::Validator;
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::source::text_not_ascii;

/// Bytes of a fragment: characters straddle its ends.
const FRAGMENT_BYTES: usize = 509;

pub(crate) fn bench(criterion: &mut Criterion) {
    whole(criterion);
    fragmented(criterion);
}

fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("utf8");
    for bytes in [128, 1024, 16 * 1024, 64 * 1024] {
        let text = text_not_ascii(bytes).into_bytes();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("corecast", bytes), |bencher| {
            bencher.iter(|| {
                let mut validator = Validator::new();
                validator.feed(black_box(&text)).expect("valid");
                validator.finish().expect("whole");
            });
        });
        group.bench_function(BenchmarkId::new("simdutf8", bytes), |bencher| {
            bencher.iter(|| simdutf8::basic::from_utf8(black_box(&text)).is_ok());
        });
        group.bench_function(BenchmarkId::new("std", bytes), |bencher| {
            bencher.iter(|| std::str::from_utf8(black_box(&text)).is_ok());
        });
        group.bench_function(BenchmarkId::new("fastwebsockets", bytes), |bencher| {
            bencher.iter(|| {
                let payload = fastwebsockets::Payload::Borrowed(black_box(&text));
                assert!(fastwebsockets::Frame::text(payload).is_utf8());
            });
        });
    }
    group.finish();
}

/// As it comes in: piece by piece. `simdutf8` alone cannot, and has the whole text instead.
fn fragmented(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("utf8_fragmented");
    for bytes in [1024, 16 * 1024] {
        let text = "€uro ünd zß水🍌 ".chars().cycle();
        let text: String = text.scan(0, |sum, c| within(sum, c, bytes)).collect();
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("corecast", bytes), |bencher| {
            bencher.iter(|| {
                let mut validator = Validator::new();
                for fragment in black_box(text.as_bytes()).chunks(FRAGMENT_BYTES) {
                    validator.feed(fragment).expect("valid");
                }
                validator.finish().expect("whole");
            });
        });
        group.bench_function(BenchmarkId::new("simdutf8", bytes), |bencher| {
            bencher.iter(|| simdutf8::basic::from_utf8(black_box(text.as_bytes())).is_ok());
        });
    }
    group.finish();
}

fn within(sum: &mut usize, character: char, bytes_max: usize) -> Option<char> {
    *sum += character.len_utf8();
    (*sum <= bytes_max).then_some(character)
}
