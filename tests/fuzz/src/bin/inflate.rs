//! A compressed message stands for the same however its frames are cut, and whether its fragments
//! are inflated as they come or wait; it is never inflated past its bound; and what was inflated
//! is compressed by us into what inflates to the same.
//!
//! The first byte says how: bit 0 a context from one message to the next, bit 1 text, bit 2 two
//! messages. The second byte is the length of a fragment.

#![no_main]

use std::cell::RefCell;

use corecast_wire::{
    Deflater, Event, Frame, InflatePool, Inflation, Input, Receiver, ReceiverLimits, Role,
};
use libfuzzer_sys::fuzz_target;

const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// What is handed out at once, so what is inflated beyond the bound at most.
const PIECE_BYTES: usize = 4 * 1024;

/// What one inflater takes, a message, and what holds them.
const BUFFERED_BYTES_MAX: usize = 42 * 1024 + 2 * MESSAGE_BYTES_MAX + 2 * PIECE_BYTES;

thread_local! {
    static DEFLATER: RefCell<Deflater> = RefCell::new(Deflater::new(1));
}

fuzz_target!(|input: &[u8]| {
    let [how, step, packed @ ..] = input else { return };
    let step = usize::from(*step).max(1);
    let whole = read(*how, packed, usize::MAX, 1);
    assert_eq!(read(*how, packed, step, 1), whole, "inflated as it comes");
    if how & 1 == 0 {
        assert_eq!(read(*how, packed, step, 0), whole, "kept until it is there");
    }
    for message in whole.iter().flatten() {
        let frame = match how & 2 {
            0 => Frame::binary(message),
            _ => Frame::text(std::str::from_utf8(message).expect("a text is UTF-8")),
        };
        let pressed = DEFLATER.with_borrow_mut(|deflater| frame.with_twin(deflater));
        if let Some(twin) = pressed.twin() {
            let back = read(how & 2, twin.payload(), usize::MAX, 1);
            assert_eq!(back, [Some(message.clone())], "what we compress");
        }
    }
});

/// What each message stands for; the last is `None` where it is none.
fn read(how: u8, packed: &[u8], step: usize, seats: u32) -> Vec<Option<Vec<u8>>> {
    let pool = InflatePool::new(seats);
    let limits =
        ReceiverLimits { message_bytes_max: MESSAGE_BYTES_MAX, message_parts_max: 8 * 1024 };
    let mut receiver = Receiver::new(Role::Server, limits);
    receiver.inflate(match how & 1 {
        0 => Inflation::new(&pool),
        _ => Inflation::with_takeover(&pool).expect("a seat"),
    });
    let (first, second) =
        packed.split_at(if how & 4 == 0 { packed.len() } else { packed.len() / 2 });
    let mut messages = Vec::new();
    for payload in [Some(first), (how & 4 != 0).then_some(second)].into_iter().flatten() {
        let (before, message) =
            (pool.totals().bytes_out, receive(&mut receiver, how, payload, step));
        let inflated = (pool.totals().bytes_out - before) as usize;
        assert!(inflated <= MESSAGE_BYTES_MAX + PIECE_BYTES, "{inflated} bytes were inflated");
        messages.push(message);
        if receiver.is_ended() {
            break;
        }
    }
    messages
}

/// One message in frames whose payloads are `step` bytes.
fn receive(receiver: &mut Receiver, how: u8, payload: &[u8], step: usize) -> Option<Vec<u8>> {
    let count = payload.len().div_ceil(step).max(1);
    for index in 0..count {
        let (from, to) = (index * step, ((index + 1).saturating_mul(step)).min(payload.len()));
        let fin = if index + 1 == count { 0x80 } else { 0 };
        let begin = match (index, how & 2) {
            (0, 0) => 0x42,
            (0, _) => 0x41,
            _ => 0,
        };
        let mut frame = frame(fin | begin, &payload[from..to]);
        let found = match receiver.receive(&mut Input::new(&mut frame)) {
            Ok(None) => None,
            Ok(Some(Event::Text(text))) => Some(text.as_bytes().to_vec()),
            Ok(Some(Event::Binary(bytes))) => Some(bytes.to_vec()),
            Ok(Some(other)) => panic!("{other:?} out of a message"),
            Err(_) => return None,
        };
        assert!(receiver.buffered_bytes() <= BUFFERED_BYTES_MAX, "kept");
        assert_eq!(found.is_some(), fin != 0, "a message ends with its last frame");
        if found.is_some() {
            assert!(found.as_ref().is_some_and(|it| it.len() <= MESSAGE_BYTES_MAX));
            return found;
        }
    }
    unreachable!("the last frame ends it")
}

/// A frame from a client, its masking key zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(long).expect("inputs are short").to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}
