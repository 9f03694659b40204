//! What one round of one workload gave: the same figures for every server, as JSON and back.

use std::collections::BTreeMap;
use std::time::Duration;

use eyre::Result;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::measure::CLIENT_BUSY_SHARE;
use crate::process::Usage;

/// What one round gave. Only the measured stretch counts, not the warm-up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The server's name, as `Server` prints it.
    pub server: String,
    /// The workload's name and shape, such as `load 1000x128@50`.
    pub workload: String,
    /// Length of the measured stretch.
    pub seconds: f64,
    /// From the first delivery that counts to the last one; more than [`Outcome::seconds`] where
    /// the server was still delivering what was due in that time. 0 where it is not known.
    #[serde(default)]
    pub delivering_seconds: f64,
    /// Messages that left the client.
    pub published: u64,
    /// Deliveries that these should have caused, and messages that were due and could not leave
    /// because the server did not read; slow readers' are not among them.
    pub expected: u64,
    /// Deliveries that arrived, each counted once.
    pub delivered: u64,
    /// Deliveries that were expected and have not arrived.
    pub missing: u64,
    /// Deliveries that had arrived already.
    pub duplicated: u64,
    /// Deliveries that arrived behind a later one of the same publisher.
    pub reordered: u64,
    /// From the moment a message was due to its arrival.
    pub latency: Latency,
    /// What the server process spent; absent where the process is not known.
    pub cost: Option<Cost>,
    /// What the client spent.
    pub client: Client,
    /// Figures of this workload alone, the unit at the end of the name. All are finite.
    pub extra: BTreeMap<String, f64>,
}

impl Outcome {
    /// Deliveries a second, over the time that the server took for them: a server that has fallen
    /// behind delivers in more time than was measured.
    #[must_use]
    pub fn deliveries_per_second(&self) -> f64 {
        self.delivered as f64 / self.seconds.max(self.delivering_seconds)
    }

    /// Whether the client limited the latency at 99 %: what deliveries waited for it is above
    /// [`CLIENT_LAG_NS_MAX`] and above [`CLIENT_LAG_SHARE`] of the latency, each at 99 %. A client
    /// may have CPU left over the whole stretch, and yet be slower than the server in each burst.
    #[must_use]
    pub fn is_latency_the_clients(&self) -> bool {
        let allowed_ns = (self.latency.ns_p99 as f64 * CLIENT_LAG_SHARE) as u64;
        self.latency.count > 0 && self.client.lag_ns_p99 > CLIENT_LAG_NS_MAX.max(allowed_ns)
    }
}

/// How late messages came, in nanoseconds from the moment they were due. All 0 when none came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Deliveries counted.
    pub count: u64,
    /// Half of the deliveries took at most this.
    pub ns_p50: u64,
    /// 90 %.
    pub ns_p90: u64,
    /// 99 %.
    pub ns_p99: u64,
    /// 99.9 %.
    pub ns_p999: u64,
    /// The slowest.
    pub ns_max: u64,
    /// The mean.
    pub ns_mean: f64,
    /// Points `(percentile, ns)`, rising: percentiles from 0 to 100, denser towards 100, as many as
    /// the count supports, at most [`CURVE_POINTS_MAX`].
    pub curve: Vec<(f64, u64)>,
}

/// What the server process spent over a stretch, and what it held at its end. The stretch is the
/// measured one, and what it took to deliver the rest of that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Length of the stretch; 0 where it is not known.
    #[serde(default)]
    pub seconds: f64,
    /// CPU time, user and system, all threads.
    pub cpu_ns: u64,
    /// CPU time over deliveries (or what the workload counts instead, such as handshakes).
    pub cpu_ns_per_delivery: f64,
    /// CPU time as a share of one CPU.
    pub cpu_share: f64,
    /// Resident memory, shared pages included.
    pub rss_bytes: u64,
    /// Resident memory of its own: heap and stacks.
    pub rss_anon_bytes: u64,
    /// What the machine's TCP sockets held in the kernel, on both sides of the connections, above
    /// what they had held before: the most that was seen, by a look four times a second and one
    /// when publishing ended.
    pub kernel_socket_bytes: u64,
    /// Context switches because it waited.
    pub switches_voluntary: u64,
    /// Context switches because its time was up.
    pub switches_forced: u64,
}

