//! What the wire crate costs per byte and per frame, beside its peers in the same run: compare
//! the ratios, the absolute times are the machine's. `corecast-bench micro` prints them in a table.

use criterion::{criterion_group, criterion_main};

#[path = "wire/corecast.rs"]
mod corecast;
#[path = "wire/encode.rs"]
mod encode;
#[path = "wire/fastwebsockets.rs"]
mod fastwebsockets_peer;
#[path = "wire/handshake.rs"]
mod handshake;
#[path = "wire/receive.rs"]
mod receive;
#[path = "wire/source.rs"]
mod source;
#[path = "wire/tokio_websockets.rs"]
mod tokio_websockets_peer;
#[path = "wire/tungstenite.rs"]
mod tungstenite_peer;
#[path = "wire/unmask.rs"]
mod unmask;
#[path = "wire/utf8.rs"]
mod utf8;

/// What our program runs with, here for all alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group!(
    benches,
    unmask::bench,
    utf8::bench,
    receive::bench,
    encode::bench,
    handshake::bench
);
criterion_main!(benches);
