//! A home against clients that rebuild what was published: whatever they are told at whatever
//! time must fit together, without a hole, without a repetition, not older than an interval.
//! Each run prints its seed; `CORECAST_SEED=n` replays it, `CORECAST_CASES=n` sets how many.

mod client;
mod operation;
#[path = "../../common/seeded.rs"]
mod seeded;

use std::cell::RefCell;
use std::collections::BTreeMap;

use bytes::Bytes;
use corecast_hub::home::{
    AttachRequest, Attachment, Emission, EmissionKind, HomeTotals, variant_name,
};
use corecast_hub::{Encoding, Namespace, SnapshotKind, Timestamp, Update, Wanted};
use proptest::test_runner::TestRunner;

use crate::desk::{Desk, EPOCH, told, update};
use client::{Client, Published};
use operation::{CLIENTS, INTERVALS_MS, Operation, Run, TOPICS, runs};

#[test]
fn what_clients_are_told_always_fits_together() {
    let (seed, config) = seeded::config(1_000);
    let cases = config.cases;
    let seen = RefCell::new(BTreeMap::<&str, u64>::new());
    let outcome = TestRunner::new(config).run(&runs(), |run| {
        for (name, count) in World::new(&run).play(&run.operations) {
            *seen.borrow_mut().entry(name).or_default() += count;
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("CORECAST_SEED={seed}: {error}");
    }
    // The runs must have come to every corner, else they prove nothing.
    for (name, count) in seen.into_inner() {
        assert!(count > 0 || cases < 100, "CORECAST_SEED={seed}: nothing {name}");
    }
}

struct World {
    desk: Desk,
    namespace: Namespace,
    encodings: u64,
    published: [Published; TOPICS.len()],
    published_at: [Timestamp; TOPICS.len()],
    clients: [Option<Client>; CLIENTS],
    streams: BTreeMap<String, Heard>,
    before: HomeTotals,
    told_to_all: u64,
    ended: u64,
    follow: u64,
}

/// A stream as its listeners know it.
#[derive(Debug)]
struct Heard {
    sid: u32,
    seq: u64,
    stamp: u64,
    /// It ended: the next number may be any greater one.
    ended: bool,
}

impl World {
    fn new(run: &Run) -> Self {
        let mut desk = Desk::new(run.namespace.clone());
        let others = [Encoding::Binary, Encoding::Raw];
        let others = others.into_iter().take(run.encodings - 1);
        desk.wanted = others.fold(Wanted::NONE.with(Encoding::Json), Wanted::with);
        Self {
            desk,
            namespace: run.namespace.clone(),
            encodings: run.encodings as u64,
            published: Default::default(),
            published_at: Default::default(),
            clients: Default::default(),
            streams: BTreeMap::new(),
            before: HomeTotals::default(),
            told_to_all: 0,
            ended: 0,
            follow: 0,
        }
    }

    fn play(mut self, operations: &[Operation]) -> Vec<(&'static str, u64)> {
        for operation in operations {
            self.before = self.desk.home.totals();
            self.desk.out.clear();
            self.perform(operation);
            self.check_bounds();
        }
        self.desk.pass_ms(100);
        self.before = self.desk.home.totals();
        self.tick();
        let totals = self.desk.home.totals();
        vec![
            ("published", totals.publishes),
            ("resumed", totals.resumed),
            ("not resumed", totals.attaches - totals.resumed),
            ("said by variants", totals.variant_emissions),
            ("said early", totals.early_emissions),
            ("snapshots encoded", totals.snapshots_encoded),
            ("snapshots told to all", self.told_to_all),
            ("variants ended", self.ended),
            ("snapshots that follow", self.follow),
        ]
    }

    fn perform(&mut self, operation: &Operation) {
        match *operation {
            Operation::Publish { topic, key, padding } => self.publish(topic, key, padding),
            Operation::Snapshot { topic } => self.snapshot(topic),
            Operation::Attach { client, topic, interval } => {
                self.clients[client] = None;
                self.attach(client, topic, INTERVALS_MS[interval], false);
            }
            Operation::Detach { client } => {
                if let Some(client) = &mut self.clients[client] {
                    client.online = false;
                }
            }
            Operation::Resume { client } => self.again(client, false),
            Operation::Resync { client } => self.again(client, true),
            Operation::Pass { ms } => self.desk.pass_ms(ms),
            Operation::Tick => self.tick(),
            Operation::Unheard { topic, interval } => self.unheard(topic, INTERVALS_MS[interval]),
        }
    }

    fn publish(&mut self, topic: usize, key: u8, padding: usize) {
        let number = self.published[topic].last() + 1;
        let data = format!("{key}:{number}:{}", "x".repeat(padding));
        let key_bytes = (key > 0).then(|| Bytes::from(key.to_string()));
        let update = Update { key: key_bytes, ..update(TOPICS[topic], &data) };
        self.published[topic].0.push(key);
        self.published_at[topic] = self.desk.now.mono;
        assert_eq!(self.desk.publish(&update), Ok(number));
        self.deliver();
    }

    fn snapshot(&mut self, topic: usize) {
        if self.namespace.snapshot != SnapshotKind::Published {
            return;
        }
        let number = self.published[topic].last();
        assert_eq!(self.desk.say_snapshot(TOPICS[topic], &format!("S{number}")), number);
        self.deliver();
        let clients = self.clients.iter().flatten();
        let mut here = clients.filter(|client| client.online && client.topic == topic);
        assert!(here.all(|client| client.synced), "all have a state now");
    }

    fn again(&mut self, place: usize, resync: bool) {
        if let Some(client) = &mut self.clients[place] {
            let (topic, interval_ms) = (client.topic, client.interval_ms);
            self.attach(place, topic, interval_ms, resync);
        }
    }

    fn attach(&mut self, place: usize, topic: usize, interval_ms: u32, resync: bool) {
        let had = self.clients[place].take();
        let resume = had.as_ref().map(|client| (EPOCH, client.seq));
        let name = TOPICS[topic];
        let request = AttachRequest::new(name, Encoding::Json);
        let request = AttachRequest { interval_ms, resume, resync, ..request };
        let attachment = self.desk.try_attach(&request).expect("attached");
        assert!(self.desk.out.is_empty(), "nobody else hears of it");
        assert_eq!(*attachment.name, variant_name(name, interval_ms));
        let client = match had.filter(|_| attachment.resumed) {
            Some(mut client) => {
                client.online = true;
                client
            }
            None => self.fresh(topic, interval_ms, &attachment),
        };
        self.clients[place] = Some(self.catch_up(client, &attachment));
    }

    /// A client as the attachment's snapshot makes it.
    fn fresh(&mut self, topic: usize, interval_ms: u32, attachment: &Attachment) -> Client {
        let of = &self.published[topic];
        let mut client = Client::new(topic, interval_ms, attachment.seq, of.last());
        let kind = self.namespace.snapshot;
        match &attachment.snapshot {
            Some(snapshot) => client.snapshot(snapshot, &self.namespace, of),
            None if kind == SnapshotKind::Published => {
                client.lacks_state();
                self.follow += u64::from(attachment.snapshot_follows);
            }
            None => {
                let has_none = kind == SnapshotKind::None || of.last() == 0 || interval_ms > 0;
                assert!(has_none, "there is a state");
            }
        }
        client
    }

    fn catch_up(&self, mut client: Client, attachment: &Attachment) -> Client {
        for missed in &attachment.missed {
            client.message(missed, &self.namespace, &self.published[client.topic]);
        }
        assert_eq!(client.seq, attachment.seq, "all up to the last is told");
        client
    }

    fn tick(&mut self) {
        self.desk.tick();
        self.deliver();
        let now = self.desk.now.mono;
        assert!(self.desk.home.next_tick().is_none_or(|due| due > now), "all is done");
        for client in self.clients.iter().flatten().filter(|client| client.online) {
            let quiet = now.since(self.published_at[client.topic]).as_millis();
            if quiet >= client.interval_ms.into() {
                client.check_is_up_to_date(&self.namespace, &self.published[client.topic]);
            }
        }
    }

    fn unheard(&mut self, topic: usize, interval_ms: u32) {
        let mut clients = self.clients.iter().flatten();
        let hears = |client: &Client| client.topic == topic && client.interval_ms == interval_ms;
        if clients.any(|client| client.online && hears(client)) {
            return;
        }
        let name = variant_name(TOPICS[topic], interval_ms);
        let Some(heard) = self.streams.get_mut(&name) else { return };
        let variants = self.desk.home.totals().variants;
        self.desk.home.unheard(&name, heard.stamp, 0);
        if self.desk.home.totals().variants < variants {
            heard.ended = true;
            self.ended += 1;
        }
    }

    /// Hands out what the home has said, and counts what that took.
    fn deliver(&mut self) {
        let out = std::mem::take(&mut self.desk.out);
        let messages = out.iter().filter(|one| one.kind == EmissionKind::Message).count() as u64;
        let encodes = self.desk.home.totals().encodes - self.before.encodes;
        assert_eq!(encodes, messages * self.encodings, "each encoding of each message once");
        for emission in &out {
            self.check_numbers(emission);
            self.hand_out(emission);
        }
        self.desk.out = out;
    }

    fn hand_out(&mut self, emission: &Emission) {
        let frame = emission.frames.get(Encoding::Json).expect("wanted");
        for client in self.clients.iter_mut().flatten().filter(|client| client.online) {
            if variant_name(TOPICS[client.topic], client.interval_ms) != *emission.name {
                continue;
            }
            let of = &self.published[client.topic];
            match emission.kind {
                EmissionKind::Message => client.message(frame, &self.namespace, of),
                EmissionKind::Snapshot => {
                    client.expect_state(of.last());
                    client.snapshot(frame, &self.namespace, of);
                }
                EmissionKind::Notice => panic!("nothing to notice"),
            }
        }
    }

    fn check_numbers(&mut self, emission: &Emission) {
        let Emission { sid, seq, stamp, kind, .. } = *emission;
        let frame = emission.frames.get(Encoding::Json).expect("wanted");
        assert_eq!((told(frame).sid, told(frame).seq), (sid, seq));
        let fresh = Heard { sid, seq: 0, stamp, ended: true };
        let heard = self.streams.entry(emission.name.to_string()).or_insert(fresh);
        assert_eq!(heard.sid, sid, "a stream has one number");
        if kind == EmissionKind::Snapshot {
            self.told_to_all += 1;
            assert!(heard.ended || seq == heard.seq, "a snapshot takes no number");
            return;
        }
        let next = heard.seq + 1;
        assert!(seq == next || (heard.ended && seq > next), "{seq} after {}", heard.seq);
        *heard = Heard { sid, seq, stamp, ended: false };
    }

    fn check_bounds(&self) {
        let Namespace { history_entries, history_bytes, .. } = self.namespace;
        for topic in TOPICS {
            for interval_ms in INTERVALS_MS {
                let memory = self.desk.home.held_by(&variant_name(topic, interval_ms));
                let memory = memory.unwrap_or_default();
                assert!(memory.history_entries <= history_entries as usize);
                assert!(memory.history_bytes <= history_bytes, "{memory:?}");
            }
        }
    }
}
