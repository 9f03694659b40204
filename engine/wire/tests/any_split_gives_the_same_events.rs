//! However the network cuts a stream, the events are the same; and what one side encodes the
//! other reads. A failing case is printed by proptest with its seed, and replayed from the file
//! of regressions that it writes.

mod common;

use common::{Owned, feed, feed_cut, frame, receiver};
use corecast_wire::{CloseCode, Frame, Opcode, Role, client};
use proptest::collection::vec;
use proptest::prelude::*;

/// A message with the lengths of its fragments, and the control frames between them.
#[derive(Debug, Clone)]
struct Message {
    text: bool,
    payload: Vec<u8>,
    cuts: Vec<usize>,
    controls: Vec<(u8, Vec<u8>)>,
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let text = prop_oneof![
        "\\PC{0,40}".prop_map(|text: String| (true, text.into_bytes())),
        "[é€😀a]{0,300}".prop_map(|text: String| (true, text.into_bytes())),
        "[ -~]{120,130}".prop_map(|text: String| (true, text.into_bytes())),
    ];
    let binary = prop_oneof![
        vec(any::<u8>(), 0..300).prop_map(|bytes| (false, bytes)),
        (65_530_usize..65_542).prop_map(|length| (false, vec![7; length])),
    ];
    let control = (9_u8..=10, vec(any::<u8>(), 0..=125));
    let message =
        (prop_oneof![3 => text, 2 => binary], vec(0_usize..400, 0..6), vec(control, 0..3));
    vec(
        message.prop_map(|((text, payload), cuts, controls)| Message {
            text,
            payload,
            cuts,
            controls,
        }),
        1..6,
    )
}

/// The stream of `messages`, each frame masked anew where `masked`, and the events it means.
fn encode(messages: &[Message], masked: bool, seed: u32) -> (Vec<u8>, Vec<Owned>) {
    let mut state = seed;
    let mut key = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        masked.then(|| state.to_be_bytes())
    };
    let (mut stream, mut events) = (Vec::new(), Vec::new());
    for message in messages {
        let mut rest = &message.payload[..];
        let mut opcode = if message.text { 1 } else { 2 };
        let mut controls = message.controls.iter();
        for cut in &message.cuts {
            let (part, behind) = rest.split_at((*cut).min(rest.len()));
            rest = behind;
            stream.extend(frame(false, opcode, key(), part));
            opcode = 0;
            if let Some((control, payload)) = controls.next() {
                stream.extend(frame(true, *control, key(), payload));
                let payload = payload.clone();
                events.push(if *control == 9 {
                    Owned::Ping(payload)
                } else {
                    Owned::Pong(payload)
                });
            }
        }
        stream.extend(frame(true, opcode, key(), rest));
        let payload = message.payload.clone();
        events.push(if message.text {
            Owned::Text(String::from_utf8(payload).expect("it was a string"))
        } else {
            Owned::Binary(payload)
        });
    }
    stream.extend(frame(true, 8, key(), b"\x03\xe8bye"));
    events.push(Owned::Close(Some((1000, "bye".to_owned()))));
    (stream, events)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_split_gives_the_same_events(
        messages in messages(),
        sizes in vec(prop_oneof![1_usize..8, 1_usize..500], 0..60),
        server in any::<bool>(),
        seed in any::<u32>(),
    ) {
        let role = if server { Role::Server } else { Role::Client };
        let (stream, expected) = encode(&messages, server, seed);
        let mut whole = receiver(role, 1 << 20, 100);
        prop_assert_eq!(feed(&mut whole, &stream), (expected.clone(), None));
        let mut cut = receiver(role, 1 << 20, 100);
        prop_assert_eq!(feed_cut(&mut cut, &stream, sizes), (expected, None));
        prop_assert_eq!(cut.buffered_bytes(), 0);
    }

    #[test]
    fn the_client_reads_what_the_server_encodes(
        text in "\\PC{0,200}",
        bytes in vec(any::<u8>(), 0..70_000),
    ) {
        let close = Frame::close(CloseCode::NORMAL, "x");
        let frames = [Frame::text(&text), Frame::binary(&bytes), close];
        let stream: Vec<u8> = frames.iter().flat_map(|frame| frame.as_bytes().to_vec()).collect();
        prop_assert_eq!(frames[1].payload(), &bytes[..]);
        let (events, error) = feed(&mut receiver(Role::Client, 1 << 20, 1), &stream);
        prop_assert_eq!(error, None);
        let close = Owned::Close(Some((1000, "x".to_owned())));
        prop_assert_eq!(events, vec![Owned::Text(text), Owned::Binary(bytes), close]);
    }

    #[test]
    fn the_server_reads_what_the_client_encodes(
        text in "\\PC{0,200}",
        bytes in vec(any::<u8>(), 0..70_000),
        key in any::<[u8; 4]>(),
    ) {
        let mut stream = client::mask_frame(Opcode::Text, text.as_bytes(), key);
        stream.extend(client::mask_frame(Opcode::Binary, &bytes, key));
        stream.extend(client::mask_frame(Opcode::Ping, &bytes[..bytes.len().min(125)], key));
        let (events, error) = feed(&mut receiver(Role::Server, 1 << 20, 1), &stream);
        prop_assert_eq!(error, None);
        let ping = Owned::Ping(bytes[..bytes.len().min(125)].to_vec());
        prop_assert_eq!(events, vec![Owned::Text(text), Owned::Binary(bytes), ping]);
    }
}

#[test]
fn every_single_split_of_a_small_stream() {
    let message = |text: bool, payload: &[u8], cuts: &[usize]| Message {
        text,
        payload: payload.to_vec(),
        cuts: cuts.to_vec(),
        controls: vec![(9, b"ping".to_vec()), (10, Vec::new())],
    };
    let messages = [
        message(true, "aé€😀".as_bytes(), &[2, 3, 0]),
        message(false, &[0xff; 200], &[]),
        message(true, b"", &[0]),
    ];
    for role in [Role::Server, Role::Client] {
        let (stream, expected) = encode(&messages, role == Role::Server, 42);
        for first in 1..stream.len() {
            for second in [1, 2, 3, 7, stream.len()] {
                let mut receiver = receiver(role, 1000, 10);
                let outcome = feed_cut(&mut receiver, &stream, [first, second]);
                assert_eq!(outcome, (expected.clone(), None), "cut at {first} and {second} more");
            }
        }
        let outcome = feed_cut(&mut receiver(role, 1000, 10), &stream, std::iter::repeat(1));
        assert_eq!(outcome, (expected, None), "byte by byte");
    }
}
