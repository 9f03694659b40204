//! A buffer that is read into again and again: frames in progress stay in it, and the events are
//! those of any other way to read.

mod common;

use common::{Owned, feed, frame, header, receiver};
use corecast_wire::limits::READ_BYTES;
use corecast_wire::{Event, Input, ProtocolError, Receiver, Role};

const KEY: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

/// Reads `stream` in turns of so many reads. `reads` says how much each brings of what there is
/// room for; one that brings less than that has emptied the socket.
fn read(
    receiver: &mut Receiver,
    mut stream: &[u8],
    buffer: &mut [u8],
    turn_reads: usize,
    mut reads: impl FnMut(usize) -> usize,
) -> (Vec<Owned>, Option<ProtocolError>) {
    let mut events = Vec::new();
    while !stream.is_empty() {
        let mut input = Input::reading(buffer);
        for at in 0.. {
            let spent = at >= turn_reads;
            let room = match spent {
                true => input.room_for_frame(),
                false => input.room(receiver.expected_bytes()),
            };
            assert!(spent || !room.is_empty(), "there is always room to read");
            let room_bytes = room.len();
            let bytes = reads(room_bytes).min(room_bytes).min(stream.len());
            room[..bytes].copy_from_slice(&stream[..bytes]);
            stream = &stream[bytes..];
            input.fill(bytes);
            let last = bytes < room_bytes || room_bytes == 0;
            if last {
                input.complete();
            }
            loop {
                match receiver.receive(&mut input) {
                    Ok(Some(event)) => events.push(event.into()),
                    Ok(None) => break,
                    Err(error) => return (events, Some(error)),
                }
            }
            if last {
                assert!(input.is_empty(), "what is left is kept by the receiver");
                break;
            }
        }
    }
    (events, None)
}

/// Messages of all lengths, around those that decide how they are read, with pings in between.
fn stream(masked: bool) -> (Vec<u8>, Vec<Owned>) {
    let (mut stream, mut events) = (Vec::new(), Vec::new());
    let lengths = [0, 1, 125, 126, 700, 4096, 8191, 8192, 16_384, 30_000, 65_535, 65_536, 70_000];
    for (at, length) in lengths.into_iter().chain([200_000, 3, 16_384, 16_384, 5]).enumerate() {
        let key = masked.then_some([at as u8, 0x5a, 0xc3, length as u8]);
        let text = "é€😀 tick ".chars().cycle().scan(0, |sum, c| {
            *sum += c.len_utf8();
            (*sum <= length).then_some(c)
        });
        let text = String::from_iter(text);
        if at % 3 == 0 {
            let (one, other) = text.as_bytes().split_at(text.len() / 2);
            stream.extend(frame(false, 1, key, one));
            stream.extend(frame(true, 9, key, b"between"));
            events.push(Owned::Ping(b"between".to_vec()));
            stream.extend(frame(true, 0, key, other));
        } else {
            stream.extend(frame(true, 1, key, text.as_bytes()));
        }
        events.push(Owned::Text(text));
        let bytes = Vec::from_iter((0..length).map(|byte| (byte * 7) as u8));
        stream.extend(frame(true, 2, key, &bytes));
        events.push(Owned::Binary(bytes));
    }
    (stream, events)
}

#[test]
fn however_it_is_read_the_events_are_the_same() {
    for role in [Role::Server, Role::Client] {
        let (stream, expected) = stream(role == Role::Server);
        for buffer_bytes in [READ_BYTES, READ_BYTES + 100_000, 1 << 20] {
            let mut buffer = vec![0; buffer_bytes];
            for turn_reads in [1, 2, 4, usize::MAX] {
                for step in [usize::MAX, 100_000, 9_000, 1_459] {
                    let mut state = 1_u32;
                    // Mostly all that there is room for; now and then the socket is empty.
                    let reads = |room: usize| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        if state >> 30 == 0 { 1 + (state >> 8) as usize % step } else { room }
                    };
                    let mut receiver = receiver(role, 1 << 20, 10);
                    let outcome = read(&mut receiver, &stream, &mut buffer, turn_reads, reads);
                    assert!(
                        outcome == (expected.clone(), None),
                        "{role:?}, {buffer_bytes} bytes, {turn_reads} reads a turn, step {step}"
                    );
                    assert_eq!(receiver.buffered_bytes(), 0);
                }
            }
        }
    }
}

