//! How frames look. The hub knows no client protocol: it asks a codec.

use core::fmt;

use bytes::Bytes;
use corecast_wire::{Frame, Opcode};

use crate::encoding::Encoding;
use crate::message::{Member, Message};
use crate::namespace::Payload;
use crate::policy::Policy;
use crate::slow::Gap;

/// Makes the frames of a client protocol. Called once for each encoding that is in use, never for
/// each subscriber.
///
/// None of these may panic, or block: they are called in the midst of a change, on the shard's own
/// thread. A message that cannot be encoded takes no number and the rest of the engine goes on in
/// order, but the publication is lost, variants lose what they had collected, and who was about to
/// be told of something is not. What may fail belongs in front of the publisher, not here.
pub trait Codec: fmt::Debug + Send + Sync + 'static {
    /// A message of a stream.
    fn message(&self, stream: StreamRef<'_>, message: &Message, encoding: Encoding) -> Frame;

    /// The state of a stream up to and with the message `message.seq`.
    fn snapshot(&self, stream: StreamRef<'_>, message: &Message, encoding: Encoding) -> Frame;

    /// What a subscriber missed.
    fn gap(&self, stream: StreamRef<'_>, gap: &Gap<'_>, encoding: Encoding) -> Frame;

    /// A pattern of the subscriber's has matched this stream: from here on it gets it.
    fn announce(&self, announcement: &Announcement<'_>, encoding: Encoding) -> Frame;

    /// Somebody joined (`true`) or left a topic.
    fn presence(&self, topic: &str, member: &Member, joined: bool, encoding: Encoding) -> Frame;

    /// A topic's publisher fell silent, or is heard again. `at_ns`: nanoseconds since 1970.
    fn state(&self, topic: &str, state: StreamState, at_ns: i64, encoding: Encoding) -> Frame;

    /// The payload that holds several, in order.
    fn array(&self, payloads: &[&Bytes]) -> Bytes;
}

/// A stream as a codec needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamRef<'a> {
    /// Its name: the topic, and `@…ms` if it is a conflated variant.
    pub name: &'a str,
    /// Its number, of this server and this epoch alone.
    pub sid: u32,
    /// What its publishers' bytes are.
    pub payload: Payload,
}

/// A subscription that came about by a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement<'a> {
    /// The pattern as it was asked for.
    pub pattern: &'a str,
    /// The stream.
    pub stream: StreamRef<'a>,
    /// The number of its last message: what comes has greater ones.
    pub seq: u64,
    /// What a backlog does.
    pub policy: Policy,
}

/// Whether a stream's publisher is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StreamState {
    /// It is, or its namespace does not ask.
    #[default]
    Live,
    /// It was silent for longer than the namespace allows.
    Stale,
}

impl StreamState {
    /// `live` or `stale`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Stale => "stale",
        }
    }
}

/// No protocol: a message is the publisher's bytes, text where they are UTF-8. Notices are small
/// JSON texts. With [`Encoding::Raw`] come messages, and the snapshot of an attach, and nothing
/// else of what happens to a topic. The topic grammar has no character that JSON would escape.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawCodec;

impl Codec for RawCodec {
    fn message(&self, _stream: StreamRef<'_>, message: &Message, encoding: Encoding) -> Frame {
        let data = match encoding {
            Encoding::Binary => message.binary_data(),
            Encoding::Raw | Encoding::Json => &message.data,
        };
        bare(data)
    }

    fn snapshot(&self, stream: StreamRef<'_>, message: &Message, encoding: Encoding) -> Frame {
        self.message(stream, message, encoding)
    }

    fn gap(&self, _stream: StreamRef<'_>, gap: &Gap<'_>, _encoding: Encoding) -> Frame {
        crate::config::json_gap_notice(gap)
    }

    fn announce(&self, announcement: &Announcement<'_>, _encoding: Encoding) -> Frame {
        let Announcement { pattern, stream, seq, .. } = announcement;
        let topic = stream.name;
        Frame::text(&format!(
            r#"{{"subscribed":{{"topic":"{topic}","pattern":"{pattern}","seq":{seq}}}}}"#
        ))
    }

    fn presence(&self, topic: &str, member: &Member, joined: bool, _encoding: Encoding) -> Frame {
        let what = if joined { "joined" } else { "left" };
        // Ids come from the embedder: what JSON would escape is left out.
        let client: String = member.client.chars().filter(|c| is_plain(*c)).collect();
        Frame::text(&format!(r#"{{"{what}":{{"topic":"{topic}","client":"{client}"}}}}"#))
    }

    fn state(&self, topic: &str, state: StreamState, _at_ns: i64, _encoding: Encoding) -> Frame {
        let state = state.as_str();
        Frame::text(&format!(r#"{{"state":{{"topic":"{topic}","state":"{state}"}}}}"#))
    }

    fn array(&self, payloads: &[&Bytes]) -> Bytes {
        json_array(payloads)
    }
}

/// `[a,b,c]` of JSON payloads.
#[must_use]
pub fn json_array(payloads: &[&Bytes]) -> Bytes {
    let bytes: usize = payloads.iter().map(|payload| payload.len() + 1).sum();
    let mut array = Vec::with_capacity(bytes + 2);
    array.push(b'[');
    for (index, payload) in payloads.iter().enumerate() {
        if index > 0 {
            array.push(b',');
        }
        array.extend_from_slice(payload);
    }
    array.push(b']');
    array.into()
}

/// Bytes as a message: text where they are UTF-8.
fn bare(data: &Bytes) -> Frame {
    Frame::prepare(Opcode::Text, data).unwrap_or_else(|_| Frame::binary(data))
}

fn is_plain(character: char) -> bool {
    !character.is_control() && character != '"' && character != '\\'
}
