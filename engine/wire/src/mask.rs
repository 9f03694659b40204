//! Masking and unmasking in place (RFC 6455 §5.3): the same XOR both ways.
//!
//! The loops are plain safe code that the compiler vectorises; on x86-64 they are compiled for
//! several instruction sets and chosen at run time, elsewhere (NEON) the baseline is enough.

/// XORs `buf` with `key`, where `buf[0]` stands at position `offset` of its frame's payload.
#[inline]
pub fn apply(buf: &mut [u8], key: [u8; 4], offset: usize) {
    let key = rotated(key, offset);
    xor(buf, key);
}

/// The key as seen from payload position `offset`.
#[inline]
fn rotated(mut key: [u8; 4], offset: usize) -> [u8; 4] {
    key.rotate_left(offset % 4);
    key
}

#[inline(always)]
fn xor(buf: &mut [u8], key: [u8; 4]) {
    //= RFC 6455 §5.3
    //# Octet i of the transformed data ("transformed-octet-i") is the XOR of
    //# octet i of the original data ("original-octet-i") with octet at index
    //# i modulo 4 of the masking key ("masking-key-octet-j"):
    for (byte, key) in buf.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}
