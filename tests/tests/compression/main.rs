//! permessage-deflate on a whole server: a message is compressed for each of its subscribers, one
//! of them cannot read it, or a little that stands for a lot takes memory.

#[cfg(test)]
mod batches;
#[cfg(test)]
mod bombs;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod turns;

use flate2::{Compress, Compression, FlushCompress};

/// The payload of a compressed message, as a client makes it.
#[cfg(test)]
fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut state = Compress::new(Compression::new(9), false);
    let mut out = Vec::with_capacity(payload.len() / 500 + 1024);
    state.compress_vec(payload, &mut out, FlushCompress::Sync).expect("it compresses");
    assert!(state.total_in() == payload.len() as u64 && out.len() < out.capacity());
    out.truncate(out.len() - 4);
    out
}
