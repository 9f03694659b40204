//! Defaults and hard bounds of the program's own settings.

/// The longest configuration file, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Problems of one configuration that are told; the rest are counted.
pub(crate) const PROBLEMS_MAX: usize = 100;

/// Time between two heartbeats by default, in milliseconds.
pub(crate) const HEARTBEAT_MS: u64 = 5_000;
/// The shortest time between two heartbeats, in milliseconds.
pub(crate) const HEARTBEAT_MS_MIN: u64 = 100;
/// The longest time between two heartbeats, in milliseconds.
pub(crate) const HEARTBEAT_MS_MAX: u64 = 600_000;
/// Malformed commands of one connection in a minute by default.
pub(crate) const ERRORS_MAX: u32 = 20;
/// Commands of one connection in a second by default.
pub(crate) const COMMANDS_PER_SECOND_MAX: u32 = 100;
/// Commands of one connection at once by default.
pub(crate) const COMMANDS_BURST: u32 = 200;
/// The largest count of commands or errors that can be configured.
pub(crate) const COMMANDS_CEILING: u32 = 1_000_000;
/// Topics of one command by default.
pub(crate) const TOPICS_PER_COMMAND_MAX: usize = 500;
/// The most topics of one command that can be configured.
pub(crate) const TOPICS_PER_COMMAND_CEILING: usize = 10_000;
/// Messages of one answer to `history` by default.
pub(crate) const HISTORY_REPLY_MAX: u32 = 1_000;
/// The most messages of one answer to `history` that can be configured.
pub(crate) const HISTORY_REPLY_CEILING: u32 = 10_000;
/// Bytes of the feed's path.
pub(crate) const PATH_BYTES_MAX: usize = 255;

/// Time for the first `auth` by default, in milliseconds.
pub(crate) const AUTH_DEADLINE_MS: u64 = 10_000;
/// The shortest time for it, in milliseconds.
pub(crate) const AUTH_DEADLINE_MS_MIN: u64 = 100;
/// The longest time for it, in milliseconds: nobody is waited for without an end.
pub(crate) const AUTH_DEADLINE_MS_MAX: u64 = 300_000;
/// Bytes of the name of a cookie or a query parameter.
pub(crate) const AUTH_NAME_BYTES_MAX: usize = 64;
/// Bytes of the name of a source of keys.
pub(crate) const SOURCE_NAME_BYTES_MAX: usize = 64;
/// Time between two looks at a key set by default, in milliseconds.
pub(crate) const KEYS_REFRESH_MS: u64 = 600_000;
/// The shortest time between them, in milliseconds.
pub(crate) const KEYS_REFRESH_MS_MIN: u64 = 1_000;
/// The longest time between them, in milliseconds.
pub(crate) const KEYS_REFRESH_MS_MAX: u64 = 86_400_000;
/// How long keys are trusted while nobody answers, by default, in milliseconds.
pub(crate) const KEYS_AGE_MAX_MS: u64 = 86_400_000;
/// The longest time that can be configured for it, in milliseconds.
pub(crate) const KEYS_AGE_MS_CEILING: u64 = 30 * 86_400_000;

/// Publishers connected at a time by default.
pub(crate) const PUBLISHERS_MAX: u32 = 64;
/// The most publishers that can be configured.
pub(crate) const PUBLISHERS_CEILING: u32 = 65_536;
/// Bytes of one record by default.
pub(crate) const RECORD_BYTES_MAX: usize = 1 << 20;
/// The shortest bound of a record: topic, key and header alone, in bytes.
pub(crate) const RECORD_BYTES_MIN: u64 = 1_024;
/// The longest record that can be configured, in bytes.
pub(crate) const RECORD_BYTES_CEILING: usize = 1 << 26;
/// Bytes of a Unix socket's path: `sun_path` holds 108 with its end.
pub(crate) const UNIX_PATH_BYTES_MAX: usize = 107;

