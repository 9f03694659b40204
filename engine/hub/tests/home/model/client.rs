//! A client that believes nothing: it rebuilds what was published from what it is told.

use std::collections::BTreeMap;

use corecast_hub::{Namespace, Policy, SnapshotKind};
use corecast_wire::Frame;

use crate::desk::told;

/// What was published to a topic: the key of each message. Message 1 stands first.
#[derive(Debug, Default)]
pub(super) struct Published(pub(super) Vec<u8>);

impl Published {
    pub(super) fn last(&self) -> u64 {
        self.0.len() as u64
    }

    /// The newest message of each key, up to one.
    pub(super) fn newest(&self, up_to: u64) -> BTreeMap<u8, u64> {
        let keys = self.0.iter().take(up_to as usize);
        keys.enumerate().map(|(place, key)| (*key, place as u64 + 1)).collect()
    }
}

/// Which message must be the next that this client has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Exactly(u64),
    /// Earlier ones may still come with it: they had not left the variant yet.
    AtMost(u64),
    /// It has no state.
    Any,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) topic: usize,
    pub(super) interval_ms: u32,
    pub(super) online: bool,
    /// The number of the stream's last message.
    pub(super) seq: u64,
    /// Whether it has a state, where there is one to have.
    pub(super) synced: bool,
    next: Next,
    newest: BTreeMap<u8, u64>,
    /// What was published before it came and is in no snapshot.
    unknown: u64,
}

impl Client {
    /// A client that has nothing, of a topic with so many messages.
    pub(super) fn new(topic: usize, interval_ms: u32, seq: u64, published: u64) -> Self {
        let next = match interval_ms {
            0 => Next::Exactly(published + 1),
            _ => Next::AtMost(published + 1),
        };
        let (newest, unknown) = (BTreeMap::new(), published);
        let (online, synced) = (true, true);
        Self { topic, interval_ms, online, seq, synced, next, newest, unknown }
    }

    /// It was told that the state will follow.
    pub(super) fn lacks_state(&mut self) {
        (self.synced, self.next) = (false, Next::Any);
    }

    pub(super) fn message(&mut self, frame: &Frame, namespace: &Namespace, of: &Published) {
        let told = told(frame);
        assert_eq!(told.what, "message");
        assert_eq!(told.seq, self.seq + 1, "numbers rise by one");
        self.seq = told.seq;
        let conflates = self.interval_ms > 0 && is_conflated(namespace.policy);
        assert_eq!(told.data.starts_with('['), self.is_array(namespace));
        for (key, number) in items(&told.data) {
            assert_eq!(of.0[number as usize - 1], key, "message {number} has another key");
            if conflates {
                let before = match namespace.policy {
                    Policy::Latest => self.newest.values().max().copied(),
                    _ => self.newest.get(&key).copied(),
                };
                assert!(before.is_none_or(|before| before < number), "{number} is older");
            } else {
                self.expect(number);
                self.next = Next::Exactly(number + 1);
            }
            self.newest.insert(key, number);
        }
    }

    pub(super) fn snapshot(&mut self, frame: &Frame, namespace: &Namespace, of: &Published) {
        let told = told(frame);
        assert_eq!(told.what, "snapshot");
        self.seq = told.seq;
        self.unknown = 0;
        if let Some(number) = told.data.strip_prefix('S') {
            let number: u64 = number.parse().expect("a number");
            assert!(self.interval_ms > 0 || number == told.seq);
            (self.next, self.synced) = (Next::Exactly(number + 1), true);
            self.newest = of.newest(number);
            return;
        }
        let items = items(&told.data);
        let last = *items.iter().map(|(_, number)| number).max().expect("never empty");
        self.next = Next::Exactly(last + 1);
        self.newest = items.into_iter().collect();
        match namespace.snapshot {
            SnapshotKind::Keys => assert_eq!(self.newest, of.newest(last), "at {last}"),
            _ => self.unknown = last,
        }
    }

    /// A snapshot that was told to all says nothing that one with a state did not know.
    pub(super) fn expect_state(&self, number: u64) {
        assert!(!self.synced || self.next == Next::Exactly(number + 1), "{self:?} at {number}");
    }

    /// Nothing waits any more: it must know all that was published.
    pub(super) fn check_is_up_to_date(&self, namespace: &Namespace, of: &Published) {
        let last = of.last();
        if !self.synced {
            return;
        }
        if self.interval_ms == 0 || !is_conflated(namespace.policy) {
            let reached = [Next::Exactly(last + 1), Next::AtMost(last + 1)];
            assert!(reached.contains(&self.next), "{self:?}: {last} were published");
            return;
        }
        for (key, number) in of.newest(last) {
            let expected = match namespace.policy {
                Policy::Latest => number == last,
                _ => true,
            };
            if expected && number > self.unknown {
                assert_eq!(self.newest.get(&key), Some(&number), "key {key} of {self:?}");
            }
        }
    }

    fn expect(&self, number: u64) {
        match self.next {
            Next::Exactly(next) => assert_eq!(number, next, "{self:?}"),
            Next::AtMost(next) => assert!(number <= next, "{number} of {self:?}"),
            Next::Any => {}
        }
    }

    fn is_array(&self, namespace: &Namespace) -> bool {
        self.interval_ms > 0 && namespace.policy != Policy::Latest
    }
}

fn is_conflated(policy: Policy) -> bool {
    matches!(policy, Policy::Latest | Policy::LatestByKey)
}

/// Payloads are `key:number:padding`, alone or in an array.
fn items(data: &str) -> Vec<(u8, u64)> {
    let data = data.trim_start_matches('[').trim_end_matches(']');
    let items = data.split(',').map(|item| {
        let mut parts = item.split(':');
        let mut part = || parts.next().expect("a part");
        (part().parse().expect("a key"), part().parse().expect("a number"))
    });
    items.collect()
}
