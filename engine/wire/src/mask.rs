//! Masking and unmasking in place (RFC 6455 §5.3): the same XOR both ways.
//!
//! Safe loops that the compiler vectorises, compiled on x86-64 for several instruction sets
//! and chosen at run time. Elsewhere the baseline has what it needs (NEON on 64-bit Arm).

#![cfg_attr(target_arch = "x86_64", allow(unsafe_code))]

/// XORs `buf` with `key`, where `buf[0]` stands at position `offset` of its frame's payload.
/// Any length, alignment and offset; `apply` twice restores the input.
#[inline]
pub fn apply(buf: &mut [u8], key: [u8; 4], offset: usize) {
    let key = Key::new(key).at(offset);
    if buf.len() < WIDE_BYTES_MIN {
        xor_short(buf, key);
    } else {
        wide::apply(buf, key);
    }
}

/// Below this the choice of an instruction set costs more than it wins.
const WIDE_BYTES_MIN: usize = 256;

/// Below this a payload's alignment does not matter enough.
const ALIGNED_BYTES_MIN: usize = 1024;

/// Bytes of the widest vector and of a cache line.
const LINE_BYTES: usize = 64;

/// A masking key as a little-endian word, so that turning it is one instruction.
#[derive(Clone, Copy)]
struct Key(u32);

impl Key {
    #[inline(always)]
    fn new(key: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(key))
    }

    /// The key as seen from payload position `offset`.
    #[inline(always)]
    fn at(self, offset: usize) -> Self {
        Self(self.0.rotate_right(offset as u32 % 4 * 8))
    }

    #[inline(always)]
    fn word(self) -> u64 {
        u64::from(self.0) << 32 | u64::from(self.0)
    }
}

/// Short payloads: sixteen bytes at a time, which every baseline has in one instruction.
#[inline(always)]
fn xor_short(buf: &mut [u8], key: Key) {
    //= RFC 6455 §5.3
    //# Octet i of the transformed data ("transformed-octet-i") is the XOR of
    //# octet i of the original data ("original-octet-i") with octet at index
    //# i modulo 4 of the masking key ("masking-key-octet-j"):
    let word = key.word();
    let (blocks, rest) = buf.as_chunks_mut::<16>();
    for block in blocks {
        for bytes in block.as_chunks_mut::<4>().0 {
            *bytes = (u32::from_le_bytes(*bytes) ^ key.0).to_le_bytes();
        }
    }
    xor_rest(rest, word);
}

/// What is left of less than sixteen bytes.
#[inline(always)]
fn xor_rest(rest: &mut [u8], word: u64) {
    let (words, rest) = rest.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_le_bytes(*bytes) ^ word).to_le_bytes();
    }
    let (halves, rest) = rest.as_chunks_mut::<4>();
    for bytes in halves {
        *bytes = (u32::from_le_bytes(*bytes) ^ word as u32).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(word.to_le_bytes()).take(3) {
        *byte ^= key;
    }
}

/// Long payloads, for the caller's instruction set: first up to a cache line's border, so that
/// no vector straddles two lines.
#[inline(always)]
fn xor_long(mut buf: &mut [u8], mut key: Key) {
    if buf.len() >= ALIGNED_BYTES_MIN {
        let head_bytes = buf.as_ptr().align_offset(LINE_BYTES).min(buf.len());
        let (head, body) = buf.split_at_mut(head_bytes);
        xor_short(head, key);
        key = key.at(head_bytes);
        buf = body;
    }
    let word = key.word();
    let (words, rest) = buf.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_le_bytes(*bytes) ^ word).to_le_bytes();
    }
    xor_rest(rest, word);
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{Key, xor_long};

    #[inline]
    pub(super) fn apply(buf: &mut [u8], key: Key) {
        // The standard library keeps what it found out about the CPU: a load and a test each.
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: the CPU has just been found to have the two features that `avx512` is
            // compiled for, and its body is safe code.
            unsafe { avx512(buf, key) }
        } else if is_x86_feature_detected!("avx2") {
            // SAFETY: the CPU has just been found to have the feature that `avx2` is compiled
            // for, and its body is safe code.
            unsafe { avx2(buf, key) }
        } else {
            xor_long(buf, key);
        }
    }

    /// Those that this machine can run, by name.
    #[cfg(test)]
    pub(super) fn variants() -> Vec<super::tests::Variant> {
        let mut variants: Vec<super::tests::Variant> = Vec::new();
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            variants.push(("avx512", |buf, key| {
                // SAFETY: pushed only where the CPU has the features that `avx512` needs.
                unsafe { avx512(buf, key) }
            }));
        }
        if is_x86_feature_detected!("avx2") {
            variants.push(("avx2", |buf, key| {
                // SAFETY: pushed only where the CPU has the feature that `avx2` needs.
                unsafe { avx2(buf, key) }
            }));
        }
        variants
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn avx512(buf: &mut [u8], key: Key) {
        xor_long(buf, key);
    }

    #[target_feature(enable = "avx2")]
    fn avx2(buf: &mut [u8], key: Key) {
        xor_long(buf, key);
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod wide {
    #[inline]
    pub(super) fn apply(buf: &mut [u8], key: super::Key) {
        super::xor_long(buf, key);
    }

    #[cfg(test)]
    pub(super) fn variants() -> Vec<super::tests::Variant> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, wide, xor_long, xor_short};

    pub(super) type Variant = (&'static str, fn(&mut [u8], Key));

    #[test]
    fn every_variant_that_this_machine_has_matches_the_naive_loop() {
        let mut variants: Vec<Variant> = vec![("short", xor_short), ("baseline", xor_long)];
        variants.extend(wide::variants());
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for (name, variant) in variants {
            for length in (0..300).chain([1023, 1024, 1025, 1100, 4097]) {
                for (start, phase) in [(0, 0), (1, 1), (3, 2), (6, 3), (31, 0), (63, 1)] {
                    let mut buf: Vec<u8> = (0..length + 64).map(|at| at as u8).collect();
                    let mut expected = buf.clone();
                    for (at, byte) in expected[start..start + length].iter_mut().enumerate() {
                        *byte ^= key[(phase + at) % 4];
                    }
                    variant(&mut buf[start..start + length], Key::new(key).at(phase));
                    assert!(buf == expected, "{name}: {length} bytes at {start}, phase {phase}");
                }
            }
        }
    }
}
