//! Bounds of fetching keys.

use std::time::Duration;

/// A key set must be there, whole, within this time.
pub(crate) const FETCH_WITHIN: Duration = Duration::from_secs(10);
/// The connection for it must stand within this time.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Redirects that are followed, all to the same host.
pub(crate) const REDIRECTS_MAX: usize = 3;
/// A source is asked for an unknown key once in this time at most: anybody can name one.
pub(crate) const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// The part of the time between two looks by which each differs, so that not all servers of a
/// fleet look at once.
pub(crate) const JITTER: f64 = 0.1;
