//! A little that stands for a lot: it is stopped at the bound, while it is inflated; RSV1 where it
//! has no meaning; and memory that grows with connections or with what they declare.

mod common;

use common::{COMPRESSED, Owned, PeerDeflater, feed, frame, header, inflating, receiver};
use corecast_wire::{CloseCode, InflatePool, ProtocolError, Receiver, Role};

const KEY: Option<[u8; 4]> = Some([1, 2, 3, 4]);
const MAX: usize = 64 * 1024;
const TOO_BIG: Option<ProtocolError> = Some(ProtocolError::MessageTooBig { bytes_max: MAX });

/// 64 MiB in 64 KiB.
fn bomb(byte: u8) -> Vec<u8> {
    PeerDeflater::new(9, 15, false).message(&vec![byte; 64 << 20])
}

fn feed_all(receiver: &mut Receiver, frames: &[Vec<u8>]) -> (usize, Option<ProtocolError>) {
    for (index, frame) in frames.iter().enumerate() {
        if let Some(error) = feed(receiver, frame).1 {
            return (index, Some(error));
        }
    }
    (frames.len(), None)
}

#[test]
fn a_bomb_stops_at_the_limit_and_not_behind_it() {
    let bomb = bomb(b'a');
    assert!(bomb.len() < 66_000 && bomb.len() < MAX, "{} bytes", bomb.len());
    for opcode in [1, 2] {
        for takeover in [false, true] {
            let pool = InflatePool::new(1);
            let mut receiver = inflating(&pool, takeover, (MAX, 1024));
            let whole = frame(true, opcode + COMPRESSED, KEY, &bomb);
            assert_eq!(feed(&mut receiver, &whole), (Vec::new(), TOO_BIG));
            let inflated = pool.totals().bytes_out as usize;
            assert!(inflated <= MAX + 4096, "{inflated} bytes were inflated of 64 MiB");
            assert_eq!(receiver.buffered_bytes(), 0, "and nothing of them is kept");
        }
    }
    assert_eq!(TOO_BIG.map(|error| error.close_code()), Some(CloseCode::MESSAGE_TOO_BIG));
}

#[test]
fn a_fragmented_bomb_stops_with_the_fragment_that_goes_too_far() {
    let bomb = bomb(0);
    let mut frames = vec![frame(false, 2 + COMPRESSED, KEY, &bomb[..30])];
    frames.extend(bomb[30..].chunks(30).take(600).map(|part| frame(false, 0, KEY, part)));
    let pool = InflatePool::new(1);
    let mut receiver = inflating(&pool, false, (MAX, 1024));
    let (index, error) = feed_all(&mut receiver, &frames);
    assert_eq!(error, TOO_BIG);
    assert!(index <= 4, "30 bytes stand for 30 KiB, and it went on to fragment {index}");
    // Where no inflater is free for it, what may wait is bounded, and then it stops as well.
    let pool = InflatePool::new(0);
    let mut receiver = inflating(&pool, false, (MAX, 1 << 20));
    frames.push(frame(true, 0, KEY, &[]));
    assert_eq!(feed_all(&mut receiver, &frames), (frames.len() - 1, TOO_BIG));
    assert!(pool.totals().bytes_out as usize <= MAX + 4096);
}

#[test]
fn exactly_the_limit_passes_and_one_byte_more_does_not() {
    for (length, error) in [(MAX - 1, None), (MAX, None), (MAX + 1, TOO_BIG)] {
        for level in [0, 1, 6] {
            // What cannot be compressed is a little longer on the wire.
            let packed = PeerDeflater::new(level, 15, false).message(&vec![7; length]);
            let whole = frame(true, 2 + COMPRESSED, KEY, &packed);
            let mut receiver = inflating(&InflatePool::new(1), false, (MAX, 10));
            assert_eq!(feed(&mut receiver, &whole).1, error, "{length} at level {level}");
        }
    }
}

#[test]
fn blocks_that_stand_for_nothing_are_bounded_by_what_comes_in() {
    let empty: Vec<u8> = [0, 0, 0, 0xff, 0xff].repeat(20_000);
    let whole = frame(true, 2 + COMPRESSED, KEY, &empty);
    let mut receiver = inflating(&InflatePool::new(1), false, (MAX, 1024));
    assert_eq!(feed(&mut receiver, &whole).1, TOO_BIG, "by its length alone");
    let fits = &empty[..MAX];
    let whole = frame(true, 2 + COMPRESSED, KEY, &fits[..fits.len() / 5 * 5]);
    let mut receiver = inflating(&InflatePool::new(1), false, (MAX, 1024));
    assert_eq!(feed(&mut receiver, &whole), (vec![Owned::Binary(Vec::new())], None));
    // Streams that end, two bytes each, are counted like fragments.
    let ends = [3, 0].repeat(2000);
    let whole = frame(true, 2 + COMPRESSED, KEY, &ends);
    let mut receiver = inflating(&InflatePool::new(1), false, (MAX, 1024));
    let too_many = ProtocolError::TooManyParts { parts_max: 1024 };
    assert_eq!(feed(&mut receiver, &whole).1, Some(too_many));
}

#[test]
fn a_declared_length_gets_nothing() {
    for opcode in [1, 2] {
        let mut receiver = inflating(&InflatePool::new(1), false, (1 << 30, 10));
        let head = header(true, opcode + COMPRESSED, Some([0; 4]), 1 << 30);
        assert_eq!(feed(&mut receiver, &head).1, None);
        assert!(receiver.buffered_bytes() < 50 * 1024, "{} bytes", receiver.buffered_bytes());
    }
    let head = header(true, 2 + COMPRESSED, Some([0; 4]), (MAX + MAX / 8 + 65) as u64);
    let mut receiver = inflating(&InflatePool::new(1), false, (MAX, 10));
    assert_eq!(feed(&mut receiver, &head).1, TOO_BIG);
}

