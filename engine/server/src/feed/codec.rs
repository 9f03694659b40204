//! How the hub's frames look to clients of the feed.

use super::body::Bodies;
use bytes::Bytes;
use corecast::{
    Announcement, Codec, Encoding, Frame, Gap, Member, Opcode, Payload, Policy, RawCodec,
    StreamMessage, StreamRef, StreamState, json_array,
};
use corecast_feed::event::{self, Event, Granted, Moved, StateChange, Subscribed};
use corecast_feed::value::{self, Delivery, Nanos, epoch};
use corecast_feed::{binary, json};
use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

/// Encodes with the feed's own encoders, each message once for each encoding that is in use.
/// Clones are one codec: the engine has one, the sessions have the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct FeedCodec {
    bodies: Bodies,
    /// Known as soon as the engine runs: the first connection tells it.
    epoch: Arc<OnceLock<String>>,
}

impl FeedCodec {
    pub(crate) fn new(bodies: Bodies) -> Self {
        Self { bodies, epoch: Arc::default() }
    }

    /// Says in which epoch the streams of this engine are numbered, and how that is written.
    pub(crate) fn epoch(&self, epoch: u64) -> &str {
        self.epoch.get_or_init(|| epoch::text(epoch))
    }

    /// The same, once it was said.
    pub(crate) fn known_epoch(&self) -> Option<&str> {
        self.epoch.get().map(String::as_str)
    }

    /// The layouts of binary payloads.
    pub(crate) fn bodies(&self) -> &Bodies {
        &self.bodies
    }
}

impl Codec for FeedCodec {
    fn message(&self, stream: StreamRef<'_>, message: &StreamMessage, encoding: Encoding) -> Frame {
        let StreamMessage { seq, ts, data, .. } = message;
        match encoding {
            Encoding::Raw => RawCodec.message(stream, message, encoding),
            Encoding::Json => text(|out| match stream.payload {
                Payload::Json => json::message(out, stream.name, *seq, *ts, data),
                Payload::Binary => json::message_base64(out, stream.name, *seq, *ts, data),
            }),
            Encoding::Binary => bytes(|out| {
                let data = message.binary_data();
                binary::message(out, stream.sid, *seq, *ts, payload(stream, message), data);
            }),
        }
    }

    fn snapshot(
        &self,
        stream: StreamRef<'_>,
        message: &StreamMessage,
        encoding: Encoding,
    ) -> Frame {
        let StreamMessage { seq, ts, data, .. } = message;
        match encoding {
            Encoding::Raw => RawCodec.snapshot(stream, message, encoding),
            Encoding::Json => text(|out| match stream.payload {
                Payload::Json => json::snapshot(out, stream.name, *seq, *ts, data),
                Payload::Binary => json::snapshot_base64(out, stream.name, *seq, *ts, data),
            }),
            Encoding::Binary => bytes(|out| {
                let data = message.binary_data();
                binary::snapshot(out, stream.sid, *seq, *ts, payload(stream, message), data);
            }),
        }
    }

    fn gap(&self, stream: StreamRef<'_>, gap: &Gap<'_>, encoding: Encoding) -> Frame {
        match encoding {
            Encoding::Raw => RawCodec.gap(stream, gap, encoding),
            Encoding::Json => text(|out| json::gap(out, stream.name, gap.from, gap.to, GAP_REASON)),
            Encoding::Binary => bytes(|out| binary::gap(out, stream.sid, gap.from, gap.to)),
        }
    }

    fn announce(&self, announcement: &Announcement<'_>, encoding: Encoding) -> Frame {
        if encoding == Encoding::Raw {
            return RawCodec.announce(announcement, encoding);
        }
        let Announcement { pattern, stream, seq, policy } = announcement;
        let granted = Granted {
            topic: stream.name.into(),
            sid: Some(stream.sid),
            seq: Some(*seq),
            epoch: self.epoch.get().map(|epoch| epoch.as_str().into()),
            policy: Some(delivery(*policy)),
            body: self.bodies.of(stream.name),
            ..Granted::default()
        };
        let pattern = Some((*pattern).into());
        control(&Event::Subscribed(Subscribed {
            pattern,
            ok: vec![granted],
            ..Subscribed::default()
        }))
    }

