//! What a home has to say, and the one place where it is encoded.

use std::sync::Arc;

use bytes::Bytes;
use corecast_wire::Frame;

use crate::codec::{Codec, StreamRef};
use crate::encoding::{Encoding, Frames, Wanted};
use crate::message::{Message, Now};
use crate::namespace::Payload;
use crate::press::Press;

/// What a home has to say to the subscribers of one stream, on whatever shard they are.
#[derive(Debug, Clone)]
pub struct Emission {
    /// The stream: a topic, or a variant of it.
    pub name: Arc<str>,
    /// The stream's number, never 0 for a stream of a home.
    pub sid: u32,
    /// What its publishers' bytes are.
    pub payload: Payload,
    /// The message's number; that of the last message in a snapshot; 0 of a notice. 0 of a message
    /// that has no frame, too: nobody gets it, it only asks whether a variant is heard.
    pub seq: u64,
    /// Milliseconds of the variant, 0 for the topic itself.
    pub interval_ms: u32,
    /// Which attach of the stream was the last: see [`Home::unheard`](super::Home::unheard).
    pub stamp: u64,
    /// A bit for each of the first 64 shards: those that hear a variant, as far as its home knows.
    /// The others need not get this. All ones of a topic itself and of what belongs to no stream;
    /// all ones, too, where there are more shards than that.
    pub heard: u64,
    /// What `latest_by_key` conflates by.
    pub key: Option<Bytes>,
    /// What goes out. Only messages have a raw frame.
    pub frames: Frames,
    /// What it stands for.
    pub kind: EmissionKind,
}

impl Emission {
    /// A notice that belongs to no stream of a home.
    #[must_use]
    pub fn notice(name: Arc<str>, frames: Frames) -> Self {
        Self {
            name,
            sid: 0,
            payload: Payload::Json,
            seq: 0,
            interval_ms: 0,
            stamp: 0,
            heard: u64::MAX,
            key: None,
            frames,
            kind: EmissionKind::Notice,
        }
    }
}

/// What an [`Emission`] stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EmissionKind {
    /// The stream's next message.
    Message,
    /// The whole state: forget what you have.
    Snapshot,
    /// Something about the stream: somebody came or left, its publisher fell silent.
    Notice,
}

/// What a home has done since it was made. Counters, except for the first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HomeTotals {
    /// Topics there are.
    pub topics: u64,
    /// Conflated variants there are.
    pub variants: u64,
    /// Variants that a held pattern asked of a new topic, but that it may not have.
    pub variants_refused: u64,
    /// Messages published.
    pub publishes: u64,
    /// Snapshots published.
    pub snapshots_published: u64,
    /// Updates refused.
    pub refused: u64,
    /// Messages encoded: one for each message and encoding in use.
    pub encodes: u64,
    /// Snapshots encoded.
    pub snapshots_encoded: u64,
    /// Notices encoded.
    pub notices_encoded: u64,
    /// Messages of variants.
    pub variant_emissions: u64,
    /// Those of them that could not wait for their tick, being full.
    pub early_emissions: u64,
    /// Attaches answered.
    pub attaches: u64,
    /// Those of them that went on where they had been.
    pub resumed: u64,
    /// Times that a topic fell silent.
    pub stale: u64,
    /// Topics forgotten to make room: nobody had published to them.
    pub forgotten: u64,
}

/// Asks the codec, and counts.
#[derive(Debug)]
pub(super) struct Encoder {
    pub(super) codec: Arc<dyn Codec>,
    pub(super) totals: HomeTotals,
    /// Messages and their bytes that may be told of the past at once.
    pub(super) missed_max: (usize, usize),
    /// Compresses what was encoded.
    pub(super) press: Press,
}

impl Encoder {
    pub(super) fn message(&mut self, of: StreamRef<'_>, message: &Message, as_: Encoding) -> Frame {
        self.totals.encodes += 1;
        self.codec.message(of, message, as_)
    }

    pub(super) fn snapshot(
        &mut self,
        of: StreamRef<'_>,
        message: &Message,
        encoding: Encoding,
    ) -> Frame {
        self.totals.snapshots_encoded += 1;
        self.codec.snapshot(of, message, encoding)
    }
}

/// What every verb of a home needs: who is listening, what time it is, where to say it.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) encoder: &'a mut Encoder,
    pub(super) wanted: Wanted,
    pub(super) now: Now,
    pub(super) out: &'a mut Vec<Emission>,
}

impl Turn<'_> {
    /// The encodings that are wanted of what is no message.
    pub(super) fn wanted_but_raw(&self) -> impl Iterator<Item = Encoding> + use<> {
        let wanted = self.wanted;
        let both = [Encoding::Json, Encoding::Binary];
        both.into_iter().filter(move |encoding| wanted.has(*encoding))
    }
}
