//! fastwebsockets as its examples use it: a `FragmentCollector` over an async stream. The stream
//! is always ready, so one poll drives each call to its end, without a runtime's cost.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role, WebSocket};

use crate::source::Source;

pub(crate) struct Peer {
    socket: FragmentCollector<Source>,
}

impl Peer {
    pub(crate) fn new(source: Source) -> Self {
        let socket = WebSocket::after_handshake(source, Role::Server);
        Self { socket: FragmentCollector::new(socket) }
    }

    pub(crate) fn read(&mut self, count: usize) -> usize {
        ready(async {
            let mut bytes_seen = 0;
            for _ in 0..count {
                let frame = self.socket.read_frame().await.expect("valid frames");
                assert!(frame.opcode == OpCode::Text, "only text was sent");
                bytes_seen += black_box(&frame.payload).len();
            }
            bytes_seen
        })
    }

    pub(crate) fn write(&mut self, text: &'static str) {
        ready(async {
            let frame = Frame::text(Payload::Borrowed(text.as_bytes()));
            self.socket.write_frame(frame).await.expect("a sink takes all");
        });
    }
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a stream in memory is always ready"),
    }
}
