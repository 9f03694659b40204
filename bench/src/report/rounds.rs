//! Turns of several servers, interleaved: what drifts on the machine hits all of them alike.

use std::fmt::Display;
use std::time::{Duration, Instant};

use eyre::Result;

use super::summary::Turn;
use crate::outcome::Outcome;

/// The servers' order in a round: every other round goes backwards, and each pair of rounds begins
/// with another one. So two servers take turns at being the first, too.
#[must_use]
pub fn order(servers: usize, round: usize) -> Vec<usize> {
    let mut order = Vec::from_iter(0..servers);
    if servers > 0 {
        order.rotate_left(round / 2 % servers);
    }
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// Measures each server in each round. One that fails is written down, and the others go on.
pub fn interleave<S: Display>(
    servers: &[S],
    rounds: usize,
    what: &str,
    progress: &mut Progress,
    measure: &mut dyn FnMut(&S) -> Result<Outcome>,
) -> Vec<Turn> {
    let mut turns = Vec::new();
    for round in 0..rounds {
        for place in order(servers.len(), round) {
            let server = &servers[place];
            progress.step(&format!("{what}, round {} of {rounds}, {server}", round + 1));
            turns.push(turn(server, round, measure(server)));
        }
    }
    turns
}

/// What came of one turn.
pub fn turn<S: Display>(server: &S, round: usize, measured: Result<Outcome>) -> Turn {
    let (outcome, failure) = match measured {
        Ok(outcome) => (Some(outcome), None),
        Err(error) => {
            eprintln!("  failed: {error:#}");
            (None, Some(format!("{error:#}")))
        }
    };
    Turn { server: server.to_string(), round, outcome, failure }
}

/// Tells on stderr what is being done, and how long the rest will take.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    /// Time that steps are expected to take, in all and so far.
    total: Duration,
    done: Duration,
    step: Duration,
}

impl Progress {
    /// Steps that are expected to take `total`.
    #[must_use]
    pub fn new(total: Duration) -> Self {
        let zero = Duration::ZERO;
        Self { started: Instant::now(), total, done: zero, step: zero }
    }

    /// From now on each step is expected to take so long.
    pub fn expect(&mut self, step: Duration) {
        self.step = step;
    }

    /// Begins a step.
    pub fn step(&mut self, what: &str) {
        eprintln!("[{}] {what}", self.left());
        self.done += self.step;
    }

    /// What was expected is corrected by how long it took so far.
    fn left(&self) -> String {
        let pace = match self.done.as_secs_f64() {
            done if done > 10.0 => self.started.elapsed().as_secs_f64() / done,
            _ => 1.0,
        };
        let seconds = self.total.saturating_sub(self.done).as_secs_f64() * pace;
        match seconds {
            90.0.. => format!("{:.0} min left", seconds / 60.0),
            _ => format!("{seconds:.0} s left"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_changes_each_round() {
        for servers in 2..8 {
            let orders = Vec::from_iter((0..4).map(|round| order(servers, round)));
            for (one, next) in orders.iter().zip(&orders[1..]).step_by(2) {
                assert_ne!(one[0], next[0], "{orders:?}");
                assert!(one.iter().rev().eq(next), "{orders:?}");
            }
            for mut order in orders {
                order.sort_unstable();
                assert!(order.into_iter().eq(0..servers), "each has one turn");
            }
        }
        assert_eq!([0, 1, 2].map(|round| order(3, round)[0]), [0, 2, 1]);
        assert!(order(0, 3).is_empty());
    }

    #[test]
    fn a_failure_is_written_down_and_the_others_go_on() {
        let mut progress = Progress::new(Duration::from_secs(1));
        let turns = interleave(&["a", "b"], 2, "x", &mut progress, &mut |server| match *server {
            "a" => Err(eyre::eyre!("it died")),
            _ => Ok(Outcome::default()),
        });
        let failed = turns.iter().filter(|turn| turn.failure.as_deref() == Some("it died"));
        assert_eq!((turns.len(), failed.count()), (4, 2));
    }
}