    fn presence(&self, topic: &str, member: &Member, joined: bool, encoding: Encoding) -> Frame {
        if encoding == Encoding::Raw {
            return RawCodec.presence(topic, member, joined, encoding);
        }
        let event::Member { client, user } = member_of(member);
        let moved = Moved { topic: topic.into(), client, user };
        control(&if joined { Event::Joined(moved) } else { Event::Left(moved) })
    }

    fn state(&self, topic: &str, state: StreamState, at_ns: i64, encoding: Encoding) -> Frame {
        if encoding == Encoding::Raw {
            return RawCodec.state(topic, state, at_ns, encoding);
        }
        let (state, time) = (state_of(state), Nanos(at_ns));
        control(&Event::StreamState(StateChange { topic: topic.into(), state, time }))
    }

    fn array(&self, payloads: &[&Bytes]) -> Bytes {
        json_array(payloads)
    }
}

/// An event as a text frame: what both subprotocols have for all that is no data.
pub(crate) fn control(event: &Event<'_>) -> Frame {
    text(|out| event.write(out))
}

/// A text frame of what `write` appends.
pub(crate) fn text(write: impl FnOnce(&mut Vec<u8>)) -> Frame {
    scratch(|out| {
        write(out);
        // The encoders write UTF-8 around payloads that are. A publisher in this process may have
        // published bytes that are not where the namespace says JSON.
        Frame::prepare(Opcode::Text, out)
            .unwrap_or_else(|_| Frame::text(&String::from_utf8_lossy(out)))
    })
}

/// The name of a policy in the protocol.
pub(crate) fn delivery(policy: Policy) -> Delivery {
    policy.as_str().parse().unwrap_or(Delivery::Lossless)
}

/// The policy of that name.
pub(crate) fn policy_of(delivery: Delivery) -> Policy {
    delivery.name().parse().unwrap_or_default()
}

/// A member of a topic as the protocol has it.
pub(crate) fn member_of(member: &Member) -> event::Member<'_> {
    event::Member { client: (&*member.client).into(), user: member.user.as_deref().map(Into::into) }
}

/// A state of a stream as the protocol has it.
pub(crate) fn state_of(state: StreamState) -> value::StreamState {
    match state {
        StreamState::Live => value::StreamState::Live,
        StreamState::Stale => value::StreamState::Stale,
    }
}

/// Which of the bounds a reader crossed is the operator's business.
const GAP_REASON: &str = "slow";
/// Buffers that grew beyond this for one large message are not kept, in bytes.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

fn payload(stream: StreamRef<'_>, message: &StreamMessage) -> binary::Payload {
    let is_json = stream.payload == Payload::Json && message.binary.is_none();
    if is_json { binary::Payload::Json } else { binary::Payload::Bytes }
}

fn bytes(write: impl FnOnce(&mut Vec<u8>)) -> Frame {
    scratch(|out| {
        write(out);
        Frame::binary(out)
    })
}

