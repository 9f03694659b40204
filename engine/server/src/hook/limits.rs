//! Bounds of what the hook says, and of what is remembered of it.

/// Bytes of an answer.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a reason that is passed on to a client.
pub(crate) const REASON_BYTES_MAX: usize = 120;
/// Bytes of a question that is remembered with its answer: longer ones are asked anew each time.
pub(crate) const REMEMBERED_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a forwarded header's value; longer ones are refused, for half a token is none.
pub(crate) const HEADER_BYTES_MAX: usize = 8 * 1024;
