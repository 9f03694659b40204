//! Connections that are subscribed to one topic, each with an outbox of its own.

use std::hint::black_box;

use corecast_hub::{
    ConnId, Encoding, Frames, Hub, HubConfig, Outbox, Policy, Publication, SharedFrames, Stream,
    Timestamp,
};
use corecast_wire::Frame;

const TOPIC: &str = "quote.BTCUSDT";
const NOW: Timestamp = Timestamp(0);

pub(crate) struct Room {
    hub: Hub,
    members: Vec<ConnId>,
    dirty: Vec<ConnId>,
    frames: SharedFrames,
    seq: u64,
}

impl Room {
    pub(crate) fn new(config: HubConfig, policy: Policy, members: usize) -> Self {
        let mut hub = Hub::new(config);
        let members: Vec<ConnId> = (0..members).map(|_| hub.connect(NOW)).collect();
        for conn in &members {
            let stream = Stream { sid: 1, home: 0, ..Stream::raw(TOPIC) };
            hub.attach(*conn, &stream, policy, Encoding::Raw).expect("subscribed");
        }
        let frames = SharedFrames::new(&Frames::raw(Frame::text("61000.50,61000.75")), NOW);
        Self { hub, members, dirty: Vec::new(), frames, seq: 0 }
    }

    /// One message with this key; says to how many it went.
    pub(crate) fn publish(&mut self, key: u64) -> u64 {
        self.seq += 1;
        let key = key.to_be_bytes();
        let raw = Publication::raw(TOPIC, self.seq, &self.frames);
        let publication = Publication { sid: 1, home: 0, key: Some(&key), ..raw };
        self.hub.publish(&publication, NOW).delivered
    }

    /// Hands what waits to sockets that take all; says how many frames they were.
    pub(crate) fn flush(&mut self) -> u64 {
        let mut frames = 0;
        self.hub.take_dirty(&mut self.dirty);
        for conn in &self.dirty {
            let slices = self.hub.outbox(*conn).into_iter().flat_map(Outbox::slices);
            let bytes = slices.map(|slice| black_box(slice).len()).sum();
            frames += u64::from(self.hub.sent(*conn, bytes, NOW).frames);
        }
        frames
    }

    /// No socket takes anything any more.
    pub(crate) fn block(&mut self) {
        for conn in &self.members {
            self.hub.set_blocked(*conn, true);
        }
    }

    /// Frames that wait for the first one.
    pub(crate) fn waiting(&self) -> u32 {
        self.members.first().and_then(|conn| self.hub.outbox(*conn)).map_or(0, Outbox::frames)
    }
}