/// One buffer for each shard: a frame is copied out of it, header and all, in one allocation.
fn scratch(encode: impl FnOnce(&mut Vec<u8>) -> Frame) -> Frame {
    thread_local! {
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    SCRATCH.with_borrow_mut(|out| {
        out.clear();
        let frame = encode(out);
        if out.capacity() > SCRATCH_BYTES_MAX {
            *out = Vec::new();
        }
        frame
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast_feed::binary::{Record, Records};

    fn message(data: &'static [u8], binary: Option<&'static [u8]>) -> StreamMessage {
        let (data, binary) = (Bytes::from_static(data), binary.map(Bytes::from_static));
        StreamMessage { seq: 7, ts: -5, key: None, data, binary }
    }

    fn stream(payload: Payload) -> StreamRef<'static> {
        StreamRef { name: "quote.A@100ms", sid: 12, payload }
    }

    fn json(frame: &Frame) -> String {
        assert_eq!(frame.opcode(), Opcode::Text);
        String::from_utf8(frame.payload().to_vec()).expect("UTF-8")
    }

    #[test]
    fn every_policy_has_a_name_in_the_protocol_and_back() {
        for policy in Policy::ALL {
            assert_eq!(delivery(policy).name(), policy.as_str());
            assert_eq!(policy_of(delivery(policy)), policy);
        }
        assert_eq!(Policy::ALL.len(), Delivery::ALL.len());
    }

    #[test]
    fn a_message_in_each_encoding() {
        let (codec, plain) = (FeedCodec::default(), message(b"{\"a\":1}", None));
        let raw = codec.message(stream(Payload::Json), &plain, Encoding::Raw);
        assert_eq!((raw.opcode(), raw.payload()), (Opcode::Text, &b"{\"a\":1}"[..]));
        let text = json(&codec.message(stream(Payload::Json), &plain, Encoding::Json));
        let Ok(Event::Message(found)) = Event::parse(&text) else { panic!("{text}") };
        assert_eq!((&*found.topic, found.seq, found.ts), ("quote.A@100ms", 7, Nanos(-5)));
        assert_eq!(found.data.get(), "{\"a\":1}");

        let both = message(b"{\"a\":1}", Some(&[1, 2]));
        for (message, payload, data) in [
            (plain, binary::Payload::Json, &b"{\"a\":1}"[..]),
            (both, binary::Payload::Bytes, &[1, 2]),
        ] {
            let frame = codec.message(stream(Payload::Json), &message, Encoding::Binary);
            let record = Records::new(frame.payload()).next().expect("one").expect("a record");
            let expected = Record::Message { sid: 12, seq: 7, ts_ns: -5, payload, data };
            assert_eq!((frame.opcode(), record), (Opcode::Binary, expected));
        }
    }

    #[test]
    fn bytes_are_base64_in_json() {
        let (codec, bytes) = (FeedCodec::default(), message(&[0xff, 0, 1], None));
        let of = stream(Payload::Binary);
        let text = json(&codec.message(of, &bytes, Encoding::Json));
        let Ok(Event::Message(found)) = Event::parse(&text) else { panic!("{text}") };
        assert_eq!(found.bytes().expect("base64").as_ref(), [0xff, 0, 1]);
        let text = json(&codec.snapshot(of, &bytes, Encoding::Json));
        let Ok(Event::Snapshot(found)) = Event::parse(&text) else { panic!("{text}") };
        assert_eq!(found.bytes().expect("base64").as_ref(), [0xff, 0, 1]);
        // A publisher who breaks the namespace's promise breaks no client's decoder.
        let broken = codec.message(stream(Payload::Json), &bytes, Encoding::Json);
        assert!(json(&broken).starts_with("{\"type\":\"message\""));
    }

    #[test]
    fn control_is_text_in_both_subprotocols() {
        let codec = FeedCodec::default();
        assert_eq!(codec.epoch(0x9f2c), "9f2c");
        let of = stream(Payload::Json);
        let announcement =
            Announcement { pattern: "quote.*", stream: of, seq: 3, policy: Policy::Latest };
        let member = Member { client: "c7".into(), user: Some("a\"b".into()) };
        for encoding in [Encoding::Json, Encoding::Binary] {
            let text = json(&codec.announce(&announcement, encoding));
            let Ok(Event::Subscribed(found)) = Event::parse(&text) else { panic!("{text}") };
            assert_eq!((found.id, found.pattern.as_deref()), (None, Some("quote.*")));
            assert_eq!((found.ok[0].sid, found.ok[0].epoch.as_deref()), (Some(12), Some("9f2c")));
            let text = json(&codec.presence("chat.a", &member, false, encoding));
            let Ok(Event::Left(found)) = Event::parse(&text) else { panic!("{text}") };
            assert_eq!(found.user.as_deref(), Some("a\"b"));
            let text = json(&codec.state("quote.A", StreamState::Stale, 9, encoding));
            assert!(matches!(Event::parse(&text), Ok(Event::StreamState(_))), "{text}");
        }
    }
}
