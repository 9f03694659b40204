//! tokio-websockets as its examples use it: a stream and a sink of messages over an async stream.
//! Both are polled by hand, which costs less than any runtime.

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::{Sink, Stream};
use tokio_websockets::{ClientBuilder, Message, ServerBuilder, WebSocketStream};

use crate::source::{Reader, Side, Source};

pub(crate) struct Peer {
    socket: WebSocketStream<Source>,
}

impl Reader for Peer {
    fn new(source: Source, side: Side) -> Self {
        let socket = match side {
            Side::Server => ServerBuilder::new().serve(source),
            Side::Client => ClientBuilder::new().take_over(source),
        };
        Self { socket }
    }

    fn read(&mut self, count: usize) -> usize {
        let mut context = Context::from_waker(Waker::noop());
        let mut bytes_seen = 0;
        for _ in 0..count {
            let Poll::Ready(Some(message)) = Pin::new(&mut self.socket).poll_next(&mut context)
            else {
                panic!("a stream in memory is always ready")
            };
            let message = message.expect("valid frames");
            assert!(message.is_text() || message.is_binary(), "only messages were sent");
            bytes_seen += black_box(message.as_payload()).len();
        }
        bytes_seen
    }
}

impl Peer {
    /// Cloning what is shared already is how its users broadcast.
    pub(crate) fn write(&mut self, message: Message) {
        let mut socket = Pin::new(&mut self.socket);
        socket.as_mut().start_send(message).expect("an open connection");
        let flushed = socket.poll_flush(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(flushed, Poll::Ready(Ok(()))), "a sink takes all");
    }
}