#[test]
fn rsv1_has_a_meaning_only_where_a_message_begins_and_it_was_agreed_to() {
    let broken = Some(ProtocolError::ReservedBits);
    for opcode in 0..16 {
        for reserved in [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70] {
            let mut stream = frame(false, 2, KEY, b"x");
            if opcode != 0 {
                stream.clear();
            }
            stream.extend(frame(true, opcode + reserved, KEY, &[0]));
            assert_eq!(feed(&mut receiver(Role::Server, 100, 10), &stream).1, broken);
            let mut agreed = inflating(&InflatePool::new(1), false, (100, 10));
            let error = feed(&mut agreed, &stream).1;
            let begins = reserved == 0x40 && matches!(opcode, 1 | 2);
            let code = error.map(|error| error.close_code());
            let expected = (!begins).then_some(CloseCode::PROTOCOL_ERROR);
            assert_eq!(code, expected, "{opcode} {reserved:#x}");
        }
    }
    // Also within a compressed message.
    let mut stream = frame(false, 1 + COMPRESSED, KEY, &[]);
    stream.extend(frame(true, COMPRESSED, KEY, &[0]));
    let mut agreed = inflating(&InflatePool::new(1), false, (100, 10));
    assert_eq!(feed(&mut agreed, &stream).1, broken);
    assert_eq!(ProtocolError::ReservedBits.close_code(), CloseCode::PROTOCOL_ERROR);
}

#[test]
fn inflated_text_is_checked_as_it_comes() {
    let invalid = Some(ProtocolError::InvalidUtf8);
    let mut peer = PeerDeflater::new(0, 15, false);
    for (text, error) in [
        (&b"fine \xe2\x82\xac"[..], None),
        (b"cut \xe2\x82", invalid),
        (b"surrogate \xed\xa0\x80", invalid),
        (b"stray \x80", invalid),
    ] {
        let packed = peer.message(text);
        let whole = frame(true, 1 + COMPRESSED, KEY, &packed);
        let mut receiver = inflating(&InflatePool::new(1), false, (MAX, 10));
        assert_eq!(feed(&mut receiver, &whole).1, error, "{}", text.escape_ascii());
        // Binary, it is nobody's business.
        let whole = frame(true, 2 + COMPRESSED, KEY, &packed);
        let mut receiver = inflating(&InflatePool::new(1), false, (MAX, 10));
        assert_eq!(feed(&mut receiver, &whole).1, None);
    }
    // As early as it shows: the message goes on, and the connection does not.
    let packed = peer.message(&[&b"stray \xff"[..], &[b'a'; 5000]].concat());
    let mut receiver = inflating(&InflatePool::new(1), false, (MAX, 10));
    let first = frame(false, 1 + COMPRESSED, KEY, &packed[..100]);
    assert_eq!(feed(&mut receiver, &first).1, invalid);
}

#[test]
fn what_is_no_deflate_data_ends_the_connection() {
    for payload in
        [&[0xff, 0xff][..], &[0x06], &[0x05, 0x00, 0xff], &[0x01, 0x02, 0x00, 0x00, 0x00]]
    {
        for takeover in [false, true] {
            let whole = frame(true, 2 + COMPRESSED, KEY, payload);
            let mut receiver = inflating(&InflatePool::new(1), takeover, (MAX, 10));
            let (events, error) = feed(&mut receiver, &whole);
            assert_eq!((events, error), (Vec::new(), Some(ProtocolError::Deflate)));
            assert_eq!(receiver.buffered_bytes(), 0);
        }
    }
    assert_eq!(ProtocolError::Deflate.close_code(), CloseCode::INVALID_PAYLOAD);
}

#[test]
fn an_idle_connection_owns_no_inflater_and_there_are_no_more_than_seats() {
    let pool = InflatePool::new(2);
    let packed = PeerDeflater::new(6, 15, false).message(&[b'a'; 3000]);
    let half = frame(false, 1 + COMPRESSED, KEY, &packed[..packed.len() / 2]);
    let rest = frame(true, 0, KEY, &packed[packed.len() / 2..]);
    let mut many: Vec<Receiver> = (0..5).map(|_| inflating(&pool, false, (MAX, 10))).collect();
    for receiver in &mut many {
        assert_eq!(receiver.buffered_bytes(), 0, "agreed to and idle");
        assert_eq!(feed(receiver, &half).1, None);
    }
    let holding = many.iter().filter(|receiver| receiver.buffered_bytes() > 40 * 1024).count();
    assert_eq!(holding, 2, "the others wait for the end of their message");
    assert!(corecast_wire::Inflation::with_takeover(&pool).is_none(), "no seat is left");
    for receiver in &mut many {
        let (events, error) = feed(receiver, &rest);
        assert_eq!((events.len(), error), (1, None));
        assert_eq!(receiver.buffered_bytes(), 0, "and nothing is left behind");
    }
    let (one, two) = (inflating(&pool, true, (MAX, 10)), inflating(&pool, true, (MAX, 10)));
    assert_eq!(one.buffered_bytes() + two.buffered_bytes(), 0, "none before the first message");
    drop((one, two));
    assert!(corecast_wire::Inflation::with_takeover(&pool).is_some(), "seats are given back");
    assert_eq!(pool.totals().inflates, 5);
}
