//! Any text is an event that reads back from what it is written as, or an error; the direct
//! encoders write the same.

#![no_main]

use corecast_feed::Event;
use corecast_feed::json::{self, payload};
use corecast_feed::limits::Limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(event) = Event::parse(text) else { return };
    let written = event.to_json();
    assert_eq!(Event::parse(&written).ok().as_ref(), Some(&event), "{written}");

    let mut out = Vec::new();
    match &event {
        Event::Message(m) if m.encoding.is_none() => {
            let data = m.data.get();
            json::message(&mut out, &m.topic, m.seq, m.ts.0, data.as_bytes());
            let bounded = payload(data.as_bytes(), &Limits::default());
            assert!(bounded.is_err() || bounded.is_ok_and(|same| same == data));
        }
        Event::Snapshot(s) if s.encoding.is_none() => {
            json::snapshot(&mut out, &s.topic, s.seq, s.ts.0, s.data.get().as_bytes());
        }
        Event::Gap(g) => json::gap(&mut out, &g.topic, g.from, g.to, &g.reason),
        Event::Direct(d) if d.encoding.is_none() => {
            let user = d.from.user.as_deref();
            json::direct(&mut out, &d.from.client, user, d.ts.0, d.data.get().as_bytes());
        }
        _ => return,
    }
    assert_eq!(out, written.as_bytes());
});
