//! What the hub pays for a message: by subscribers, by what its outbox does with it, and beside
//! many topics and many patterns that do not match, where every curve is to be flat. Absolute
//! times are the machine's.

use criterion::{criterion_group, criterion_main};

#[path = "hub/outbox.rs"]
mod outbox;
#[path = "hub/publish.rs"]
mod publish;
#[path = "hub/room.rs"]
mod room;
#[path = "hub/world.rs"]
mod world;

criterion_group!(benches, outbox::bench, publish::bench);
criterion_main!(benches);
