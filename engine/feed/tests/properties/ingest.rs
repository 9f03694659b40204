use corecast_feed::ingest::{
    self, Ack, Decoder, Frame, Hello, IngestError, Record, RecordKind, Refusal,
};
use corecast_feed::limits::IngestLimits;
use proptest::option;
use proptest::prelude::*;

use crate::{bytes, text, topic};

#[derive(Debug, Clone)]
enum Owned {
    Hello(u64, String, Option<String>),
    Record {
        seq: u64,
        snapshot: bool,
        topic: String,
        key: Option<Vec<u8>>,
        ts_ns: Option<i64>,
        data: Vec<u8>,
        binary: Option<Vec<u8>>,
    },
    Ack(Ack),
    Error(u64, u16, bool, String),
}

proptest! {
    #[test]
    fn frames_read_back_however_they_come_in(
        frames in prop::collection::vec(frame(), 1..5),
        pieces in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let stream = stream(&frames);
        let mut decoder = Decoder::new(IngestLimits::default());
        let (mut rest, mut decoded) = (stream.as_slice(), 0);
        for piece in pieces.into_iter().chain([usize::MAX]) {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            rest = later;
            decoder.feed(now);
            while let Some(frame) = decoder.next().expect("as it was written") {
                prop_assert_eq!(frame, frames[decoded].borrow());
                decoded += 1;
            }
        }
        prop_assert_eq!((decoded, decoder.pending_bytes()), (frames.len(), 0));
    }

    #[test]
    fn every_split_in_two_gives_the_same(one in small_frame(), two in small_frame()) {
        let frames = [one, two];
        let stream = stream(&frames);
        for at in 0..=stream.len() {
            let mut decoder = Decoder::new(IngestLimits::default());
            let mut decoded = 0;
            for part in [&stream[..at], &stream[at..]] {
                decoder.feed(part);
                while let Some(frame) = decoder.next().expect("as it was written") {
                    prop_assert_eq!(frame, frames[decoded].borrow());
                    decoded += 1;
                }
            }
            prop_assert_eq!((decoded, decoder.pending_bytes()), (2, 0), "split at {}", at);
        }
    }

    #[test]
    fn any_bytes_are_frames_or_an_error_and_bounded(
        pieces in prop::collection::vec(odd_bytes(0..60), 0..10),
    ) {
        let limits = IngestLimits { frame_bytes_max: 100, ..IngestLimits::default() };
        let mut decoder = Decoder::new(limits);
        for piece in &pieces {
            decoder.feed(piece);
            let mut count = 0;
            while let Ok(Some(_)) = decoder.next() {
                count += 1;
                prop_assert!(count < 60, "no frame is shorter than five bytes");
            }
            if decoder.next().is_ok() {
                prop_assert!(decoder.pending_bytes() < 104, "more than a frame is kept");
            }
        }
    }

    #[test]
    fn a_changed_byte_is_read_or_refused(
        frame in small_frame(),
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let mut stream = stream(&[frame]);
        let at = at.index(stream.len());
        stream[at] = byte;
        let decoded = ingest::decode(&stream, &IngestLimits::default());
        if let Ok(Some((frame, used))) = decoded {
            let mut again = Vec::new();
            encode(&mut again, &frame);
            // Only reserved bytes and what stands behind the known part may differ.
            let read = ingest::decode(&again, &IngestLimits::default());
            prop_assert_eq!(read, Ok(Some((frame, again.len()))));
            prop_assert!(used <= stream.len());
        }
    }
}

