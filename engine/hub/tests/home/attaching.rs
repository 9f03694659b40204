//! What those who join are told, and those who come back.

use corecast_hub::home::{AttachError, AttachRequest};
use corecast_hub::{Encoding, Namespace, Policy, SnapshotKind, Update, Wanted};

use crate::desk::{Desk, EPOCH, MISSED_MAX, SHARD, SHARDS, past, request, told, update};

fn with_history(snapshot: SnapshotKind) -> Namespace {
    Namespace { snapshot, history_entries: 3, ..Namespace::default() }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_snapshot_is_the_last_message_and_follows_it() {
    let mut desk = Desk::new(Namespace { snapshot: SnapshotKind::Last, ..Namespace::default() });
    let before = desk.attach("n.a", 0);
    assert_eq!((before.seq, past(&before)), (0, (None, vec![])));
    desk.say("n.a", "1");
    desk.say("n.a", "2");
    let after = desk.attach("n.a", 0);
    assert_eq!((after.seq, past(&after)), (2, (some("n.a 2 2"), vec![])));
    desk.say("n.a", "3");
    assert_eq!(past(&desk.attach("n.a", 0)).0, some("n.a 3 3"));
}

#[test]
fn who_missed_more_than_its_outbox_holds_starts_anew() {
    let history = Namespace { history_entries: 5_000, ..Namespace::default() };
    let mut desk = Desk::new(Namespace { snapshot: SnapshotKind::Last, ..history });
    for number in 1..=MISSED_MAX + 10 {
        desk.say("n.a", &number.to_string());
    }
    let seq = (MISSED_MAX + 10) as u64;
    for (since, resumed) in [(seq - MISSED_MAX as u64, true), (9, false), (0, false)] {
        let attachment = desk.resume("n.a", 0, since);
        assert_eq!((attachment.resumed, attachment.seq), (resumed, seq), "since {since}");
        let expected = if resumed { MISSED_MAX } else { 0 };
        assert_eq!(attachment.missed.len(), expected);
        assert_eq!(attachment.snapshot.is_some(), !resumed);
    }
}

#[test]
fn a_snapshot_of_keys_has_the_newest_of_each() {
    let mut desk = Desk::new(Namespace { snapshot: SnapshotKind::Keys, ..Namespace::default() });
    for (key, data) in [("b", "1"), ("a", "2"), ("", "3"), ("b", "4")] {
        desk.say_key("n.a", key, data);
    }
    assert_eq!(past(&desk.attach("n.a", 0)), (some("n.a 4 [3,2,4]"), vec![]));
}

#[test]
fn a_published_snapshot_comes_with_the_messages_since() {
    let mut desk = Desk::new(with_history(SnapshotKind::Published));
    desk.say("n.a", "1");
    assert_eq!(desk.say_snapshot("n.a", "S1"), 1, "a snapshot takes no number");
    assert_eq!(desk.snapshots(), ["n.a 1 S1"], "nobody can have had one");
    desk.say_snapshot("n.a", "S1");
    assert!(desk.snapshots().is_empty(), "nobody has waited for it");
    desk.say("n.a", "2");
    desk.say("n.a", "3");
    let attachment = desk.attach("n.a", 0);
    let missed = vec!["n.a 2 2".to_owned(), "n.a 3 3".to_owned()];
    assert_eq!((attachment.seq, past(&attachment)), (3, (some("n.a 1 S1"), missed)));
    assert!(!attachment.resumed && !attachment.snapshot_follows);
}

#[test]
fn who_got_no_snapshot_gets_the_next_and_it_is_told_once() {
    let mut desk = Desk::new(with_history(SnapshotKind::Published));
    desk.wanted = Wanted::ALL;
    desk.say_snapshot("n.a", "S0");
    for data in ["1", "2", "3", "4"] {
        desk.say("n.a", data);
    }
    let attachment = desk.attach("n.a", 0);
    assert_eq!((attachment.seq, past(&attachment)), (4, (None, vec![])), "its history was cut");
    assert!(attachment.snapshot_follows);
    desk.say_snapshot("n.a", "S4");
    assert_eq!(desk.snapshots(), ["n.a 4 S4"]);
    assert!(desk.out[0].frames.get(Encoding::Raw).is_none(), "raw is messages alone");
    assert!(desk.out[0].frames.get(Encoding::Binary).is_some());
    desk.say_snapshot("n.a", "S4b");
    assert!(desk.snapshots().is_empty());
}

#[test]
fn raw_is_not_promised_a_snapshot_that_never_comes() {
    let mut desk = Desk::new(with_history(SnapshotKind::Published));
    desk.wanted = Wanted::ALL;
    desk.say("n.a", "1");
    for (encoding, follows) in [(Encoding::Raw, false), (Encoding::Json, true)] {
        let wish = AttachRequest { encoding, ..request("n.a", 0) };
        let attachment = desk.try_attach(&wish).expect("attached");
        assert_eq!(attachment.snapshot_follows, follows, "{encoding:?}");
        desk.say_snapshot("n.a", "S1");
        assert!(desk.out[0].frames.get(Encoding::Raw).is_none());
        let attachment = desk.try_attach(&wish).expect("attached");
        assert!(attachment.snapshot.is_some(), "the attach has one in every encoding");
        for data in ["2", "3", "4", "5"] {
            desk.say("n.a", data);
        }
    }
}

#[test]
fn who_is_there_before_the_publisher_gets_its_first_snapshot() {
    let mut desk = Desk::new(with_history(SnapshotKind::Published));
    let early = desk.attach("n.a", 0);
    assert!(early.snapshot.is_none() && !early.snapshot_follows && early.seq == 0);
    desk.say_snapshot("n.a", "S0");
    assert_eq!(desk.snapshots(), ["n.a 0 S0"]);
    // Nor does one who comes back from before the first message have it.
    let back = desk.resume("n.a", 0, 0);
    assert_eq!((back.resumed, past(&back).0), (false, some("n.a 0 S0")));
}

#[test]
fn who_has_a_book_by_a_pattern_is_not_left_without_its_first_snapshot() {
    let mut desk = Desk::new(with_history(SnapshotKind::Published));
    desk.wanted = Wanted::ALL;
    desk.home.hold_pattern(&"n.*".parse().expect("a pattern"), 100).expect("held");
    desk.say_snapshot("n.a", "S0");
    assert_eq!(desk.snapshots(), ["n.a 0 S0", "n.a@100ms 0 S0"]);
    assert!(desk.out.iter().all(|emission| emission.frames.get(Encoding::Raw).is_none()));
    desk.say_snapshot("n.a", "S0b");
    assert!(desk.out.is_empty(), "all have one");
    // Who left after the first message has no state, though it attached to nothing.
    desk.say("n.b", "1");
    desk.say_snapshot("n.b", "S1");
    desk.say("n.b", "2");
    let back = desk.resume("n.b", 0, 1);
    assert_eq!((back.resumed, past(&back).0), (false, some("n.b 1 S1")));
    // A variant that is made with the topic's state has one.
    desk.attach("n.b", 50);
    desk.say_snapshot("n.b", "S2");
    assert!(desk.snapshots().is_empty());
}

#[test]
fn who_comes_back_gets_what_was_missed_and_no_more() {
    let mut desk = Desk::new(with_history(SnapshotKind::Last));
    for data in ["1", "2", "3", "4"] {
        desk.say("n.a", data);
    }
    let back = desk.resume("n.a", 0, 2);
    assert!(back.resumed);
    assert_eq!(past(&back), (None, vec!["n.a 3 3".to_owned(), "n.a 4 4".to_owned()]));
    let nothing_missed = desk.resume("n.a", 0, 4);
    assert_eq!((nothing_missed.resumed, past(&nothing_missed)), (true, (None, vec![])));
    for seq in [0, 5, u64::MAX] {
        let back = desk.resume("n.a", 0, seq);
        assert!(!back.resumed, "{seq} is not in the history");
        assert_eq!(past(&back), (some("n.a 4 4"), vec![]));
    }
}

#[test]
fn numbers_of_another_epoch_resume_nothing() {
    let mut desk = Desk::new(with_history(SnapshotKind::Last));
    desk.say("n.a", "1");
    let resume = Some((EPOCH + 1, 1));
    let back = desk.try_attach(&AttachRequest { resume, ..request("n.a", 0) }).expect("attached");
    assert_eq!((back.resumed, past(&back)), (false, (some("n.a 1 1"), vec![])));
}

#[test]
fn a_resync_gets_the_state_whatever_it_has() {
    let mut desk = Desk::new(with_history(SnapshotKind::Published));
    desk.say_snapshot("n.a", "S0");
    desk.say("n.a", "1");
    let resync = AttachRequest::resync("n.a", 0, Encoding::Json);
    let resync = AttachRequest { resume: Some((EPOCH, 1)), ..resync };
    let fresh = desk.try_attach(&resync).expect("attached");
    assert_eq!(past(&fresh), (some("n.a 0 S0"), vec!["n.a 1 1".to_owned()]));
    let mut desk = Desk::new(with_history(SnapshotKind::None));
    desk.say("n.a", "1");
    let fresh = desk.try_attach(&resync).expect("attached");
    assert_eq!((fresh.seq, past(&fresh)), (1, (None, vec![])));
}

#[test]
fn latest_by_key_is_never_resumed() {
    let namespace = with_history(SnapshotKind::Keys);
    let mut desk = Desk::new(Namespace { policy: Policy::LatestByKey, ..namespace });
    desk.say_key("n.a", "x", "1");
    desk.say_key("n.a", "y", "2");
    let back = desk.resume("n.a", 0, 1);
    assert_eq!((back.resumed, past(&back)), (false, (some("n.a 2 [1,2]"), vec![])));
}

#[test]
fn only_open_namespaces_get_topics_by_subscribing() {
    let closed = Namespace { name: "closed".into(), open: false, ..Namespace::default() };
    let open = Namespace { name: "open".into(), ..Namespace::default() };
    let mut desk = Desk::with(vec![open, closed]);
    assert_eq!(desk.attach("open.a", 0).seq, 0);
    let create = AttachRequest { create: false, ..request("open.b", 0) };
    for request in [create, request("closed.a", 0), request("other.a", 0)] {
        assert_eq!(desk.try_attach(&request).expect_err("none"), AttachError::Unknown);
    }
    desk.say("closed.a", "1");
    assert_eq!(desk.attach("closed.a", 0).seq, 1);
    assert_eq!(desk.home.totals().topics, 2, "a refusal makes no topic");
    let error = desk.try_attach(&request("open.a@100ms", 0)).expect_err("a variant's name");
    assert_eq!(error, AttachError::VariantAsTopic);
    assert!(matches!(desk.try_attach(&request("open.*", 0)), Err(AttachError::Topic(_))));
}

#[test]
fn one_encode_serves_all_who_ask_for_it() {
    let mut desk = Desk::new(with_history(SnapshotKind::Last));
    desk.wanted = Wanted::NONE;
    desk.say("n.a", "1");
    desk.say("n.a", "2");
    assert_eq!(desk.home.totals().encodes, 0, "nobody listens");
    assert!(desk.out[0].frames.bytes() == 0 && desk.out[0].seq == 2);
    for _ in 0..5 {
        desk.resume("n.a", 0, 0);
        desk.attach("n.a", 0);
    }
    let totals = desk.home.totals();
    assert_eq!((totals.encodes, totals.snapshots_encoded), (2, 1));
    let binary = AttachRequest { encoding: Encoding::Binary, ..request("n.a", 0) };
    desk.try_attach(&binary).expect("attached");
    assert_eq!(desk.home.totals().snapshots_encoded, 2);
    desk.wanted = Wanted::ALL;
    desk.say("n.a", "3");
    desk.resume("n.a", 0, 2);
    let totals = desk.home.totals();
    assert_eq!((totals.encodes, totals.snapshots_encoded), (5, 2));
    assert_eq!((totals.attaches, totals.resumed), (12, 6));
}

#[test]
fn binary_subscribers_get_the_other_payload() {
    let mut desk = Desk::new(with_history(SnapshotKind::Last));
    let binary = Some("b".into());
    desk.publish(&Update { binary, ts: Some(9), ..update("n.a", "j") }).expect("taken");
    let wish = AttachRequest { encoding: Encoding::Binary, ..request("n.a", 0) };
    let attachment = desk.try_attach(&wish).expect("attached");
    assert_eq!(told(&attachment.snapshot.expect("a snapshot")).data, "b");
}

#[test]
fn stream_numbers_of_two_homes_never_meet() {
    let mut desk = Desk::new(Namespace::default());
    let sids = ["n.a", "n.b", "n.c"].map(|topic| desk.attach(topic, 0).sid);
    let offset = u32::from(SHARD) + 1;
    let shards = u32::from(SHARDS);
    assert_eq!(sids, [offset, shards + offset, 2 * shards + offset]);
    assert_eq!(desk.attach("n.a", 100).sid, 3 * shards + offset);
    assert_eq!(desk.attach("n.a", 0).sid, sids[0]);
}
