//! A home, a clock and a codec whose frames can be read back.

use std::sync::Arc;

use bytes::Bytes;
use corecast_hub::home::{
    AttachError, AttachRequest, Attachment, Emission, EmissionKind, Home, HomeConfig, UpdateError,
};
use corecast_hub::{
    Announcement, Codec, Encoding, Gap, Member, Message, Namespace, Namespaces, Now, RawCodec,
    StreamRef, StreamState, Timestamp, Update, UpdateKind, Wanted,
};
use corecast_wire::Frame;

pub(crate) const SHARD: u16 = 1;
pub(crate) const SHARDS: u16 = 3;
pub(crate) const EPOCH: u64 = 77;

/// What [`Words`] cannot encode.
pub(crate) const PANIC: &str = "panic";

/// Frames are words: what it is, encoding, stream, sid, number, payload.
#[derive(Debug)]
pub(crate) struct Words;

impl Codec for Words {
    fn message(&self, stream: StreamRef<'_>, message: &Message, encoding: Encoding) -> Frame {
        word("message", stream, message, encoding)
    }

    fn snapshot(&self, stream: StreamRef<'_>, message: &Message, encoding: Encoding) -> Frame {
        word("snapshot", stream, message, encoding)
    }

    fn gap(&self, stream: StreamRef<'_>, gap: &Gap<'_>, encoding: Encoding) -> Frame {
        RawCodec.gap(stream, gap, encoding)
    }

    fn announce(&self, announcement: &Announcement<'_>, encoding: Encoding) -> Frame {
        RawCodec.announce(announcement, encoding)
    }

    fn presence(&self, topic: &str, member: &Member, joined: bool, _encoding: Encoding) -> Frame {
        let what = if joined { "joined" } else { "left" };
        Frame::text(&format!("{what} {topic} {}", member.client))
    }

    fn state(&self, topic: &str, state: StreamState, at_ns: i64, _encoding: Encoding) -> Frame {
        Frame::text(&format!("{} {topic} {at_ns}", state.as_str()))
    }

    fn array(&self, payloads: &[&Bytes]) -> Bytes {
        corecast_hub::json_array(payloads)
    }
}

fn word(what: &str, stream: StreamRef<'_>, message: &Message, encoding: Encoding) -> Frame {
    let data = match encoding {
        Encoding::Binary => message.binary_data(),
        Encoding::Raw | Encoding::Json => &message.data,
    };
    let data = String::from_utf8_lossy(data);
    assert!(data != PANIC, "a codec that panics");
    let (StreamRef { name, sid, .. }, seq) = (stream, message.seq);
    Frame::text(&format!("{what} {encoding:?} {name} {sid} {seq} {data}"))
}

/// A frame of [`Words`], read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) what: String,
    pub(crate) name: String,
    pub(crate) sid: u32,
    pub(crate) seq: u64,
    pub(crate) data: String,
}

pub(crate) fn told(frame: &Frame) -> Told {
    let text = text(frame);
    let mut words = text.splitn(6, ' ').map(str::to_owned);
    let mut word = || words.next().expect("a word");
    let (what, _encoding, name) = (word(), word(), word());
    let (sid, seq) = (word().parse().expect("a sid"), word().parse().expect("a seq"));
    Told { what, name, sid, seq, data: word() }
}

pub(crate) fn text(frame: &Frame) -> String {
    String::from_utf8(frame.payload().to_vec()).expect("text")
}

/// A home, and what it said last.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) home: Home,
    pub(crate) now: Now,
    pub(crate) wanted: Wanted,
    pub(crate) out: Vec<Emission>,
}

/// Messages that are told at once to who comes back: more than any of the histories here has but
/// for those that are about it.
pub(crate) const MISSED_MAX: usize = 1_000;

impl Desk {
    /// A home with one namespace, `n`.
    pub(crate) fn new(namespace: Namespace) -> Self {
        Self::with(vec![Namespace { name: "n".into(), ..namespace }])
    }

    /// The same with room for any number of topics.
    pub(crate) fn roomy(namespace: Namespace) -> Self {
        Self::bounded(vec![Namespace { name: "n".into(), ..namespace }], usize::MAX, SHARDS)
    }

    /// The same, one of so many.
    pub(crate) fn of_shards(namespace: Namespace, shards: u16) -> Self {
        Self::bounded(vec![Namespace { name: "n".into(), ..namespace }], 6, shards)
    }

