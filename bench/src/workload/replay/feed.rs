//! What clients of the feed see: of some topics every message, of others the newest.
//!
//! All clients get the same bytes. A lossless message is compared with the recording, byte for
//! byte, when the first of them gets it; of all others it is enough that it has the same number and
//! length, and that no number is missing.

use std::sync::Arc;

use corecast_feed::binary::{Record, Records};
use eyre::Result;
use hdrhistogram::Histogram;

use super::{Figures, Shape, due_ns, never};
use crate::outcome::histogram;
use crate::recording::{Kind, Recording};
use crate::swarm::{Delivery, Swarm};
use crate::workload::clients::Subscriptions;
use crate::workload::play::Observer;
use crate::workload::shown::Shown;

/// The clients' state.
pub(super) struct Seen {
    recording: Arc<Recording>,
    subscriptions: Subscriptions,
    clients: u64,
    speed: f64,
    is_array: bool,
    starts_ns: u64,
    topics: Vec<Topic>,
    lossless: u64,
    latest: u64,
    frames: u64,
    bytes: u64,
    /// Numbers that were passed over, messages that differ, frames that cannot be read.
    holes: u64,
    wrong: u64,
    repeated: u64,
    age: Histogram<u64>,
    shown: Shown,
    trade: Histogram<u64>,
}

/// A topic, and its messages as the first client got them.
struct Topic {
    kind: Kind,
    is_latest: bool,
    /// Places of its messages in the recording.
    entries: Vec<usize>,
    /// How many of them the messages until now had.
    compared: usize,
    /// The number of the first message of the round.
    first_seq: u64,
    messages: Vec<Message>,
}

/// A lossless message that some client has got: how many recorded ones it has, and its length.
#[derive(Clone, Copy)]
struct Message {
    count: u32,
    bytes: u32,
    oldest_due_ns: u64,
}

impl Seen {
    /// Opens and subscribes the clients.
    pub(super) fn open(swarm: &mut Swarm, shape: &Shape) -> Result<Self> {
        let recording = Arc::clone(&shape.recording);
        let name = |name: &String| match shape.interval_ms {
            0 => name.clone(),
            interval_ms => format!("{name}@{interval_ms}ms"),
        };
        let names = Vec::from_iter(recording.topics.iter().map(|(topic, _)| name(topic)));
        let every = Vec::from_iter(0..names.len());
        let subscriptions = Subscriptions::open(swarm, shape.clients, &names, &|_| every.clone())?;
        never::open_feed(swarm, &names, shape.stalled)?;
        let mut topics = Vec::from_iter(recording.topics.iter().map(|(_, kind)| Topic {
            kind: *kind,
            is_latest: shape.latest.contains(kind),
            entries: Vec::new(),
            compared: 0,
            first_seq: 1,
            messages: Vec::new(),
        }));
        for (place, entry) in recording.entries.iter().enumerate() {
            topics[entry.topic].entries.push(place);
        }
        Ok(Self {
            recording,
            subscriptions,
            clients: shape.clients as u64,
            speed: shape.speed,
            is_array: shape.interval_ms > 0,
            starts_ns: 0,
            topics,
            lossless: 0,
            latest: 0,
            frames: 0,
            bytes: 0,
            holes: 0,
            wrong: 0,
            repeated: 0,
            age: histogram()?,
            shown: Shown::new(shape.clients, shape.quotes_due_ns(), 0)?,
            trade: histogram()?,
        })
    }

    /// The moment at which the recording begins.
    pub(super) fn begin(&mut self, starts_ns: u64) {
        self.starts_ns = starts_ns;
        self.shown.begin(starts_ns);
    }

    /// What came of the first `due` messages until this moment.
    pub(super) fn figures(self, due: u64, until_ns: u64) -> Figures {
        let (lossless, latest) = self.published(due);
        let (lossless_due, came) = (lossless * self.clients, self.lossless);
        Figures {
            expected: lossless_due + self.latest,
            delivered: came + self.latest,
            missing: lossless_due.saturating_sub(came),
            duplicated: self.repeated,
            reordered: 0,
            due,
            age: self.age,
            shown: self.shown.end(until_ns),
            trade: self.trade,
            extra: vec![
                ("lossless_delivered", came as f64),
                ("latest_delivered", self.latest as f64),
                ("conflated", (latest * self.clients).saturating_sub(self.latest) as f64),
                ("frames", self.frames as f64),
                ("payload_bytes", self.bytes as f64),
                ("holes", self.holes as f64),
                ("wrong", self.wrong as f64),
            ],
        }
    }

    /// Messages of lossless topics, and of the others, among the first `sent`.
    fn published(&self, sent: u64) -> (u64, u64) {
        let lossless = |topic: &&Topic| !topic.is_latest;
        let of = |topic: &Topic| topic.entries.partition_point(|place| (*place as u64) < sent);
        let lossless = self.topics.iter().filter(lossless).map(of).sum::<usize>() as u64;
        (lossless, sent.min(self.recording.entries.len() as u64) - lossless)
    }

