//! Bounds of the admin port; those of bodies and batches are settings.

use std::time::Duration;

/// Connections at a time; one more waits until another has ended.
pub(crate) const CONNECTIONS_MAX: usize = 256;
/// A connection on which no byte moves for so long is closed.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(60);
/// What a request waits in all while more is pending than may be; then it is answered 503.
pub(crate) const FULL_WAIT: Duration = Duration::from_millis(500);
/// What a request waits for the report on what it published; then it is answered 504.
pub(crate) const REPORT_WAIT: Duration = Duration::from_secs(10);
/// When a 503 asks to come back, in seconds.
pub(crate) const RETRY_AFTER_S: u32 = 1;
/// Bytes of the query of a request.
pub(crate) const QUERY_BYTES_MAX: usize = 2_048;

const _: () = assert!(FULL_WAIT.as_millis() + REPORT_WAIT.as_millis() < IDLE_MAX.as_millis());
