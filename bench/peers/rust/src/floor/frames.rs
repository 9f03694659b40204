//! Where a frame ends, and how it looks without its mask.

/// A frame that says it is longer is refused.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 << 20;

const MASKED: u8 = 0x80;

/// A frame's head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The first byte: FIN and opcode.
    pub(crate) first: u8,
    /// Bytes before the payload.
    pub(crate) head_bytes: usize,
    /// Bytes of the payload.
    pub(crate) payload_bytes: usize,
    /// The masking key; zeros where there is none.
    pub(crate) key: [u8; 4],
}

/// Reads the head of the frame that `bytes` begin with, once it is whole.
pub(crate) fn find(bytes: &[u8]) -> Option<Found> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (payload_bytes, mut head_bytes) = match second & !MASKED {
        126 => (u64::from(u16::from_be_bytes(array(bytes, 2)?)), 4),
        127 => (u64::from_be_bytes(array(bytes, 2)?), 10),
        short => (u64::from(short), 2),
    };
    let mut key = [0; 4];
    if second & MASKED != 0 {
        key = array(bytes, head_bytes)?;
        head_bytes += 4;
    }
    let payload_bytes = usize::try_from(payload_bytes).unwrap_or(usize::MAX);
    Some(Found { first, head_bytes, payload_bytes, key })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// A server's frame with what `masked` is without its mask.
pub(crate) fn encode(first: u8, masked: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(10 + masked.len());
    frame.push(first);
    match masked.len() {
        bytes @ 0..126 => frame.push(bytes as u8),
        bytes @ 126..65_536 => {
            frame.push(126);
            frame.extend((bytes as u16).to_be_bytes());
        }
        bytes => {
            frame.push(127);
            frame.extend((bytes as u64).to_be_bytes());
        }
    }
    let head_bytes = frame.len();
    frame.extend_from_slice(masked);
    unmask(&mut frame[head_bytes..], key);
    frame
}

fn unmask(payload: &mut [u8], key: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut::<8>();
    let [a, b, c, d] = key;
    let key_twice = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ key_twice).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_found_whatever_its_length() {
        for bytes in [0, 1, 7, 8, 9, 125, 126, 65_535, 65_536, 300_000] {
            let payload = Vec::from_iter((0..bytes).map(|at| at as u8));
            let frame = encode(0x82, &payload, [0; 4]);
            for end in 0..frame.len().min(10) - payload.len().min(10) {
                assert_eq!(find(&frame[..end.min(1)]), None);
            }
            let found = find(&frame).unwrap();
            assert_eq!((found.first, found.payload_bytes, found.key), (0x82, bytes, [0; 4]));
            assert_eq!(frame[found.head_bytes..], payload);
        }
    }

    #[test]
    fn the_masked_hello_of_the_rfc_is_unmasked() {
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let found = find(&masked).unwrap();
        assert_eq!(found.head_bytes, 6);
        let frame = encode(found.first, &masked[6..], found.key);
        assert_eq!(frame, b"\x81\x05Hello");
        assert!((0..6).all(|end| find(&masked[..end]).is_none()));
    }
}
