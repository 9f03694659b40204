//! The highest rate that a server keeps up with: doubled until it fails twice, then halved in
//! between.

use std::fmt::Display;

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

/// Searches for all servers at once: one step of each, then the next step of each. Every step has
/// a fresh server.
pub fn search<S: Display>(
    servers: &[S],
    first_rate: f64,
    progress: &mut Progress,
    measure: &mut dyn FnMut(&S, f64) -> Result<Outcome>,
) -> Vec<Saturation> {
    let mut searches = Vec::from_iter(servers.iter().map(|_| Search::new(first_rate)));
    let mut steps = Vec::from_iter(servers.iter().map(|_| Vec::new()));
    for round in 0..STEPS_MAX {
        for place in order(servers.len(), round) {
            let Some(rate) = searches[place].next() else { continue };
            let server = &servers[place];
            progress.step(&format!("highest rate, step {}, {server} at {rate:.0}/s", round + 1));
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
    /// Failed once: a stall of the machine is no limit of the server, so it has a second try.
    again: Option<f64>,
}

impl Search {
    fn new(first: f64) -> Self {
        Self { first, held: 0.0, failed: None, client_bound: false, again: None }
    }

    /// The rate to try next; nothing when the answer is exact enough.
    fn next(&self) -> Option<f64> {
        if self.again.is_some() {
            return self.again;
        }
        match self.failed {
            None if self.held == 0.0 => Some(self.first),
            None => Some(self.held * 2.0).filter(|rate| *rate <= RATE_MAX),
            Some(failed) if self.held == 0.0 => Some(failed / 2.0).filter(|rate| *rate >= 1.0),
            Some(failed) if failed / self.held > EXACT_TO => Some((failed * self.held).sqrt()),
            Some(_) => None,
        }
    }

    fn tell(&mut self, rate: f64, outcome: Option<&Outcome>) {
        if outcome.is_some_and(keeps_up) {
            (self.held, self.again) = (rate, None);
        } else if self.again.is_none() {
            self.again = Some(rate);
        } else {
            self.again = None;
            self.failed = Some(rate);
            self.client_bound = outcome.is_some_and(|outcome| outcome.client.bottleneck);
        }
    }
}

/// The failing rate and the one that held differ by no more than this factor in the end.
const EXACT_TO: f64 = 1.08;
const RATE_MAX: f64 = 1e6;
/// From 50 to a million in 15 doublings, four halvings, and second tries.
const STEPS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::Latency;

    fn found(limit: f64, first: f64) -> Saturation {
        let mut progress = Progress::new(Duration::ZERO);
        let measure = &mut |_: &&str, rate: f64| {
            let ns_p99 = if rate <= limit { 1 } else { LATENCY_NS_P99_MAX + 1 };
            let latency = Latency { count: 1, ns_p99, ..Latency::default() };
            Ok(Outcome { latency, ..Outcome::default() })
        };
        search(&["x"], first, &mut progress, measure).remove(0)
    }

    #[test]
    fn the_highest_rate_is_found_from_below_and_from_above() {
        for (limit, first) in [(730.0, 50.0), (730.0, 4_000.0), (3.0, 100.0), (51.0, 50.0)] {
            let found = found(limit, first);
            assert!(found.rate <= limit && found.rate * EXACT_TO >= limit, "{limit}: {found:?}");
            assert!(found.steps.len() < 22, "{found:?}");
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
        assert_eq!((search.next(), search.held), (Some(200.0), 100.0));
        search.tell(200.0, None);
        search.tell(200.0, None);
        assert_eq!(search.failed, Some(200.0));
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
