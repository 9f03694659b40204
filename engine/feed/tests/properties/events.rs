use corecast_feed::event::{Direct, Error, Gap, History, Member, Message, Past, Snapshot};
use corecast_feed::json::{self, HistoryHead};
use corecast_feed::limits::{DEPTH_MAX, Limits};
use corecast_feed::value::{DataEncoding, Nanos};
use corecast_feed::{ErrorCode, Event, RawJson};
use proptest::option;
use proptest::prelude::*;

use crate::{bytes, json, text, topic};

proptest! {
    #[test]
    fn streams_are_written_as_serde_would(
        topic in prop_oneof![topic(), text()],
        seq: u64,
        ts_ns: i64,
        data in json(),
    ) {
        let fields = (topic.as_str(), seq, Nanos(ts_ns));
        let raw = RawJson::parse(&data).expect("JSON");
        let mut out = Vec::new();
        json::message(&mut out, &topic, seq, ts_ns, data.as_bytes());
        is_written_as(&out, &Event::Message(message(fields, raw.clone(), None)))?;

        out.clear();
        json::snapshot(&mut out, &topic, seq, ts_ns, data.as_bytes());
        let Message { topic, data, ts, .. } = message(fields, raw, None);
        is_written_as(&out, &Event::Snapshot(Snapshot { topic, seq, ts, data, encoding: None }))?;
    }

    #[test]
    fn bytes_are_written_as_serde_would_and_come_back(
        topic in topic(),
        seq: u64,
        ts_ns: i64,
        data in bytes(),
    ) {
        let mut out = Vec::new();
        json::message_base64(&mut out, &topic, seq, ts_ns, &data);
        let event = read(&out);
        is_written_as(&out, &event)?;
        let Event::Message(message) = event else { panic!("a message") };
        prop_assert_eq!(message.encoding, Some(DataEncoding::Base64));
        prop_assert_eq!(&*message.bytes().expect("base64"), &*data);
        prop_assert_eq!((&*message.topic, message.seq, message.ts.0), (&*topic, seq, ts_ns));
    }

    #[test]
    fn gaps_directs_and_errors_escape_what_people_wrote(
        topic in topic(),
        from: u64,
        to: u64,
        name in text(),
        user in option::of(text()),
        ts_ns: i64,
        data in json(),
    ) {
        let mut out = Vec::new();
        json::gap(&mut out, &topic, from, to, &name);
        let gap = Gap { topic: topic.as_str().into(), from, to, reason: name.as_str().into() };
        is_written_as(&out, &Event::Gap(gap))?;

        out.clear();
        json::direct(&mut out, &name, user.as_deref(), ts_ns, data.as_bytes());
        let (client, user) = (name.as_str().into(), user.as_deref().map(Into::into));
        let data = RawJson::parse(&data).expect("JSON");
        let from = Member { client, user };
        let direct = Direct { from, ts: Nanos(ts_ns), data, encoding: None };
        is_written_as(&out, &Event::Direct(direct))?;

        let error = Event::Error(Error::new(ErrorCode::TooMany, name.as_str()));
        let written = error.to_json();
        prop_assert_eq!(Event::parse(&written).expect("an error"), error);
    }

    #[test]
    fn history_is_written_as_serde_would(
        topic in topic(),
        seq: u64,
        complete: bool,
        payloads in prop::collection::vec((any::<u64>(), any::<i64>(), json()), 0..5),
    ) {
        let past = payloads.iter().map(|(seq, ts_ns, data)| {
            let data = RawJson::parse(data).expect("JSON");
            Past { seq: *seq, ts: Nanos(*ts_ns), data, encoding: None }
        });
        let event = Event::History(History {
            id: Some(7.into()),
            topic: topic.as_str().into(),
            epoch: "9f2c".into(),
            seq,
            messages: Vec::from_iter(past),
            complete,
        });
        let (id, epoch) = (7.into(), "9f2c");
        let id = Some(&id);
        let head = HistoryHead { id, topic: &topic, epoch, seq, complete, base64: false };
        let messages = payloads.iter().map(|(seq, ts_ns, data)| (*seq, *ts_ns, data.as_bytes()));
        let mut out = Vec::new();
        json::history(&mut out, &head, messages);
        is_written_as(&out, &event)?;
    }

    #[test]
    fn any_text_is_an_event_or_an_error(text in prop_oneof![text(), json()]) {
        if let Ok(event) = Event::parse(&text) {
            let written = event.to_json();
            prop_assert_eq!(Event::parse(&written).expect("it was one"), event);
        }
    }

    #[test]
    fn payloads_are_json_of_bounded_depth(
        data in json(),
        depth in 1..200_usize,
        space in "[ \n\t\r]{0,3}",
    ) {
        let limits = Limits::default();
        let spaced = format!("{space}{data}{space}");
        prop_assert_eq!(json::payload(spaced.as_bytes(), &limits).expect("JSON"), &data);
        // Brackets in strings do not count, nor do those that are closed.
        let odd = r#"{"[{\"[":[],"x":"]"},"#;
        let deep = format!("{}{odd}{data}{}", "[".repeat(depth), "]".repeat(depth));
        let fits = json::payload(deep.as_bytes(), &limits).is_ok();
        // `odd` is two deep, and no generated value more than six.
        prop_assert!(!fits || depth + 2 <= DEPTH_MAX, "{deep}");
        prop_assert!(fits || depth + 6 > DEPTH_MAX, "{deep}");
    }
}

#[test]
fn what_is_no_payload_is_refused() {
    for data in [&b"\xff"[..], b"", b"{", b"1 2", b"\"\xc3\"", b"nul", b"{\"a\":}"] {
        let error = json::payload(data, &Limits::default()).expect_err("not JSON");
        assert!(matches!(error, json::DataError::Json(_)), "{error}");
    }
    for data in ["5", "\"a\"", "\"====\"", "\"AA=\""] {
        let data = RawJson::parse(data).expect("JSON");
        assert!(json::data_bytes(&data, Some(DataEncoding::Base64)).is_err());
    }
    let escaped = RawJson::parse(r#""AAECA\/8=""#).expect("JSON");
    let bytes = json::data_bytes(&escaped, Some(DataEncoding::Base64)).expect("base64");
    assert_eq!(*bytes, [0, 1, 2, 3, 255]);
}

fn message<'a>(
    (topic, seq, ts): (&'a str, u64, Nanos),
    data: RawJson<'a>,
    encoding: Option<DataEncoding>,
) -> Message<'a> {
    Message { topic: topic.into(), seq, ts, data, encoding }
}

fn is_written_as(out: &[u8], event: &Event<'_>) -> Result<(), TestCaseError> {
    prop_assert_eq!(String::from_utf8_lossy(out), event.to_json());
    prop_assert_eq!(&read(out), event);
    Ok(())
}

fn read(out: &[u8]) -> Event<'_> {
    let text = std::str::from_utf8(out).expect("UTF-8");
    Event::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}
