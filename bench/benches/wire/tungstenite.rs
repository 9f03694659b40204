//! tungstenite as its own benchmarks use it: a `WebSocket` over a blocking stream.

use std::hint::black_box;

use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Message, Utf8Bytes};

use crate::source::Source;

pub(crate) struct Peer {
    socket: WebSocket<Source>,
}

impl Peer {
    pub(crate) fn new(source: Source) -> Self {
        Self { socket: WebSocket::from_raw_socket(source, Role::Server, None) }
    }

    pub(crate) fn read(&mut self, count: usize) -> usize {
        let mut bytes_seen = 0;
        for _ in 0..count {
            let Message::Text(text) = self.socket.read().expect("valid frames") else {
                panic!("only text was sent")
            };
            bytes_seen += black_box(text.as_str()).len();
        }
        bytes_seen
    }

    /// The payload is shared already: cloning it is how its users broadcast.
    pub(crate) fn write(&mut self, text: &Utf8Bytes) {
        self.socket.send(Message::Text(text.clone())).expect("a sink takes all");
    }
}
