//! What policies and conflated variants promise, end to end: an engine in this process, so that its
//! counters can be read, real sockets, and messages as the feed protocol writes them; and the
//! program itself, which tells its counters at the end of a replay.

#![forbid(unsafe_code)]

mod replayed_quotes_go_uncounted;
mod service;
mod slow_reader_gets_old_values;
mod variant_is_encoded_for_each;
