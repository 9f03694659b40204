//! What is kept of the past, and for how long.

use corecast_hub::home::{HistoryError, StreamMemory};
use corecast_hub::limits::HISTORY_REPLY_MAX;
use corecast_hub::{Namespace, SnapshotKind, Wanted};

use crate::desk::{Desk, PANIC, past};

fn keep(entries: u32, bytes: usize, age_ms: u64) -> Namespace {
    Namespace {
        history_entries: entries,
        history_bytes: bytes,
        history_age_ms: age_ms,
        ..Namespace::default()
    }
}

/// Numbers of the messages told, and whether they are complete.
fn ask(desk: &mut Desk, name: &str, since: Option<u64>, limit: usize) -> (Vec<u64>, bool) {
    let history = desk.home.history(name, since, limit, desk.now).expect("a history");
    (history.messages.iter().map(|message| message.seq).collect(), history.complete)
}

#[test]
fn a_history_says_whether_something_is_missing() {
    let mut desk = Desk::new(keep(3, 1_000, 0));
    desk.attach("n.a", 0);
    assert_eq!(ask(&mut desk, "n.a", None, 9), (vec![], true));
    for data in ["1", "2", "3"] {
        desk.say("n.a", data);
    }
    assert_eq!(ask(&mut desk, "n.a", None, 9), (vec![1, 2, 3], true));
    assert_eq!(ask(&mut desk, "n.a", None, 2), (vec![2, 3], false));
    desk.say("n.a", "4");
    assert_eq!(ask(&mut desk, "n.a", None, 9), (vec![2, 3, 4], false));
    assert_eq!(ask(&mut desk, "n.a", Some(0), 9), (vec![2, 3, 4], false));
    assert_eq!(ask(&mut desk, "n.a", Some(1), 2), (vec![2, 3], true), "the rest by asking again");
    assert_eq!(ask(&mut desk, "n.a", Some(3), 2), (vec![4], true));
    assert_eq!(ask(&mut desk, "n.a", Some(4), 2), (vec![], true));
    assert_eq!(ask(&mut desk, "n.a", Some(u64::MAX), 2), (vec![], false), "not of this stream");
}

#[test]
fn an_answer_is_bounded() {
    let mut desk = Desk::new(keep(5_000, 1 << 24, 0));
    for _ in 0..HISTORY_REPLY_MAX + 10 {
        desk.say("n.a", "1");
    }
    let (all, complete) = ask(&mut desk, "n.a", Some(0), usize::MAX);
    assert_eq!((all.len(), all[0], complete), (HISTORY_REPLY_MAX, 1, true));
    let long = "x".repeat(600_000);
    desk.say("n.b", &long);
    desk.say("n.b", &long);
    assert_eq!(ask(&mut desk, "n.b", Some(0), 9), (vec![1], true), "two are above 1 MiB");
    assert_eq!(ask(&mut desk, "n.b", None, 9), (vec![2], false));
}

#[test]
fn a_history_of_nothing_is_an_error() {
    let mut desk = Desk::new(Namespace::default());
    desk.say("n.a", "1");
    let now = desk.now;
    let mut ask = |name| desk.home.history(name, None, 1, now).expect_err("none");
    assert_eq!(ask("n.a"), HistoryError::NotSupported);
    assert_eq!(ask("n.b"), HistoryError::Unknown);
    assert_eq!(ask("n.a@0ms"), HistoryError::Unknown);
}

#[test]
fn bytes_bound_messages_and_frames_are_the_first_to_go() {
    let mut desk = Desk::new(keep(100, 1_000, 0));
    desk.wanted = Wanted::ALL;
    for _ in 0..50 {
        desk.say("n.a", &"x".repeat(100));
        let StreamMemory { history_entries, history_bytes, .. } =
            desk.home.held_by("n.a").expect("a stream");
        assert!(history_bytes <= 1_000 && history_entries <= 10);
    }
    assert_eq!(desk.home.held_by("n.a").expect("a stream").history_entries, 10);
    let encodes = desk.home.totals().encodes;
    let back = desk.resume("n.a", 0, 40);
    assert!(back.resumed && back.missed.len() == 10, "all messages are there");
    assert!(desk.home.totals().encodes > encodes, "frames were made again");
    assert!(desk.home.held_by("n.a").expect("a stream").history_bytes <= 1_000);
    desk.say("n.a", &"x".repeat(1_001));
    assert_eq!(desk.home.held_by("n.a"), Some(StreamMemory::default()));
    assert_eq!(ask(&mut desk, "n.a", Some(50), 9), (vec![], false));
}

#[test]
fn what_is_too_old_is_not_told_and_not_kept() {
    let mut desk = Desk::new(keep(100, 1_000, 1_000));
    desk.say("n.a", "1");
    desk.pass_ms(600);
    desk.say("n.a", "2");
    desk.pass_ms(400);
    assert_eq!(ask(&mut desk, "n.a", None, 9).0, [1, 2]);
    desk.pass_ms(1);
    assert_eq!(ask(&mut desk, "n.a", None, 9).0, [2]);
    assert!(!desk.resume("n.a", 0, 0).resumed && desk.resume("n.a", 0, 1).resumed);
    // Nobody asks any more: it goes nevertheless.
    while let Some(due) = desk.home.next_tick() {
        desk.now.mono = due;
        desk.tick();
    }
    assert!(desk.now.mono.0 <= 5_000_000_000, "{:?}", desk.now.mono);
    assert_eq!(desk.home.held_by("n.a"), Some(StreamMemory::default()));
    desk.say("n.a", "3");
    assert!(desk.home.next_tick().is_some(), "the next one is watched, too");
}

#[test]
fn a_snapshot_without_the_messages_since_is_none() {
    let namespace = Namespace { snapshot: SnapshotKind::Published, ..keep(9, 1_000, 100) };
    let mut desk = Desk::new(namespace);
    desk.say_snapshot("n.a", "S0");
    desk.say("n.a", "1");
    assert!(desk.attach("n.a", 0).snapshot.is_some());
    desk.pass_ms(101);
    let late = desk.attach("n.a", 0);
    assert!(late.snapshot_follows && past(&late) == (None, vec![]));
}

#[test]
fn a_codec_that_panics_leaves_no_hole() {
    let mut desk = Desk::new(Namespace { snapshot: SnapshotKind::Last, ..keep(9, 1_000, 0) });
    desk.attach("n.a", 100);
    desk.say("n.a", "1");
    let publish = std::panic::AssertUnwindSafe(|| desk.say("n.a", PANIC));
    assert!(std::panic::catch_unwind(publish).is_err());
    assert!(desk.out.is_empty(), "nothing was said");
    assert_eq!(desk.say("n.a", "2"), 2, "it took no number");
    assert_eq!(ask(&mut desk, "n.a", None, 9), (vec![1, 2], true));
    assert_eq!(past(&desk.attach("n.a", 0)).0, Some("n.a 2 2".to_owned()));
    desk.pass_ms(100);
    desk.tick();
    assert_eq!(desk.messages(), ["n.a@100ms 1 [1,2]"]);
}
