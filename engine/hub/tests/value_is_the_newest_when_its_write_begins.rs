//! A reader a hundred times too slow, under `latest` and `latest_by_key`. The hub is driven by
//! hand, so the moment of each write is known: what a write begins with must be the newest that
//! was published until then, memory must not grow, and what is missing must be what was counted as
//! conflated. Runs print their seed; `CORECAST_SEED=n` replays it.

#[path = "simulation/random.rs"]
#[expect(dead_code, reason = "the simulation needs more of it")]
mod random;

use std::collections::HashMap;
use std::env;
use std::hash::{BuildHasher, RandomState};

use corecast_hub::{
    ConnId, Hub, HubConfig, OutboxLimits, Policy, Publication, SharedFrame, SharedFrames, Timestamp,
};
use corecast_wire::Frame;
use random::Random;

const TICKERS: usize = 6;
const KEYS: usize = 40;
const KEYED: &str = "market";
/// Publications for each frame that the reader takes.
const TOO_SLOW: usize = 100;
const PUBLICATIONS: u64 = 200_000;
/// Of one frame: number, name and header.
const FRAME_BYTES_MAX: usize = 32;

#[test]
fn nothing_old_is_ever_begun_and_nothing_is_lost_uncounted() {
    let seed = env::var("CORECAST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("replay with CORECAST_SEED={seed}");
    let mut bench = Bench::new(seed);
    for _ in 0..PUBLICATIONS {
        bench.publish();
        if bench.random.one_in(TOO_SLOW) {
            // A socket takes what it has room for: a byte, half a frame, a frame and a half.
            let bytes = bench.random.below(2 * FRAME_BYTES_MAX);
            bench.write(bytes);
        }
        bench.check_memory();
    }
    while bench.write(usize::MAX) > 0 {}
    bench.check_end();
}

/// What a reader knows of one ticker, or of one key.
#[derive(Debug, Default)]
struct Value {
    /// The number of the newest publication.
    newest: u64,
    /// Its number among the publications of its ticker or key, and of the last that was received.
    published: u64,
    received: u64,
    frames: u64,
}

struct Bench {
    hub: Hub,
    conn: ConnId,
    values: HashMap<String, Value>,
    /// Numbers of the topics.
    seqs: HashMap<String, u64>,
    /// The rest of the frame that a write has cut.
    cut: Vec<u8>,
    received: u64,
    random: Random,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let mut hub =
            Hub::new(HubConfig { outbox: OutboxLimits::default(), ..HubConfig::default() });
        let conn = hub.connect(Timestamp(0));
        let tickers = (0..TICKERS).map(|ticker| (format!("t{ticker}"), Policy::Latest));
        for (topic, policy) in tickers.chain([(KEYED.to_owned(), Policy::LatestByKey)]) {
            hub.subscribe(conn, &topic, Some(policy)).expect("subscribed");
        }
        let (values, seqs, cut) = (HashMap::new(), HashMap::new(), Vec::new());
        Self { hub, conn, values, seqs, cut, received: 0, random: Random::new(seed) }
    }

    /// Publishes the next value of a ticker, or of a key.
    fn publish(&mut self) {
        let pick = self.random.below(2 * TICKERS);
        let (topic, name) = if pick < TICKERS {
            (format!("t{pick}"), format!("t{pick}"))
        } else {
            (KEYED.to_owned(), format!("k{}", self.random.below(KEYS)))
        };
        let seq = self.seqs.entry(topic.clone()).or_default();
        *seq += 1;
        let value = self.values.entry(name.clone()).or_default();
        (value.newest, value.published) = (*seq, value.published + 1);
        let text = format!("{name} {seq} {}", value.published);
        let frames = SharedFrames::raw(SharedFrame::new(Frame::text(&text), Timestamp(0)));
        let mut publication = Publication::raw(&topic, *seq, &frames);
        publication.key = (topic == KEYED).then_some(name.as_bytes());
        let report = self.hub.publish(&publication, Timestamp(0));
        assert_eq!((report.delivered, report.dropped), (1, 0), "{text}");
    }

    /// Writes up to so many bytes to the peer; returns how many there were.
    fn write(&mut self, bytes_max: usize) -> usize {
        let outbox = self.hub.outbox(self.conn).expect("connected");
        let slices: Vec<Vec<u8>> = outbox.slices().map(<[u8]>::to_vec).collect();
        let mut left = bytes_max;
        for slice in slices {
            let taken = slice.len().min(left);
            if taken == 0 {
                break;
            }
            if self.cut.is_empty() {
                self.begins(&slice);
            }
            self.cut = slice[taken..].to_vec();
            left -= taken;
        }
        let written = bytes_max - left;
        self.hub.sent(self.conn, written, Timestamp(0));
        written
    }

    /// A write begins with this frame.
    fn begins(&mut self, frame: &[u8]) {
        let text = str::from_utf8(&frame[2..]).expect("a text of less than 126 bytes");
        let mut words = text.split(' ');
        let name = words.next().expect("a name");
        let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
        let (seq, of_name): (u64, u64) = (number(), number());
        let value = self.values.get_mut(name).expect("published");
        assert_eq!(seq, value.newest, "{name}: {seq} is written, {} is there", value.newest);
        assert!(of_name > value.received, "{name}: {of_name} comes after {}", value.received);
        (value.received, value.frames) = (of_name, value.frames + 1);
        self.received += 1;
    }

    /// One frame for each ticker and key, and the one that is partly sent.
    fn check_memory(&self) {
        let outbox = self.hub.outbox(self.conn).expect("connected");
        let (frames, bytes) = outbox.slices().fold((0, 0), |sum, s| (sum.0 + 1, sum.1 + s.len()));
        let frames_max = TICKERS + KEYS + 1;
        assert!(frames <= frames_max, "{frames} frames wait, of {frames_max}");
        assert!(bytes <= frames_max * FRAME_BYTES_MAX, "{bytes} bytes wait");
        assert!(outbox.heap_bytes() < 64 << 10, "{} bytes of handles", outbox.heap_bytes());
    }

    fn check_end(&self) {
        let (mut published, mut jumped) = (0, 0);
        for (name, value) in &self.values {
            assert_eq!(value.received, value.published, "{name}: the last value did not come");
            published += value.published;
            jumped += value.published - value.frames;
        }
        let totals = self.hub.totals();
        assert_eq!((published, totals.dropped), (PUBLICATIONS, 0));
        assert_eq!(jumped, totals.conflated);
        assert_eq!(self.received, published - totals.conflated);
        assert!(self.received * 10 < published, "the reader was not slow: {}", self.received);
    }
}
