//! Plaintext out of what comes in.

use std::io;
use std::rc::Rc;
use std::task::Poll;

use super::{State, Tls};
use crate::stream::Socket;
use crate::tls::records::{self, SEALED_BYTES_MAX};

/// Bytes that a read takes from the socket at most for no plaintext, or for little: two records.
const PULLED_BYTES_MAX: usize = 2 * SEALED_BYTES_MAX;

impl Tls {
    /// Reads plaintext until there is no more, or no room. Zero bytes are the peer's end.
    pub(crate) fn read(&mut self, socket: &mut Socket, room: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.state {
            State::Open(_) => {}
            // Found while writing: what comes in is nobody's word.
            State::Failed if self.has_ended => return Poll::Ready(Ok(0)),
            State::Failed => return socket.read(room),
            State::Waiting | State::Shaking(..) => return Poll::Pending,
        }
        let desk = Rc::clone(&self.desk);
        let mut scratch = desk.scratch.borrow_mut();
        let mut filled = self.take_plain(room);
        let mut pulled = 0;
        self.has_more = false;
        while filled < room.len() && !self.has_ended {
            // Records may be empty, or change keys: bytes that no limit on messages sees.
            if pulled > PULLED_BYTES_MAX && filled == 0 {
                self.fail(socket);
                return Poll::Ready(Err(io::Error::other("TLS records with nothing in them")));
            }
            if pulled > PULLED_BYTES_MAX {
                self.has_more = true;
                break;
            }
            let result = if self.is_whole {
                let mut input = std::mem::take(&mut self.input);
                self.open(&mut input, &mut room[filled..])
            } else {
                let begun = self.input.len();
                let most = (room.len() - filled + SEALED_BYTES_MAX).min(scratch.len() - begun);
                match socket.read(&mut scratch[begun..begun + most]) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(0)) => {
                        self.has_ended = true;
                        break;
                    }
                    Poll::Ready(Err(error)) if filled == 0 => return Poll::Ready(Err(error)),
                    // It is told of when what was before it is read.
                    Poll::Ready(Err(_)) => {
                        self.has_ended = true;
                        break;
                    }
                    Poll::Ready(Ok(read)) => {
                        pulled += read;
                        scratch[..begun].copy_from_slice(&self.input);
                        self.input = Vec::new();
                        self.open(&mut scratch[..begun + read], &mut room[filled..])
                    }
                }
            };
            match result {
                Ok(count) => filled += count,
                Err(error) => {
                    self.fail(socket);
                    return Poll::Ready(Err(io::Error::other(error)));
                }
            }
        }
        if !self.unsent.is_empty() {
            self.push(socket);
        }
        if filled > 0 || self.has_ended { Poll::Ready(Ok(filled)) } else { Poll::Pending }
    }

    /// Whether the last read left bytes in the socket, so that others get their turn before them.
    #[inline]
    pub(crate) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Decrypts what is whole of `bytes` into `room`, and keeps the rest.
    fn open(&mut self, bytes: &mut [u8], room: &mut [u8]) -> Result<usize, rustls::Error> {
        let State::Open(connection) = &mut self.state else { return Ok(0) };
        let (mut filled, plain) = (0, &mut self.plain);
        let opened = records::open(connection, bytes, &mut self.unsent, |payload| {
            let count = payload.len().min(room.len() - filled);
            room[filled..filled + count].copy_from_slice(&payload[..count]);
            filled += count;
            plain.extend_from_slice(&payload[count..]);
            filled < room.len()
        })?;
        let rest = &bytes[opened.used..];
        self.is_whole = opened.stopped && !rest.is_empty();
        self.has_ended |= opened.ended;
        if !rest.is_empty() {
            self.input = rest.to_vec();
        }
        Ok(filled)
    }

    fn take_plain(&mut self, room: &mut [u8]) -> usize {
        let count = self.plain.len().min(room.len());
        room[..count].copy_from_slice(&self.plain[..count]);
        if count == self.plain.len() {
            self.plain = Vec::new();
        } else {
            self.plain.drain(..count);
        }
        count
    }
}
