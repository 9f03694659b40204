//! All 65,536 close codes, and the bodies around them.

mod common;

use common::{Owned, feed, feed_cut, frame, receiver};
use corecast_wire::{CloseCode, Frame, ProtocolError, Role};

#[test]
fn every_close_code() {
    // RFC 6455 §7.4 and IANA's registry, written out.
    let named = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    for code in 0..=u16::MAX {
        let valid = named.contains(&code) || (3000..5000).contains(&code);
        assert_eq!(CloseCode(code).is_receivable(), valid, "{code}");
        assert_eq!(CloseCode(code).is_sendable(), valid, "{code}");
        let mut body = code.to_be_bytes().to_vec();
        body.extend(b"why");
        let stream = frame(true, 8, Some([1, 2, 3, 4]), &body);
        let outcome = feed(&mut receiver(Role::Server, 1000, 10), &stream);
        let expected = if valid {
            (vec![Owned::Close(Some((code, "why".to_owned())))], None)
        } else {
            (Vec::new(), Some(ProtocolError::CloseCode(code)))
        };
        assert_eq!(outcome, expected, "{code}");
    }
}

#[test]
fn bodies_of_every_length() {
    for length in 0..=125 {
        let mut body = vec![b'r'; length];
        body.splice(..length.min(2), CloseCode::NORMAL.0.to_be_bytes()[..length.min(2)].to_vec());
        let stream = frame(true, 8, Some([9, 0, 1, 2]), &body);
        let mut in_pieces = receiver(Role::Server, 1000, 10);
        let outcome = feed_cut(&mut in_pieces, &stream, std::iter::repeat(3));
        let expected = match length {
            0 => (vec![Owned::Close(None)], None),
            1 => (Vec::new(), Some(ProtocolError::CloseBody)),
            _ => (vec![Owned::Close(Some((1000, "r".repeat(length - 2))))], None),
        };
        assert_eq!(outcome, expected, "a body of {length}");
    }
}

#[test]
fn a_reason_that_is_not_utf8_is_1007() {
    let stream = frame(true, 8, Some([1, 1, 1, 1]), b"\x03\xe8\xce\xba\xe1\xbd");
    let (events, error) = feed(&mut receiver(Role::Server, 1000, 10), &stream);
    assert_eq!((events, error), (Vec::new(), Some(ProtocolError::InvalidUtf8)));
}

#[test]
fn nothing_is_yielded_after_a_close_or_an_error() {
    let key = Some([1, 2, 3, 4]);
    let close = frame(true, 8, key, &[]);
    let text = frame(true, 1, key, b"late");
    let mut receiver = receiver(Role::Server, 1000, 10);
    let (events, error) = feed(&mut receiver, &[close, text.clone()].concat());
    assert_eq!((events, error), (vec![Owned::Close(None)], None));
    assert!(receiver.is_ended());
    assert_eq!(feed(&mut receiver, &text), (Vec::new(), None));
    assert_eq!(feed(&mut receiver, b"\xff\xff garbage"), (Vec::new(), None));

    let mut failed = common::receiver(Role::Server, 1000, 10);
    assert_eq!(feed(&mut failed, b"\xff\x80").1, Some(ProtocolError::ReservedBits));
    assert!(failed.is_ended());
    assert_eq!(feed(&mut failed, &text), (Vec::new(), None));
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    let frame = Frame::close(CloseCode::GOING_AWAY, &"€".repeat(60));
    let (events, error) = feed(&mut receiver(Role::Client, 1000, 10), frame.as_bytes());
    assert_eq!(error, None);
    assert_eq!(events, vec![Owned::Close(Some((1001, "€".repeat(41))))]);
}

#[test]
#[should_panic(expected = "close code 1005 must not be sent")]
fn a_reserved_code_cannot_be_encoded() {
    let _ = Frame::close(CloseCode::NO_STATUS, "");
}
