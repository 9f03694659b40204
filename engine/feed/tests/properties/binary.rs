use corecast_feed::binary::{self, Payload, Quote, Record, Records};
use proptest::prelude::*;

use crate::bytes;

#[derive(Debug, Clone)]
enum Owned {
    Message(u32, u64, i64, Payload, Vec<u8>),
    Snapshot(u32, u64, i64, Payload, Vec<u8>),
    Gap(u32, u64, u64),
    /// A record of a kind that is not known yet.
    Later(Vec<u8>),
}

proptest! {
    #[test]
    fn every_frame_reads_back(records in prop::collection::vec(record(), 0..8)) {
        let frame = frame(&records);
        let expected = Vec::from_iter(records.iter().filter_map(borrowed).map(Ok));
        let mut decoder = Records::new(&frame);
        prop_assert_eq!(Vec::from_iter(decoder.by_ref()), expected);
        let later = records.iter().filter(|record| matches!(record, Owned::Later(_))).count();
        prop_assert_eq!(decoder.skipped(), later);
    }

    #[test]
    fn a_cut_frame_gives_whole_records_and_one_error(
        records in prop::collection::vec(record(), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let frame = frame(&records);
        let cut = &frame[..cut.index(frame.len())];
        let whole = Vec::from_iter(records.iter().filter_map(borrowed));
        for (index, record) in Records::new(cut).enumerate() {
            match record {
                Ok(record) => prop_assert_eq!(Some(&record), whole.get(index)),
                Err(error) => prop_assert!(error.offset < cut.len()),
            }
        }
        let errors = Records::new(cut).filter(Result::is_err).count();
        let ends = record_ends(&records).any(|end| end == cut.len());
        prop_assert_eq!(errors, usize::from(!ends));
    }

    #[test]
    fn any_bytes_are_records_or_an_error(
        frame in prop::collection::vec(byte(), 0..200),
    ) {
        let records = Vec::from_iter(Records::new(&frame));
        let errors = records.iter().filter(|record| record.is_err()).count();
        prop_assert!(errors == 0 || (errors == 1 && records.last().is_some_and(Result::is_err)));
    }

    #[test]
    fn quotes_read_back(bid: i64, bid_size: i64, ask: i64, ask_size: i64, venue_time: i64) {
        let quote = Quote { bid, bid_size, ask, ask_size, venue_time };
        prop_assert_eq!(Quote::from_bytes(&quote.to_bytes()), Ok(quote));
    }
}

fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), 0..30_u8, any::<u8>()]
}

fn record() -> impl Strategy<Value = Owned> {
    let payload = || prop_oneof![Just(Payload::Json), Just(Payload::Bytes)];
    prop_oneof![
        (any::<u32>(), any::<u64>(), any::<i64>(), payload(), bytes())
            .prop_map(|(sid, seq, ts, payload, data)| Owned::Message(sid, seq, ts, payload, data)),
        (any::<u32>(), any::<u64>(), any::<i64>(), payload(), bytes())
            .prop_map(|(sid, seq, ts, payload, data)| Owned::Snapshot(sid, seq, ts, payload, data)),
        (any::<u32>(), any::<u64>(), any::<u64>())
            .prop_map(|(sid, from, to)| Owned::Gap(sid, from, to)),
        (4_u8.., prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(kind, body)| {
            let mut record = vec![u8::try_from(16 + body.len()).expect("short"), 0, kind];
            record.extend_from_slice(&[0xff; 13]);
            record.extend_from_slice(&body);
            Owned::Later(record)
        }),
    ]
}

fn frame(records: &[Owned]) -> Vec<u8> {
    let mut frame = Vec::new();
    for record in records {
        encode(&mut frame, record);
    }
    frame
}

/// Where each record ends; 0 as well, for the empty frame.
fn record_ends(records: &[Owned]) -> impl Iterator<Item = usize> {
    (0..=records.len()).map(|count| frame(&records[..count]).len())
}

fn encode(out: &mut Vec<u8>, record: &Owned) {
    match record {
        Owned::Message(sid, seq, ts, payload, data) => {
            binary::message(out, *sid, *seq, *ts, *payload, data);
        }
        Owned::Snapshot(sid, seq, ts, payload, data) => {
            binary::snapshot(out, *sid, *seq, *ts, *payload, data);
        }
        Owned::Gap(sid, from, to) => binary::gap(out, *sid, *from, *to),
        Owned::Later(record) => out.extend_from_slice(record),
    }
}

fn borrowed(record: &Owned) -> Option<Record<'_>> {
    match *record {
        Owned::Message(sid, seq, ts_ns, payload, ref data) => {
            Some(Record::Message { sid, seq, ts_ns, payload, data })
        }
        Owned::Snapshot(sid, seq, ts_ns, payload, ref data) => {
            Some(Record::Snapshot { sid, seq, ts_ns, payload, data })
        }
        Owned::Gap(sid, from, to) => Some(Record::Gap { sid, from, to }),
        Owned::Later(_) => None,
    }
}
