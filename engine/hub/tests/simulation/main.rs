//! Two shards without a kernel: clients that obey the protocol, publishers, sockets of any speed,
//! every order in which the shards' jobs can arrive. No client may see a hole or a duplicate that
//! it was not told of, and at rest each has the newest.
//!
//! `CORECAST_SIMULATION_SEEDS=10000` runs so many seeds (the nightly form does), and
//! `CORECAST_SIMULATION_SEED=17` one of them again.

mod client;
mod codec;
mod random;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::Promise;
use corecast_hub::{Namespace, Namespaces, Overflow, Policy, SnapshotKind};
use random::Random;
use world::{NODES, World};

const SEEDS: u64 = 200;
const STEPS: usize = 2_000;
const CLIENTS: usize = 5;
const CLIENTS_TOPIC: &str = "chat.room";

const TOPICS: [&str; 9] = [
    "trade.a",
    "trade.b",
    "book.a",
    "book.b",
    "quote.a",
    "quote.b",
    "keyed.a",
    "keyed.b",
    CLIENTS_TOPIC,
];
const VARIANTS: [&str; 4] = ["trade.a@100ms", "book.b@100ms", "quote.a@50ms", "keyed.b@100ms"];
const PATTERNS: [(&str, u32); 5] =
    [("trade.*", 0), ("*.b", 0), ("keyed.>", 0), ("quote.*", 100), ("book.*", 0)];

