//! A compressed message comes out as another one, by how it was compressed, cut or fragmented; or
//! what is compressed once for all does not decode at somebody.

mod common;

use common::{COMPRESSED, Owned, PeerDeflater, feed, feed_cut, frame, inflated, inflating};
use corecast_wire::{Deflater, Frame, InflatePool, Opcode, ProtocolError, Role};
use proptest::collection::vec;
use proptest::prelude::*;

const KEY: Option<[u8; 4]> = Some([9, 8, 7, 6]);
const LIMITS: (usize, u32) = (1 << 20, 1024);

#[derive(Debug, Clone)]
struct Message {
    text: bool,
    compressed: bool,
    payload: Vec<u8>,
    cuts: Vec<usize>,
    ping: bool,
}

fn payloads() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let quote = (0_u32..100, 0_u32..1000).prop_map(|(topic, price)| {
        format!(r#"{{"topic":"quote.{topic}","bid":{price}.25,"ask":{price}.50}}"#).into_bytes()
    });
    prop_oneof![
        4 => quote.prop_map(|text| (true, text)),
        2 => "\\PC{0,60}".prop_map(|text: String| (true, text.into_bytes())),
        1 => "[é€😀a]{0,3000}".prop_map(|text: String| (true, text.into_bytes())),
        2 => vec(any::<u8>(), 0..2000).prop_map(|bytes| (false, bytes)),
        1 => (0_usize..200_000, any::<u8>()).prop_map(|(count, byte)| (false, vec![byte; count])),
    ]
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let message = (payloads(), any::<bool>(), vec(0_usize..90, 0..5), any::<bool>()).prop_map(
        |((text, payload), compressed, cuts, ping)| Message {
            text,
            compressed,
            payload,
            cuts,
            ping,
        },
    );
    vec(message, 1..8)
}

fn encode(messages: &[Message], peer: &mut PeerDeflater) -> (Vec<u8>, Vec<Owned>) {
    let (mut stream, mut events) = (Vec::new(), Vec::new());
    for message in messages {
        let packed = match message.compressed {
            true => peer.message(&message.payload),
            false => message.payload.clone(),
        };
        let mut rest = &packed[..];
        let bit = if message.compressed { COMPRESSED } else { 0 };
        let mut opcode = bit + if message.text { 1 } else { 2 };
        for cut in &message.cuts {
            let (part, behind) = rest.split_at((*cut).min(rest.len()));
            stream.extend(frame(false, opcode, KEY, part));
            (rest, opcode) = (behind, 0);
            if message.ping {
                stream.extend(frame(true, 9, KEY, b"between"));
                events.push(Owned::Ping(b"between".to_vec()));
            }
        }
        stream.extend(frame(true, opcode, KEY, rest));
        let payload = message.payload.clone();
        events.push(match message.text {
            true => Owned::Text(String::from_utf8(payload).expect("it was a string")),
            false => Owned::Binary(payload),
        });
    }
    (stream, events)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_a_peer_compresses_comes_out_as_it_was(
        messages in messages(),
        level in 0_u32..10,
        window_bits in 9_u8..16,
        takeover in any::<bool>(),
        seats in 1_u32..3,
        sizes in vec(prop_oneof![1_usize..9, 1_usize..5000], 0..60),
    ) {
        let mut peer = PeerDeflater::new(level, window_bits, takeover);
        let (stream, expected) = encode(&messages, &mut peer);
        let pool = InflatePool::new(seats);
        let mut whole = inflating(&pool, takeover, LIMITS);
        prop_assert_eq!(feed(&mut whole, &stream), (expected.clone(), None));
        drop(whole);
        let mut cut = inflating(&pool, takeover, LIMITS);
        prop_assert_eq!(feed_cut(&mut cut, &stream, sizes.clone()), (expected.clone(), None));
        if !takeover {
            prop_assert_eq!(cut.buffered_bytes(), 0);
            // Without a seat it waits for the end of each message.
            let mut waiting = inflating(&InflatePool::new(0), false, LIMITS);
            prop_assert_eq!(feed_cut(&mut waiting, &stream, sizes), (expected, None));
        }
    }

    #[test]
    fn what_is_compressed_for_all_decodes_without_a_context(
        messages in vec(payloads(), 1..6),
        level in 1_u8..10,
    ) {
        let mut deflater = Deflater::new(level);
        for (text, payload) in messages {
            let opcode = if text { Opcode::Text } else { Opcode::Binary };
            let plain = Frame::prepare(opcode, &payload).expect("a message");
            let both = plain.clone().with_twin(&mut deflater);
            prop_assert_eq!(both.as_bytes(), plain.as_bytes());
            let Some(twin) = both.twin() else { continue };
            prop_assert!(twin.is_compressed() && twin.len() < plain.len());
            prop_assert_eq!((twin.opcode(), inflated(twin.payload())), (opcode, payload.clone()));
            // And by our own receiver, in the other role.
            let mut receiver = common::receiver(Role::Client, 1 << 20, 1);
            receiver.inflate(corecast_wire::Inflation::new(&InflatePool::new(0)));
            let (events, error) = feed(&mut receiver, twin.as_bytes());
            prop_assert_eq!(error, None);
            let expected = match text {
                true => Owned::Text(String::from_utf8(payload).expect("text")),
                false => Owned::Binary(payload),
            };
            prop_assert_eq!(events, vec![expected]);
        }
    }

    #[test]
    fn no_bytes_at_all_do_more_than_fail(
        bytes in vec(any::<u8>(), 0..3000),
        sizes in vec(1_usize..400, 0..10),
        takeover in any::<bool>(),
    ) {
        let stream = frame(true, 2 + COMPRESSED, KEY, &bytes);
        let mut receiver = inflating(&InflatePool::new(1), takeover, (10_000, 64));
        let (events, error) = feed_cut(&mut receiver, &stream, sizes);
        match (events.as_slice(), error) {
            ([Owned::Binary(inflated)], None) => prop_assert!(inflated.len() <= 10_000),
            ([], Some(ProtocolError::Deflate)) => {}
            ([], Some(ProtocolError::MessageTooBig { bytes_max: 10_000 })) => {}
            ([], Some(ProtocolError::TooManyParts { parts_max: 64 })) => {}
            (events, error) => prop_assert!(false, "{:?} {:?}", events, error),
        }
    }
}

