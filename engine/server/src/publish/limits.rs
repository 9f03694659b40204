//! Bounds of `corecast publish`.

use std::time::Duration;

/// Bytes of one line of standard input.
pub(crate) const LINE_BYTES_MAX: usize = 16 << 20;
/// Lines that are read ahead.
pub(crate) const LINES_AHEAD: usize = 4_096;
/// Messages that are sent together: what the admin port takes by default.
pub(crate) const BATCH_MAX: usize = 500;
/// Bytes that are sent together; a longer message is sent alone.
pub(crate) const BATCH_BYTES_MAX: usize = 256 * 1024;
/// With `--rate`, batches last at most this part of a second.
pub(crate) const BATCHES_PER_SECOND: f64 = 50.0;
/// How often a server without room is asked again.
pub(crate) const RETRIES_MAX: u32 = 30;
/// The pause before that, where the server names none.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// The last record must be acknowledged within this time after it was sent.
pub(crate) const ACK_WITHIN: Duration = Duration::from_secs(30);
