use corecast_feed::json::{self, HistoryHead};
use corecast_feed::limits::{Limits, MESSAGE_BYTES_MAX};
use corecast_feed::{Command, Event, parse_command};

use crate::{files, value};

#[test]
fn commands_are_read_and_written_byte_by_byte() {
    for (name, text) in files("json/commands", 15) {
        let command = parse_command(&text, &Limits::default());
        let command = command.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(command.to_json(), text, "{name}");
        assert_eq!(value(&text)["type"], command.name(), "{name}");
        let id = command.id().map(|id| value(id.get())).unwrap_or_default();
        assert_eq!(value(&text)["id"], id, "{name}");
    }
}

#[test]
fn events_are_read_and_written_byte_by_byte() {
    for (name, text) in files("json/events", 35) {
        let event = Event::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(event.to_json(), text, "{name}");
        let mut out = b"before".to_vec();
        event.write(&mut out);
        assert_eq!(out, [b"before", text.as_bytes()].concat(), "{name}");
    }
}

#[test]
fn the_direct_encoders_write_the_golden_events() {
    let mut written = 0;
    for (name, text) in files("json/events", 35) {
        let event = Event::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Some(out) = directly(&event) {
            assert_eq!(String::from_utf8_lossy(&out), text, "{name}");
            written += 1;
        }
    }
    assert!(written >= 12, "only {written} events have an encoder of their own");
}

fn directly(event: &Event<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match event {
        Event::Message(m) => {
            let encode = if m.encoding.is_some() { json::message_base64 } else { json::message };
            encode(&mut out, &m.topic, m.seq, m.ts.0, &m.bytes().expect("data"));
        }
        Event::Snapshot(s) => {
            let encode = if s.encoding.is_some() { json::snapshot_base64 } else { json::snapshot };
            encode(&mut out, &s.topic, s.seq, s.ts.0, &s.bytes().expect("data"));
        }
        Event::Direct(d) => {
            let encode = if d.encoding.is_some() { json::direct_base64 } else { json::direct };
            let (client, user) = (&d.from.client, d.from.user.as_deref());
            encode(&mut out, client, user, d.ts.0, &d.bytes().expect("data"));
        }
        Event::Gap(g) => json::gap(&mut out, &g.topic, g.from, g.to, &g.reason),
        Event::History(h) => {
            let head = HistoryHead {
                id: h.id.as_ref(),
                topic: &h.topic,
                epoch: &h.epoch,
                seq: h.seq,
                complete: h.complete,
                base64: h.messages.iter().any(|past| past.encoding.is_some()),
            };
            let messages = h.messages.iter().map(|past| (past, past.bytes().expect("data")));
            let messages = Vec::from_iter(messages);
            let messages = messages.iter().map(|(past, data)| (past.seq, past.ts.0, &**data));
            json::history(&mut out, &head, messages);
        }
        _ => return None,
    }
    Some(out)
}

#[test]
fn refused_commands_name_code_field_and_id() {
    for (name, text) in files("json/refused", 60) {
        let case = value(&text);
        let text = case["text"].as_str().expect("a text");
        let Err(error) = parse_command(text, &Limits::default()) else {
            panic!("{name} was taken");
        };
        assert_eq!(error.code.code(), case["code"], "{name}: {error}");
        assert_eq!(error.field.as_deref(), case["field"].as_str(), "{name}: {error}");
        let id = error.id.as_ref().map(|id| value(id.get())).unwrap_or_default();
        assert_eq!(id, case["id"], "{name}: {error}");
        assert!(error.message.len() <= 300, "{name}: {error}");
        if let Some(field) = &error.field {
            assert!(error.message.contains(&**field), "{name}: {error}");
        }

        // What goes to the client says the same.
        let answer = Event::Error(error.to_event()).to_json();
        let answer = value(&answer);
        assert_eq!([&answer["code"], &answer["id"]], [&case["code"], &case["id"]], "{name}");
        assert_eq!(answer["field"], case["field"], "{name}");
        assert_eq!(answer["retry"], false, "{name}");
    }
}

#[test]
fn a_command_at_the_limit_is_read_and_one_byte_more_is_not() {
    let mut text = r#"{"type":"ping","id":13,"x":""#.to_owned();
    text.extend(std::iter::repeat_n('x', MESSAGE_BYTES_MAX - text.len() - 2));
    text.push_str("\"}");
    assert!(matches!(parse_command(&text, &Limits::default()), Ok(Command::Ping(_))));
    text.push(' ');
    let error = parse_command(&text, &Limits::default()).expect_err("too long");
    assert_eq!((error.code.code(), error.id), (413, None));
}

#[test]
fn of_a_doubled_field_the_last_one_counts() {
    let text = r#"{"type":5,"id":[],"topic":"a","topic":"b","type":"presence","id":1}"#;
    let command = parse_command(text, &Limits::default()).expect("the last ones are right");
    assert_eq!(command.to_json(), r#"{"type":"presence","id":1,"topic":"b"}"#);
    let text = r#"{"type":"subscribe","topics":["a"],"resume":{"epoch":"1","seq":{"a":1,"a":2}}}"#;
    let command = parse_command(text, &Limits::default()).expect("a subscribe");
    assert!(command.to_json().ends_with(r#""seq":{"a":2}}}"#));
}

#[test]
fn unknown_fields_and_null_are_ignored() {
    let text = r#"{"later":{"x":[1]},"type":"history","topic":"a","since":null,"limit":null}"#;
    let command = parse_command(text, &Limits::default()).expect("a history");
    assert_eq!(command.to_json(), r#"{"type":"history","topic":"a"}"#);
    let text = r#"{"type":"publish","topic":"a","data":null,"key":null,"echo":null}"#;
    let command = parse_command(text, &Limits::default()).expect("a publish");
    assert_eq!(command.to_json(), r#"{"type":"publish","topic":"a","data":null}"#);
    let event = Event::parse(r#"{"later":1,"type":"pong"}"#).expect("a pong");
    assert_eq!(event.to_json(), r#"{"type":"pong"}"#);
}

#[test]
fn escaped_names_and_values_are_understood() {
    let text = r#"{"\u0074ype":"\u0070ing","id":"\u00e9\ud83d\ude00"}"#;
    let command = parse_command(text, &Limits::default()).expect("a ping");
    assert_eq!(command.to_json(), r#"{"type":"ping","id":"\u00e9\ud83d\ude00"}"#);
    let text = r#"{"type":"presence","topic":"a\/b"}"#;
    let command = parse_command(text, &Limits::default()).expect("a presence");
    assert_eq!(command.to_json(), r#"{"type":"presence","topic":"a/b"}"#);
}
