//! What a connection of the feed may make grow, beyond what the configuration bounds.

/// Commands of one connection that wait for an answer of another shard, at most. More than a burst
/// of the default rate, so that only a mesh that stands still lets anybody meet it.
pub(crate) const COMMANDS_IN_FLIGHT_MAX: usize = 256;
/// Bytes of commands of one connection that wait for the hook, at most.
pub(crate) const ASKING_BYTES_MAX: usize = 256 * 1024;
/// Members that one answer to `presence` lists; `total` counts all.
pub(crate) const PRESENCE_REPLY_MAX: usize = 1_000;
/// Bytes of a user's name, after percent-decoding.
pub(crate) const USER_BYTES_MAX: usize = corecast_feed::limits::NAME_BYTES_MAX;
/// Slices of a shard's connections; each hears the heartbeat at a moment of its own.
pub(crate) const BEATS: u32 = 8;

const _: () = {
    // The names of internal topics: `$client.`, `$user.` and what follows.
    assert!(USER_BYTES_MAX + "$user.".len() <= 255);
    assert!(BEATS > 0 && COMMANDS_IN_FLIGHT_MAX <= u32::MAX as usize);
};
