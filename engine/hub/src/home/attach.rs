//! Joining a topic: where its numbers stand, and what went before.

use std::sync::Arc;

use corecast_wire::Frame;

use super::emission::{Emission, Turn};
use super::error::{AttachError, HistoryError, check_interval};
use super::history::History;
use super::stream::Past;
use super::suffix::split_variant;
use super::variant::variant_policy;
use super::{Home, topic::Topic};
use crate::codec::StreamState;
use crate::encoding::{Encoding, Wanted};
use crate::message::{Member, Now};
use crate::namespace::{Namespace, Payload};
use crate::policy::Policy;
use crate::rules::Pattern;
use crate::topic::check_topic;

/// A wish to get a topic's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachRequest {
    /// The topic, without the end that names a variant.
    pub topic: Box<str>,
    /// Milliseconds of the conflated variant; 0: every message.
    pub interval_ms: u32,
    /// In which form the past is wanted.
    pub encoding: Encoding,
    /// The epoch and the number of the last message that the asker has.
    pub resume: Option<(u64, u64)>,
    /// The asker has lost messages: it gets the state anew, whatever it has.
    pub resync: bool,
    /// Who joins, where the namespace keeps presence.
    pub member: Option<Member>,
    /// Whether the topic is made if there is none, and its namespace is open.
    pub create: bool,
}

impl AttachRequest {
    /// A wish for every message of a topic, that is made if need be.
    #[must_use]
    pub fn new(topic: &str, encoding: Encoding) -> Self {
        let (resume, resync, member) = (None, false, None);
        let topic = topic.into();
        Self { topic, interval_ms: 0, encoding, resume, resync, member, create: true }
    }

    /// The wish of one who has lost messages.
    #[must_use]
    pub fn resync(topic: &str, interval_ms: u32, encoding: Encoding) -> Self {
        Self { interval_ms, resync: true, create: false, ..Self::new(topic, encoding) }
    }
}

/// A stream as it stood when somebody was attached. What the stream says next has a greater
/// number than all that is told here.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// The topic.
    pub topic: Arc<str>,
    /// The stream: the topic, or a variant of it.
    pub name: Arc<str>,
    /// The stream's number.
    pub sid: u32,
    /// What its publishers' bytes are.
    pub payload: Payload,
    /// The number of its last message.
    pub seq: u64,
    /// What a backlog does, where the subscriber asks for nothing else.
    pub policy: Policy,
    /// Whether `missed` is all that came behind what the asker has.
    pub resumed: bool,
    /// The state up to a message, in the encoding that was asked for; where `missed` is empty, up
    /// to the last.
    pub snapshot: Option<Frame>,
    /// There is a state, but it is not known: the next that is published will be said to all.
    /// Never with [`Encoding::Raw`], which gets no snapshot later.
    pub snapshot_follows: bool,
    /// The messages behind the snapshot, or behind what the asker has.
    pub missed: Vec<Frame>,
    /// Whether the publisher is heard.
    pub state: StreamState,
    /// Milliseconds of the variant, 0 for the topic itself.
    pub interval_ms: u32,
    /// Which attach this was: see [`Home::unheard`].
    pub stamp: u64,
}

/// A wish for all topics that match a pattern, now and later.
#[derive(Debug, Clone, Copy)]
pub struct PatternRequest<'a> {
    /// Which topics.
    pub pattern: &'a Pattern,
    /// Milliseconds of their conflated variants; 0: every message.
    pub interval_ms: u32,
    /// In which form the past is wanted.
    pub encoding: Encoding,
    /// The shard that asks.
    pub shard: u16,
    /// Topics at most; 0 counts as 1.
    pub limit: usize,
    /// The last name that was looked at before: where a [`Page`] said to go on. None: the first
    /// page.
    pub after: Option<&'a str>,
}

/// A part of the topics that match a pattern.
#[derive(Debug, Clone)]
pub struct Page {
    /// The topics, in the order of their names.
    pub attachments: Vec<Attachment>,
    /// There may be more: the name to go on [after](PatternRequest::after).
    pub next: Option<Arc<str>>,
    /// Whether topics made later get their variant: false where too many patterns are held. Pages
    /// behind the first hold nothing, and say true.
    pub held: bool,
    /// Topics of this page that match but have no room for the variant.
    pub refused: usize,
}

