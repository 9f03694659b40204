//! What the hub asks of the allocator: nothing per socket, nothing while idle.

// The trait that counts allocations cannot be implemented without it; test code only.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use corecast_hub::{
    ConnId, Encoding, Frames, Hub, HubConfig, Overflow, Pattern, Policy, Prepared, Publication,
    SharedFrame, SharedFrames, Timestamp,
};
use corecast_wire::Frame;

const SOCKETS: usize = 1_000;
const TOPIC: &str = "quote.BTCUSDT";

#[test]
fn a_message_to_a_thousand_sockets_allocates_twice() {
    for policy in Policy::ALL {
        let (mut hub, mut dirty) = hub_with(SOCKETS, policy);
        for round in 0..10 {
            fan_out(&mut hub, &mut dirty, round, 1);
        }
        let before = allocations();
        for round in 10..20 {
            fan_out(&mut hub, &mut dirty, round, 1);
        }
        let per_message = (allocations() - before) / 10;
        assert!(per_message <= 2, "{policy}: {per_message} allocations for each message");
    }
}

#[test]
fn coalescing_takes_its_storage_from_the_pool() {
    for policy in [Policy::default(), Policy::Close, Policy::DropOldest, Policy::LatestByKey] {
        let (mut hub, mut dirty) = hub_with(SOCKETS, policy);
        fan_out(&mut hub, &mut dirty, 0, 16);
        let before = allocations();
        for round in 1..11 {
            fan_out(&mut hub, &mut dirty, round, 16);
        }
        let messages = 10 * 16;
        let per_message = (allocations() - before) / messages;
        assert!(per_message <= 2, "{policy}: {per_message} allocations for each message");
    }
}

#[test]
fn an_idle_outbox_owns_no_memory() {
    let (mut hub, mut dirty) = hub_with(SOCKETS, Policy::default());
    fan_out(&mut hub, &mut dirty, 0, 1);
    let before = live_bytes();
    fan_out(&mut hub, &mut dirty, 1, 2_000);
    let pooled = hub.pooled_bytes() as u64;
    assert!(pooled <= 4 << 20, "{pooled} bytes pooled");
    // What stays is the pool with its lists and the longer dirty list.
    let stays = live_bytes() - before;
    assert!(stays <= pooled + 100_000, "{stays} bytes stay, {pooled} of them pooled");
}

#[test]
fn a_connection_with_its_subscriptions_takes_a_few_hundred_bytes() {
    let before = live_bytes();
    let (mut hub, _) = hub_with(8_192, Policy::default());
    let each = (live_bytes() - before) / 8_192;
    assert!(each <= 320, "{each} bytes for an idle connection with one subscription");
    for conn in connections(8_192) {
        assert!(hub.disconnect(conn));
    }
    drop(hub);
    assert_eq!(live_bytes(), before);
}

#[test]
fn a_topic_that_no_pattern_matches_allocates_nothing() {
    let (mut hub, conns) = hub_with_patterns();
    let frames = SharedFrames::raw(SharedFrame::new(Frame::text("1"), Timestamp(0)));
    let names: Vec<String> = (0..1_000).map(|n| format!("quote.{n}.nothing")).collect();
    let publish = |hub: &mut Hub, topic: &str| {
        let raw = Publication::raw(topic, 1, &frames);
        hub.publish(&Publication { sid: 1, home: 0, ..raw }, Timestamp(0)).delivered
    };
    assert_eq!(publish(&mut hub, "quote.7.matches"), conns.len() as u64);
    let before = allocations();
    assert!(names.iter().all(|name| publish(&mut hub, name) == 0));
    assert_eq!(allocations() - before, 0);
    assert_eq!(hub.topics(), 1);
}

#[test]
fn a_message_that_nobody_here_wants_allocates_nothing() {
    let (mut hub, mut dirty) = hub_with(8, Policy::Latest);
    let frame = || Frame::text("61000.50,61000.75");
    let frames = Encoding::ALL.into_iter().fold(Frames::default(), |f, e| f.with(e, frame()));
    let mut publish = |topic, seq| {
        let published_at = Timestamp(seq);
        let none = SharedFrames::default();
        let frames = Prepared::Encoded { frames: &frames, published_at };
        let publication = Publication { frames, ..Publication::raw(topic, seq, &none) };
        let before = allocations();
        let report = hub.publish(&publication, published_at);
        let allocated = allocations() - before;
        hub.take_dirty(&mut dirty);
        for conn in &dirty {
            let slices = hub.outbox(*conn).into_iter().flat_map(|outbox| outbox.slices());
            let bytes = slices.map(<[u8]>::len).sum();
            hub.sent(*conn, bytes, published_at);
        }
        (report.delivered, allocated)
    };
    assert_eq!(publish(TOPIC, 1).0, 8);
    assert_eq!(publish("quote.ETHUSDT", 1), (0, 0));
    assert_eq!(publish(TOPIC, 2).0, 8);
    assert_eq!(publish(TOPIC, 3).0, 8);
    // Of three encodings one is wanted: one handle.
    assert_eq!(publish(TOPIC, 4), (8, 1));
}

