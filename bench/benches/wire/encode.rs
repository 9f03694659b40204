//! A text message to sockets. Kept (`encode_for_1`, `encode_for_100`): the payload will be gone
//! before a slow socket has taken it, so everybody first makes something of it that lives on and
//! is shared by the sockets: each has a handle, the last one the first. Borrowed: it stays until
//! the socket has taken it, and need not be copied by who can send two slices.

use std::hint::black_box;
use std::io::{IoSlice, Write};

use corecast_wire::frame::HEADER_BYTES_MAX;
use corecast_wire::{Frame, Header, Opcode};
use criterion::{BenchmarkId, Criterion, Throughput};
use tokio_websockets::Message;
use tungstenite::{Bytes, Utf8Bytes};

use crate::source::{Reader, Side, Source, text};
use crate::{fastwebsockets_peer, tokio_websockets_peer, tungstenite_peer};

const SIZES: [usize; 3] = [128, 1024, 16 * 1024];

pub(crate) fn bench(criterion: &mut Criterion) {
    for subscribers in [1, 100] {
        kept(criterion, subscribers);
    }
    borrowed(criterion);
}

fn kept(criterion: &mut Criterion, subscribers: usize) {
    let mut group = criterion.benchmark_group(format!("encode_for_{subscribers}"));
    group.throughput(Throughput::Elements(subscribers as u64));
    for bytes in SIZES {
        let payload = text(bytes);
        let mut sink = Source::sink();
        group.bench_function(BenchmarkId::new("corecast", bytes), |bencher| {
            bencher.iter(|| {
                let frame = Frame::text(black_box(&payload));
                for _ in 1..subscribers {
                    write(&mut sink, black_box(frame.clone()).as_bytes());
                }
                write(&mut sink, black_box(frame).as_bytes());
            });
        });
        let mut peer = tungstenite_peer::Peer::new(Source::sink(), Side::Server);
        group.bench_function(BenchmarkId::new("tungstenite", bytes), |bencher| {
            bencher.iter(|| {
                let text = Utf8Bytes::from(black_box(&payload).clone());
                (1..subscribers).for_each(|_| peer.write(text.clone()));
                peer.write(text);
            });
        });
        let mut peer = fastwebsockets_peer::Writer::new();
        group.bench_function(BenchmarkId::new("fastwebsockets", bytes), |bencher| {
            bencher.iter(|| {
                let text = black_box(&payload).clone();
                (0..subscribers).for_each(|_| peer.write(text.as_bytes()));
            });
        });
        let mut peer = tokio_websockets_peer::Peer::new(Source::sink(), Side::Server);
        group.bench_function(BenchmarkId::new("tokio-websockets", bytes), |bencher| {
            bencher.iter(|| {
                let message = Message::text(Bytes::from(black_box(&payload).clone()));
                (1..subscribers).for_each(|_| peer.write(message.clone()));
                peer.write(message);
            });
        });
    }
    group.finish();
}

fn borrowed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode_borrowed");
    for bytes in SIZES {
        let payload: &'static str = text(bytes).leak();
        let mut sink = Source::sink();
        group.bench_function(BenchmarkId::new("corecast", bytes), |bencher| {
            bencher.iter(|| {
                let payload = black_box(payload).as_bytes();
                let payload_bytes = payload.len() as u64;
                let header = Header {
                    payload_bytes,
                    mask: None,
                    fin: true,
                    compressed: false,
                    opcode: Opcode::Text,
                };
                let mut head = [0; HEADER_BYTES_MAX];
                let head_bytes = header.encode(&mut head);
                let slices = [IoSlice::new(&head[..head_bytes]), IoSlice::new(payload)];
                let written = sink.write_vectored(&slices).expect("a sink takes all");
                assert_eq!(written, head_bytes + payload.len());
            });
        });
        let mut peer = tungstenite_peer::Peer::new(Source::sink(), Side::Server);
        group.bench_function(BenchmarkId::new("tungstenite", bytes), |bencher| {
            bencher.iter(|| peer.write(Utf8Bytes::from_static(black_box(payload))));
        });
        let mut peer = fastwebsockets_peer::Writer::new();
        group.bench_function(BenchmarkId::new("fastwebsockets", bytes), |bencher| {
            bencher.iter(|| peer.write(black_box(payload).as_bytes()));
        });
        let mut peer = tokio_websockets_peer::Peer::new(Source::sink(), Side::Server);
        group.bench_function(BenchmarkId::new("tokio-websockets", bytes), |bencher| {
            bencher.iter(|| peer.write(Message::text(black_box(payload))));
        });
    }
    group.finish();
}

fn write(sink: &mut Source, bytes: &[u8]) {
    assert_eq!(sink.write(bytes).expect("a sink takes all"), bytes.len());
}
