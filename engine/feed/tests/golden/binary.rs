use corecast_feed::binary::{self, Payload, Quote, Record, Records};
use serde_json::Value;

use crate::{files, hex, value, wide};

/// A record as a golden file has it.
#[derive(Debug, PartialEq)]
enum Golden {
    Message { sid: u32, seq: u64, ts_ns: i64, payload: Payload, data: Vec<u8> },
    Snapshot { sid: u32, seq: u64, ts_ns: i64, payload: Payload, data: Vec<u8> },
    Gap { sid: u32, from: u64, to: u64 },
}

#[test]
fn frames_are_read_as_the_golden_files_say() {
    for (name, text) in files("binary", 14) {
        let case = value(&text);
        let frame = hex(&case["frame"]);
        let mut records = Records::new(&frame);
        for golden in goldens(&case) {
            let record = records.next().unwrap_or_else(|| panic!("{name}: a record is missing"));
            let record = record.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(owned(&record), golden, "{name}");
        }
        let end = records.next().map(|end| end.map_err(|error| error.offset));
        let error_at = case["error_at"].as_u64().map(|at| usize::try_from(at).expect("short"));
        assert_eq!(end, error_at.map(Err), "{name}");
        assert_eq!(records.next(), None, "{name}: nothing comes after an error");
        assert_eq!(records.skipped() > 0, name == "unknown_kind", "{name}");
    }
}

#[test]
fn frames_are_written_as_the_golden_files_say() {
    let mut written = 0;
    for (name, text) in files("binary", 14) {
        let case = value(&text);
        if case["decode_only"].is_null() && case["error_at"].is_null() {
            let mut frame = Vec::new();
            for golden in goldens(&case) {
                encode(&mut frame, &golden);
            }
            assert_eq!(frame, hex(&case["frame"]), "{name}");
            written += 1;
        }
    }
    assert!(written >= 5, "only {written} frames");
}

#[test]
fn a_quote_costs_64_bytes_and_reads_back() {
    let (_, text) = files("binary", 14).into_iter().find(|(name, _)| name == "quote").expect("it");
    let case = value(&text);
    let golden = &case["quote"];
    let quote = Quote {
        bid: wide(&golden["bid"]),
        bid_size: wide(&golden["bid_size"]),
        ask: wide(&golden["ask"]),
        ask_size: wide(&golden["ask_size"]),
        venue_time: wide(&golden["venue_time"]),
    };
    let bytes = hex(&case["records"][0]["data"]);
    assert_eq!(Quote::from_bytes(&bytes), Ok(quote));
    assert_eq!(quote.to_bytes(), *bytes);
    assert_eq!(hex(&case["frame"]).len(), 64);
    for wrong in [0, 39, 41, 48] {
        let error = Quote::from_bytes(&vec![0; wrong]).expect_err("not 40");
        assert_eq!(error.bytes, wrong);
    }
}

#[test]
fn from_65536_bytes_the_length_stands_behind_the_header() {
    for (bytes, frame_bytes) in [(65_511, 65_535), (65_512, 65_540), (1 << 20, (1 << 20) + 28)] {
        let data = vec![7; bytes];
        let mut frame = Vec::new();
        binary::message(&mut frame, 1, 2, 3, Payload::Bytes, &data);
        assert_eq!(frame.len(), frame_bytes);
        binary::gap(&mut frame, 1, 3, 4);
        let (sid, payload) = (1, Payload::Bytes);
        let message = Record::Message { sid, seq: 2, ts_ns: 3, payload, data: &data };
        let gap = Record::Gap { sid, from: 3, to: 4 };
        assert_eq!(Vec::from_iter(Records::new(&frame)), [Ok(message), Ok(gap)]);
    }
}

#[test]
fn an_error_names_place_and_reason() {
    let mut frame = Vec::new();
    binary::gap(&mut frame, 1, 3, 4);
    frame.extend_from_slice(&[30, 0, 1]);
    let error = Records::new(&frame).find_map(Result::err).expect("three bytes are no header");
    let text = "record at byte 24 of the frame: the frame has 3 bytes left, the record needs 16";
    assert_eq!(error.to_string(), text);
}

fn goldens(case: &Value) -> Vec<Golden> {
    case["records"].as_array().expect("records").iter().map(golden).collect()
}

fn golden(record: &Value) -> Golden {
    let sid = u32::try_from(record["sid"].as_u64().expect("a sid")).expect("32 bits");
    if record["kind"] == "gap" {
        return Golden::Gap { sid, from: wide(&record["from"]), to: wide(&record["to"]) };
    }
    let (seq, ts_ns) = (wide(&record["seq"]), wide(&record["ts"]));
    let payload = if record["payload"] == "json" { Payload::Json } else { Payload::Bytes };
    let data = hex(&record["data"]);
    match record["kind"].as_str() {
        Some("message") => Golden::Message { sid, seq, ts_ns, payload, data },
        Some("snapshot") => Golden::Snapshot { sid, seq, ts_ns, payload, data },
        other => panic!("a record of kind {other:?}"),
    }
}

fn owned(record: &Record<'_>) -> Golden {
    match *record {
        Record::Message { sid, seq, ts_ns, payload, data } => {
            Golden::Message { sid, seq, ts_ns, payload, data: data.to_vec() }
        }
        Record::Snapshot { sid, seq, ts_ns, payload, data } => {
            Golden::Snapshot { sid, seq, ts_ns, payload, data: data.to_vec() }
        }
        Record::Gap { sid, from, to } => Golden::Gap { sid, from, to },
    }
}

fn encode(out: &mut Vec<u8>, golden: &Golden) {
    match golden {
        Golden::Message { sid, seq, ts_ns, payload, data } => {
            binary::message(out, *sid, *seq, *ts_ns, *payload, data);
        }
        Golden::Snapshot { sid, seq, ts_ns, payload, data } => {
            binary::snapshot(out, *sid, *seq, *ts_ns, *payload, data);
        }
        Golden::Gap { sid, from, to } => binary::gap(out, *sid, *from, *to),
    }
}
