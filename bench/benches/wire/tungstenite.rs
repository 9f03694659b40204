//! tungstenite as its own benchmarks use it: a `WebSocket` over a blocking stream.

use std::hint::black_box;

use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Message, Utf8Bytes};

use crate::source::{Reader, Side, Source};

pub(crate) struct Peer {
    socket: WebSocket<Source>,
}

impl Reader for Peer {
    fn new(source: Source, side: Side) -> Self {
        let role = match side {
            Side::Server => Role::Server,
            Side::Client => Role::Client,
        };
        Self { socket: WebSocket::from_raw_socket(source, role, None) }
    }

    fn read(&mut self, count: usize) -> usize {
        let mut bytes_seen = 0;
        for _ in 0..count {
            bytes_seen += match self.socket.read().expect("valid frames") {
                Message::Text(text) => black_box(text.as_str()).len(),
                Message::Binary(bytes) => black_box(&*bytes).len(),
                _ => panic!("only messages were sent"),
            };
        }
        bytes_seen
    }
}

impl Peer {
    /// Cloning what is shared already is how its users broadcast.
    pub(crate) fn write(&mut self, text: Utf8Bytes) {
        self.socket.send(Message::Text(text)).expect("a sink takes all");
    }
}
