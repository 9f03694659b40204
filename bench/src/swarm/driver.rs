//! Who sends and receives on a swarm's connections while it is polled.

use corecast_wire::frame::Opcode;

use super::Delivery;

/// Takes what arrives, and says what is to be sent when.
pub trait Driver {
    /// A message has arrived.
    fn take(&mut self, delivery: Delivery<'_>);

    /// The next message to send, if there is one. Asked after each delivery and each sending.
    fn due(&self) -> Option<Due> {
        None
    }

    /// The message that [`Driver::due`] has announced, whose moment has come: it leaves at
    /// `sent_ns`. It is not asked while the connection has more than
    /// [`crate::limits::UNSENT_BYTES_MAX`] bytes to send.
    fn message(&mut self, _sent_ns: u64) -> Option<(Opcode, &[u8])> {
        None
    }

    /// The message is due, and the server has not read enough of what was sent on its connection
    /// before: its delay is not the client's.
    fn held(&mut self) {}
}

/// A message to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When, in nanoseconds of [`crate::clock::now_ns`]; what is past is due at once.
    pub at_ns: u64,
    /// The connection to send it on.
    pub connection: usize,
}

/// Receives only.
pub(super) struct Observer<'a>(pub(super) &'a mut dyn FnMut(Delivery<'_>));

impl Driver for Observer<'_> {
    fn take(&mut self, delivery: Delivery<'_>) {
        (self.0)(delivery);
    }
}