/// What the load client spent, and whether its figures are the server's or its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// CPU time as a share of one CPU; a client that polls busily is not counted while it finds
    /// nothing to do.
    pub cpu_share: f64,
    /// How late it sent: 99 % of its messages left at most this much after they were due.
    pub late_ns_p99: u64,
    /// How late its latest message left.
    pub late_ns_max: u64,
    /// How long deliveries waited for the client before it read them, at most: half of them.
    #[serde(default)]
    pub lag_ns_p50: u64,
    /// 99 % of them.
    #[serde(default)]
    pub lag_ns_p99: u64,
    /// The one that waited longest.
    #[serde(default)]
    pub lag_ns_max: u64,
    /// Whether the client limited what was measured: it had no CPU left, or fell behind its own
    /// schedule.
    pub bottleneck: bool,
}

/// A client is never behind its schedule while 99 % of its messages leave within this.
pub const CLIENT_LATE_NS_MAX: u64 = 1_000_000;

/// Deliveries that wait less than this for the client say nothing about it: it had to be woken.
pub const CLIENT_LAG_NS_MAX: u64 = 100_000;

/// The share of the latency that deliveries may have waited for the client, each at 99 %.
pub const CLIENT_LAG_SHARE: f64 = 0.25;

/// Points of a curve: five in each halving of what is left to 100 %.
pub const CURVE_POINTS_MAX: usize = 101;

/// What is later counts as this late: one minute.
pub const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// A histogram of nanoseconds up to [`LATENCY_NS_MAX`], exact to three digits. Record with
/// `saturating_record`.
///
/// # Errors
/// Never with these bounds.
pub fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)?)
}

impl Latency {
    /// The percentiles of what was recorded.
    #[must_use]
    pub fn from_histogram(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        Self {
            count: histogram.len(),
            ns_p50: histogram.value_at_quantile(0.50),
            ns_p90: histogram.value_at_quantile(0.90),
            ns_p99: histogram.value_at_quantile(0.99),
            ns_p999: histogram.value_at_quantile(0.999),
            ns_max: histogram.max(),
            ns_mean: histogram.mean(),
            curve: curve(histogram),
        }
    }
}

impl Cost {
    /// The difference between two moments of a process, `wall` apart, over `deliveries`.
    #[must_use]
    pub fn between(
        before: &Usage,
        after: &Usage,
        kernel_socket_bytes: u64,
        wall: Duration,
        deliveries: u64,
    ) -> Self {
        let cpu = after.cpu.saturating_sub(before.cpu);
        let share = cpu.as_secs_f64() / wall.as_secs_f64().max(f64::MIN_POSITIVE);
        Self {
            cpu_ns: cpu.as_nanos() as u64,
            cpu_ns_per_delivery: cpu.as_nanos() as f64 / deliveries.max(1) as f64,
            seconds: wall.as_secs_f64(),
            cpu_share: share,
            rss_bytes: after.rss_bytes,
            rss_anon_bytes: after.rss_anon_bytes,
            kernel_socket_bytes,
            switches_voluntary: after.switches_voluntary.saturating_sub(before.switches_voluntary),
            switches_forced: after.switches_forced.saturating_sub(before.switches_forced),
        }
    }
}

impl Client {
    /// A client that used `cpu_share` of one CPU and sent as late as `late` says, in nanoseconds.
    /// It fell behind its schedule when that is above [`CLIENT_LATE_NS_MAX`] and a tenth of the
    /// latency, each at 99 %.
    #[must_use]
    pub fn new(cpu_share: f64, late: &Histogram<u64>, latency: &Latency) -> Self {
        let late_ns_p99 = if late.is_empty() { 0 } else { late.value_at_quantile(0.99) };
        let behind = late_ns_p99 > CLIENT_LATE_NS_MAX.max(latency.ns_p99 / 10);
        let bottleneck = cpu_share >= CLIENT_BUSY_SHARE || behind;
        Self { cpu_share, late_ns_p99, late_ns_max: late.max(), bottleneck, ..Self::default() }
    }

    /// Adds how long deliveries waited for the client, as [`crate::swarm::Swarm::lag`] says.
    #[must_use]
    pub fn lagging(self, lag: &Histogram<u64>) -> Self {
        if lag.is_empty() {
            return self;
        }
        let [lag_ns_p50, lag_ns_p99] = [0.50, 0.99].map(|share| lag.value_at_quantile(share));
        Self { lag_ns_p50, lag_ns_p99, lag_ns_max: lag.max(), ..self }
    }
}

