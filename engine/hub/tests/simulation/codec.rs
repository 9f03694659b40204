//! The simulation's protocol: one line of text for each frame, easy to read back.

use bytes::Bytes;
use corecast_hub::{
    Announcement, Codec, Encoding, Gap, Member, Message, StreamRef, StreamState, json_array,
};
use corecast_wire::Frame;

/// `message NAME SEQ DATA`, `snapshot NAME SEQ DATA`, `gap NAME FROM TO`, and so on.
#[derive(Debug)]
pub(crate) struct LineCodec;

impl Codec for LineCodec {
    fn message(&self, stream: StreamRef<'_>, message: &Message, _: Encoding) -> Frame {
        line("message", stream.name, message)
    }

    fn snapshot(&self, stream: StreamRef<'_>, message: &Message, _: Encoding) -> Frame {
        line("snapshot", stream.name, message)
    }

    fn gap(&self, stream: StreamRef<'_>, gap: &Gap<'_>, _: Encoding) -> Frame {
        Frame::text(&format!("gap {} {} {}", stream.name, gap.from, gap.to))
    }

    fn announce(&self, announcement: &Announcement<'_>, _: Encoding) -> Frame {
        let Announcement { pattern, stream, seq, .. } = announcement;
        Frame::text(&format!("announced {} {seq} {pattern}", stream.name))
    }

    fn presence(&self, topic: &str, member: &Member, joined: bool, _: Encoding) -> Frame {
        let what = if joined { "joined" } else { "left" };
        Frame::text(&format!("{what} {topic} {}", member.client))
    }

    fn state(&self, topic: &str, state: StreamState, _: i64, _: Encoding) -> Frame {
        Frame::text(&format!("state {topic} {}", state.as_str()))
    }

    fn array(&self, payloads: &[&Bytes]) -> Bytes {
        json_array(payloads)
    }
}

fn line(what: &str, name: &str, message: &Message) -> Frame {
    let data = std::str::from_utf8(&message.data).expect("the simulation publishes text");
    Frame::text(&format!("{what} {name} {} {data}", message.seq))
}
