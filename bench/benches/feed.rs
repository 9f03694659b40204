//! The feed protocol's codecs: messages for clients in JSON and binary, with serde beside what was
//! written for speed; commands; records of the ingest socket.

use std::hint::black_box;

use corecast_feed::binary::{self, Payload, Records};
use corecast_feed::ingest::{self, Record, RecordKind};
use corecast_feed::limits::{IngestLimits, Limits};
use corecast_feed::{Event, json, parse_command};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const TOPIC: &str = "quote.BTCUSDT";
const SEQ: u64 = 1_234_567;
const TS_NS: i64 = 1_700_000_000_123_456_789;
const SIZES: [usize; 2] = [64, 1024];

criterion_group!(benches, encode, decode, ingest_records);
criterion_main!(benches);

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("feed_encode");
    for bytes in SIZES {
        let data = payload(bytes);
        let data = data.as_bytes();
        group.throughput(Throughput::Bytes(bytes as u64));
        let mut bench = |name: &str, write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    write(&mut out);
                    black_box(&out).len()
                });
            });
        };
        let text = json_message(data);
        let event = Event::parse(&text).expect("a message");
        bench("json", &|out| json::message(out, TOPIC, SEQ, TS_NS, black_box(data)));
        bench("json_serde", &|out| black_box(&event).write(out));
        bench("json_base64", &|out| json::message_base64(out, TOPIC, SEQ, TS_NS, black_box(data)));
        bench("binary", &|out| {
            binary::message(out, 7, SEQ, TS_NS, Payload::Json, black_box(data));
        });
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("feed_decode");
    for bytes in SIZES {
        let data = payload(bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        let text = json_message(data.as_bytes());
        group.bench_function(BenchmarkId::new("json", bytes), |bencher| {
            bencher.iter(|| matches!(Event::parse(black_box(&text)), Ok(Event::Message(_))));
        });
        let mut frame = Vec::new();
        binary::message(&mut frame, 7, SEQ, TS_NS, Payload::Json, data.as_bytes());
        group.bench_function(BenchmarkId::new("binary", bytes), |bencher| {
            bencher.iter(|| assert_eq!(Records::new(black_box(&frame)).flatten().count(), 1));
        });
        let command = format!(r#"{{"type":"publish","id":9,"topic":"{TOPIC}","data":{data}}}"#);
        let limits = Limits::default();
        group.bench_function(BenchmarkId::new("command", bytes), |bencher| {
            bencher.iter(|| parse_command(black_box(&command), &limits).is_ok());
        });
    }
    group.finish();
}

fn ingest_records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("feed_ingest");
    let limits = IngestLimits::default();
    for bytes in SIZES {
        let data = payload(bytes);
        let record = Record {
            seq: SEQ,
            kind: RecordKind::Message,
            topic: TOPIC,
            key: None,
            ts_ns: Some(TS_NS),
            data: data.as_bytes(),
            binary: None,
        };
        group.throughput(Throughput::Bytes(bytes as u64));
        let mut frame = Vec::new();
        group.bench_function(BenchmarkId::new("encode", bytes), |bencher| {
            bencher.iter(|| {
                frame.clear();
                ingest::record(&mut frame, black_box(&record), &limits).expect("within limits");
                black_box(&frame).len()
            });
        });
        let mut frame = Vec::new();
        ingest::record(&mut frame, &record, &limits).expect("within limits");
        group.bench_function(BenchmarkId::new("decode", bytes), |bencher| {
            bencher.iter(|| {
                let decoded = ingest::decode(black_box(&frame), &limits).expect("a frame");
                decoded.expect("all of it").1
            });
        });
    }
    group.finish();
}

/// One JSON value of just so many bytes: an array of numbers, as books have them.
fn payload(bytes: usize) -> String {
    let level = "67012.31,".chars().cycle().take(bytes - 3);
    let mut text: String = std::iter::once('[').chain(level).collect();
    text.truncate(text.rfind(',').unwrap_or(1) + 1);
    let rest = bytes - text.len() - 1;
    text.push_str(&"1".repeat(rest));
    text.push(']');
    text
}

fn json_message(data: &[u8]) -> String {
    let mut out = Vec::new();
    json::message(&mut out, TOPIC, SEQ, TS_NS, data);
    String::from_utf8(out).expect("JSON is UTF-8")
}
