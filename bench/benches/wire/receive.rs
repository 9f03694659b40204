//! Frames from a stream, step by step. As a client reads them nothing is masked: parsing alone,
//! or with validation. As a server does: unmasking, validation, and all of it together.

use corecast_wire::Opcode;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};

use crate::source::{Reader, Side, Source, messages, text, text_not_ascii};
use crate::{corecast, fastwebsockets_peer, tokio_websockets_peer, tungstenite_peer};

/// Frames of a fragmented message.
const PARTS: usize = 8;

pub(crate) fn bench(criterion: &mut Criterion) {
    beside(criterion, "parse", Side::Client, &[&[16], &SIZES[..]].concat(), |bytes| {
        Source::unmasked(Opcode::Binary, text(bytes).as_bytes())
    });
    beside(criterion, "parse_unmask", Side::Server, &SIZES, |bytes| {
        Source::masked(Opcode::Binary, text(bytes).as_bytes())
    });
    beside(criterion, "parse_validate", Side::Client, &SIZES, |bytes| {
        Source::unmasked(Opcode::Text, text_not_ascii(bytes).as_bytes())
    });
    beside(criterion, "receive", Side::Server, &SIZES, |bytes| {
        Source::masked(Opcode::Text, text(bytes).as_bytes())
    });
    beside(criterion, "receive_not_ascii", Side::Server, &SIZES, |bytes| {
        Source::masked(Opcode::Text, text_not_ascii(bytes).as_bytes())
    });
    beside(criterion, "receive_fragmented", Side::Server, &[1024, 16 * 1024], |bytes| {
        Source::fragmented(Opcode::Text, text_not_ascii(bytes).as_bytes(), PARTS)
    });
}

const SIZES: [usize; 7] = [64, 128, 1024, 4096, 16 * 1024, 64 * 1024, 1024 * 1024];

fn beside(
    criterion: &mut Criterion,
    name: &str,
    side: Side,
    sizes: &[usize],
    source: impl Fn(usize) -> Source,
) {
    let mut group = criterion.benchmark_group(name);
    for &bytes in sizes {
        group.throughput(Throughput::Elements(messages(bytes) as u64));
        let source = source(bytes);
        let group = &mut group;
        one::<corecast::Connection>(group, "corecast", bytes, &source, side);
        one::<tungstenite_peer::Peer>(group, "tungstenite", bytes, &source, side);
        one::<fastwebsockets_peer::Peer>(group, "fastwebsockets", bytes, &source, side);
        one::<tokio_websockets_peer::Peer>(group, "tokio-websockets", bytes, &source, side);
    }
    group.finish();
}

fn one<R: Reader>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    bytes: usize,
    source: &Source,
    side: Side,
) {
    let messages = messages(bytes);
    let mut reader = R::new(source.clone(), side);
    group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
        bencher.iter(|| assert_eq!(reader.read(messages), messages * bytes));
    });
}