/// Five points in each halving of the rest, as far as one delivery is left above.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, u64)> {
    let mut points = Vec::new();
    for step in 0..CURVE_POINTS_MAX - 1 {
        let rest = 0.5_f64.powf(step as f64 / 5.0);
        if rest * (histogram.len() as f64) < 1.0 {
            break;
        }
        let quantile = 1.0 - rest;
        points.push((quantile * 100.0, histogram.value_at_quantile(quantile)));
    }
    points.push((100.0, histogram.max()));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thousand() -> Histogram<u64> {
        let mut histogram = histogram().unwrap();
        (1..=1_000).for_each(|ms| histogram.saturating_record(ms * 1_000_000));
        histogram
    }

    #[test]
    fn percentiles_are_those_of_the_histogram() {
        let latency = Latency::from_histogram(&thousand());
        let ms = |ns: u64| (ns as f64 / 1e6).round() as u64;
        assert_eq!(latency.count, 1_000);
        assert_eq!([latency.ns_p50, latency.ns_p90, latency.ns_p99].map(ms), [500, 900, 990]);
        assert_eq!([latency.ns_p999, latency.ns_max].map(ms), [999, 1_000]);
        assert_eq!(Latency::from_histogram(&histogram().unwrap()), Latency::default());
    }

    #[test]
    fn the_curve_rises_to_the_slowest_and_is_denser_there() {
        let curve = Latency::from_histogram(&thousand()).curve;
        assert!(curve.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1), "{curve:?}");
        assert_eq!(curve[0].0, 0.0);
        assert_eq!(curve.last().map(|last| last.0), Some(100.0));
        let above_99 = curve.iter().filter(|point| point.0 > 99.0).count();
        assert!(above_99 > 10 && curve.len() <= CURVE_POINTS_MAX, "{above_99} of {}", curve.len());
    }

    #[test]
    fn an_outcome_survives_json() {
        let late = thousand();
        let outcome = Outcome {
            server: "corecast".into(),
            latency: Latency::from_histogram(&late),
            cost: Some(Cost { cpu_ns: 7, cpu_ns_per_delivery: 0.1, ..Cost::default() }),
            client: Client::new(0.3, &late, &Latency::default()),
            extra: BTreeMap::from([("data_age_ns_p99".to_owned(), 3.5)]),
            ..Outcome::default()
        };
        let text = serde_json::to_string(&outcome).unwrap();
        let mut back: Outcome = serde_json::from_str(&text).unwrap();
        // Fractions may differ in their last bit.
        for (point, original) in back.latency.curve.iter_mut().zip(&outcome.latency.curve) {
            assert!((point.0 - original.0).abs() < 1e-9, "{point:?} {original:?}");
            point.0 = original.0;
        }
        assert!((back.latency.ns_mean - outcome.latency.ns_mean).abs() < 1.0);
        back.latency.ns_mean = outcome.latency.ns_mean;
        assert_eq!(back, outcome);
    }

    #[test]
    fn a_client_without_cpu_or_behind_its_schedule_is_the_bottleneck() {
        let (punctual, latency) = (histogram().unwrap(), Latency::default());
        assert!(!Client::new(0.5, &punctual, &latency).bottleneck);
        assert!(Client::new(0.96, &punctual, &latency).bottleneck);
        assert!(Client::new(0.5, &thousand(), &latency).bottleneck);
        let slow = Latency { ns_p99: 20_000_000_000, ..latency };
        assert!(!Client::new(0.5, &thousand(), &slow).bottleneck);
    }

    #[test]
    fn a_client_for_which_deliveries_wait_bounds_their_latency() {
        let client = Client::default().lagging(&thousand());
        let [p50, p99] = [client.lag_ns_p50, client.lag_ns_p99].map(|ns| ns / 1_000_000);
        assert!((500..=501).contains(&p50) && (990..=991).contains(&p99), "{client:?}");
        let of = |ns_p99, client| {
            let latency = Latency { count: 1, ns_p99, ..Latency::default() };
            Outcome { latency, client, ..Outcome::default() }.is_latency_the_clients()
        };
        assert!(of(3_000_000_000, client) && !of(5_000_000_000, client));
        let mut short = histogram().unwrap();
        short.saturating_record(CLIENT_LAG_NS_MAX / 2);
        assert!(!of(1_000, Client::default().lagging(&short)));
    }

    #[test]
    fn the_rate_of_a_server_that_fell_behind_is_its_own() {
        let outcome = Outcome { seconds: 2.0, delivered: 1_000, ..Outcome::default() };
        assert_eq!(outcome.deliveries_per_second(), 500.0);
        let late = Outcome { delivering_seconds: 4.0, ..outcome.clone() };
        assert_eq!(late.deliveries_per_second(), 250.0);
        let early = Outcome { delivering_seconds: 1.99, ..outcome };
        assert_eq!(early.deliveries_per_second(), 500.0);
    }
}
