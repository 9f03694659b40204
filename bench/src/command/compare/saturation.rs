//! The highest rate that a server keeps up with: raised as far as the CPU that is left suggests,
//! until it fails, then halved in between.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use eyre::Result;
use serde::Serialize;

use crate::outcome::Outcome;
use crate::report::rounds::{Progress, order, turn};
use crate::report::summary::Turn;

/// A server keeps up with a rate when 99 % of deliveries come within this time, and all come.
pub const LATENCY_NS_P99_MAX: u64 = 20_000_000;

/// What was found for one server.
#[derive(Debug, Clone, Serialize)]
pub struct Saturation {
    /// The server's name.
    pub server: String,
    /// The highest rate that it kept up with, in messages a second; 0: none that was tried.
    pub rate: f64,
    /// The lowest that it did not keep up with; absent when it kept up with all.
    pub failed_rate: Option<f64>,
    /// Whether the load client was the bottleneck at the rate that failed: then the server might
    /// keep up with more.
    pub client_bound: bool,
    /// Everything that was tried, with the rate, in that order.
    pub steps: Vec<(f64, Turn)>,
}

impl Saturation {
    /// Whether it was measured at any rate at all.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.steps.iter().any(|(_, turn)| turn.outcome.is_some())
    }

    /// By how much of it the highest rate may be higher: what lies between it and the rate that
    /// failed. Absent where one of them is not known.
    #[must_use]
    pub fn resolution(&self) -> Option<f64> {
        let failed = self.failed_rate.filter(|_| self.rate > 0.0)?;
        Some(failed / self.rate - 1.0)
    }
}

/// Searches for all servers at once: one step of each, then the next step of each. Every step has
/// a fresh server. Begins no step after `within`: then what was found is less exact.
pub fn search<S: Display>(
    servers: &[S],
    first_rate: f64,
    within: Duration,
    progress: &mut Progress,
    measure: &mut dyn FnMut(&S, f64) -> Result<Outcome>,
) -> Vec<Saturation> {
    let until = Instant::now() + within;
    let mut searches = Vec::from_iter(servers.iter().map(|_| Search::new(first_rate)));
    let mut steps = Vec::from_iter(servers.iter().map(|_| Vec::new()));
    for round in 0..STEPS_MAX {
        for place in order(servers.len(), round) {
            let Some(rate) = searches[place].next().filter(|_| Instant::now() < until) else {
                continue;
            };
            let server = &servers[place];
            let known = searches[place].to_string();
            progress.step(&format!(
                "highest rate, step {}, {server} at {rate:.0}/s ({known})",
                round + 1
            ));
            let turn = turn(server, round, measure(server, rate));
            searches[place].tell(rate, turn.outcome.as_ref());
            steps[place].push((rate, turn));
        }
    }
    let found = searches.into_iter().zip(steps).zip(servers);
    found
        .map(|((search, steps), server)| Saturation {
            server: server.to_string(),
            rate: search.held,
            failed_rate: search.failed,
            client_bound: search.client_bound,
            steps,
        })
        .collect()
}

/// Whether a server has kept up. A message that could not even be sent in time counts as lost.
#[must_use]
pub fn keeps_up(outcome: &Outcome) -> bool {
    let held_back = outcome.extra.get("held_back_messages").copied().unwrap_or(0.0) as u64;
    let lost = outcome.missing + outcome.duplicated + outcome.reordered + held_back;
    lost == 0 && outcome.latency.count > 0 && outcome.latency.ns_p99 <= LATENCY_NS_P99_MAX
}

/// Where the search for one server stands.
#[derive(Debug, Clone)]
struct Search {
    first: f64,
    held: f64,
    failed: Option<f64>,
    client_bound: bool,
    /// What the CPU that was left at the highest rate suggests as the next one.
    guess: f64,
    /// Failed once: a stall of the machine is no limit of the server, so it has a second try.
    again: Option<f64>,
}

impl Search {
    fn new(first: f64) -> Self {
        Self { first, held: 0.0, failed: None, client_bound: false, guess: 0.0, again: None }
    }

    /// The rate to try next; nothing when the answer is exact enough.
    fn next(&self) -> Option<f64> {
        if self.again.is_some() {
            return self.again;
        }
        match self.failed {
            None if self.held == 0.0 => Some(self.first),
            None => Some(self.guess).filter(|rate| *rate <= RATE_MAX),
            Some(failed) if self.held == 0.0 => Some(failed / 2.0).filter(|rate| *rate >= 1.0),
            Some(failed) if failed / self.held > EXACT_TO => Some((failed * self.held).sqrt()),
            Some(_) => None,
        }
    }

    fn tell(&mut self, rate: f64, outcome: Option<&Outcome>) {
        if let Some(outcome) = outcome.filter(|outcome| keeps_up(outcome)) {
            (self.held, self.again) = (rate, None);
            self.guess = rate * growth(outcome);
        } else if self.again.is_none() && !outcome.is_some_and(is_busy) {
            self.again = Some(rate);
        } else {
            self.again = None;
            self.failed = Some(rate);
            self.client_bound = outcome.is_some_and(|outcome| outcome.client.bottleneck);
        }
    }
}

