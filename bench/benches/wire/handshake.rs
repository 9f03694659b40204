//! A browser's request, and the 101 that answers it. tungstenite by the parts that its API has for
//! that, tokio-websockets by its `accept` over a stream in memory, which makes the connection, too.
//! fastwebsockets leaves requests to hyper and has nothing to compare.

use std::hint::black_box;

use corecast_wire::handshake::accept_response;
use corecast_wire::{HeadScanner, Request, Upgrade};
use criterion::{BatchSize, BenchmarkId, Criterion};
use tokio_websockets::ServerBuilder;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server;

use crate::source::{Source, ready};

const REQUEST: &[u8] = b"GET /ws/quote.BTCUSDT?v=1 HTTP/1.1\r\n\
    Host: feed.example.com\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/126.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: https://www.example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handshake");
    let bytes = REQUEST.len();
    group.bench_function(BenchmarkId::new("corecast", bytes), |bencher| {
        bencher.iter(|| corecast(black_box(REQUEST)));
    });
    group.bench_function(BenchmarkId::new("tungstenite", bytes), |bencher| {
        bencher.iter(|| tungstenite(black_box(REQUEST)));
    });
    let source = Source::repeating(REQUEST);
    let builder = ServerBuilder::new();
    group.bench_function(BenchmarkId::new("tokio-websockets", bytes), |bencher| {
        let accept = |source| ready(builder.accept(source)).expect("a valid request");
        bencher.iter_batched(|| source.clone(), accept, BatchSize::SmallInput);
    });
    group.finish();
}

fn corecast(request: &[u8]) -> Vec<u8> {
    let head_bytes = HeadScanner::new().feed(request).expect("valid").expect("whole");
    let request = Request::parse(&request[..head_bytes]).expect("valid");
    let upgrade = Upgrade::parse(request).expect("an upgrade");
    accept_response(&upgrade, None, None, &[]).expect("a valid answer")
}

fn tungstenite(request: &[u8]) -> Vec<u8> {
    let (_, request) = server::Request::try_parse(request).expect("valid").expect("whole");
    let response = server::create_response(&request).expect("an upgrade");
    let mut answer = Vec::new();
    server::write_response(&mut answer, &response).expect("a Vec takes all");
    answer
}
