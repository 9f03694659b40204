//! Bounds of `corecast subscribe`.

use std::time::Duration;

/// Topics whose numbers are followed, so that they can be resumed; those of patterns may be many.
pub(crate) const TOPICS_MAX: usize = 100_000;
/// Bytes of one message from the server.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Lines of the table of `--stats`.
pub(crate) const ROWS_MAX: usize = 40;
/// Latencies of a topic and second that are kept; of more, some.
pub(crate) const SAMPLES_MAX: usize = 4_096;

/// A connection and its handshake must stand within this time.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A connection on which nothing came for so many heartbeats is given up.
pub(crate) const HEARTBEATS_MISSED: u32 = 3;
/// What the server has for its answer to a Close.
pub(crate) const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// The first pause before a connection is tried again; it doubles each time.
pub(crate) const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest one.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A connection that lived that long was a good one: pauses begin anew.
pub(crate) const GOOD_AFTER: Duration = Duration::from_secs(10);

const _: () = assert!(PAUSE_MIN.as_millis() < PAUSE_MAX.as_millis());
