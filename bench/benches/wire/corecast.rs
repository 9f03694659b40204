//! Corecast as a shard uses it: read into the scratch buffer, receive in place.

use std::hint::black_box;
use std::io::Read;

use corecast_wire::{Event, Input, Receiver, ReceiverLimits, Role, limits};

use crate::source::{Reader, Side, Source};

const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// The size of a shard's scratch buffer with that limit.
const SCRATCH_BYTES: usize = MESSAGE_BYTES_MAX + limits::READ_BYTES;

pub(crate) struct Connection {
    receiver: Receiver,
    scratch: Vec<u8>,
    source: Source,
}

impl Reader for Connection {
    fn new(source: Source, side: Side) -> Self {
        let role = match side {
            Side::Server => Role::Server,
            Side::Client => Role::Client,
        };
        let limits =
            ReceiverLimits { message_bytes_max: MESSAGE_BYTES_MAX, ..ReceiverLimits::default() };
        let receiver = Receiver::new(role, limits);
        Self { receiver, scratch: vec![0; SCRATCH_BYTES], source }
    }

    /// A cycle of the source holds just as many messages as are read at once.
    fn read(&mut self, count: usize) -> usize {
        let mut seen = 0;
        let mut bytes_seen = 0;
        let mut input = Input::reading(&mut self.scratch);
        while seen < count {
            let bytes =
                self.source.read(input.room(self.receiver.expected_bytes())).expect("memory");
            input.fill(bytes);
            while let Some(event) = self.receiver.receive(&mut input).expect("valid frames") {
                bytes_seen += match event {
                    Event::Text(text) => black_box(text).len(),
                    Event::Binary(bytes) => black_box(bytes).len(),
                    _ => panic!("only messages were sent"),
                };
                seen += 1;
            }
        }
        bytes_seen
    }
}
