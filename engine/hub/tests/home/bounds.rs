//! What is refused, and that a refusal leaves nothing behind.

use std::sync::Arc;

use bytes::Bytes;
use corecast_hub::home::{AttachError, TopicsFull, UpdateError, check_interval};
use corecast_hub::limits::{
    EMISSIONS_PER_TICK_MAX, HELD_PATTERNS_MAX, INTERVAL_MAX_MS, KEY_BYTES_MAX, KEYED_BYTES_MAX,
    KEYS_MAX,
};
use corecast_hub::{Namespace, Namespaces, Pattern, SnapshotKind, Update, UpdateKind};

use crate::desk::{Desk, SHARDS, request, update};

#[test]
fn one_topic_too_many_is_an_error_and_evicts_none() {
    let few = Namespace { name: "few".into(), topics_max: 2, ..Namespace::default() };
    let mut desk = Desk::with(vec![few, Namespace::default()]);
    desk.say("few.a", "1");
    desk.say("few.b", "1");
    let full = TopicsFull::Namespace { topics_max: 2 };
    assert_eq!(desk.publish(&update("few.c", "1")), Err(UpdateError::Full(full)));
    let error = desk.try_attach(&request("few.c", 0)).expect_err("full");
    assert_eq!(error, AttachError::Full(full));
    let sid = desk.attach("few.b", 0).sid;
    desk.say("a", "1");
    assert_eq!(desk.attach("a", 0).sid, sid + u32::from(SHARDS), "a refusal uses no number up");
    for topic in ["a", "b", "c", "d"] {
        desk.say(topic, "1");
    }
    let full = TopicsFull::Home { topics_max: 6 };
    assert_eq!(desk.publish(&update("e", "1")), Err(UpdateError::Full(full)));
    assert_eq!(desk.say("few.a", "2"), 2, "those that are there go on");
    assert_eq!((desk.home.totals().topics, desk.home.totals().refused), (6, 2));
}

#[test]
fn what_cannot_be_published_says_why_and_makes_no_topic() {
    let namespace = Namespace { message_bytes_max: 10, ..Namespace::default() };
    let mut desk = Desk::new(namespace);
    let long_key = Some(Bytes::from(vec![b'k'; 8]));
    let kind = UpdateKind::Snapshot;
    for (update, error) in [
        (update("other.a", "1"), "unknown topic"),
        (update("n..a", "1"), "empty token"),
        (update("n.*", "1"), "wildcards"),
        (update("n.a@100ms", "1"), "publish to the topic itself"),
        (update("n.a@0s", "1"), "publish to the topic itself"),
        (update(&format!("n.{}", "x".repeat(39)), "1"), "at most 40 bytes"),
        (update("n.a", "12345678901"), "at most 10 bytes here, this one 11"),
        (Update { key: long_key, ..update("n.a", "123") }, "at most 10 bytes here, this one 11"),
        (Update { kind, ..update("n.a", "1") }, "takes no snapshots"),
    ] {
        let said = desk.publish(&update).expect_err(error).to_string();
        assert!(said.contains(error), "{said}");
        assert!(desk.out.is_empty());
    }
    assert_eq!(desk.home.totals().topics, 0);
    assert_eq!(desk.say("n.a", "1234567890"), 1);
    assert!(desk.publish(&update("n.a", "12345678901")).is_err());
    assert_eq!(desk.say("n.a", "1"), 2, "a refusal takes no number");
}

#[test]
fn other_namespaces_are_for_topics_made_later() {
    let open = Namespace { name: "n".into(), ..Namespace::default() };
    let mut desk = Desk::new(open.clone());
    desk.say("n.a", "123");
    let tight = Namespace { message_bytes_max: 2, ..open };
    let namespaces = Namespaces::new(vec![tight]).expect("namespaces");
    desk.home.set_namespaces(Arc::new(namespaces));
    assert_eq!(desk.say("n.a", "123"), 2);
    let error = UpdateError::TooLarge { bytes: 3, bytes_max: 2 };
    assert_eq!(desk.publish(&update("n.b", "123")), Err(error));
    desk.home.set_namespaces(Arc::new(Namespaces::default()));
    assert_eq!(desk.publish(&update("n.b", "1")), Err(UpdateError::Unknown));
    assert_eq!(desk.say("n.a", "123"), 3, "a topic that is there stays");
}

#[test]
fn a_key_is_bounded() {
    let mut desk = Desk::new(Namespace::default());
    let key = |bytes: usize| Some(Bytes::from(vec![b'k'; bytes]));
    let fits = Update { key: key(KEY_BYTES_MAX), ..update("n.a", "1") };
    assert_eq!(desk.publish(&fits), Ok(1));
    let bytes = KEY_BYTES_MAX + 1;
    let long = Update { key: key(bytes), ..update("n.a", "1") };
    assert_eq!(desk.publish(&long), Err(UpdateError::KeyTooLong { bytes }));
}

