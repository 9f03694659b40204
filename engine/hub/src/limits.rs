//! Every bound of this crate, in bytes and in count, checked against each other at compile time.

use core::time::Duration;

/// Bytes of queued frames one outbox holds by default: 4 MiB, about two seconds of a 16 Mbit/s
/// feed. The frames are shared, so a thousand stalled readers of one topic do not hold a
/// thousand times this.
pub const OUTBOX_BYTES_MAX: usize = 4 << 20;
/// Frames one outbox holds by default. Their handles take 32 bytes each: 512 KiB at the bound.
pub const OUTBOX_FRAMES_MAX: u32 = 16_384;
/// How long a frame may wait in an outbox by default.
pub const OUTBOX_AGE_MAX: Duration = Duration::from_secs(30);
/// How long a peer may take no byte at all by default, while something waits for it.
pub const OUTBOX_STALL_MAX: Duration = Duration::from_secs(10);

/// The largest `bytes_max` that can be configured; also the longest frame the hub takes.
pub const OUTBOX_BYTES_CEILING: usize = 1 << 30;
/// The largest `frames_max` that can be configured.
pub const OUTBOX_FRAMES_CEILING: u32 = 1 << 20;
/// The longest age or stall that can be configured: the hub keeps ages in 32-bit milliseconds.
pub const OUTBOX_TIME_CEILING: Duration = Duration::from_secs(7 * 24 * 3600);

/// Conflated entries (`latest`, `latest_by_key`) may exceed the bounds by one part in this many,
/// so that a full queue of other topics does not at once end a ticker.
pub const CONFLATED_ALLOWANCE_PART: u32 = 4;

/// Bytes of a topic's name by default.
pub const TOPIC_BYTES_MAX: usize = 255;
/// The largest `topics_max` that can be configured.
pub const TOPICS_CEILING: usize = 1 << 30;
/// Topics with at least one subscriber, per hub, by default.
pub const TOPICS_MAX: usize = 1_000_000;
/// Subscriptions of one connection by default.
pub const SUBSCRIPTIONS_MAX: usize = 3_000;
/// Keys of one topic that are remembered between publications (`latest_by_key`). With more, the
/// table starts afresh: a key may then stand twice in a backlog, the newer value behind.
pub const KEYS_MAX: usize = 65_536;
/// Bytes of one key. A frame with a longer key replaces none and is replaced by none.
pub const KEY_BYTES_MAX: usize = 255;
/// Namespaces of one engine.
pub const NAMESPACES_MAX: usize = 1_024;
/// The largest `history_entries` that can be configured.
pub const HISTORY_ENTRIES_MAX: u32 = 1 << 20;
/// The largest `history_bytes` that can be configured.
pub const HISTORY_BYTES_MAX: usize = 1 << 30;
/// The longest time that a namespace can name: 30 days, in milliseconds.
pub const NAMESPACE_TIME_MS_CEILING: u64 = 30 * 24 * 3_600_000;
/// Topics that one part of an answer to a pattern holds: no shard is held up for longer.
pub const PATTERN_PAGE_MAX: usize = 1_000;
/// Topics with presence of one connection at most.
pub const PRESENCES_MAX: usize = 1_000;
/// Members of a topic with presence by default.
pub const PRESENCE_MAX: u32 = 10_000;
/// The largest `presence_max` that can be configured.
pub const PRESENCE_CEILING: u32 = 1_000_000;
/// The smallest interval of a conflated variant by default, in milliseconds.
pub const INTERVAL_MIN_MS: u32 = 10;
/// The longest interval of a conflated variant, in milliseconds.
pub const INTERVAL_MAX_MS: u32 = 60_000;
/// Conflated variants of one topic at a time, by default.
pub const VARIANTS_MAX: u16 = 8;
/// The largest `variants_max` that can be configured.
pub const VARIANTS_CEILING: u16 = 256;
/// Bytes of one message's payloads and key by default.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Patterns of one connection. A pattern with another interval is another one.
pub const PATTERNS_MAX: usize = 100;
/// Tokens of a pattern that is subscribed to.
pub const PATTERN_TOKENS_MAX: usize = 16;
/// Topics that the patterns of one connection hold, one that two of them hold counted twice.
pub const PATTERN_TOPICS_MAX: usize = 100_000;
/// Names of topics that one home looks at in one go for a pattern.
pub const PATTERN_SCAN_MAX: usize = 10_000;
/// Bytes of announcements (of topics that patterns matched, of what ended subscriptions lost) that
/// one outbox holds besides what its bounds allow, and at most [`PATTERN_TOPICS_MAX`] of them.
pub const ANNOUNCEMENT_BYTES_ALLOWANCE: usize = 4 << 20;
/// Bytes of the keys and payloads that one topic's `keys` snapshot is made of.
pub const KEYED_BYTES_MAX: usize = 16 << 20;
/// Messages in one answer to who asks for a history.
pub const HISTORY_REPLY_MAX: usize = 1_000;
/// Bytes of the messages in such an answer; a first one that is longer goes alone.
pub const HISTORY_REPLY_BYTES_MAX: usize = 1 << 20;
/// What a home says, and does, in one tick: the rest is for the next, so that nothing else of the
/// shard waits long.
pub const EMISSIONS_PER_TICK_MAX: usize = 1_000;
/// Patterns that are held with an interval at one home: each new topic is compared with those
/// that share its first token.
pub const HELD_PATTERNS_MAX: usize = 65_536;
/// Paused subscriptions of one connection whose homes are asked at a time.
pub const RESYNCS_MAX: usize = 256;
/// Rules of one hub.
pub const RULES_MAX: usize = 4_096;