#[test]
fn the_examples_of_the_rfc() {
    let hello = Owned::Text("Hello".to_owned());
    let one = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let two_blocks = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    let text = 1 + COMPRESSED;
    let receive = |payloads: &[&[u8]], takeover| {
        let stream: Vec<u8> =
            payloads.iter().flat_map(|payload| frame(true, text, KEY, payload)).collect();
        feed(&mut inflating(&InflatePool::new(1), takeover, LIMITS), &stream)
    };
    for payload in [&one[..], &stored, &last, &two_blocks] {
        assert_eq!(receive(&[payload], true), (vec![hello.clone()], None), "§7.2.3");
        assert_eq!(receive(&[payload, payload], false), (vec![hello.clone(); 2], None));
    }
    assert_eq!(receive(&[&one, &again], true), (vec![hello.clone(); 2], None), "§7.2.3.2");
    let (_, error) = receive(&[&one, &again], false);
    assert_eq!(error, Some(ProtocolError::Deflate), "there is nothing to refer back to");
    assert_eq!(receive(&[&[0]], true), (vec![Owned::Text(String::new())], None), "§7.2.3.6");
    let fragmented = [frame(false, text, KEY, &one[..3]), frame(true, 0, KEY, &one[3..])].concat();
    let mut receiver = inflating(&InflatePool::new(0), false, LIMITS);
    assert_eq!(feed(&mut receiver, &fragmented), (vec![hello], None), "§7.2.3.1");
    let mut deflater = Deflater::new(6);
    let frame = Frame::text("Hello Hello Hello Hello").with_twin(&mut deflater);
    let twin = frame.twin().expect("it is shorter");
    assert_eq!(twin.as_bytes()[0], 0xc1);
    assert_eq!(inflated(twin.payload()), b"Hello Hello Hello Hello");
}

#[test]
fn what_cannot_be_compressed_leaves_nothing_behind_for_the_next() {
    let mut state = 7_u64;
    let mut noise = |bytes: usize| -> Vec<u8> {
        let step = |state: &mut u64| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (*state >> 40) as u8
        };
        (0..bytes).map(|_| step(&mut state)).collect()
    };
    for level in 1..=9 {
        let mut deflater = Deflater::new(level);
        for round in 0..600 {
            let noise = Frame::binary(&noise(256 + round));
            assert!(noise.with_twin(&mut deflater).twin().is_none(), "level {level}");
            let text = format!("{round} is said, and said again: {round} is said");
            let twin = Frame::text(&text).with_twin(&mut deflater);
            let twin = twin.twin().expect("it is shorter");
            assert_eq!(inflated(twin.payload()), text.as_bytes(), "level {level}, {round}");
        }
        let long = Frame::binary(&noise(300_000)).with_twin(&mut deflater);
        assert!(long.twin().is_none(), "level {level}");
    }
}

#[test]
fn what_would_not_be_shorter_or_is_no_message_has_no_twin() {
    let mut deflater = Deflater::new(1);
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as u8
    };
    let noise: Vec<u8> = (0..4000).map(|_| noise()).collect();
    let close = Frame::close(corecast_wire::CloseCode::NORMAL, &"a".repeat(100));
    for frame in [
        Frame::text(""),
        Frame::text("a"),
        Frame::binary(&noise),
        Frame::ping(&[b'a'; 125]),
        Frame::pong(&[b'a'; 125]),
        close,
    ] {
        let both = frame.clone().with_twin(&mut deflater);
        assert!(both.twin().is_none(), "{frame:?}");
        assert_eq!(both, frame);
    }
    let long = Frame::binary(&vec![0; 1 << 20]).with_twin(&mut deflater);
    assert!(long.twin().is_some_and(|twin| twin.len() < 20_000));
}
