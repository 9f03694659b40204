//! An in-memory stream that repeats the same frames for ever: reading from it costs one copy,
//! as reading from a socket does, and writing to it nothing.

use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use corecast_wire::{Frame, Opcode, client};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Messages per cycle: enough that a read brings many small ones, as under load, and that large
/// ones come from beyond the first cache, as from a socket.
pub(crate) fn messages(payload_bytes: usize) -> usize {
    (CYCLE_BYTES / payload_bytes.max(1)).clamp(4, 64)
}

const CYCLE_BYTES: usize = 1 << 20;

/// Ticker-like JSON of just `bytes` bytes.
pub(crate) fn text(bytes: usize) -> String {
    let tick = r#"{"e":"bookTicker","s":"BTCUSDT","b":"67012.31","B":"1.204","a":"67012.32"}, "#;
    tick.chars().cycle().take(bytes).collect()
}

/// The same with a character of three bytes in it, so that ASCII shortcuts do not apply.
pub(crate) fn text_not_ascii(bytes: usize) -> String {
    let mut text = text(bytes - 3);
    text.insert(bytes / 2, '€');
    text
}

#[derive(Clone)]
pub(crate) struct Source {
    cycle: Vec<u8>,
    position: usize,
}

impl Source {
    /// [`messages`] masked frames with this payload, each with another key: what a server reads.
    pub(crate) fn masked(opcode: Opcode, payload: &[u8]) -> Self {
        Self::fragmented(opcode, payload, 1)
    }

    /// The same in messages of so many frames each.
    pub(crate) fn fragmented(opcode: Opcode, payload: &[u8], parts: usize) -> Self {
        let mut cycle = Vec::new();
        let part_bytes = payload.len().div_ceil(parts);
        for message in 0..messages(payload.len()) as u32 {
            let key = (message.wrapping_mul(0x9e37_79b9) ^ 0x5bd1_e995).to_be_bytes();
            for (at, part) in payload.chunks(part_bytes).enumerate() {
                let opcode = if at == 0 { opcode } else { Opcode::Continuation };
                client::append_frame(&mut cycle, opcode, at + 1 == parts, part, key);
            }
        }
        Self { cycle, position: 0 }
    }

    /// [`messages`] frames without a mask: what a client reads. Nothing is to be unmasked.
    pub(crate) fn unmasked(opcode: Opcode, payload: &[u8]) -> Self {
        let frame = Frame::prepare(opcode, payload).expect("a message");
        Self { cycle: frame.as_bytes().repeat(messages(payload.len())), position: 0 }
    }

    /// These bytes, again and again: a request of each connection.
    pub(crate) fn repeating(bytes: &[u8]) -> Self {
        Self { cycle: bytes.to_vec(), position: 0 }
    }

    /// For encoders: nothing to read.
    pub(crate) fn sink() -> Self {
        Self { cycle: Vec::new(), position: 0 }
    }
}

/// A connection's inbound half, in corecast or in a peer.
pub(crate) trait Reader {
    /// Takes over after the handshake.
    fn new(source: Source, side: Side) -> Self;

    /// Reads so many messages; returns the bytes of their payloads.
    fn read(&mut self, count: usize) -> usize;
}

/// Which end of the connection reads.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Server,
    Client,
}

/// Polls once: a stream in memory is always ready, so this drives a call to its end without the
/// cost of a runtime.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a stream in memory is always ready"),
    }
}

impl Read for Source {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let rest = &self.cycle[self.position..];
        let bytes = rest.len().min(to.len());
        to[..bytes].copy_from_slice(&rest[..bytes]);
        self.position = (self.position + bytes) % self.cycle.len();
        Ok(bytes)
    }
}

impl Write for Source {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(std::hint::black_box(bytes).len())
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        Ok(std::hint::black_box(slices).iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.cycle[self.position..];
        let bytes = rest.len().min(to.remaining());
        to.put_slice(&rest[..bytes]);
        self.position = (self.position + bytes) % self.cycle.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Source {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
