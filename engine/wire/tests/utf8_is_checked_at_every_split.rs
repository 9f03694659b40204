//! The incremental validator against the standard library, at every split, and how early it
//! fails (RFC 6455 §8.1; the strict cases 6.4.x of the Autobahn suite).

mod common;

use common::{Owned, feed, feed_cut, frame, receiver};
use corecast_wire::utf8::{InvalidUtf8, Validator};
use corecast_wire::{ProtocolError, Role};
use proptest::prelude::*;

/// How many bytes of `text` can be fed before no continuation is valid: the whole of it, or up to
/// and with the byte that breaks it.
fn doomed_at(text: &[u8]) -> Option<usize> {
    (1..=text.len()).find(|&end| {
        std::str::from_utf8(&text[..end]).is_err_and(|error| error.error_len().is_some())
    })
}

fn check_every_split(text: &[u8]) {
    let valid = std::str::from_utf8(text).is_ok();
    let doomed = doomed_at(text);
    let mut by_byte = Validator::new();
    let failed_at = text.iter().position(|byte| by_byte.feed(&[*byte]).is_err());
    assert_eq!(failed_at.map(|at| at + 1), doomed, "{text:02x?} byte by byte");
    for first in 0..=text.len() {
        let mut validator = Validator::new();
        let pieces = text.split_at(first);
        let fed = validator.feed(pieces.0).and_then(|()| validator.feed(pieces.1));
        assert_eq!(fed.is_err(), doomed.is_some(), "{text:02x?} split at {first}");
        let outcome = fed.and_then(|()| validator.finish());
        assert_eq!(outcome.is_ok(), valid, "{text:02x?} split at {first}");
        validator.reset();
        assert_eq!(validator.feed(b"x").and_then(|()| validator.finish()), Ok(()));
    }
}

#[test]
fn every_two_byte_sequence_and_every_lead_of_three_and_four() {
    for bytes in 0..=u16::MAX {
        let [first, second] = bytes.to_be_bytes();
        check_every_split(&[first, second]);
        if first >= 0xe0 && second >= 0x7f {
            for third in [0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff] {
                check_every_split(&[first, second, third]);
                check_every_split(&[first, second, third, 0x80]);
                check_every_split(&[b'a', first, second, third, 0xbf, b'z']);
            }
        }
    }
}

#[test]
fn code_points_at_the_borders() {
    for point in [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x1_0000, 0x10_ffff] {
        let text = char::from_u32(point).expect("a scalar value").to_string().repeat(40);
        check_every_split(text.as_bytes());
    }
}

proptest! {
    #[test]
    fn random_texts_and_random_damage(
        text in "\\PC{0,60}",
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut bytes = text.into_bytes();
        if let (Some((at, byte)), false) = (damage, bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check_every_split(&bytes);
    }
}

#[test]
fn what_can_no_longer_become_valid_fails_at_once() {
    let mut validator = Validator::new();
    assert_eq!(validator.feed(b"\xf4"), Ok(()));
    assert_eq!(validator.feed(b"\x90"), Err(InvalidUtf8), "beyond U+10FFFF at its second byte");
    for (start, next) in [(0xe0, 0x9f), (0xed, 0xa0), (0xf0, 0x8f), (0xc2, 0x41)] {
        let mut validator = Validator::new();
        assert_eq!(validator.feed(&[start]), Ok(()), "{start:#x}");
        assert_eq!(validator.feed(&[next]), Err(InvalidUtf8), "{start:#x} {next:#x}");
    }
}

#[test]
fn invalid_text_is_refused_before_its_frame_ends() {
    // The text of Autobahn 6.4.x: valid, then F4 90, then more that would have come.
    let text = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited";
    let doomed = doomed_at(text).expect("it is invalid");
    let stream = frame(true, 1, Some([7, 7, 7, 7]), text);
    let header_bytes = stream.len() - text.len();
    let mut receiver = receiver(Role::Server, 1000, 10);
    let (events, error) = feed(&mut receiver, &stream[..header_bytes + doomed - 1]);
    assert_eq!((events, error), (Vec::new(), None));
    let next = &stream[header_bytes + doomed - 1..header_bytes + doomed];
    assert_eq!(feed(&mut receiver, next).1, Some(ProtocolError::InvalidUtf8));
}

#[test]
fn invalid_text_is_refused_at_every_split_over_fragments() {
    let text = b"ab\xed\xa0\x80cd";
    for first in 0..=text.len() {
        let mut stream = frame(false, 1, Some([1, 2, 3, 4]), &text[..first]);
        stream.extend(frame(true, 0, Some([4, 3, 2, 1]), &text[first..]));
        for size in 1..stream.len() {
            let mut receiver = receiver(Role::Server, 1000, 10);
            let outcome = feed_cut(&mut receiver, &stream, std::iter::repeat(size));
            let expected = (Vec::new(), Some(ProtocolError::InvalidUtf8));
            assert_eq!(outcome, expected, "fragment of {first}, inputs of {size}");
        }
    }
}

#[test]
fn an_unfinished_character_at_the_end_of_a_message_is_refused() {
    let stream = frame(true, 1, Some([1, 2, 3, 4]), b"ab\xe2\x82");
    for size in 1..=stream.len() {
        let mut receiver = receiver(Role::Server, 1000, 10);
        let outcome = feed_cut(&mut receiver, &stream, std::iter::repeat(size));
        assert_eq!(outcome, (Vec::new(), Some(ProtocolError::InvalidUtf8)), "inputs of {size}");
    }
    let mut receiver = receiver(Role::Server, 1000, 10);
    let text = "😀".as_bytes();
    let mut stream = frame(false, 1, Some([1, 2, 3, 4]), &text[..3]);
    stream.extend(frame(true, 0, Some([1, 2, 3, 4]), &text[3..]));
    assert_eq!(feed(&mut receiver, &stream), (vec![Owned::Text("😀".to_owned())], None));
}
