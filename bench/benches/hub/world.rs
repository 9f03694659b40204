//! A hub with topics, subscriptions spread over them, and patterns that match none.

use corecast_hub::limits::PATTERNS_MAX;
use corecast_hub::{
    ConnId, Encoding, Frames, Hub, HubConfig, Policy, Publication, SharedFrames, Stream, Timestamp,
};
use corecast_wire::Frame;

/// Subscriptions of the whole hub.
const SUBSCRIPTIONS: usize = 10_000;
/// Subscribers of the topic that is published.
pub(crate) const SUBSCRIBERS: usize = 10;
/// The topic that is published.
pub(crate) const KNOWN: &str = "quote.known.BTCUSDT";
const SUBSCRIPTIONS_OF_ONE: usize = 1_000;
const HOME: u16 = 0;
const NOW: Timestamp = Timestamp(0);

pub(crate) struct World {
    hub: Hub,
    frames: SharedFrames,
    seq: u64,
    /// Names of topics that nobody has asked for, as many as there are topics.
    unheard: Vec<String>,
}

impl World {
    pub(crate) fn new(topics: usize, patterns: usize) -> Self {
        let mut hub = Hub::new(HubConfig::default());
        for _ in 0..SUBSCRIBERS {
            subscribe(&mut hub, None, KNOWN);
        }
        let mut conn = None;
        for n in 0..SUBSCRIPTIONS - SUBSCRIBERS {
            if n % SUBSCRIPTIONS_OF_ONE == 0 {
                conn = None;
            }
            // A connection has as many as fit before they repeat; the stride spreads them.
            let topic = format!("quote.t{}.BTCUSDT", n.wrapping_mul(7_919) % topics);
            conn = Some(subscribe(&mut hub, conn, &topic));
        }
        add_patterns(&mut hub, patterns);
        let unheard = (0..topics).map(|n| format!("quote.u{n}.BTCUSDT")).collect();
        let frames = SharedFrames::new(&Frames::raw(Frame::text("61000.50,61000.75")), NOW);
        Self { hub, frames, seq: 0, unheard }
    }

    /// Publishes to the topic with subscribers; each has one value waiting, which is replaced.
    pub(crate) fn publish_known(&mut self) -> u64 {
        self.seq += 1;
        let raw = Publication::raw(KNOWN, self.seq, &self.frames);
        self.hub.publish(&Publication { sid: 1, home: HOME, ..raw }, NOW).delivered
    }

    /// Publishes to the next of the topics that nobody has asked for.
    pub(crate) fn publish_unheard(&mut self) -> u64 {
        self.seq += 1;
        let topic = &self.unheard[self.seq as usize % self.unheard.len()];
        let raw = Publication::raw(topic, self.seq, &self.frames);
        self.hub.publish(&Publication { sid: 1, home: HOME, ..raw }, NOW).delivered
    }
}

fn subscribe(hub: &mut Hub, conn: Option<ConnId>, topic: &str) -> ConnId {
    let conn = conn.unwrap_or_else(|| hub.connect(NOW));
    let stream = Stream { sid: 1, home: HOME, ..Stream::raw(topic) };
    hub.attach(conn, &stream, Policy::Latest, Encoding::Raw).expect("subscribed");
    conn
}

/// Half of them share the published topics' first token, half begin with a wildcard.
fn add_patterns(hub: &mut Hub, patterns: usize) {
    let mut conn = None;
    for n in 0..patterns {
        if n % PATTERNS_MAX == 0 {
            conn = Some(hub.connect(NOW));
        }
        let text = if n % 2 == 0 { format!("quote.p{n}.*") } else { format!("*.p{n}.>") };
        let pattern = text.parse().expect("a pattern");
        let Some(conn) = conn else { unreachable!("connected above") };
        hub.attach_pattern(conn, HOME, &pattern, 0, None, Encoding::Raw).expect("attached");
    }
}
