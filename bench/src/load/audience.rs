//! The connections of a round: publishers first, then slow subscribers, then the others.

use std::ops::Range;
use std::time::Duration;

use corecast_wire::frame::Opcode;
use eyre::{Result, WrapErr, ensure};

use super::{Shape, Slow};
use crate::clock;
use crate::swarm::{Delivery, Plan, Swarm};
use crate::target::Target;

/// Who is connected as what.
#[derive(Debug, Clone)]
pub struct Audience {
    /// Connections that publish.
    pub publishers: Range<usize>,
    /// Subscribers that do not keep up, by design.
    pub slow: Range<usize>,
    /// Subscribers that read everything.
    pub readers: Range<usize>,
}

/// For all connections of one kind to open, or to be answered.
pub const OPEN_WITHIN: Duration = Duration::from_secs(120);

impl Audience {
    /// Connects and subscribes everybody.
    ///
    /// # Errors
    /// When connections are refused, or an answer to a subscription does not come.
    pub fn open(swarm: &mut Swarm, shape: &Shape) -> Result<Self> {
        let Shape { target, slow, .. } = shape;
        let first = Self::connect(swarm, &target.publisher(), shape.publishers)?;
        let Slow { stalled, trickling, trickle_bytes, trickle_every } = *slow;
        let stalled = subscribe(swarm, target, Plan::stalled("/"), stalled)?;
        let trickle = Plan::trickle("/", trickle_bytes, trickle_every);
        let trickling = subscribe(swarm, target, trickle, trickling)?;
        let readers = subscribe(swarm, target, Plan::reader("/"), shape.subscribers)?;
        // A server may accept a connection before it has added it to its topic.
        swarm.poll_for(SETTLE, &mut |_| {})?;
        Ok(Self { publishers: first, slow: stalled.start..trickling.end, readers })
    }

    fn connect(swarm: &mut Swarm, plan: &Plan, count: usize) -> Result<Range<usize>> {
        let opened = swarm.open_all(plan, count, OPEN_WITHIN, &mut |_| {});
        opened.wrap_err_with(|| format!("cannot open {count} connections to {}", plan.target))
    }

    /// Connections that should be open and are not.
    #[must_use]
    pub fn ended(&self, swarm: &Swarm) -> usize {
        let all = self.publishers.clone().chain(self.readers.clone());
        all.filter(|&index| swarm.end(index).is_some()).count()
    }

    /// Slow subscribers that the server has got rid of.
    #[must_use]
    pub fn slow_ended(&self, swarm: &Swarm) -> usize {
        self.slow.clone().filter(|&index| swarm.end(index).is_some()).count()
    }
}

/// Opens connections that behave as `plan` says, and subscribes them.
fn subscribe(swarm: &mut Swarm, target: &Target, plan: Plan, count: usize) -> Result<Range<usize>> {
    let plan = target.subscriber(plan);
    let all = Audience::connect(swarm, &plan, count)?;
    let messages = Vec::from_iter(target.subscriptions());
    for index in all.clone() {
        for message in &messages {
            swarm.send(index, Opcode::Text, message.as_bytes());
        }
    }
    let reads = plan.role == crate::swarm::Role::Reader;
    if let Some(text) = target.subscribed.as_ref().filter(|_| reads) {
        await_answers(swarm, &all, text)?;
    }
    Ok(all)
}

fn await_answers(swarm: &mut Swarm, all: &Range<usize>, text: &str) -> Result<()> {
    let mut answered = vec![false; all.len()];
    let mut missing = all.len();
    let until_ns = clock::now_ns() + ANSWER_WITHIN.as_nanos() as u64;
    let mut last = String::new();
    while missing > 0 {
        swarm.poll(Duration::from_millis(20), &mut |delivery: Delivery<'_>| {
            if !all.contains(&delivery.connection) {
                return;
            }
            let answered = &mut answered[delivery.connection - all.start];
            let said = String::from_utf8_lossy(delivery.payload);
            if !*answered && said.contains(text) {
                *answered = true;
                missing -= 1;
            } else if !*answered {
                last = said.chars().take(200).collect();
            }
        })?;
        ensure!(
            clock::now_ns() < until_ns,
            "{missing} of {} subscribers have had no answer with {text:?}; the last other message \
             was {last:?}",
            all.len()
        );
    }
    Ok(())
}

const SETTLE: Duration = Duration::from_millis(200);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