/// Time for an answer of the hook by default, in milliseconds.
pub(crate) const HOOK_TIMEOUT_MS: u64 = 2_000;
/// The shortest and the longest that can be configured.
pub(crate) const HOOK_TIMEOUT_MS_MIN: u64 = 10;
pub(crate) const HOOK_TIMEOUT_MS_MAX: u64 = 60_000;
/// The longest time for which an answer of it can be remembered, in milliseconds: an hour.
pub(crate) const HOOK_CACHE_MS_MAX: u64 = 3_600_000;
/// Answers that a shard remembers by default.
pub(crate) const HOOK_CACHE_MAX: usize = 4_096;
/// The most answers that can be configured.
pub(crate) const HOOK_CACHE_CEILING: usize = 1_000_000;
/// Questions that are asked at once by default.
pub(crate) const HOOK_CONCURRENCY_MAX: usize = 64;
/// The most that can be configured.
pub(crate) const HOOK_CONCURRENCY_CEILING: usize = 1_024;
/// Questions that wait to be asked by default.
pub(crate) const HOOK_QUEUE_MAX: usize = 1_024;
/// The most that can be configured.
pub(crate) const HOOK_QUEUE_CEILING: usize = 65_536;
/// Headers that are forwarded to it.
pub(crate) const HOOK_HEADERS_MAX: usize = 16;

/// Bytes of one request's body on the admin port by default.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;
/// The longest body that can be configured, in bytes.
pub(crate) const BODY_BYTES_CEILING: usize = 1 << 28;
/// Messages of one batch by default.
pub(crate) const BATCH_MAX: usize = 1_000;
/// The largest batch that can be configured.
pub(crate) const BATCH_CEILING: usize = 100_000;

/// Time for queued messages and closing handshakes by default, in milliseconds.
pub(crate) const DRAIN_MS: u64 = 10_000;
/// The longest time over which the end is spread by default, in milliseconds.
pub(crate) const SPREAD_MS: u64 = 5_000;
/// The longest end that can be configured, in milliseconds: an hour.
pub(crate) const SHUTDOWN_MS_CEILING: u64 = 3_600_000;

/// Bytes of topics that are taken over by default: 1 GiB.
pub(crate) const STATE_BYTES_MAX: u64 = 1 << 30;
/// The most that can be configured, in bytes.
pub(crate) const STATE_BYTES_CEILING: u64 = 1 << 40;

const _: () = {
    assert!(HEARTBEAT_MS_MIN <= HEARTBEAT_MS && HEARTBEAT_MS <= HEARTBEAT_MS_MAX);
    assert!(COMMANDS_BURST <= COMMANDS_CEILING && ERRORS_MAX <= COMMANDS_CEILING);
    assert!(AUTH_DEADLINE_MS_MIN <= AUTH_DEADLINE_MS && AUTH_DEADLINE_MS <= AUTH_DEADLINE_MS_MAX);
    assert!(KEYS_REFRESH_MS_MIN <= KEYS_REFRESH_MS && KEYS_REFRESH_MS <= KEYS_REFRESH_MS_MAX);
    assert!(KEYS_REFRESH_MS <= KEYS_AGE_MAX_MS && KEYS_AGE_MAX_MS <= KEYS_AGE_MS_CEILING);
    assert!(TOPICS_PER_COMMAND_MAX <= TOPICS_PER_COMMAND_CEILING);
    assert!(HISTORY_REPLY_MAX <= HISTORY_REPLY_CEILING);
    assert!(RECORD_BYTES_MAX <= RECORD_BYTES_CEILING && BODY_BYTES_MAX <= BODY_BYTES_CEILING);
    assert!(SPREAD_MS < DRAIN_MS && DRAIN_MS <= SHUTDOWN_MS_CEILING);
    assert!(BATCH_MAX <= BATCH_CEILING && PUBLISHERS_MAX <= PUBLISHERS_CEILING);
};