    fn take_message(&mut self, at: &Delivery<'_>, sid: u32, seq: u64, ts_ns: i64, data: &[u8]) {
        let Some(subscription) = self.subscriptions.find(at.connection, sid) else {
            self.wrong += 1;
            return;
        };
        let (place, before) = (subscription.place, subscription.seq);
        subscription.seq = seq.max(before);
        let topic = &mut self.topics[place];
        if topic.is_latest {
            self.latest += 1;
            if topic.kind == Kind::Quote {
                let due_ns = ts_ns as u64;
                self.age.saturating_record(at.received_ns.saturating_sub(due_ns));
                self.shown.take(at.connection, place, due_ns, at.received_ns);
            }
            return;
        }
        if seq <= before {
            self.repeated += 1;
            return;
        }
        self.holes += seq - before - 1;
        let starts_ns = self.starts_ns;
        let message = match topic.known(seq) {
            Some(message) => Some(message),
            None => {
                let source = Source { recording: &self.recording, speed: self.speed };
                topic.compare(&source, seq, data, self.is_array)
            }
        };
        let Some(message) = message.filter(|message| message.bytes as usize == data.len()) else {
            self.wrong += 1;
            return;
        };
        self.lossless += u64::from(message.count);
        if topic.kind == Kind::Trade {
            let due_ns = starts_ns + message.oldest_due_ns;
            self.trade.saturating_record(at.received_ns.saturating_sub(due_ns));
        }
    }
}

impl Observer for Seen {
    fn take(&mut self, delivery: &Delivery<'_>) {
        if delivery.is_text {
            return;
        }
        self.frames += 1;
        self.bytes += delivery.payload.len() as u64;
        for record in Records::new(delivery.payload) {
            match record {
                Ok(Record::Message { sid, seq, ts_ns, data, .. }) => {
                    self.take_message(delivery, sid, seq, ts_ns, data);
                }
                Ok(Record::Gap { sid, to, .. }) => {
                    if let Some(subscription) = self.subscriptions.find(delivery.connection, sid) {
                        self.holes += to.saturating_sub(subscription.seq);
                        subscription.seq = to.max(subscription.seq);
                    }
                }
                Ok(Record::Snapshot { .. }) => {}
                Err(_) => self.wrong += 1,
            }
        }
    }

    fn delivered(&self) -> u64 {
        self.lossless + self.latest
    }

    fn is_complete(&self, sent: u64) -> bool {
        self.lossless >= self.published(sent).0 * self.clients && self.shown.is_current()
    }
}

struct Source<'a> {
    recording: &'a Recording,
    speed: f64,
}

impl Topic {
    /// What the message with this number has, if a client has got it before.
    fn known(&self, seq: u64) -> Option<Message> {
        let place = seq.checked_sub(self.first_seq)?;
        self.messages.get(usize::try_from(place).ok()?).copied()
    }

    /// Compares the next message with the recording; nothing when it is another, or not the next.
    fn compare(
        &mut self,
        from: &Source<'_>,
        seq: u64,
        data: &[u8],
        array: bool,
    ) -> Option<Message> {
        if self.messages.is_empty() {
            self.first_seq = seq;
        }
        if seq != self.first_seq + self.messages.len() as u64 {
            return None;
        }
        let entry = |place: usize| Some(&from.recording.entries[*self.entries.get(place)?]);
        let first = self.compared;
        let oldest_due_ns = due_ns(entry(first)?.at_ns, from.speed);
        let mut rest = if array { data.strip_prefix(b"[")? } else { data };
        let mut place = first;
        loop {
            rest = rest.strip_prefix(from.recording.data(entry(place)?))?;
            place += 1;
            if !array || rest == b"]" {
                break;
            }
            rest = rest.strip_prefix(b",")?;
        }
        self.compared = place;
        let (count, bytes) = ((place - first) as u32, data.len() as u32);
        let message = Message { count, bytes, oldest_due_ns };
        self.messages.push(message);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> (Topic, Recording) {
        let recording =
            Recording::of(&[(0, "trade.x", "{1}"), (50, "trade.x", "{2}"), (90, "trade.x", "{3}")]);
        let topic = Topic {
            kind: Kind::Trade,
            is_latest: false,
            entries: vec![0, 1, 2],
            compared: 0,
            first_seq: 1,
            messages: Vec::new(),
        };
        (topic, recording)
    }

    #[test]
    fn an_array_counts_as_many_as_it_has_and_only_in_order() {
        let (mut topic, recording) = topic();
        let source = Source { recording: &recording, speed: 10.0 };
        let first = topic.compare(&source, 7, b"[{1},{2}]", true).unwrap();
        assert_eq!((first.count, first.oldest_due_ns), (2, 0));
        assert!(topic.compare(&source, 9, b"[{3}]", true).is_none(), "8 is missing");
        assert!(topic.compare(&source, 8, b"[{2}]", true).is_none(), "{{2}} was there");
        assert!(topic.compare(&source, 8, b"[{3},{4}]", true).is_none(), "one too many");
        let second = topic.compare(&source, 8, b"[{3}]", true).unwrap();
        assert_eq!((second.count, second.oldest_due_ns), (1, 9));
        assert_eq!(topic.known(7).map(|message| message.bytes), Some(9));
        assert!(topic.known(9).is_none() && topic.known(6).is_none());
    }
}
