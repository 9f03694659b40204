//! fastwebsockets as its examples use it: a `FragmentCollector` over an async stream.

use std::hint::black_box;

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role, WebSocket};

use crate::source::{Reader, Side, Source, ready};

pub(crate) struct Peer {
    socket: FragmentCollector<Source>,
}

impl Reader for Peer {
    fn new(source: Source, side: Side) -> Self {
        let role = match side {
            Side::Server => Role::Server,
            Side::Client => Role::Client,
        };
        Self { socket: FragmentCollector::new(WebSocket::after_handshake(source, role)) }
    }

    fn read(&mut self, count: usize) -> usize {
        ready(async {
            let mut bytes_seen = 0;
            for _ in 0..count {
                let frame = self.socket.read_frame().await.expect("valid frames");
                assert!(matches!(frame.opcode, OpCode::Text | OpCode::Binary), "only messages");
                bytes_seen += black_box(&frame.payload).len();
            }
            bytes_seen
        })
    }
}

/// The outbound half. Its frames borrow: up to 1 KiB they are copied behind their header into one
/// buffer of the connection, longer ones go out as two slices.
pub(crate) struct Writer {
    socket: WebSocket<Source>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { socket: WebSocket::after_handshake(Source::sink(), Role::Server) }
    }

    pub(crate) fn write(&mut self, text: &[u8]) {
        ready(async {
            let frame = Frame::text(Payload::Borrowed(text));
            self.socket.write_frame(frame).await.expect("a sink takes all");
        });
    }
}
