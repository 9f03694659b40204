//! Heartbeats: one frame for each slice of a shard's connections, encoded once.

use super::codec::control;
use super::limits::BEATS;
use corecast::{Encoding, Frames, TimerContext};
use corecast_feed::event::{Event, Heartbeat};
use corecast_feed::value::Nanos;

/// Which slice is next. The slices of a shard take turns, so that not all of its connections are
/// written to in one moment.
#[derive(Debug, Default)]
pub(crate) struct Beat {
    next: u32,
}

impl Beat {
    /// Tells the next slice that the server is there.
    pub(crate) fn strike(&mut self, context: &mut TimerContext<'_>) {
        let slice = self.next % BEATS;
        self.next = (slice + 1) % BEATS;
        let time = Nanos(context.wall_ns());
        let frame = control(&Event::Heartbeat(Heartbeat { time }));
        let frames =
            Frames::default().with(Encoding::Json, frame.clone()).with(Encoding::Binary, frame);
        context.publish_here(name(slice), &frames);
    }
}

/// The internal topic of a slice.
pub(crate) fn name(slice: u32) -> &'static str {
    const NAMES: [&str; BEATS as usize] =
        ["$beat.0", "$beat.1", "$beat.2", "$beat.3", "$beat.4", "$beat.5", "$beat.6", "$beat.7"];
    NAMES[(slice % BEATS) as usize]
}
