//! Connections that must not notice what a test does to others.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use corecast_bench::clock;
use corecast_bench::stamp::Stamp;
use corecast_bench::swarm::{Delivery, Plan, Publishing, Swarm};
use eyre::{Result, ensure, eyre};
use hdrhistogram::Histogram;

/// A publisher and two subscribers on a topic of their own, in a thread of their own, until
/// [`Control::finish`].
#[derive(Debug)]
pub struct Control {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<ControlReport>>,
}

/// What the control connections saw.
#[derive(Debug, Clone, Copy)]
pub struct ControlReport {
    /// Messages published.
    pub sent: u64,
    /// Deliveries that should have been: [`SUBSCRIBERS`] for each message.
    pub expected: u64,
    /// Deliveries that were, in order and only once.
    pub delivered: u64,
    /// Connections that have ended.
    pub ended: usize,
    /// From the moment a message was due to the end of its reading, median.
    pub latency_p50: Duration,
    /// The same, 99th percentile.
    pub latency_p99: Duration,
    /// The same, the worst.
    pub latency_max: Duration,
}

/// Subscribers of the control topic.
pub const SUBSCRIBERS: usize = 2;
/// Messages a second.
const RATE: f64 = 200.0;
const PAYLOAD_BYTES: usize = 128;

impl Control {
    /// Connects to `/ws/control` and begins to publish.
    ///
    /// # Errors
    /// When the server does not accept the connections.
    pub fn start(server: SocketAddr) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let (opened, is_open) = mpsc::channel();
        let thread = thread::spawn(move || {
            let (swarm, publisher) = open(server)?;
            // Nobody waits for it any more when the test has failed.
            let _ = opened.send(());
            watch(swarm, publisher, &seen)
        });
        if is_open.recv().is_err() {
            let ended = thread.join().map_err(|_| eyre!("the control thread panicked"))?;
            return Err(ended.map_or_else(|error| error, |_| eyre!("the control ended early")));
        }
        Ok(Self { stop, thread })
    }

    /// Watches for this long: the latency without trouble, to compare with.
    ///
    /// # Errors
    /// As [`Control::start`], or when something was lost without trouble.
    pub fn baseline(server: SocketAddr, time: Duration) -> Result<ControlReport> {
        let control = Self::start(server)?;
        thread::sleep(time);
        let report = control.finish()?;
        report.check_nothing_lost()?;
        Ok(report)
    }

    /// Stops publishing, waits for what is on its way, and reports.
    ///
    /// # Errors
    /// When the connections failed.
    pub fn finish(self) -> Result<ControlReport> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| eyre!("the control thread panicked"))?
    }
}

impl ControlReport {
    /// # Errors
    /// When a message is missing, doubled or out of order, or a connection has ended.
    pub fn check_nothing_lost(&self) -> Result<()> {
        ensure!(self.sent > 0, "the control published nothing");
        ensure!(self.ended == 0, "{} control connections have ended: {self:?}", self.ended);
        let missing = self.expected - self.delivered;
        ensure!(missing == 0, "the control misses {missing} deliveries: {self:?}");
        Ok(())
    }

    /// # Errors
    /// As [`ControlReport::check_nothing_lost`], or when the 99th percentile is above `factor`
    /// times that of `baseline`, and above `floor`: what the scheduler of a busy machine adds.
    pub fn check_unharmed(&self, baseline: &Self, factor: f64, floor: Duration) -> Result<()> {
        self.check_nothing_lost()?;
        let allowed = baseline.latency_p99.mul_f64(factor).max(floor);
        ensure!(self.latency_p99 <= allowed, "p99 is above {allowed:?}: {self:?}");
        Ok(())
    }
}

fn open(server: SocketAddr) -> Result<(Swarm, usize)> {
    let mut swarm = Swarm::new(server)?;
    let plan = Plan::reader("/ws/control");
    let all = swarm.open_all(&plan, SUBSCRIBERS + 1, Duration::from_secs(10), &mut |_| {})?;
    Ok((swarm, all.start))
}

fn watch(mut swarm: Swarm, publisher: usize, stop: &AtomicBool) -> Result<ControlReport> {
    let mut latency = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
    let mut next = [0; SUBSCRIBERS + 1];
    let mut delivered = 0;
    let mut take = |delivery: Delivery<'_>| {
        let Some(stamp) = Stamp::read(delivery.payload) else { return };
        let next = &mut next[delivery.connection - publisher];
        if stamp.sequence >= *next {
            delivered += u64::from(stamp.sequence == *next);
            *next = stamp.sequence + 1;
        }
        latency.saturating_record(delivery.received_ns.saturating_sub(stamp.due_ns));
    };
    swarm.publish(Publishing {
        connection: publisher,
        rate: RATE,
        payload_bytes: PAYLOAD_BYTES,
        count: u64::MAX,
    });
    while !stop.load(Ordering::Relaxed) {
        swarm.poll(Duration::from_millis(20), &mut take)?;
    }
    let sent = swarm.stop_publishing(publisher);
    let until = clock::now_ns() + 2_000_000_000;
    let received = |swarm: &Swarm| -> u64 {
        (1..=SUBSCRIBERS).map(|offset| swarm.counts(publisher + offset).messages).sum()
    };
    let expected = sent * SUBSCRIBERS as u64;
    while received(&swarm) < expected && clock::now_ns() < until {
        swarm.poll(Duration::from_millis(20), &mut take)?;
    }
    Ok(ControlReport {
        sent,
        expected,
        delivered,
        ended: SUBSCRIBERS + 1 - swarm.live(),
        latency_p50: Duration::from_nanos(latency.value_at_quantile(0.5)),
        latency_p99: Duration::from_nanos(latency.value_at_quantile(0.99)),
        latency_max: Duration::from_nanos(latency.max()),
    })
}