#[test]
fn a_frame_that_fits_the_buffer_is_never_kept_elsewhere() {
    let mut buffer = vec![0; 200_000 + READ_BYTES];
    for length in [10_000, 65_536, 200_000] {
        let stream = frame(true, 2, KEY, &vec![0xa5; length]);
        let range = buffer.as_ptr_range();
        let mut receiver = receiver(Role::Server, 1 << 20, 10);
        let mut input = Input::reading(&mut buffer);
        let mut rest = &stream[..];
        while !rest.is_empty() {
            // As if a socket had just so much.
            let room = input.room(receiver.expected_bytes());
            let bytes = room.len().min(rest.len()).min(7_000);
            room[..bytes].copy_from_slice(&rest[..bytes]);
            rest = &rest[bytes..];
            input.fill(bytes);
            let event = receiver.receive(&mut input).expect("valid");
            assert_eq!(event.is_some(), rest.is_empty());
            if let Some(event) = event {
                let Event::Binary(payload) = event else { panic!("not what was sent") };
                assert!(payload.len() == length && payload.iter().all(|byte| *byte == 0xa5));
                assert!(range.contains(&payload.as_ptr()), "{length} bytes were copied");
            }
            assert_eq!(receiver.buffered_bytes(), 0);
        }
    }
}

#[test]
fn a_frame_that_is_not_read_to_its_end_is_kept_by_the_receiver() {
    for length in [1_000, 100_000, 200_000] {
        let stream = frame(true, 1, KEY, &vec![b'a'; length]);
        for cut in [1, 7, 500, length - 1] {
            let mut buffer = vec![0; 100_100 + READ_BYTES];
            let mut receiver = receiver(Role::Server, 1 << 20, 10);
            let (events, error) =
                read(&mut receiver, &stream[..cut], &mut buffer, usize::MAX, |room| room);
            assert_eq!((events.len(), error), (0, None));
            assert!(receiver.is_partial(), "{cut} of {length} are known");
            buffer.fill(b'?');
            let (events, error) = feed(&mut receiver, &stream[cut..]);
            assert_eq!(error, None);
            assert_eq!(events, [Owned::Text("a".repeat(length))], "cut at {cut}");
        }
    }
}

#[test]
fn what_a_header_declares_makes_no_room() {
    for length in [65_536, 1 << 30, (1 << 63) - 1] {
        let mut receiver = receiver(Role::Server, usize::MAX, 10);
        let mut buffer = vec![0; READ_BYTES];
        let mut bytes = header(true, 2, KEY, length);
        bytes.extend(b"some");
        let (events, error) = read(&mut receiver, &bytes, &mut buffer, 1, |room| room);
        assert_eq!((events.len(), error), (0, None));
        assert!(receiver.buffered_bytes() < 300, "{} bytes", receiver.buffered_bytes());
        assert!(receiver.expected_bytes() <= READ_BYTES);
        let mut input = Input::reading(&mut buffer);
        assert!(input.room(receiver.expected_bytes()).len() <= READ_BYTES);
    }
}

#[test]
fn text_that_cannot_become_valid_fails_when_the_socket_is_empty() {
    let mut bytes = header(true, 1, KEY, 40_000);
    bytes.extend(b"\xc8\x05\xde\xc2");
    let mut buffer = vec![0; READ_BYTES];
    let mut receiver = receiver(Role::Server, 1 << 20, 10);
    let (_, error) = read(&mut receiver, &bytes, &mut buffer, 4, |room| room);
    assert_eq!(error, Some(ProtocolError::InvalidUtf8));
}
