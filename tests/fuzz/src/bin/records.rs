//! Any bytes are records that read back from what they are written as, or one error.

#![no_main]

use corecast_feed::binary::{self, Quote, Record, Records};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    let mut again = Vec::new();
    let mut read = Vec::new();
    let mut records = Records::new(frame);
    for record in records.by_ref() {
        match record {
            Ok(record) => {
                encode(&mut again, &record);
                read.push(record);
            }
            Err(error) => {
                assert!(error.offset < frame.len(), "{error}");
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(records.next().is_none(), "nothing comes after the end");
    let read_again = Records::new(&again).collect::<Result<Vec<_>, _>>();
    assert_eq!(read_again.as_ref(), Ok(&read));
    if let Ok(quote) = Quote::from_bytes(frame) {
        assert_eq!(quote.to_bytes(), frame);
    }
});

fn encode(out: &mut Vec<u8>, record: &Record<'_>) {
    match *record {
        Record::Message { sid, seq, ts_ns, payload, data } => {
            binary::message(out, sid, seq, ts_ns, payload, data);
        }
        Record::Snapshot { sid, seq, ts_ns, payload, data } => {
            binary::snapshot(out, sid, seq, ts_ns, payload, data);
        }
        Record::Gap { sid, from, to } => binary::gap(out, sid, from, to),
    }
}