impl Home {
    /// Attaches a subscriber of shard `from`: makes the topic or the variant if need be, joins
    /// the member, and tells what the subscriber needs to know.
    ///
    /// # Errors
    /// When there is no such topic, the interval is not allowed, or something is full.
    pub fn attach(
        &mut self,
        request: &AttachRequest,
        from: u16,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> Result<Attachment, AttachError> {
        let number = self.find_or_make(request, wanted, now, out)?;
        if let Some(member) = &request.member {
            self.topics[number as usize].check_room(member)?;
        }
        let resume = request.resume.filter(|(epoch, _)| !request.resync && *epoch == self.epoch);
        let since = resume.map(|(_, seq)| seq);
        let AttachRequest { interval_ms, encoding, .. } = *request;
        let how = How { interval_ms, encoding, since, from };
        let attachment = self.attach_to(number, how, wanted, now, out)?;
        if let Some(member) = &request.member {
            let mut turn = Turn { encoder: &mut self.encoder, wanted, now, out };
            self.topics[number as usize].join(member, &mut turn)?;
            self.list_idle(number);
        }
        Ok(attachment)
    }

    /// Attaches to topics that match, in the order of their names: at most `limit` of them, and at
    /// most [`PATTERN_SCAN_MAX`](crate::limits::PATTERN_SCAN_MAX) names are looked at. Nobody
    /// joins. On the first page a pattern with an interval is [held](Self::hold_pattern). Topics
    /// that may not have the interval are left out.
    pub fn attach_matching(
        &mut self,
        request: &PatternRequest<'_>,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> Page {
        let PatternRequest { pattern, interval_ms, encoding, shard, limit, after } = *request;
        let held = after.is_some() || self.hold_pattern(pattern, interval_ms).is_ok();
        let (numbers, next) = self.matching(pattern, after, limit);
        let (mut attachments, mut refused) = (Vec::with_capacity(numbers.len()), 0);
        for number in numbers {
            let how = How { interval_ms, encoding, since: None, from: shard };
            match self.attach_to(number, how, wanted, now, out) {
                Ok(attachment) => attachments.push(attachment),
                Err(AttachError::NotAllowed { .. }) => {}
                Err(_) => refused += 1,
            }
        }
        Page { attachments, next, held, refused }
    }

    /// A shard hears a variant no more, as it found out by an emission with this `stamp`. An
    /// attach since then makes that void; where no shard is left, the variant ends.
    pub fn unheard(&mut self, name: &str, stamp: u64, shard: u16) {
        let Ok((topic, interval_ms)) = split_variant(name) else { return };
        let Some(number) = self.numbers.get(topic) else { return };
        let number = *number;
        let topic = &mut self.topics[number as usize];
        if topic.unheard(interval_ms, stamp, (shard, self.shards)) {
            self.encoder.totals.variants -= 1;
            if topic.variants.is_empty() && topic.idle.is_some() {
                // It is the next to be forgotten, where it would have been before.
                self.list_idle(number);
            }
        }
    }

    /// What a topic, or a variant by its name, has of its past: the messages behind `since`, the
    /// first ones first; without it, the last ones. At most `limit`.
    ///
    /// # Errors
    /// When there is no such stream, or its namespace keeps no history.
    pub fn history(
        &mut self,
        name: &str,
        since: Option<u64>,
        limit: usize,
        now: Now,
    ) -> Result<History, HistoryError> {
        let (topic, interval_ms) = split_variant(name).map_err(|_| HistoryError::Unknown)?;
        let number = *self.numbers.get(topic).ok_or(HistoryError::Unknown)?;
        let topic = &mut self.topics[number as usize];
        let namespace = Arc::clone(&topic.namespace);
        if namespace.history_entries == 0 {
            return Err(HistoryError::NotSupported);
        }
        let stream = topic.stream_mut(interval_ms).ok_or(HistoryError::Unknown)?;
        stream.history.expire(now.mono, &namespace);
        let messages = stream.history.read(since, limit);
        let (name, sid, seq) = (Arc::clone(&stream.name), stream.sid, stream.seq);
        let complete = match (since, messages.first()) {
            (None, Some(first)) => first.seq == 1,
            _ => stream.history.covers(since.unwrap_or(0), seq),
        };
        Ok(History { name, sid, seq, messages, complete })
    }

    fn find_or_make(
        &mut self,
        request: &AttachRequest,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> Result<u32, AttachError> {
        if let Some(number) = self.numbers.get(&*request.topic) {
            return Ok(*number);
        }
        check_topic(&request.topic, self.topic_bytes_max)?;
        if split_variant(&request.topic)?.1 > 0 {
            return Err(AttachError::VariantAsTopic);
        }
        let namespaces = Arc::clone(&self.namespaces);
        let namespace = namespaces.find(&request.topic).ok_or(AttachError::Unknown)?;
        if !request.create || !namespace.open {
            return Err(AttachError::Unknown);
        }
        self.check_new(request, namespace)?;
        Ok(self.make(&request.topic, namespace, wanted, now, out)?)
    }

    /// Whether a topic that is made for this request will have room for its variant. A member has
    /// room in every new topic.
    fn check_new(&self, request: &AttachRequest, namespace: &Namespace) -> Result<(), AttachError> {
        let AttachRequest { topic, interval_ms, .. } = request;
        let check = |interval_ms| {
            check_interval(namespace, interval_ms)?;
            let name = super::variant_name(topic, interval_ms);
            check_topic(&name, self.topic_bytes_max).map_err(AttachError::Topic)
        };
        check(*interval_ms)?;
        // Variants that patterns wait for are made first.
        let mut first = self.held.intervals(topic);
        first.retain(|held| check(*held).is_ok());
        let place = first.iter().position(|held| held == interval_ms).unwrap_or(first.len());
        let variants_max = namespace.variants_max;
        if *interval_ms > 0 && place >= usize::from(variants_max) {
            return Err(AttachError::VariantsFull { variants_max });
        }
        Ok(())
    }

    fn attach_to(
        &mut self,
        number: u32,
        how: How,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> Result<Attachment, AttachError> {
        let How { interval_ms, encoding, since, from } = how;
        if interval_ms > 0 && self.make_variant(number, interval_ms, wanted, now, out)? {
            self.let_holders_hear(number, interval_ms);
        }
        self.stamps += 1;
        let stamp = self.stamps;
        let mut turn = Turn { encoder: &mut self.encoder, wanted, now, out };
        let topic = &mut self.topics[number as usize];
        topic.hear(interval_ms, (from, self.shards), stamp);
        let attachment = topic.attachment(interval_ms, encoding, since, &mut turn)?;
        self.encoder.totals.attaches += 1;
        self.encoder.totals.resumed += u64::from(attachment.resumed);
        Ok(attachment)
    }

    /// Makes a topic's variant; false when it is there.
    pub(super) fn make_variant(
        &mut self,
        number: u32,
        interval_ms: u32,
        wanted: Wanted,
        now: Now,
        out: &mut Vec<Emission>,
    ) -> Result<bool, AttachError> {
        let topic = &mut self.topics[number as usize];
        if topic.stream(interval_ms).is_some() {
            return Ok(false);
        }
        check_interval(&topic.namespace, interval_ms)?;
        let name = super::variant_name(&topic.base.name, interval_ms);
        check_topic(&name, self.topic_bytes_max)?;
        let mut turn = Turn { encoder: &mut self.encoder, wanted, now, out };
        let sids = &mut self.sids;
        let sid = || sids.take().ok_or(AttachError::Full(super::TopicsFull::Streams));
        let made = topic.make_variant(interval_ms, &name, sid, &mut turn);
        // What it starts with grows old, too.
        self.chores.list(number, topic, false);
        made.map(|()| true)
    }
}

/// How somebody is attached.
#[derive(Debug, Clone, Copy)]
struct How {
    interval_ms: u32,
    encoding: Encoding,
    since: Option<u64>,
    from: u16,
}

impl Topic {
    fn attachment(
        &mut self,
        interval_ms: u32,
        encoding: Encoding,
        since: Option<u64>,
        turn: &mut Turn<'_>,
    ) -> Result<Attachment, AttachError> {
        let (namespace, state) = (Arc::clone(&self.namespace), self.state);
        let (topic, published) = (Arc::clone(&self.base.name), self.is_published());
        let stream = self.stream_mut(interval_ms).ok_or(AttachError::Unknown)?;
        let past = stream.past(encoding, since, published, &namespace, turn);
        let Past { resumed, snapshot, missed, snapshot_follows } = past;
        Ok(Attachment {
            topic,
            name: Arc::clone(&stream.name),
            sid: stream.sid,
            payload: namespace.payload,
            seq: stream.seq,
            policy: variant_policy(&namespace, interval_ms),
            resumed,
            snapshot,
            snapshot_follows,
            missed,
            state,
            interval_ms,
            stamp: stream.stamp,
        })
    }
}
