//! Masking against the formula of RFC 6455 §5.3, for every alignment, phase and short length.

use corecast_wire::mask;

fn naive(buf: &mut [u8], key: [u8; 4], offset: usize) {
    for (at, byte) in buf.iter_mut().enumerate() {
        *byte ^= key[(offset + at) % 4];
    }
}

fn check(alignment: usize, length: usize, phase: usize) {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut buf: Vec<u8> = (0..length + 192).map(|at| (at * 31 % 251) as u8).collect();
    let start = buf.as_ptr().align_offset(64) + alignment;
    let mut expected = buf.clone();
    naive(&mut expected[start..start + length], key, phase);
    mask::apply(&mut buf[start..start + length], key, phase);
    assert!(buf == expected, "alignment {alignment}, length {length}, phase {phase}");
}

#[test]
fn every_alignment_length_and_phase() {
    for alignment in 0..64 {
        for length in 0..=300 {
            for phase in 0..=4 {
                check(alignment, length, phase);
            }
        }
    }
}

#[test]
fn long_payloads() {
    for length in [511, 1023, 1024, 1025, 1087, 4096, 4099, 65_535, 65_536, (1 << 20) + 13] {
        for alignment in [0, 1, 6, 8, 14, 33, 63] {
            for phase in [0, 1, 3, 1_000_001] {
                check(alignment, length, phase);
            }
        }
    }
}

#[test]
fn pieces_give_the_same_as_the_whole() {
    let key = [1, 2, 3, 4];
    let original: Vec<u8> = (0..2000).map(|at| at as u8).collect();
    let mut whole = original.clone();
    naive(&mut whole, key, 0);
    for size in [1, 2, 3, 5, 63, 64, 65, 255, 256, 257, 1023, 1500] {
        let mut pieces = original.clone();
        for (at, piece) in pieces.chunks_mut(size).enumerate() {
            mask::apply(piece, key, at * size);
        }
        assert!(pieces == whole, "pieces of {size}");
    }
}
