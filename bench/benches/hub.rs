//! What the hub pays for a message beside many topics and many patterns that do not match: every
//! curve is to be flat. Absolute times are the machine's.

use criterion::{criterion_group, criterion_main};

#[path = "hub/publish.rs"]
mod publish;
#[path = "hub/world.rs"]
mod world;

criterion_group!(benches, publish::bench);
criterion_main!(benches);
