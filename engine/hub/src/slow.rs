//! Why a reader counts as slow, and how it is told.

use core::fmt;
use core::time::Duration;

use corecast_wire::{CloseCode, Frame};

use crate::encoding::Encoding;
use crate::id::ConnId;

/// The close code of a reader that is too slow (private range: "come back, but read faster").
pub const SLOW_CLOSE_CODE: CloseCode = CloseCode(4407);

/// The bound that a reader crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlowReason {
    /// More bytes would have waited than the outbox holds.
    Bytes {
        /// Bytes that waited and that were to be added.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// More frames would have waited than the outbox holds.
    Frames {
        /// Frames that waited and that were to be added.
        frames: u32,
        /// The bound.
        frames_max: u32,
    },
    /// A frame waited too long.
    Age {
        /// How long.
        age: Duration,
        /// The bound.
        age_max: Duration,
    },
    /// The peer took no byte at all.
    Stall {
        /// For how long.
        stall: Duration,
        /// The bound.
        stall_max: Duration,
    },
}

impl SlowReason {
    /// A short name for counters: `bytes`, `frames`, `age` or `stall`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes { .. } => "bytes",
            Self::Frames { .. } => "frames",
            Self::Age { .. } => "age",
            Self::Stall { .. } => "stall",
        }
    }

    /// The Close frame that tells the reader: code 4407, the figures as its reason.
    #[must_use]
    pub fn close_frame(self) -> Frame {
        Frame::close(SLOW_CLOSE_CODE, &self.to_string())
    }
}

/// At most 123 bytes, so that it fits a Close frame (RFC 6455 §5.5).
impl fmt::Display for SlowReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes { bytes, bytes_max } => {
                write!(f, "slow reader: {bytes} bytes waiting, at most {bytes_max}")
            }
            Self::Frames { frames, frames_max } => {
                write!(f, "slow reader: {frames} frames waiting, at most {frames_max}")
            }
            Self::Age { age, age_max } => {
                let (age, age_max) = (age.as_millis(), age_max.as_millis());
                write!(f, "slow reader: a frame waited {age} ms, at most {age_max} ms")
            }
            Self::Stall { stall, stall_max } => {
                let (stall, stall_max) = (stall.as_millis(), stall_max.as_millis());
                write!(f, "slow reader: no byte taken for {stall} ms, at most {stall_max} ms")
            }
        }
    }
}

/// What a subscriber of a `lossless:gap` or `lossless:snapshot` topic has missed: the topic's
/// frames numbered `from..=to`, as far as they were meant for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// Sequence number of the first frame lost.
    pub from: u64,
    /// Sequence number of the last frame lost.
    pub to: u64,
    /// The bound that was crossed.
    pub reason: SlowReason,
}

/// A paused subscription whose reader has caught up: it waits for
/// [`Hub::resync`](crate::Hub::resync).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    /// Whose it is.
    pub conn: ConnId,
    /// The name of the stream.
    pub name: Box<str>,
    /// The name of the topic: that of the stream without its interval.
    pub topic: Box<str>,
    /// The interval of the variant in milliseconds, 0 for the topic itself.
    pub interval_ms: u32,
    /// The stream's home.
    pub home: u16,
    /// What the connection gets.
    pub encoding: Encoding,
    /// The number of the first frame that was lost.
    pub lost_from: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_fits_a_close_frame() {
        let far = Duration::MAX;
        for reason in [
            SlowReason::Bytes { bytes: u64::MAX, bytes_max: u64::MAX },
            SlowReason::Frames { frames: u32::MAX, frames_max: u32::MAX },
            SlowReason::Age { age: far, age_max: far },
            SlowReason::Stall { stall: far, stall_max: far },
        ] {
            let text = reason.to_string();
            assert!(text.len() <= 123, "{} bytes: {text}", text.len());
            assert_eq!(reason.close_frame().as_bytes()[2..4], 4407_u16.to_be_bytes());
            assert_eq!(&reason.close_frame().as_bytes()[4..], text.as_bytes());
        }
    }
}
