//! TLS: what stands between a socket and its WebSocket where the peer came in by a listener that
//! speaks it.
//!
//! - [`settings`]: certificates, authorities and versions, checked and made into what handshakes
//!   start from; [`certificate`] reads what is in a certificate, [`names`] chooses one by SNI.
//! - [`desk`]: what a shard has for all its handshakes: places, a queue, a share of its time.
//! - [`link`]: one connection's state: its handshake, then its records, both ways.
//! - [`records`]: the passes over rustls' state machine, which owns no buffer of ours.
//! - [`queue`]: whose handshake goes on.
//!
//! What is sent is encrypted when it is written (`flush/secure.rs`): until then frames are shared.

mod certificate;
mod desk;
mod link;
mod names;
pub(crate) mod queue;
mod records;
mod settings;
#[cfg(test)]
mod tests;

/// Bytes that the ciphertext of one write takes at most.
pub(crate) const SEALED_WRITE_BYTES_MAX: usize =
    crate::limits::TLS_WRITE_BYTES_MAX + records::OVERHEAD_BYTES;

pub(crate) use desk::Desk;
pub(crate) use link::{Prepared, Tls};
pub(crate) use records::RECORD_BYTES;
#[cfg(feature = "fault-injection")]
pub(crate) use records::RECORDS_SPENT;
pub use settings::{TlsError, TlsSettings};
