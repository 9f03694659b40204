//! What the load client accepts from a server, and how much it does at once.

/// Payload bytes of one message, over all its frames.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Frames of one message.
pub const MESSAGE_PARTS_MAX: u32 = 1 << 20;

/// Bytes that one read takes from a socket.
pub const READ_BYTES_MAX: usize = 64 << 10;

/// Decrypted bytes that are handled at once: those of a TLS record.
pub const RECORD_BYTES_MAX: usize = 16 << 10;

/// Reads from one socket before the others have their turn.
pub const READS_PER_TURN_MAX: u32 = 4;

/// Bytes that wait to be sent on one connection before no more are added to them.
pub const UNSENT_BYTES_MAX: usize = 1 << 20;

/// Readiness events taken from the kernel at once.
pub const EVENTS_MAX: usize = 512;

/// Opening handshakes under way at once when many connections are opened: below the usual accept
/// backlog.
pub const HANDSHAKES_MAX: usize = 256;

const _: () = assert!(READ_BYTES_MAX <= MESSAGE_BYTES_MAX);
