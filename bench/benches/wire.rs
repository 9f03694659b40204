//! What the wire crate costs per byte and per frame, beside its peers in the same run: compare
//! the ratios, the absolute times are the machine's.

use criterion::{criterion_group, criterion_main};

#[path = "wire/corecast.rs"]
mod corecast;
#[path = "wire/encode.rs"]
mod encode;
#[path = "wire/fastwebsockets.rs"]
mod fastwebsockets_peer;
#[path = "wire/receive.rs"]
mod receive;
#[path = "wire/source.rs"]
mod source;
#[path = "wire/tungstenite.rs"]
mod tungstenite_peer;
#[path = "wire/unmask.rs"]
mod unmask;

criterion_group!(benches, unmask::bench, receive::bench, encode::bench);
criterion_main!(benches);