impl Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.held, self.failed) {
            (0.0, None) => write!(f, "nothing is known yet"),
            (held, None) => write!(f, "{held:.0}/s held"),
            (held, Some(failed)) => write!(f, "{held:.0}/s held, {failed:.0}/s did not"),
        }
    }
}

/// How much more a server may take that has kept up: both sides' CPU is to be used up, and more
/// where latency is far from its bound, since many messages at once cost less each.
fn growth(outcome: &Outcome) -> f64 {
    let server = outcome.cost.map_or(0.0, |cost| cost.cpu_share);
    let busy = server.max(outcome.client.cpu_share).max(f64::MIN_POSITIVE);
    let is_far = outcome.latency.ns_p99 < LATENCY_NS_P99_MAX / 2;
    let least = if is_far { GROWTH_FAR_MIN } else { GROWTH_MIN };
    (1.0 / busy).clamp(least, GROWTH_MAX)
}

/// A server without CPU has reached its limit: no stall of the machine was in the way.
fn is_busy(outcome: &Outcome) -> bool {
    outcome.cost.is_some_and(|cost| cost.cpu_share >= CPU_SHARE_BUSY)
}

/// The failing rate and the one that held differ by no more than this factor in the end.
pub const EXACT_TO: f64 = 1.08;
/// A rate that held is raised by at least, and at most.
const GROWTH_MIN: f64 = 1.25;
const GROWTH_FAR_MIN: f64 = 2.0;
const GROWTH_MAX: f64 = 8.0;
const CPU_SHARE_BUSY: f64 = 0.97;
const RATE_MAX: f64 = 1e6;
/// From 50 to a million with the CPU as a guide, four halvings, and second tries.
const STEPS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Cost, Latency};

    fn found(limit: f64, first: f64) -> Saturation {
        let mut progress = Progress::new(Duration::ZERO);
        let measure = &mut |_: &&str, rate: f64| {
            let ns_p99 = if rate <= limit { 1 } else { LATENCY_NS_P99_MAX + 1 };
            let latency = Latency { count: 1, ns_p99, ..Latency::default() };
            // It seems to be full at half of what it takes in the end.
            let cpu_share = (rate / limit * 2.0).min(1.0);
            let cost = Some(Cost { cpu_share, ..Cost::default() });
            Ok(Outcome { latency, cost, ..Outcome::default() })
        };
        search(&["x"], first, Duration::from_secs(9), &mut progress, measure).remove(0)
    }

    #[test]
    fn the_highest_rate_is_found_from_below_and_from_above() {
        for (limit, first) in [(730.0, 50.0), (730.0, 4_000.0), (3.0, 100.0), (51.0, 50.0)] {
            let found = found(limit, first);
            assert!(found.rate <= limit && found.rate * EXACT_TO >= limit, "{limit}: {found:?}");
            assert!(found.resolution().is_some_and(|share| share <= EXACT_TO - 1.0), "{found:?}");
            assert!(found.steps.len() < 12, "{found:?}");
        }
    }

    #[test]
    fn a_server_that_keeps_up_with_nothing_or_everything_ends_the_search() {
        assert_eq!(found(0.5, 100.0).rate, 0.0);
        let all = found(f64::INFINITY, 100.0);
        assert!(all.rate > 400_000.0 && all.failed_rate.is_none());
    }

    #[test]
    fn a_rate_that_fails_once_has_a_second_try() {
        let good =
            Outcome { latency: Latency { count: 1, ..Latency::default() }, ..Outcome::default() };
        let mut search = Search::new(100.0);
        search.tell(100.0, None);
        assert_eq!((search.next(), search.failed), (Some(100.0), None));
        search.tell(100.0, Some(&good));
        assert_eq!((search.next(), search.held), (Some(800.0), 100.0), "all CPU was left");
        search.tell(200.0, None);
        search.tell(200.0, None);
        assert_eq!(search.failed, Some(200.0));
    }

    #[test]
    fn a_server_without_cpu_has_no_second_try_and_one_that_never_ran_is_known_as_such() {
        let cost = Some(Cost { cpu_share: 0.99, ..Cost::default() });
        let mut search = Search::new(100.0);
        search.tell(100.0, Some(&Outcome { cost, ..Outcome::default() }));
        assert_eq!(search.failed, Some(100.0));
        let mut progress = Progress::new(Duration::ZERO);
        let never = &mut |_: &&str, _: f64| Err(eyre::eyre!("it is not installed"));
        let within = Duration::from_secs(9);
        let found = super::search(&["x"], 4.0, within, &mut progress, never).remove(0);
        assert!(!found.is_measured() && found.rate == 0.0 && found.resolution().is_none());
        let none = super::search(&["x"], 4.0, Duration::ZERO, &mut progress, never).remove(0);
        assert!(none.steps.is_empty(), "there was no time");
    }

    #[test]
    fn a_loss_is_not_kept_up_with() {
        let latency = Latency { count: 9, ns_p99: 5, ..Latency::default() };
        let outcome = Outcome { latency, ..Outcome::default() };
        assert!(keeps_up(&outcome));
        assert!(!keeps_up(&Outcome { missing: 1, ..outcome.clone() }));
        assert!(!keeps_up(&Outcome { latency: Latency::default(), ..outcome }));
    }
}
