//! Defaults and bounds of budgets.

/// Connections of one address at once, by default: room for an office behind one address.
pub const ADDRESS_CONNECTIONS_MAX: u32 = 1_000;

/// Handshakes of one address in a second, on average, by default.
pub const ADDRESS_HANDSHAKES_PER_SECOND_MAX: u32 = 50;

/// Handshakes of one address at once, by default: all of that office, after a restart.
pub const ADDRESS_HANDSHAKES_BURST: u32 = 1_000;

/// Addresses that are counted each for itself, by default. An entry takes about 100 bytes.
pub const ADDRESS_ENTRIES_MAX: u32 = 65_536;

/// The most entries that one table has.
pub const ENTRIES_CEILING: u32 = 1 << 24;

/// Credentials of one address that are refused in a second, on average, by default.
pub const ADDRESS_AUTH_FAILURES_PER_SECOND_MAX: u32 = 1;

/// The same at once: an office whose tokens have all become bad.
pub const ADDRESS_AUTH_FAILURES_BURST: u32 = 200;

/// Bits of an IPv6 address that are one subscriber's, by default: providers give away no less.
pub const IPV6_PREFIX: u8 = 64;

/// Time between two words on the same address.
pub const TELL_EVERY_NS: u64 = 60_000_000_000;

/// Entries that are looked at, for some to drop, when one is made.
pub(super) const SWEEP_STEPS: usize = 4;

const _: () = assert!(SWEEP_STEPS > 1, "a table must empty faster than it fills");
const _: () = assert!(ADDRESS_ENTRIES_MAX <= ENTRIES_CEILING);
