//! What a client makes of the bytes that it got: whole frames, and what they say.

use std::collections::{BTreeMap, BTreeSet};

/// A message of the test: which publication it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Data {
        topic: String,
        seq: u64,
    },
    Gap {
        topic: String,
        from: u64,
        to: u64,
    },
    Direct(u64),
    /// Told again at the start of a subscription.
    Again {
        topic: String,
        seq: u64,
    },
    /// A snapshot, a notice, an announcement.
    Other,
    Control,
    Close,
}

pub(crate) fn payload(topic: &str, seq: u64, bytes: usize) -> String {
    format!("{topic} {seq} {}", "x".repeat(bytes))
}

/// Cuts a stream into whole frames; panics when it is none, or ends inside one.
pub(crate) fn parse(mut stream: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let [first, second, rest @ ..] = stream {
        let (length, rest) = match second {
            127 => panic!("the test has no such long frames"),
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            short => (usize::from(*short), rest),
        };
        assert!(rest.len() >= length, "the stream ends inside a frame");
        let (payload, behind) = rest.split_at(length);
        messages.push(match first {
            0x81 => parse_text(std::str::from_utf8(payload).expect("text")),
            0x89 | 0x8a => Message::Control,
            0x88 => Message::Close,
            other => panic!("{other:#x} begins no frame of this test"),
        });
        stream = behind;
    }
    assert!(stream.is_empty(), "the stream ends inside a header");
    messages
}

fn parse_text(text: &str) -> Message {
    if let Some(rest) = text.strip_prefix(r#"{"gap":{"topic":""#) {
        let (topic, rest) = rest.split_once(r#"","from":"#).expect("from");
        let (from, rest) = rest.split_once(r#","to":"#).expect("to");
        let (to, _) = rest.split_once(r#","reason":"#).expect("reason");
        let number = |text: &str| text.parse().expect("a number");
        return Message::Gap { topic: topic.into(), from: number(from), to: number(to) };
    }
    if ["{", "snapshot", "note"].iter().any(|other| text.starts_with(other)) {
        return Message::Other;
    }
    let again = text.strip_prefix("again ");
    let mut words = again.unwrap_or(text).split(' ');
    let topic = words.next().expect("a topic").to_owned();
    let seq = words.next().and_then(|word| word.parse().ok()).expect("a number");
    match again {
        Some(_) => Message::Again { topic, seq },
        None if topic == "direct" => Message::Direct(seq),
        None => Message::Data { topic, seq },
    }
}

/// What must hold for a connection that got all that was queued for it: whatever was offered to
/// its lossless subscriptions is there once, in order, or was declared as lost.
pub(crate) fn check_nothing_lost(messages: &[Message], offered: &BTreeMap<&str, Vec<u64>>) {
    if messages.contains(&Message::Close) {
        assert_eq!(messages.iter().rposition(|m| *m == Message::Close), Some(messages.len() - 1));
        return;
    }
    for (topic, offered) in offered {
        let mut got = BTreeSet::new();
        let mut last = 0;
        for message in messages {
            match message {
                Message::Data { topic: of, seq } if of == topic && offered.contains(seq) => {
                    assert!(*seq > last, "{topic}: {seq} behind {last}");
                    last = *seq;
                    got.insert(*seq);
                }
                Message::Again { topic: of, seq } if of == topic => {
                    got.insert(*seq);
                }
                Message::Gap { topic: of, from, to } if of == topic => {
                    // A lost snapshot stands for what came before it, too.
                    assert!(*to >= last && from <= to, "{topic}: {from}..={to} behind {last}");
                    last = *to;
                    got.extend(*from..=*to);
                }
                _ => {}
            }
        }
        let lost: Vec<_> = offered.iter().filter(|seq| !got.contains(seq)).collect();
        assert!(lost.is_empty(), "{topic}: {lost:?} lost in silence");
    }
}
