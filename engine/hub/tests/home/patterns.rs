//! Patterns: which topics match now, and the variants of those that come later.

use corecast_hub::home::{Attachment, PatternRequest};
use corecast_hub::{Encoding, Namespace, Pattern, Payload, SnapshotKind};

use crate::desk::{Desk, past};

fn attach_all(
    desk: &mut Desk,
    text: &str,
    interval_ms: u32,
    limit: usize,
) -> (Vec<Attachment>, bool) {
    let pattern: Pattern = text.parse().expect("a pattern");
    let encoding = Encoding::Json;
    let request = PatternRequest { pattern: &pattern, interval_ms, encoding, shard: 2, limit };
    desk.out.clear();
    desk.home.attach_matching(&request, desk.wanted, desk.now, &mut desk.out)
}

fn names(desk: &mut Desk, text: &str) -> Vec<String> {
    let (attachments, cut) = attach_all(desk, text, 0, 9);
    assert!(!cut);
    attachments.iter().map(|attachment| attachment.name.to_string()).collect()
}

#[test]
fn a_pattern_finds_all_that_match_in_order() {
    let mut desk = Desk::with(vec![Namespace::default()]);
    for topic in ["q.b", "q.a", "q.a.x", "qq.a", "p.a"] {
        desk.say(topic, "1");
    }
    assert_eq!(names(&mut desk, "q.*"), ["q.a", "q.b"]);
    assert_eq!(names(&mut desk, "q.>"), ["q.a", "q.a.x", "q.b"]);
    assert_eq!(names(&mut desk, "*.a"), ["p.a", "q.a", "qq.a"]);
    assert_eq!(names(&mut desk, "q.a"), ["q.a"]);
    assert_eq!(names(&mut desk, ">").len(), 5);
    assert!(names(&mut desk, "z.*").is_empty());
    let (two, cut) = attach_all(&mut desk, "q.>", 0, 2);
    assert!(cut && two.len() == 2, "that there are more is said");
    assert!(!attach_all(&mut desk, "q.>", 0, 3).1);
}

#[test]
fn a_match_comes_with_its_past() {
    let snapshot = SnapshotKind::Last;
    let mut desk = Desk::new(Namespace { snapshot, ..Namespace::default() });
    desk.say("n.a", "7");
    let (attachments, _) = attach_all(&mut desk, "n.*", 100, 9);
    assert_eq!(&*attachments[0].name, "n.a@100ms");
    assert_eq!(&*attachments[0].topic, "n.a");
    assert_eq!(past(&attachments[0]).0, Some("n.a@100ms 0 [7]".to_owned()));
}

#[test]
fn a_topic_made_later_has_the_variant_that_is_waited_for() {
    let mut desk = Desk::with(vec![Namespace::default()]);
    let pattern: Pattern = "n.*".parse().expect("a pattern");
    attach_all(&mut desk, "n.*", 100, 9);
    attach_all(&mut desk, "n.*", 100, 9);
    attach_all(&mut desk, "*.b", 200, 9);
    desk.say("n.a", "1");
    desk.say("n.b", "2");
    desk.pass_ms(200);
    desk.tick();
    assert_eq!(desk.messages(), ["n.a@100ms 1 [1]", "n.b@100ms 1 [2]", "n.b@200ms 1 [2]"]);
    // Every shard may be the one that waits; each says when it is not.
    let stamp = desk.out[0].stamp;
    for shard in 0..2 {
        desk.home.unheard("n.a@100ms", stamp, shard);
        assert!(desk.home.held_by("n.a@100ms").is_some());
    }
    desk.home.unheard("n.a@100ms", stamp, 2);
    assert!(desk.home.held_by("n.a@100ms").is_none());
    // Held twice, it is to be dropped twice.
    desk.home.drop_pattern(&pattern, 100);
    desk.say("n.c", "1");
    assert!(desk.home.held_by("n.c@100ms").is_some());
    desk.home.drop_pattern(&pattern, 100);
    desk.home.drop_pattern(&pattern, 100);
    desk.say("n.d", "1");
    assert!(desk.home.held_by("n.d@100ms").is_none());
}

#[test]
fn topics_that_may_not_have_the_interval_are_left_out() {
    let slow = Namespace { name: "slow".into(), interval_min_ms: 500, ..Namespace::default() };
    let none = Namespace { name: "none".into(), interval_min_ms: 0, ..Namespace::default() };
    let bytes = Namespace { name: "b".into(), payload: Payload::Binary, ..Namespace::default() };
    let mut desk = Desk::with(vec![slow, none, bytes, Namespace::default()]);
    for topic in ["slow.a", "none.a", "b.a", "n.a"] {
        desk.say(topic, "1");
    }
    let (attachments, cut) = attach_all(&mut desk, ">", 100, 9);
    assert!(!cut && attachments.len() == 1 && &*attachments[0].name == "n.a@100ms");
    desk.say("slow.b", "1");
    assert!(desk.home.held_by("slow.b@100ms").is_none());
    assert_eq!(desk.home.totals().variants_refused, 1);
}
