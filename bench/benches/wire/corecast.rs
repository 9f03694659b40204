//! Corecast as a shard uses it: read into the scratch buffer, receive in place.

use std::hint::black_box;
use std::io::Read;

use corecast_wire::{Event, Input, Receiver, ReceiverLimits, Role};

use crate::source::Source;

/// The size of a shard's scratch buffer.
const SCRATCH_BYTES: usize = 64 * 1024;

pub(crate) struct Reader {
    receiver: Receiver,
    scratch: Vec<u8>,
    source: Source,
}

impl Reader {
    pub(crate) fn new(source: Source) -> Self {
        let limits = ReceiverLimits { message_bytes_max: 1 << 20, ..ReceiverLimits::default() };
        let receiver = Receiver::new(Role::Server, limits);
        Self { receiver, scratch: vec![0; SCRATCH_BYTES], source }
    }

    /// Reads messages until `count` were seen; a cycle of the source holds just as many.
    pub(crate) fn read(&mut self, count: usize) -> usize {
        let mut seen = 0;
        let mut bytes_seen = 0;
        while seen < count {
            let bytes = self.source.read(&mut self.scratch).expect("memory");
            let mut input = Input::new(&mut self.scratch[..bytes]);
            while let Some(event) = self.receiver.receive(&mut input).expect("valid frames") {
                let Event::Text(text) = event else { panic!("only text was sent") };
                bytes_seen += black_box(text).len();
                seen += 1;
            }
        }
        bytes_seen
    }
}