#[test]
fn who_comes_and_goes_with_patterns_leaves_no_memory_behind() {
    let (mut hub, mut conns) = hub_with_patterns();
    let frames = SharedFrames::raw(SharedFrame::new(Frame::text("1"), Timestamp(0)));
    let mut live = Vec::new();
    for _ in 0..4 {
        for n in 0..20 {
            let topic = format!("quote.{n}.matches");
            let raw = Publication::raw(&topic, 1, &frames);
            let publication = Publication { sid: 1, home: 0, ..raw };
            assert_eq!(hub.publish(&publication, Timestamp(0)).delivered, conns.len() as u64);
        }
        for conn in conns.drain(..) {
            assert!(hub.disconnect(conn));
        }
        let mut dirty = Vec::new();
        hub.take_dirty(&mut dirty);
        drop(dirty);
        assert_eq!(hub.topics(), 0);
        live.push(live_bytes());
        attach_patterns(&mut hub, &mut conns);
    }
    assert_eq!(live[1..], [live[1]; 3], "each round leaves something behind");
}

fn hub_with_patterns() -> (Hub, Vec<ConnId>) {
    let (mut hub, mut conns) = (Hub::new(HubConfig::default()), Vec::new());
    attach_patterns(&mut hub, &mut conns);
    (hub, conns)
}

fn attach_patterns(hub: &mut Hub, conns: &mut Vec<ConnId>) {
    for _ in 0..50 {
        let conn = hub.connect(Timestamp(0));
        for text in ["quote.*.matches", "*.*.matches", "trade.>", "a.b.c.d"] {
            let pattern: Pattern = text.parse().expect("a pattern");
            let policy = Some(Policy::Lossless { overflow: Overflow::Snapshot });
            hub.attach_pattern(conn, 0, &pattern, 0, policy, Encoding::Raw).expect("attached");
        }
        conns.push(conn);
    }
}

fn hub_with(sockets: usize, policy: Policy) -> (Hub, Vec<ConnId>) {
    let mut hub = Hub::new(HubConfig::default());
    for _ in 0..sockets {
        let conn = hub.connect(Timestamp(0));
        hub.subscribe(conn, TOPIC, Some(policy)).expect("subscribed");
    }
    (hub, Vec::new())
}

fn connections(sockets: u32) -> impl Iterator<Item = ConnId> {
    (0..sockets).map(|index| ConnId { index, generation: 0 })
}

/// Publishes `messages` and sends everything: one round of a shard's loop.
fn fan_out(hub: &mut Hub, dirty: &mut Vec<ConnId>, round: u64, messages: u64) {
    let now = Timestamp(round * 1_000_000);
    for message in 0..messages {
        let frame = SharedFrame::new(Frame::text("61000.50,61000.75"), now);
        let frames = SharedFrames::raw(frame);
        let key = [message as u8 % 4];
        let seq = round * messages + message + 1;
        let key = Some(&key[..]);
        let publication = Publication { key, ..Publication::raw(TOPIC, seq, &frames) };
        assert_eq!(hub.publish(&publication, now).delivered, hub.connections() as u64);
    }
    hub.take_dirty(dirty);
    assert_eq!(dirty.len(), hub.connections());
    for conn in &*dirty {
        let slices = hub.outbox(*conn).into_iter().flat_map(|outbox| outbox.slices());
        let bytes = slices.map(<[u8]>::len).sum();
        assert!(!hub.sent(*conn, bytes, now).more);
        assert_eq!(hub.outbox(*conn).map(|outbox| outbox.heap_bytes()), Some(0));
    }
}

/// Counts what the current thread allocates, so that tests may run side by side.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<u64> = const { Cell::new(0) };
}

fn allocations() -> u64 {
    ALLOCATIONS.get()
}

fn live_bytes() -> u64 {
    LIVE_BYTES.get()
}

// SAFETY: every call goes to the system's allocator unchanged; the counters are plain numbers
// of this thread, made without allocating and without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LIVE_BYTES.set(LIVE_BYTES.get().wrapping_add(layout.size() as u64));
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, which is the one of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.set(LIVE_BYTES.get().wrapping_sub(layout.size() as u64));
        // SAFETY: `pointer` came from `System` with this layout, as the caller vouches.
        unsafe { System.dealloc(pointer, layout) }
    }
}