#[test]
fn what_does_not_fit_is_not_written() {
    let mut out = b"before".to_vec();
    let long = "x".repeat(129);
    for name in ["", long.as_str()] {
        let hello = Hello { version: 1, epoch: 1, name, token: None };
        let error = ingest::hello(&mut out, &hello).expect_err("no name");
        assert_eq!((error.part, error.bytes), ("name", name.len()));
    }
    for token in [String::new(), "x".repeat(1_025)] {
        let hello = Hello { version: 1, epoch: 1, name: "a", token: Some(&token) };
        let error = ingest::hello(&mut out, &hello).expect_err("no token");
        assert_eq!((error.part, error.bytes), ("token", token.len()));
        assert!(token.is_empty() || !format!("{hello:?}").contains(&token));
    }
    let good = Record {
        seq: 1,
        kind: RecordKind::Message,
        topic: "a",
        key: None,
        ts_ns: None,
        data: b"{}",
        binary: None,
    };
    let (large, limits) = (vec![0; 1 << 20], IngestLimits::default());
    for (part, record) in [
        ("topic", Record { topic: "", ..good }),
        ("topic", Record { topic: &"t".repeat(256), ..good }),
        ("key", Record { key: Some(b""), ..good }),
        ("key", Record { key: Some(&large[..256]), ..good }),
        ("frame", Record { data: &large, ..good }),
        ("frame", Record { binary: Some(&large), ..good }),
    ] {
        assert_eq!(ingest::record(&mut out, &record, &limits).expect_err(part).part, part);
    }
    assert_eq!(out, b"before");
    ingest::error(
        &mut out,
        &Refusal { seq: 0, code: 400, closing: true, message: &"é".repeat(900) },
    );
    let decoded = ingest::decode(&out[6..], &limits).expect("cut to fit").expect("all there");
    let Frame::Error(refusal) = decoded.0 else { panic!("an error") };
    assert_eq!(refusal.message, "é".repeat(512));
}

#[test]
fn a_wrong_type_is_told_before_all_of_the_frame_has_come() {
    let mut decoder = Decoder::new(IngestLimits::default());
    decoder.feed(&[0xff, 0, 0, 0]);
    assert_eq!(decoder.next(), Ok(None));
    decoder.feed(&[9]);
    assert_eq!(decoder.next(), Err(IngestError::Type(9)));
}

fn odd_bytes(count: core::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0), 0..5_u8, any::<u8>()], count)
}

fn frame() -> impl Strategy<Value = Owned> {
    frame_of(bytes().boxed())
}

fn small_frame() -> impl Strategy<Value = Owned> {
    frame_of(prop::collection::vec(any::<u8>(), 0..20).boxed())
}

fn frame_of(bytes: BoxedStrategy<Vec<u8>>) -> impl Strategy<Value = Owned> {
    let key = option::of(prop::collection::vec(any::<u8>(), 1..30));
    let fields = (any::<u64>(), any::<bool>(), topic(), key, option::of(any::<i64>()));
    prop_oneof![
        (any::<u64>(), text(), option::of(text()))
            .prop_map(|(epoch, name, token)| Owned::Hello(epoch, name, token)),
        (fields, bytes.clone(), option::of(bytes)).prop_map(
            |((seq, snapshot, topic, key, ts_ns), data, binary)| Owned::Record {
                seq,
                snapshot,
                topic,
                key,
                ts_ns,
                data,
                binary,
            }
        ),
        (any::<u64>(), any::<u64>(), any::<u16>()).prop_map(|(epoch, seq, code)| Owned::Ack(Ack {
            epoch,
            seq,
            code
        })),
        (any::<u64>(), any::<u16>(), any::<bool>(), text())
            .prop_map(|(seq, code, closing, message)| Owned::Error(seq, code, closing, message)),
    ]
}

impl Owned {
    fn borrow(&self) -> Frame<'_> {
        match *self {
            Self::Hello(epoch, ref name, ref token) => {
                let token = token.as_deref();
                Frame::Hello(Hello { version: 1, epoch, name, token })
            }
            Self::Record { seq, snapshot, ref topic, ref key, ts_ns, ref data, ref binary } => {
                Frame::Record(Record {
                    seq,
                    kind: if snapshot { RecordKind::Snapshot } else { RecordKind::Message },
                    topic,
                    key: key.as_deref(),
                    ts_ns,
                    data,
                    binary: binary.as_deref(),
                })
            }
            Self::Ack(ack) => Frame::Ack(ack),
            Self::Error(seq, code, closing, ref message) => {
                Frame::Error(Refusal { seq, code, closing, message })
            }
        }
    }
}

fn stream(frames: &[Owned]) -> Vec<u8> {
    let mut stream = Vec::new();
    for frame in frames {
        encode(&mut stream, &frame.borrow());
    }
    stream
}

fn encode(out: &mut Vec<u8>, frame: &Frame<'_>) {
    match frame {
        Frame::Hello(hello) => ingest::hello(out, hello).expect("it fits"),
        Frame::Record(record) => {
            ingest::record(out, record, &IngestLimits::default()).expect("it fits");
        }
        Frame::Ack(ack) => ingest::ack(out, ack),
        Frame::Error(refusal) => ingest::error(out, refusal),
    }
}
