//! JSON payloads that carry when they were due, and where they are found in what a client gets.

use std::io::Write as _;

use crate::stamp::Stamp;

/// The least that a payload has: both numbers and the frame around them.
pub const BYTES_MIN: usize = BEGIN.len() + HEX_DIGITS + MIDDLE.len() + HEX_DIGITS + END.len();

/// Makes `data` the payload of a record: a JSON object of `bytes` bytes, at least [`BYTES_MIN`].
pub fn write(data: &mut Vec<u8>, due_ns: u64, number: u64, bytes: usize) {
    data.clear();
    // Writing to a vector does not fail.
    let _ = write!(data, r#"{{"due":"{due_ns:016x}","n":"{number:016x}"#);
    let pad = bytes.saturating_sub(BYTES_MIN);
    data.extend(std::iter::repeat_n(b'-', pad));
    data.extend_from_slice(END);
}

/// When each payload in `message` was due, and its number, in order.
pub fn stamps(message: &[u8]) -> impl Iterator<Item = Stamp> + '_ {
    let mut rest = message;
    std::iter::from_fn(move || {
        loop {
            let at = rest.windows(BEGIN.len()).position(|window| window == BEGIN)?;
            rest = &rest[at + BEGIN.len()..];
            let number_at = HEX_DIGITS + MIDDLE.len();
            if let (Some(due_ns), Some(sequence)) = (hex(rest, 0), hex(rest, number_at)) {
                return Some(Stamp { due_ns, sequence });
            }
        }
    })
}

fn hex(text: &[u8], at: usize) -> Option<u64> {
    let digits = str::from_utf8(text.get(at..at + HEX_DIGITS)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

const BEGIN: &[u8] = br#"{"due":""#;
const MIDDLE: &[u8] = br#"","n":""#;
const END: &[u8] = br#""}"#;
const HEX_DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_due_is_found_again_in_an_array() {
        let mut message = b"{\"type\":\"message\",\"data\":[".to_vec();
        let mut data = Vec::new();
        for (due_ns, number) in [(1, 7), (u64::MAX, 8), (123_456_789, 9)] {
            write(&mut data, due_ns, number, 64);
            assert_eq!(data.len(), 64);
            serde_json::from_slice::<serde_json::Value>(&data).expect("JSON");
            message.extend_from_slice(&data);
            message.push(b',');
        }
        let found = stamps(&message).map(|stamp| (stamp.due_ns, stamp.sequence));
        assert_eq!(Vec::from_iter(found), [(1, 7), (u64::MAX, 8), (123_456_789, 9)]);
        assert_eq!(stamps(b"{\"due\":\"12").next(), None, "cut");
        write(&mut data, 1, 2, 0);
        assert_eq!(data.len(), BYTES_MIN);
    }
}
