//! What a peer can make a receiver hold, and what it costs when it holds nothing.

mod common;

use common::{Owned, feed, frame, header, receiver};
use corecast_wire::{Event, Input, ProtocolError, Receiver, Role};

const KEY: Option<[u8; 4]> = Some([1, 2, 3, 4]);

#[test]
fn an_idle_receiver_is_small_and_owns_nothing() {
    assert!(size_of::<Receiver>() <= 96, "{} bytes", size_of::<Receiver>());
    assert_eq!(size_of::<Receiver>(), 80, "the figure in the documentation");
    assert_eq!(receiver(Role::Server, 1 << 20, 10).buffered_bytes(), 0);
}

#[test]
fn a_message_whole_in_its_input_is_borrowed() {
    for opcode in [1, 2, 9, 10] {
        let mut bytes = frame(true, opcode, KEY, b"borrowed");
        let range = bytes.as_ptr_range();
        let mut receiver = receiver(Role::Server, 1000, 10);
        let mut input = Input::new(&mut bytes);
        let event = receiver.receive(&mut input).expect("valid").expect("an event");
        let payload = match event {
            Event::Text(text) => text.as_bytes(),
            Event::Binary(bytes) | Event::Ping(bytes) | Event::Pong(bytes) => bytes,
            Event::Close(_) => panic!("no Close was sent"),
        };
        assert_eq!(payload, b"borrowed");
        assert!(range.contains(&payload.as_ptr()), "opcode {opcode} was copied");
        assert_eq!(receiver.buffered_bytes(), 0);
    }
}

#[test]
fn a_message_of_the_allowed_length_passes_and_one_byte_more_does_not() {
    let too_big = Some(ProtocolError::MessageTooBig { bytes_max: 300 });
    for (length, error) in [(300, None), (301, too_big)] {
        let whole = frame(true, 2, KEY, &vec![0; length]);
        assert_eq!(feed(&mut receiver(Role::Server, 300, 10), &whole).1, error, "{length} whole");
        let mut parts = frame(false, 2, KEY, &[0; 150]);
        parts.extend(frame(false, 0, KEY, &[]));
        parts.extend(header(true, 0, KEY, length as u64 - 150));
        let mut receiver = receiver(Role::Server, 300, 10);
        assert_eq!(feed(&mut receiver, &parts).1, error, "{length} by its last header");
    }
}

#[test]
fn parts_are_counted_whatever_they_carry() {
    for payload in [&b""[..], b"x"] {
        let mut receiver = receiver(Role::Server, 1 << 20, 1024);
        assert_eq!(feed(&mut receiver, &frame(false, 1, KEY, payload)).1, None);
        let part = frame(false, 0, KEY, payload);
        let refused = (2..10_000).find_map(|count| {
            assert!(receiver.buffered_bytes() < 4096, "{count} parts");
            feed(&mut receiver, &part).1.map(|error| (count, error))
        });
        let expected = ProtocolError::TooManyParts { parts_max: 1024 };
        assert_eq!(refused, Some((1025, expected)));
        assert_eq!(receiver.buffered_bytes(), 0);
    }
}

#[test]
fn what_is_held_grows_with_what_arrives() {
    for opcode in [1, 2] {
        let mut receiver = receiver(Role::Server, 1 << 30, 10);
        assert_eq!(feed(&mut receiver, &header(true, opcode, Some([0; 4]), 1 << 30)).1, None);
        let mut arrived = 0;
        for size in [1, 10, 100, 1000, 10_000, 100_000, 1] {
            assert_eq!(feed(&mut receiver, &vec![b'a'; size]), (Vec::new(), None));
            arrived += size;
            let held = receiver.buffered_bytes();
            assert!(held <= 2 * arrived + 256, "{held} bytes held of {arrived} that arrived");
        }
    }
}

#[test]
fn many_small_parts_are_not_copied_over_and_over() {
    let mut receiver = receiver(Role::Server, 1 << 24, u32::MAX);
    assert_eq!(feed(&mut receiver, &frame(false, 2, KEY, &[0; 100])).1, None);
    let part = frame(false, 0, KEY, &[0; 100]);
    let mut capacities = Vec::new();
    for _ in 0..20_000 {
        assert_eq!(feed(&mut receiver, &part).1, None);
        capacities.push(receiver.buffered_bytes());
    }
    capacities.dedup();
    assert!(capacities.len() < 20, "grown {} times", capacities.len());
}

#[test]
fn buffers_are_freed_when_their_message_is_done() {
    let mut receiver = receiver(Role::Server, 1 << 20, 10);
    let mut stream = frame(false, 1, KEY, &[b'a'; 5000]);
    stream.extend(frame(true, 9, KEY, b"between"));
    let (events, _) = feed(&mut receiver, &stream);
    assert_eq!(events, [Owned::Ping(b"between".to_vec())]);
    assert!(receiver.is_partial() && receiver.buffered_bytes() >= 5000);
    let (events, _) = feed(&mut receiver, &frame(true, 0, KEY, b"end"));
    assert_eq!(events.len(), 1);
    assert_eq!((receiver.is_partial(), receiver.buffered_bytes()), (false, 0));
}

#[test]
fn messages_must_not_interleave() {
    for opcode in [1, 2] {
        let mut receiver = receiver(Role::Server, 1000, 10);
        assert_eq!(feed(&mut receiver, &frame(false, 1, KEY, b"one")).1, None);
        let (_, error) = feed(&mut receiver, &frame(true, opcode, KEY, b"two"));
        assert_eq!(error, Some(ProtocolError::ExpectedContinuation));
    }
    for fin in [true, false] {
        let mut receiver = receiver(Role::Server, 1000, 10);
        let (_, error) = feed(&mut receiver, &frame(fin, 0, KEY, b"none"));
        assert_eq!(error, Some(ProtocolError::UnexpectedContinuation));
    }
}

#[test]
fn both_roles_refuse_the_other_ones_frames() {
    let (_, error) = feed(&mut receiver(Role::Server, 1000, 10), &frame(true, 1, None, b"x"));
    assert_eq!(error, Some(ProtocolError::Unmasked));
    let (_, error) = feed(&mut receiver(Role::Client, 1000, 10), &frame(true, 1, KEY, b"x"));
    assert_eq!(error, Some(ProtocolError::Masked));
}