#[test]
fn keys_of_a_snapshot_are_bounded_in_count_and_bytes() {
    let snapshot = SnapshotKind::Keys;
    let mut desk = Desk::new(Namespace { snapshot, ..Namespace::default() });
    for key in 0..KEYS_MAX {
        desk.say_key("n.a", &key.to_string(), "1");
    }
    let one_more = Update { key: Some("x".into()), ..update("n.a", "1") };
    assert_eq!(desk.publish(&one_more), Err(UpdateError::KeysFull));
    assert_eq!(desk.say_key("n.a", "7", "2"), KEYS_MAX as u64 + 1, "a known key goes on");
    let memory = desk.home.held_by("n.a").expect("a stream");
    assert_eq!(memory.keys, KEYS_MAX);
    let long = "x".repeat(1 << 20);
    for key in 0..15 {
        desk.say_key("n.b", &key.to_string(), &long[..(1 << 20) - 2]);
    }
    desk.say_key("n.b", "15", "1");
    assert_eq!(desk.home.held_by("n.b").expect("a stream").keys, 16);
    let too_long = Update { key: Some("15".into()), ..update("n.b", &long[..(1 << 20) - 2]) };
    assert!(desk.publish(&too_long).is_ok());
    let too_many = Update { key: Some("16".into()), ..update("n.b", &long[..100]) };
    assert_eq!(desk.publish(&too_many), Err(UpdateError::KeysFull));
    assert!(desk.home.held_by("n.b").expect("a stream").keyed_bytes <= KEYED_BYTES_MAX);
}

#[test]
fn intervals_out_of_bounds_are_refused_with_the_smallest_allowed() {
    let namespace = Namespace { interval_min_ms: 50, variants_max: 2, ..Namespace::default() };
    let mut desk = Desk::new(namespace.clone());
    for interval_ms in [1, 49, INTERVAL_MAX_MS + 1, u32::MAX] {
        let error = AttachError::NotAllowed { interval_ms, interval_min_ms: 50 };
        assert_eq!(check_interval(&namespace, interval_ms), Err(error.clone()));
        assert_eq!(desk.try_attach(&request("n.a", interval_ms)).expect_err("no"), error);
    }
    assert_eq!(desk.home.totals().topics, 0, "a refusal makes no topic");
    desk.attach("n.a", 50);
    desk.attach("n.a", INTERVAL_MAX_MS);
    desk.attach("n.a", 50);
    let error = desk.try_attach(&request("n.a", 60)).expect_err("full");
    assert_eq!(error, AttachError::VariantsFull { variants_max: 2 });
    assert_eq!(desk.home.totals().variants, 2);
    let sid = desk.attach("n.b", 0).sid;
    assert_eq!(sid, desk.attach("n.a", 50).sid + 6, "a refusal takes no stream number");
    // The name with its end must be a name that every hub takes.
    let long = format!("n.{}", "x".repeat(34));
    assert!(matches!(desk.try_attach(&request(&long, 100)), Err(AttachError::Topic(_))));
    desk.attach(&long, 0);
}

#[test]
fn patterns_held_are_bounded() {
    let mut desk = Desk::new(Namespace::default());
    let pattern = |n: usize| format!("n.{n}").parse::<Pattern>().expect("a pattern");
    for n in 0..HELD_PATTERNS_MAX {
        desk.home.hold_pattern(&pattern(n), 100).expect("room");
    }
    let one_more = pattern(HELD_PATTERNS_MAX);
    assert_eq!(desk.home.hold_pattern(&one_more, 100), Err(AttachError::PatternsFull));
    assert_eq!(desk.home.hold_pattern(&pattern(7), 100), Ok(()), "one more of the same");
    assert_eq!(desk.home.hold_pattern(&one_more, 0), Ok(()), "needs no holding");
    desk.home.drop_pattern(&pattern(8), 100);
    assert_eq!(desk.home.hold_pattern(&one_more, 100), Ok(()));
}

#[test]
fn a_tick_of_many_topics_is_cut_and_loses_nothing() {
    let topics = 2 * EMISSIONS_PER_TICK_MAX + 300;
    let (stale_after_ms, variants_max) = (100, 256);
    let mut desk = Desk::roomy(Namespace { stale_after_ms, variants_max, ..Namespace::default() });
    desk.attach("n.0", 250);
    for interval_ms in 1_000..1_255 {
        desk.attach("n.0", interval_ms);
    }
    for topic in 0..topics {
        let name = format!("n.{topic}");
        if topic > 0 {
            desk.attach(&name, 250);
        }
        desk.say(&name, "1");
    }
    desk.pass_ms(250);
    let (mut messages, mut stale, mut ticks) = (Vec::new(), 0, 0);
    while desk.home.next_tick().is_some_and(|due| due <= desk.now.mono) {
        desk.tick();
        assert!(desk.out.len() <= EMISSIONS_PER_TICK_MAX, "{} at once", desk.out.len());
        messages.extend(desk.messages().into_iter().filter(|said| said.contains("@250ms")));
        stale += desk.notices().len();
        ticks += 1;
        assert!(ticks <= 20, "each does as much as it may");
    }
    messages.sort_unstable();
    let mut expected: Vec<_> = (0..topics).map(|topic| format!("n.{topic}@250ms 1 [1]")).collect();
    expected.sort_unstable();
    assert!(messages == expected, "{} of {topics}", messages.len());
    assert_eq!((stale, ticks > 6), (2 * topics + 255, true), "each, and each variant, once");
}

#[test]
fn chores_that_say_nothing_are_cut_too() {
    let topics = EMISSIONS_PER_TICK_MAX + 5;
    let (history_entries, history_age_ms) = (4, 1_000);
    let namespace = Namespace { history_entries, history_age_ms, ..Namespace::default() };
    let mut desk = Desk::roomy(namespace);
    for topic in 0..topics {
        desk.say(&format!("n.{topic}"), "1");
    }
    desk.pass_ms(60_000);
    for left in [5, 0] {
        desk.tick();
        let held = (0..topics).filter_map(|topic| desk.home.held_by(&format!("n.{topic}")));
        assert_eq!(held.filter(|memory| memory.history_entries > 0).count(), left);
        assert_eq!(desk.home.next_tick().is_some(), left > 0);
    }
}
