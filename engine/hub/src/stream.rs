//! What the delivery side knows of a stream: a topic, or a conflated variant of one.

use crate::codec::StreamRef;
use crate::namespace::Payload;

/// A stream, as its home describes it. The name is trusted: whoever asks for the stream has
/// checked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream<'a> {
    /// Its name: the topic, and `@…ms` if it is a conflated variant. No pattern matches a name
    /// that begins with `$`.
    pub name: &'a str,
    /// Its number, of this server and this epoch alone.
    pub sid: u32,
    /// What its publishers' bytes are.
    pub payload: Payload,
    /// The shard that is its home; [`NO_HOME`](Self::NO_HOME) where patterns are not to see it.
    pub home: u16,
    /// The interval of the variant in milliseconds, 0 for the topic itself.
    pub interval_ms: u32,
    /// The number of its last message: what comes has greater ones.
    pub seq: u64,
}

impl<'a> Stream<'a> {
    /// The home of a topic that is outside the feed: no pattern matches it.
    pub const NO_HOME: u16 = u16::MAX;

    /// A topic outside the feed.
    #[must_use]
    pub const fn raw(name: &'a str) -> Self {
        let payload = Payload::Json;
        Self { name, sid: 0, payload, home: Self::NO_HOME, interval_ms: 0, seq: 0 }
    }

    /// Whether no peer can name it: it is between the service and its connections.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.name.starts_with('$')
    }

    /// What a codec needs to know.
    #[must_use]
    pub const fn as_ref(&self) -> StreamRef<'a> {
        StreamRef { name: self.name, sid: self.sid, payload: self.payload }
    }

    /// The name of the topic, without the variant's interval.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        topic_of(self.name, self.interval_ms)
    }
}

/// The name of a stream without its interval.
pub(crate) fn topic_of(name: &str, interval_ms: u32) -> &str {
    match interval_ms {
        0 => name,
        _ => name.rsplit_once('@').map_or(name, |(topic, _)| topic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_variant_loses_what_stands_behind_the_last_at() {
        assert_eq!(topic_of("quote.a@b", 0), "quote.a@b");
        assert_eq!(topic_of("quote.a@b@100ms", 100), "quote.a@b");
        let variant = Stream { interval_ms: 100, ..Stream::raw("quote.a@100ms") };
        assert_eq!((variant.topic(), variant.as_ref().name), ("quote.a", "quote.a@100ms"));
    }
}