#[test]
fn no_client_sees_a_hole_or_a_duplicate_that_it_was_not_told_of() {
    if let Some(seed) = number_in("CORECAST_SIMULATION_SEED") {
        println!("{:?}", simulate(seed));
        return;
    }
    let seeds = number_in("CORECAST_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let mut lines = BTreeMap::<String, u64>::new();
    for seed in 0..seeds {
        let simulated = std::panic::catch_unwind(|| simulate(seed));
        let Ok(seen) = simulated else { panic!("again with CORECAST_SIMULATION_SEED={seed}") };
        for (kind, count) in seen {
            *lines.entry(kind).or_default() += count;
        }
    }
    println!("{seeds} seeds: {lines:?}");
    for kind in EXPECTED {
        let often = lines.get(kind).is_some_and(|count| *count >= seeds / 2);
        assert!(often, "hardly any `{kind}` in {seeds} seeds: {lines:?}");
    }
}

/// What must happen in a simulation that is worth anything.
const EXPECTED: [&str; 9] = [
    "message",
    "snapshot",
    "gap",
    "subscribed",
    "resumed",
    "announced",
    "published",
    "joined",
    "left",
];

fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

fn simulate(seed: u64) -> BTreeMap<String, u64> {
    let mut random = Random::new(seed);
    let places_max = *random.pick(&[4, 16, 64, 512]);
    let mut world = World::new(&namespaces(&mut random), CLIENTS, places_max);
    let speeds: Vec<usize> = (0..CLIENTS).map(|_| *random.pick(&[12, 60, 4_000])).collect();
    for _ in 0..STEPS {
        step(&mut world, &mut random, &speeds);
    }
    world.come_to_rest();
    assert_all_have_the_newest(&world);
    for client in 0..CLIENTS {
        world.disconnect(client);
    }
    world.come_to_rest();
    assert_eq!(world.places(), 0, "places in the mesh were not given back");
    world.seen.lines
}

fn namespaces(random: &mut Random) -> Arc<Namespaces> {
    let history = |entries: u32| Namespace {
        history_entries: entries,
        history_bytes: 4_096,
        ..Namespace::default()
    };
    let gap = Policy::Lossless { overflow: Overflow::Gap };
    let named = |name: &str, policy, snapshot, rest: Namespace| Namespace {
        name: name.into(),
        policy,
        snapshot,
        ..rest
    };
    let snapshots = Policy::Lossless { overflow: Overflow::Snapshot };
    let entries = *random.pick(&[4, 16, 64]);
    let all = vec![
        named("trade", gap, SnapshotKind::None, history(entries)),
        named("book", snapshots, SnapshotKind::Published, history(entries)),
        named("quote", Policy::Latest, SnapshotKind::Last, history(0)),
        named("keyed", Policy::LatestByKey, SnapshotKind::Keys, history(0)),
        Namespace { presence: true, ..named("chat", gap, SnapshotKind::None, history(entries)) },
    ];
    Arc::new(Namespaces::new(all).expect("good settings"))
}

fn step(world: &mut World, random: &mut Random, speeds: &[usize]) {
    let client = random.below(CLIENTS);
    match random.below(40) {
        0..12 => {
            let topic = *random.pick(&TOPICS);
            if topic == CLIENTS_TOPIC {
                world.publish(topic, 0, Some(client), false);
            } else if random.one_in(4) {
                let side = topic.len() % NODES;
                let its = |topic: &&str| *topic != CLIENTS_TOPIC && topic.len() % NODES == side;
                let topics: Vec<&str> = TOPICS.into_iter().filter(its).collect();
                let batch: Vec<&str> =
                    (0..=random.below(6)).map(|_| *random.pick(&topics)).collect();
                world.publish_batch(&batch, side);
            } else {
                // A publisher has its own way in, and its messages come home in their order.
                let side = topic.len() % NODES;
                let snapshot = topic.starts_with("book") && random.one_in(6);
                world.publish(topic, side, None, snapshot);
            }
        }
        12..22 => {
            let from = random.below(NODES);
            for _ in 0..=random.below(6) {
                world.deliver(from, 1 - from);
            }
        }
        22..30 => world.drain(client, 1 + random.below(speeds[client])),
        30..32 => world.pass_time(Duration::from_millis(random.below(80) as u64)),
        32..36 if world.clients[client].at.is_some() => {
            let names = if random.one_in(3) { &VARIANTS[..] } else { &TOPICS[..] };
            let name = *random.pick(names);
            let resume = !random.one_in(6);
            world.subscribe(client, name, resume);
        }
        36 if world.clients[client].at.is_some() => {
            let (pattern, interval_ms) = *random.pick(&PATTERNS);
            world.subscribe_pattern(client, pattern, interval_ms);
        }
        37 => {
            let name = *random.pick(&TOPICS);
            world.unsubscribe(client, name);
        }
        38 if random.one_in(4) => world.disconnect(client),
        39 if random.one_in(4) => world.close(client),
        _ if world.clients[client].at.is_none() => {
            world.connect(client, random.below(NODES));
            // It goes back to where it was.
            for name in world.clients[client].memory.keys().cloned().collect::<Vec<_>>() {
                world.subscribe(client, &name, !random.one_in(6));
            }
        }
        _ => {}
    }
}

fn assert_all_have_the_newest(world: &World) {
    for client in world.clients.iter().filter(|client| client.at.is_some()) {
        assert!(client.asked.is_empty(), "never answered: {:?}", client.asked);
        for (name, view) in &client.views {
            let topic = name.split('@').next().unwrap_or(name);
            let count = world.counts.get(topic).copied().unwrap_or(0);
            match Promise::of(name) {
                Promise::Lossless if !name.contains('@') => {
                    let missing = (1..=count).filter(|seq| !view.knows_of(*seq));
                    assert_eq!(missing.collect::<Vec<_>>(), [], "{name} at {}", view.last);
                }
                // Counted where nothing was lost since.
                Promise::Lossless | Promise::Latest => {
                    if let Some(newest) = view.count {
                        assert_eq!(newest, count, "{name} is not at its newest");
                    }
                }
                Promise::ByKey => {
                    for (key, newest) in &view.keys {
                        let expected = (0..=count).rev().find(|count| count % 4 == *key);
                        assert_eq!(Some(*newest), expected, "{name}, key {key}");
                    }
                }
            }
        }
    }
}
