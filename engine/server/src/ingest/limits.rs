//! Bounds of the ways in for publishers; the number of publishers and the length of a record are
//! settings.

use std::time::Duration;

/// The first frame, `hello`, must have come within this time.
pub(crate) const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// What an earlier connection of a publisher has sent must be settled within this time from the
/// hello of the next one.
pub(crate) const SETTLED_WITHIN: Duration = Duration::from_secs(5);
/// A connection without a byte for so long is closed. A publisher that has nothing to say repeats
/// its hello.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(15 * 60);
/// A publisher that takes no byte of what waits for it is closed after this time.
pub(crate) const STALL_MAX: Duration = Duration::from_secs(10);
/// What a connection that ends waits for, so that its last answer arrives.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// Bytes that one read takes at most, and with them the records that one turn handles.
pub(crate) const READ_BYTES: usize = 64 * 1024;
/// Bytes of answers that may wait; nothing is read while there are more.
pub(crate) const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// Records that were taken and whose topics' homes have not answered; nothing is read while there
/// are so many. Several acknowledgements of them.
pub(crate) const UNSETTLED_MAX: usize = 8_192;
/// Records that are published together at most: about what one read brings of short ones.
pub(crate) const BATCH_RECORDS_MAX: usize = 1_024;
/// Bytes of them at most, but for a record that is longer by itself.
pub(crate) const BATCH_BYTES_MAX: usize = 256 * 1024;
/// So many records are acknowledged at once,
pub(crate) const ACK_RECORDS: u64 = 1_024;
/// or what came within this time.
pub(crate) const ACK_WITHIN: Duration = Duration::from_millis(2);
/// Jumps, duplicates and refused records are logged at most that often for one publisher.
pub(crate) const LOG_EVERY: Duration = Duration::from_secs(1);

/// Names that are remembered, with their last number, for each publisher that may be connected.
pub(crate) const NAMES_PER_PUBLISHER: usize = 16;
/// Connections that have not said who they are, beside the publishers.
pub(crate) const STRANGERS_MAX: usize = 16;

const _: () = assert!(ACK_WITHIN.as_millis() < STALL_MAX.as_millis());
const _: () = assert!(UNSETTLED_MAX as u64 > ACK_RECORDS);
const _: () = assert!(UNSETTLED_MAX > BATCH_RECORDS_MAX);
