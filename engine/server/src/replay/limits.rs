//! What a replay holds at most.

/// The longest line of a recording, in bytes: receive time, blank, message. The longest recorded
/// message known is 64 KB.
pub(crate) const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most files merged at once.
pub(crate) const FILES_MAX: usize = 256;

/// The most topics a replay may make: a hostile file could name a new one on each line.
pub(crate) const TOPICS_MAX: usize = 100_000;

/// Bytes of each file that are unpacked ahead.
pub(crate) const READ_AHEAD_BYTES: usize = 256 * 1024;

/// Bad lines that `--skip-bad` names in the log, one by one; the rest are only counted.
pub(crate) const SKIPPED_NAMED_MAX: u64 = 10;

/// Prices on one side of a book that is kept for snapshots; a deeper one is given up.
pub(crate) const BOOK_LEVELS_MAX: usize = 100_000;

/// Bytes of changes that are kept for each book until the recording's whole book comes.
pub(crate) const EARLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Messages of a book from one snapshot to the next, at most.
pub(crate) const SNAPSHOT_EVERY: u32 = 1_000;

/// Bytes of these messages: with more than half an outbox of them behind the snapshot, who joins
/// would have to wait for the next one.
pub(crate) const SNAPSHOT_BYTES: usize = 1024 * 1024;

/// Messages that are published together at most: those that are due at one moment, or at full speed
/// the next ones.
pub(crate) const BATCH_MESSAGES_MAX: usize = 64;

/// Bytes of them at most, but for a longer one by itself; fewer where outboxes are small.
pub(crate) const BATCH_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(READ_AHEAD_BYTES < LINE_BYTES_MAX);
