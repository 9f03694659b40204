//! What one connection has sent, taken apart.

use corecast_peers::handshake::{self, Accepted};

use crate::frames::{self, MESSAGE_BYTES_MAX};

/// A buffer that has grown beyond this is given back once it is empty.
const INPUT_BYTES_KEPT: usize = 64 << 10;

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// What has come and is not used up.
    pub(crate) input: Vec<u8>,
    /// What the handshake asked for.
    pub(crate) path: Option<String>,
    used: usize,
}

/// What to do next for a connection.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing, until more comes.
    Wait,
    /// Nothing, and there may be more to do at once.
    Skip,
    /// The handshake is whole.
    Open(Accepted),
    /// A frame for the others, or back on the echo's path; encoded.
    Pass(Vec<u8>),
    /// A frame for the connection itself.
    Answer(Vec<u8>),
    /// The answer to a Close frame; nothing after it.
    Close(Vec<u8>),
    /// It is to end, for this reason.
    Refuse(&'static str),
}

impl Session {
    pub(crate) fn step(&mut self) -> Step {
        let step = match &self.path {
            None => self.open(),
            Some(_) => self.frame(),
        };
        if matches!(step, Step::Wait) {
            self.input.drain(..self.used);
            self.used = 0;
            if self.input.is_empty() && self.input.capacity() > INPUT_BYTES_KEPT {
                self.input = Vec::new();
            }
        }
        step
    }

    fn open(&mut self) -> Step {
        match handshake::accept(&self.input) {
            Ok(None) => Step::Wait,
            Ok(Some(accepted)) => {
                self.used = accepted.head_bytes;
                self.path = Some(accepted.path.clone());
                Step::Open(accepted)
            }
            Err(why) => Step::Refuse(why),
        }
    }

    fn frame(&mut self) -> Step {
        let Some(found) = frames::find(&self.input[self.used..]) else { return Step::Wait };
        if found.payload_bytes > MESSAGE_BYTES_MAX {
            return Step::Refuse("a frame is too long");
        }
        let bytes = &self.input[self.used..];
        let Some(masked) = bytes.get(found.head_bytes..found.head_bytes + found.payload_bytes)
        else {
            return Step::Wait;
        };
        self.used += found.head_bytes + found.payload_bytes;
        match found.first & 0x0f {
            0x8 => Step::Close(frames::encode(found.first, masked, found.key)),
            0x9 => Step::Answer(frames::encode(0x8a, masked, found.key)),
            0xa => Step::Skip,
            _ => Step::Pass(frames::encode(found.first, masked, found.key)),
        }
    }
}
