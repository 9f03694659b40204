//! Every two-byte header against an oracle that knows only the tables of RFC 6455 §5.2 and
//! §5.5, and every length around a power of two, by its header alone.

mod common;

use common::{feed, header, receiver};
use corecast_wire::{CloseCode, Header, Opcode, ProtocolError, Role};

/// What the first two bytes must lead to on a fresh connection: no table, no arithmetic shared.
fn oracle(role: Role, first: u8, second: u8) -> Option<ProtocolError> {
    let bits: Vec<bool> = (0..8).rev().map(|at| first >> at & 1 == 1).collect();
    let opcode = first % 16;
    let masked = second >= 128;
    let length = second % 128;
    if bits[1] || bits[2] || bits[3] {
        return Some(ProtocolError::ReservedBits);
    }
    if [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].contains(&opcode) {
        return Some(ProtocolError::ReservedOpcode(opcode));
    }
    let control = [8, 9, 10].contains(&opcode);
    if control && !bits[0] {
        return Some(ProtocolError::ControlFragmented);
    }
    if control && length > 125 {
        return Some(ProtocolError::ControlTooLong);
    }
    match role {
        Role::Server if !masked => return Some(ProtocolError::Unmasked),
        Role::Client if masked => return Some(ProtocolError::Masked),
        _ => {}
    }
    // What follows needs the rest of the header, which the test sends with a length of zero.
    if length > 125 {
        return Some(ProtocolError::LengthNotMinimal);
    }
    (opcode == 0).then_some(ProtocolError::UnexpectedContinuation)
}

#[test]
fn every_two_byte_header() {
    for role in [Role::Server, Role::Client] {
        for bytes in 0..=u16::MAX {
            let [first, second] = bytes.to_be_bytes();
            // Length field of zeros, masking key of zeros, payload of a valid close code or text.
            let mut stream = vec![first, second];
            stream.extend([0; 12]);
            let expected = oracle(role, first, second);
            let outcome = feed(&mut receiver(role, 1000, 10), &stream).1;
            // The zeros behind a short frame are the next frame: a continuation of nothing or of
            // the message just begun, unmasked.
            let followed = [
                None,
                Some(ProtocolError::Unmasked),
                Some(ProtocolError::UnexpectedContinuation),
                Some(ProtocolError::CloseBody),
                Some(ProtocolError::CloseCode(0)),
            ];
            match expected {
                Some(error) => assert_eq!(outcome, Some(error), "{role:?} {bytes:#06x}"),
                None => assert!(followed.contains(&outcome), "{role:?} {bytes:#06x} {outcome:?}"),
            }
        }
    }
}

#[test]
fn every_broken_two_byte_header_is_refused_without_waiting_for_more() {
    for bytes in 0..=u16::MAX {
        let [first, second] = bytes.to_be_bytes();
        let expected = oracle(Role::Server, first, second);
        let outcome = feed(&mut receiver(Role::Server, 1000, 10), &[first, second]).1;
        match expected {
            // These two are known only behind the length field and behind the masking key.
            Some(ProtocolError::LengthNotMinimal | ProtocolError::UnexpectedContinuation) => {
                assert_eq!(outcome, None, "{bytes:#06x}");
            }
            expected => assert_eq!(outcome, expected, "{bytes:#06x}"),
        }
    }
}

#[test]
fn every_length_around_a_power_of_two_by_its_header_alone() {
    let bytes_max = 1 << 20;
    for power in 0..64 {
        for length in [(1_u64 << power) - 1, 1 << power, (1 << power) + 1] {
            let mut stream = header(true, 2, Some([1, 2, 3, 4]), length);
            if length > 125 {
                // The oracle's own shortest form.
                assert_eq!(stream.len(), if length < 65_536 { 8 } else { 14 });
            }
            let mut receiver = receiver(Role::Server, bytes_max, 10);
            let (events, error) = feed(&mut receiver, &stream);
            let expected = if length >> 63 != 0 {
                Some(ProtocolError::LengthTooBig)
            } else if length > bytes_max as u64 {
                Some(ProtocolError::MessageTooBig { bytes_max })
            } else {
                None
            };
            assert_eq!(error, expected, "length {length}");
            assert_eq!(events.len(), usize::from(length == 0), "length {length}");
            assert!(receiver.buffered_bytes() <= 200, "length {length} was allocated for");

            stream[0] = 0x02;
            let mut fragment = common::receiver(Role::Server, bytes_max, 10);
            assert_eq!(feed(&mut fragment, &stream).1, expected, "fragment of {length}");
            assert!(fragment.buffered_bytes() <= 200, "fragment of {length} was allocated for");
        }
    }
}

#[test]
fn lengths_beyond_the_shortest_form_are_refused() {
    for length in 0..126_u16 {
        let [high, low] = length.to_be_bytes();
        let stream = [0x82, 0xfe, high, low];
        let (_, error) = feed(&mut receiver(Role::Server, 1000, 10), &stream);
        assert_eq!(error, Some(ProtocolError::LengthNotMinimal), "{length} in 16 bits");
    }
    for length in (0..126).chain(65_500..65_536_u64) {
        let mut stream = vec![0x82, 0xff];
        stream.extend(length.to_be_bytes());
        let (_, error) = feed(&mut receiver(Role::Server, 1 << 20, 10), &stream);
        assert_eq!(error, Some(ProtocolError::LengthNotMinimal), "{length} in 64 bits");
    }
}

#[test]
fn the_own_encoder_writes_what_the_oracle_writes() {
    let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, (1 << 63) - 1];
    for payload_bytes in lengths {
        for mask in [None, Some([9, 8, 7, 6])] {
            for (fin, opcode) in [(true, Opcode::Text), (false, Opcode::Continuation)] {
                let own = Header { payload_bytes, mask, fin, compressed: false, opcode };
                let mut out = [0; corecast_wire::frame::HEADER_BYTES_MAX];
                let bytes = own.encode(&mut out);
                let expected = header(fin, opcode as u8, mask, payload_bytes);
                assert_eq!(out[..bytes], expected, "{own:?}");
                assert_eq!(Header::parse(&out), Ok(Some((own, bytes))));
                for cut in 0..bytes {
                    assert_eq!(Header::parse(&out[..cut]), Ok(None), "{own:?} cut at {cut}");
                }
            }
        }
    }
}

#[test]
fn framing_errors_are_1002_and_bounds_have_their_own_codes() {
    let framing = [
        ProtocolError::ReservedBits,
        ProtocolError::ReservedOpcode(3),
        ProtocolError::ControlTooLong,
        ProtocolError::LengthTooBig,
        ProtocolError::Unmasked,
        ProtocolError::CloseBody,
        ProtocolError::CloseCode(1005),
    ];
    assert!(framing.iter().all(|error| error.close_code() == CloseCode::PROTOCOL_ERROR));
    let too_big = ProtocolError::MessageTooBig { bytes_max: usize::MAX };
    assert_eq!(too_big.close_code(), CloseCode::MESSAGE_TOO_BIG);
    let too_many = ProtocolError::TooManyParts { parts_max: u32::MAX };
    assert_eq!(too_many.close_code(), CloseCode::POLICY_VIOLATION);
    assert_eq!(ProtocolError::InvalidUtf8.close_code(), CloseCode::INVALID_PAYLOAD);
    for error in framing.into_iter().chain([too_big, too_many]) {
        assert!(error.to_string().len() <= 123, "{error} does not fit a close reason");
    }
}
