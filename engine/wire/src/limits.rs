//! Every bound of this crate, in bytes and in count, checked against each other at compile time.

/// Bytes of a whole request or response head, its closing empty line included. Over it: 431.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a request line, its CRLF included. Over it: 414.
pub const REQUEST_LINE_BYTES_MAX: usize = 4 * 1024;

/// Header fields of one head. Over it: 431.
pub const HEADERS_MAX: usize = 64;

/// Subprotocols that one handshake may offer, over all its header fields.
pub const SUBPROTOCOLS_MAX: usize = 32;

/// Extension offers of one handshake, over all its header fields.
pub const EXTENSIONS_MAX: usize = 16;

/// Bytes of the longest frame header: two bytes, a 64-bit length, a masking key (RFC 6455 §5.2).
pub const HEADER_BYTES_MAX: usize = 14;

/// Payload bytes of a control frame (RFC 6455 §5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// Bytes of a close reason: a control payload without the status code (RFC 6455 §5.5.1).
pub const CLOSE_REASON_BYTES_MAX: usize = 123;

/// Default bound of one received message in bytes, over all its fragments. Over it: 1009.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Default bound of the frames that one received message may consist of. Over it: 1008.
pub const MESSAGE_PARTS_MAX: u32 = 1024;

/// Bytes that one read takes: fewer would cost more system calls and acknowledgements than the
/// first-level cache gives back. A whole message of 64 KiB fits.
pub const READ_BYTES: usize = 64 * 1024 + 64;

/// Bytes that a read takes at least: a system call for a few of them costs more than their copy.
pub const READ_BYTES_MIN: usize = 4 * 1024;

/// From so many payload bytes on, frames are read one by one: each is then unmasked, validated and
/// handled in the first-level cache, at the buffer's beginning.
pub const LONG_FRAME_BYTES_MIN: usize = 8 * 1024;

/// Bytes that one read takes of a frame longer than [`READ_BYTES`]: unmasked piece by piece.
pub const PIECE_BYTES: usize = 32 * 1024;

const _: () = {
    assert!(REQUEST_LINE_BYTES_MAX < HEAD_BYTES_MAX);
    // The shortest header field is `a:` and CRLF.
    assert!(HEADERS_MAX * 4 < HEAD_BYTES_MAX);
    assert!(SUBPROTOCOLS_MAX * 2 < HEAD_BYTES_MAX);
    assert!(EXTENSIONS_MAX * 2 < HEAD_BYTES_MAX);
    assert!(CLOSE_REASON_BYTES_MAX + 2 == CONTROL_BYTES_MAX);
    assert!(CONTROL_BYTES_MAX <= MESSAGE_BYTES_MAX);
    assert!(HEADER_BYTES_MAX == 2 + 8 + 4);
    assert!(MESSAGE_PARTS_MAX >= 1);
    assert!(HEADER_BYTES_MAX + CONTROL_BYTES_MAX <= READ_BYTES_MIN);
    assert!(READ_BYTES_MIN <= LONG_FRAME_BYTES_MIN && LONG_FRAME_BYTES_MIN <= PIECE_BYTES);
    assert!(PIECE_BYTES <= READ_BYTES);
};
