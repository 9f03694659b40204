//! What the tests share: an encoder written apart from the crate's own, and owned events.

#![allow(dead_code, unreachable_pub)]

use std::sync::Arc;

use corecast_wire::{
    Event, InflatePool, Inflation, Input, ProtocolError, Receiver, ReceiverLimits, Role,
};

/// An event that outlives its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Event<'_>> for Owned {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.to_owned()),
            Event::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Event::Ping(bytes) => Self::Ping(bytes.to_vec()),
            Event::Pong(bytes) => Self::Pong(bytes.to_vec()),
            Event::Close(close) => Self::Close(close.map(|c| (c.code.0, c.reason.to_owned()))),
        }
    }
}

/// One frame on the wire, written from the picture in RFC 6455 §5.2 and nothing else.
pub fn frame(fin: bool, opcode: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut out = header(fin, opcode, mask, payload.len() as u64);
    for (at, byte) in payload.iter().enumerate() {
        out.push(byte ^ mask.map_or(0, |key| key[at % 4]));
    }
    out
}

pub fn header(fin: bool, opcode: u8, mask: Option<[u8; 4]>, length: u64) -> Vec<u8> {
    let mut out = vec![if fin { 0x80 } else { 0 } + opcode];
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    if length < 126 {
        out.push(mask_bit + length as u8);
    } else if length < 65_536 {
        out.push(mask_bit + 126);
        out.extend([(length >> 8) as u8, length as u8]);
    } else {
        out.push(mask_bit + 127);
        out.extend((0..8).rev().map(|at| (length >> (8 * at)) as u8));
    }
    out.extend(mask.into_iter().flatten());
    out
}

pub fn receiver(role: Role, message_bytes_max: usize, message_parts_max: u32) -> Receiver {
    Receiver::new(role, ReceiverLimits { message_bytes_max, message_parts_max })
}

/// Feeds one input and collects its events; the error, if any, is the last thing.
pub fn feed(receiver: &mut Receiver, bytes: &[u8]) -> (Vec<Owned>, Option<ProtocolError>) {
    let mut bytes = bytes.to_vec();
    let mut input = Input::new(&mut bytes);
    let mut events = Vec::new();
    loop {
        match receiver.receive(&mut input) {
            Ok(Some(event)) => events.push(event.into()),
            Ok(None) => {
                assert!(input.is_empty(), "no event although there is input left");
                return (events, None);
            }
            Err(error) => return (events, Some(error)),
        }
    }
}

/// Feeds `stream` cut into inputs of the given sizes, the last of which takes the rest.
pub fn feed_cut(
    receiver: &mut Receiver,
    mut stream: &[u8],
    sizes: impl IntoIterator<Item = usize>,
) -> (Vec<Owned>, Option<ProtocolError>) {
    let mut events = Vec::new();
    let mut sizes = sizes.into_iter();
    while !stream.is_empty() {
        let size = sizes.next().unwrap_or(stream.len()).clamp(1, stream.len());
        let (piece, rest) = stream.split_at(size);
        stream = rest;
        let (more, error) = feed(receiver, piece);
        events.extend(more);
        if error.is_some() {
            return (events, error);
        }
    }
    (events, None)
}

/// The peer's side of permessage-deflate, on flate2 alone.
pub struct PeerDeflater {
    state: flate2::Compress,
    takeover: bool,
}

impl PeerDeflater {
    pub fn new(level: u32, window_bits: u8, takeover: bool) -> Self {
        let level = flate2::Compression::new(level);
        Self { state: flate2::Compress::new_with_window_bits(level, false, window_bits), takeover }
    }

    /// The payload of a compressed message.
    pub fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        if !self.takeover {
            self.state.reset();
        }
        let before = self.state.total_in();
        let mut out = Vec::with_capacity(payload.len() * 2 + 64);
        self.state
            .compress_vec(payload, &mut out, flate2::FlushCompress::Sync)
            .expect("it compresses");
        assert_eq!(self.state.total_in() - before, payload.len() as u64, "all of it");
        assert!(out.len() < out.capacity(), "there was room");
        match out.strip_suffix(&[0, 0, 0xff, 0xff]) {
            Some(message) => message.to_vec(),
            // Nothing is flushed twice.
            None => vec![0],
        }
    }
}

/// What a compressed message stands for: the peer's inflater, without a context.
pub fn inflated(payload: &[u8]) -> Vec<u8> {
    let mut state = flate2::Decompress::new(false);
    let packed = [payload, &[0, 0, 0xff, 0xff]].concat();
    let mut out = Vec::new();
    while state.total_in() < packed.len() as u64 {
        out.reserve(1024);
        let rest = &packed[state.total_in() as usize..];
        let (before, flush) = (out.len(), flate2::FlushDecompress::Sync);
        state.decompress_vec(rest, &mut out, flush).expect("DEFLATE data");
        assert!(out.len() > before || rest.len() < 8, "it goes on");
    }
    out
}

/// The first bit of the header of a compressed message, to be added to its opcode.
pub const COMPRESSED: u8 = 0x40;

/// A server's receiver that agreed to compression.
pub fn inflating(pool: &Arc<InflatePool>, takeover: bool, limits: (usize, u32)) -> Receiver {
    let mut receiver = receiver(Role::Server, limits.0, limits.1);
    receiver.inflate(match takeover {
        true => Inflation::with_takeover(pool).expect("a seat"),
        false => Inflation::new(pool),
    });
    receiver
}