/// Variants of one topic that ended and whose numbers are remembered each for itself.
pub(crate) const RETIRED_VARIANTS_MAX: usize = 64;
/// Topics with variants that a home looks at to make room for one more: the shards are asked
/// whether they hear those.
pub(crate) const FORGET_TRIES_MAX: usize = 4;
/// Stream numbers of forgotten topics that a home remembers, for when it has no others.
pub(crate) const SPARE_SIDS_MAX: usize = 65_536;
/// Bytes of idle ring storage that a hub keeps for the next backlog.
pub(crate) const POOL_BYTES_MAX: usize = 4 << 20;
/// Slow connections that are remembered until the shard asks for them.
pub(crate) const SLOW_LIST_MAX: usize = 65_536;
/// Pending keys that are searched one by one before an outbox gets an index of them.
pub(crate) const KEY_SEARCH_MAX: u32 = 16;
/// Subscriptions that are searched one by one before a connection gets an index of them.
pub(crate) const SUBSCRIPTION_SEARCH_MAX: usize = 16;
/// Holes that a ring may have, beyond as many as it has entries, before it is compacted.
pub(crate) const HOLES_MAX: u32 = 32;

const _: () = {
    assert!(OUTBOX_BYTES_MAX <= OUTBOX_BYTES_CEILING);
    assert!(OUTBOX_FRAMES_MAX <= OUTBOX_FRAMES_CEILING);
    assert!(OUTBOX_AGE_MAX.as_secs() <= OUTBOX_TIME_CEILING.as_secs());
    assert!(OUTBOX_STALL_MAX.as_secs() < OUTBOX_AGE_MAX.as_secs());
    // The bound, its allowance and one frame more still count in 32 bits.
    let part = CONFLATED_ALLOWANCE_PART as usize;
    assert!(OUTBOX_BYTES_CEILING * 2 + OUTBOX_BYTES_CEILING / part <= u32::MAX as usize);
    let announcements = ANNOUNCEMENT_BYTES_ALLOWANCE;
    assert!(OUTBOX_BYTES_CEILING * 3 + announcements <= u32::MAX as usize);
    // A subscription counts in a byte the patterns that hold it.
    assert!(PATTERNS_MAX <= u8::MAX as usize);
    // Ages are compared in wrapping milliseconds.
    assert!(OUTBOX_TIME_CEILING.as_millis() < (u32::MAX / 2) as u128);
    // Every subscription of a connection may have its one slot and its gap notice.
    assert!(SUBSCRIPTIONS_MAX * 2 <= OUTBOX_FRAMES_MAX as usize);
    assert!(TOPICS_MAX <= TOPICS_CEILING && TOPICS_CEILING < u32::MAX as usize);
    assert!(PRESENCE_MAX <= PRESENCE_CEILING && VARIANTS_MAX <= VARIANTS_CEILING);
    assert!(INTERVAL_MIN_MS <= INTERVAL_MAX_MS && MESSAGE_BYTES_MAX <= OUTBOX_BYTES_CEILING);
    assert!(HISTORY_REPLY_BYTES_MAX <= OUTBOX_BYTES_MAX);
    assert!(TOPIC_BYTES_MAX <= 255 && KEY_BYTES_MAX <= 255);
};
