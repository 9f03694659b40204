use corecast_feed::ingest::{
    self, Ack, Decoder, Frame, Hello, LENGTH_BYTES, Record, RecordKind, Refusal, decode,
};
use corecast_feed::limits::IngestLimits;
use serde_json::Value;

use crate::{files, hex, value, wide};

const LIMITS: fn() -> IngestLimits = IngestLimits::default;

#[test]
fn frames_are_read_and_written_byte_by_byte() {
    for (name, text) in files("ingest", 9) {
        let case = value(&text);
        let bytes = hex(&case["frame"]);
        let parts = Parts::of(&case["value"]);
        let frame = parts.frame(&case["value"]);
        let (decoded, used) = decode(&bytes, &LIMITS())
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .unwrap_or_else(|| panic!("{name}: not all of it is there"));
        assert_eq!((decoded, used), (frame, bytes.len()), "{name}");

        let mut out = Vec::new();
        encode(&mut out, &frame);
        assert_eq!(out, bytes, "{name}");
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut], &LIMITS()), Ok(None), "{name}, cut at {cut}");
        }
    }
}

#[test]
fn hello_and_answers_may_grow() {
    for (name, text) in files("ingest", 9) {
        let case = value(&text);
        let mut bytes = hex(&case["frame"]);
        bytes.extend_from_slice(b"later");
        let length = u32::try_from(bytes.len() - LENGTH_BYTES).expect("short");
        bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        if case["value"]["type"] != "record" {
            let parts = Parts::of(&case["value"]);
            let frame = parts.frame(&case["value"]);
            assert_eq!(decode(&bytes, &LIMITS()), Ok(Some((frame, bytes.len()))), "{name}");
        }
    }
}

#[test]
fn what_is_no_frame_is_refused_for_good() {
    for (name, text) in files("ingest/refused", 15) {
        let bytes = hex(&value(&text)["frame"]);
        let error = decode(&bytes, &LIMITS()).expect_err(&name);
        assert!(error.to_string().len() < 120, "{name}: {error}");

        let mut decoder = Decoder::new(LIMITS());
        decoder.feed(&bytes);
        assert_eq!(decoder.next(), Err(error.clone()), "{name}");
        let mut hello = Vec::new();
        let good = Hello { version: 1, epoch: 1, name: "a", token: None };
        ingest::hello(&mut hello, &good).expect("a hello");
        decoder.feed(&hello);
        assert_eq!(decoder.next(), Err(error), "{name}: what follows has no place");
    }
}

/// The bytes that a frame borrows.
struct Parts {
    key: Option<Vec<u8>>,
    data: Vec<u8>,
    binary: Option<Vec<u8>>,
}

impl Parts {
    fn of(value: &Value) -> Self {
        let bytes = |name: &str| value.get(name).map(hex);
        Self { key: bytes("key"), data: bytes("data").unwrap_or_default(), binary: bytes("binary") }
    }

    fn frame<'a>(&'a self, value: &'a Value) -> Frame<'a> {
        let text = |name: &str| value[name].as_str().expect("a string");
        let number =
            |name: &str| u16::try_from(value[name].as_u64().expect("a number")).expect("16 bits");
        match text("type") {
            "hello" => Frame::Hello(Hello {
                version: number("version"),
                epoch: wide(&value["epoch"]),
                name: text("name"),
                token: value.get("token").and_then(Value::as_str),
            }),
            "record" => Frame::Record(Record {
                seq: wide(&value["seq"]),
                kind: match text("kind") {
                    "message" => RecordKind::Message,
                    "snapshot" => RecordKind::Snapshot,
                    other => panic!("a record of kind {other}"),
                },
                topic: text("topic"),
                key: self.key.as_deref(),
                ts_ns: value.get("ts").map(wide),
                data: &self.data,
                binary: self.binary.as_deref(),
            }),
            "ack" => Frame::Ack(Ack {
                code: number("code"),
                epoch: wide(&value["epoch"]),
                seq: wide(&value["seq"]),
            }),
            "error" => Frame::Error(Refusal {
                code: number("code"),
                seq: wide(&value["seq"]),
                closing: value["closing"].as_bool().expect("true or false"),
                message: text("message"),
            }),
            other => panic!("a frame of type {other}"),
        }
    }
}

fn encode(out: &mut Vec<u8>, frame: &Frame<'_>) {
    match frame {
        Frame::Hello(hello) => ingest::hello(out, hello).expect("it fits"),
        Frame::Record(record) => ingest::record(out, record, &LIMITS()).expect("it fits"),
        Frame::Ack(ack) => ingest::ack(out, ack),
        Frame::Error(refusal) => ingest::error(out, refusal),
    }
}