    pub(crate) fn with(namespaces: Vec<Namespace>) -> Self {
        Self::bounded(namespaces, 6, SHARDS)
    }

    fn bounded(namespaces: Vec<Namespace>, topics_max: usize, shards: u16) -> Self {
        let namespaces = Namespaces::new(namespaces).expect("namespaces");
        Self {
            home: Home::new(HomeConfig {
                shard: SHARD,
                shards,
                epoch: EPOCH,
                generation: 0,
                namespaces: Arc::new(namespaces),
                codec: Arc::new(Words),
                topic_bytes_max: 40,
                topics_max,
                missed_entries_max: MISSED_MAX,
                missed_bytes_max: usize::MAX,
            }),
            now: Now { mono: Timestamp(1_000_000_000), wall_ns: 5_000 },
            wanted: Wanted::NONE.with(Encoding::Json),
            out: Vec::new(),
        }
    }

    pub(crate) fn publish(&mut self, update: &Update) -> Result<u64, UpdateError> {
        self.out.clear();
        self.home.publish(update, self.wanted, self.now, &mut self.out)
    }

    /// Publishes a message; its number.
    pub(crate) fn say(&mut self, topic: &str, data: &str) -> u64 {
        self.publish(&update(topic, data)).expect("taken")
    }

    pub(crate) fn say_key(&mut self, topic: &str, key: &str, data: &str) -> u64 {
        let key = Some(Bytes::copy_from_slice(key.as_bytes()));
        self.publish(&Update { key, ..update(topic, data) }).expect("taken")
    }

    pub(crate) fn say_snapshot(&mut self, topic: &str, data: &str) -> u64 {
        let kind = UpdateKind::Snapshot;
        self.publish(&Update { kind, ..update(topic, data) }).expect("taken")
    }

    pub(crate) fn try_attach(
        &mut self,
        request: &AttachRequest,
    ) -> Result<Attachment, AttachError> {
        self.out.clear();
        self.home.attach(request, 0, self.wanted, self.now, &mut self.out)
    }

    /// Attaches, as a fresh subscriber of shard 0.
    pub(crate) fn attach(&mut self, topic: &str, interval_ms: u32) -> Attachment {
        self.try_attach(&request(topic, interval_ms)).expect("attached")
    }

    /// Attaches with all up to `seq` of this epoch.
    pub(crate) fn resume(&mut self, topic: &str, interval_ms: u32, seq: u64) -> Attachment {
        let resume = Some((EPOCH, seq));
        self.try_attach(&AttachRequest { resume, ..request(topic, interval_ms) }).expect("attached")
    }

    pub(crate) fn tick(&mut self) {
        self.out.clear();
        self.home.tick(self.wanted, self.now, &mut self.out);
    }

    pub(crate) fn pass_ms(&mut self, ms: u64) {
        self.now.mono.0 += ms * 1_000_000;
        self.now.wall_ns += ms as i64 * 1_000_000;
    }

    /// What was said last, as far as it is in JSON: `name seq data` of messages.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.said(EmissionKind::Message)
    }

    pub(crate) fn snapshots(&self) -> Vec<String> {
        self.said(EmissionKind::Snapshot)
    }

    pub(crate) fn notices(&self) -> Vec<String> {
        let notices = self.out.iter().filter(|emission| emission.kind == EmissionKind::Notice);
        notices.filter_map(|notice| notice.frames.get(Encoding::Json).map(text)).collect()
    }

    fn said(&self, kind: EmissionKind) -> Vec<String> {
        let of_kind = self.out.iter().filter(|emission| emission.kind == kind);
        let frames = of_kind.filter_map(|emission| emission.frames.get(Encoding::Json));
        frames.map(short).collect()
    }
}

pub(crate) fn update(topic: &str, data: &str) -> Update {
    Update::new(topic, Bytes::copy_from_slice(data.as_bytes()))
}

pub(crate) fn request(topic: &str, interval_ms: u32) -> AttachRequest {
    AttachRequest { interval_ms, ..AttachRequest::new(topic, Encoding::Json) }
}

/// `name seq data` of a frame.
pub(crate) fn short(frame: &Frame) -> String {
    let Told { name, seq, data, .. } = told(frame);
    format!("{name} {seq} {data}")
}

/// What an attachment tells: the snapshot and the missed messages, shortened.
pub(crate) fn past(attachment: &Attachment) -> (Option<String>, Vec<String>) {
    let missed = attachment.missed.iter().map(short).collect();
    (attachment.snapshot.as_ref().map(short), missed)
}
