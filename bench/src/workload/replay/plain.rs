//! What clients of a plain fan-out server see: every message, one after the other, or not.

use std::sync::Arc;

use eyre::Result;
use hdrhistogram::Histogram;

use super::{Figures, Shape};
use crate::outcome::histogram;
use crate::recording::{Kind, Recording};
use crate::stamp::Stamp;
use crate::swarm::Delivery;
use crate::workload::play::Observer;
use crate::workload::shown::Shown;

/// The clients' state.
pub(super) struct Seen {
    recording: Arc<Recording>,
    /// The number that each client is to get next.
    next: Vec<u64>,
    delivered: u64,
    trades: u64,
    reordered: u64,
    age: Histogram<u64>,
    shown: Shown,
    trade: Histogram<u64>,
}

impl Seen {
    pub(super) fn new(shape: &Shape, starts_ns: u64) -> Result<Self> {
        Ok(Self {
            recording: Arc::clone(&shape.recording),
            next: vec![0; shape.clients],
            delivered: 0,
            trades: 0,
            reordered: 0,
            age: histogram()?,
            shown: Shown::new(shape.clients, shape.quotes_due_ns(), starts_ns)?,
            trade: histogram()?,
        })
    }

    /// What came of the first `due` messages until this moment.
    pub(super) fn figures(self, due: u64, until_ns: u64) -> Figures {
        let clients = self.next.len() as u64;
        let all = self.recording.entries.iter().take(due as usize);
        let is_trade = |topic: usize| self.recording.topics[topic].1 == Kind::Trade;
        let trades = all.filter(|entry| is_trade(entry.topic)).count() as u64 * clients;
        let expected = due * clients;
        Figures {
            expected,
            delivered: self.delivered,
            missing: expected.saturating_sub(self.delivered),
            duplicated: 0,
            reordered: self.reordered,
            due,
            age: self.age,
            shown: self.shown.end(until_ns),
            trade: self.trade,
            extra: vec![("trades_missing", trades.saturating_sub(self.trades) as f64)],
        }
    }
}

impl Observer for Seen {
    fn take(&mut self, delivery: &Delivery<'_>) {
        let Some(stamp) = Stamp::read(delivery.payload) else { return };
        let Some(entry) = self.recording.entries.get(stamp.sequence as usize) else { return };
        self.delivered += 1;
        let next = &mut self.next[delivery.connection];
        // One that comes again counts as out of order, too: it cannot be told apart.
        self.reordered += u64::from(stamp.sequence < *next);
        *next = stamp.sequence.max(*next) + 1;
        let late_ns = delivery.received_ns.saturating_sub(stamp.due_ns);
        match self.recording.topics[entry.topic].1 {
            Kind::Quote => {
                self.age.saturating_record(late_ns);
                let (client, received_ns) = (delivery.connection, delivery.received_ns);
                self.shown.take(client, entry.topic, stamp.due_ns, received_ns);
            }
            Kind::Trade => {
                self.trades += 1;
                self.trade.saturating_record(late_ns);
            }
            Kind::Book => {}
        }
    }

    fn delivered(&self) -> u64 {
        self.delivered
    }

    fn is_complete(&self, sent: u64) -> bool {
        self.delivered >= sent * self.next.len() as u64
    }
}
