//! Patterns: which topics match now, and the variants of those that come later.

use std::sync::Arc;

use corecast_hub::home::{Attachment, Page, PatternRequest};
use corecast_hub::limits::PATTERN_SCAN_MAX;
use corecast_hub::{Encoding, Namespace, Pattern, Payload, SnapshotKind};

use crate::desk::{Desk, past};

fn page(desk: &mut Desk, text: &str, interval_ms: u32, limit: usize, after: Option<&str>) -> Page {
    let pattern: Pattern = text.parse().expect("a pattern");
    let (pattern, encoding) = (&pattern, Encoding::Json);
    let request = PatternRequest { pattern, interval_ms, encoding, shard: 2, limit, after };
    desk.out.clear();
    desk.home.attach_matching(&request, desk.wanted, desk.now, &mut desk.out)
}

/// All that match, and whether that is all.
fn attach_all(desk: &mut Desk, text: &str, interval_ms: u32) -> (Vec<Attachment>, bool) {
    let page = page(desk, text, interval_ms, 9, None);
    (page.attachments, page.held && page.refused == 0 && page.next.is_none())
}

fn names(attachments: &[Attachment]) -> Vec<&str> {
    attachments.iter().map(|attachment| &*attachment.name).collect()
}

#[track_caller]
fn expect(desk: &mut Desk, text: &str, expected: &[&str]) {
    let (attachments, complete) = attach_all(desk, text, 0);
    assert!(complete);
    assert_eq!(names(&attachments), expected);
}

#[test]
fn a_pattern_finds_all_that_match_in_order() {
    let mut desk = Desk::with(vec![Namespace::default()]);
    for topic in ["q.b", "q.a", "q.a.x", "qq.a", "p.a"] {
        desk.say(topic, "1");
    }
    expect(&mut desk, "q.*", &["q.a", "q.b"]);
    expect(&mut desk, "q.>", &["q.a", "q.a.x", "q.b"]);
    expect(&mut desk, "*.a", &["p.a", "q.a", "qq.a"]);
    expect(&mut desk, "q.a", &["q.a"]);
    expect(&mut desk, ">", &["p.a", "q.a", "q.a.x", "q.b", "qq.a"]);
    expect(&mut desk, "z.*", &[]);
}

#[test]
fn pages_leave_nothing_out_and_tell_nothing_twice() {
    let mut desk = Desk::with(vec![Namespace::default()]);
    for topic in ["q.b", "q.a", "q.a.x", "qq.a", "p.a"] {
        desk.say(topic, "1");
    }
    for (limit, pages) in [(0, 3), (1, 3), (2, 2), (3, 1), (9, 1)] {
        let (mut found, mut after, mut count) = (Vec::new(), None::<Arc<str>>, 0);
        loop {
            let page = page(&mut desk, "q.>", 0, limit, after.as_deref());
            assert!(page.attachments.len() <= limit.max(1));
            found.extend(names(&page.attachments).into_iter().map(str::to_owned));
            count += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((found, count), (["q.a", "q.a.x", "q.b"].map(String::from).to_vec(), pages));
    }
    assert_eq!(names(&page(&mut desk, "q.>", 0, 9, Some("a")).attachments).len(), 3);
    assert!(page(&mut desk, "q.>", 0, 9, Some("z")).attachments.is_empty());
}

#[test]
fn one_page_looks_at_a_bounded_number_of_names() {
    let mut desk = Desk::roomy(Namespace::default());
    for topic in 0..PATTERN_SCAN_MAX {
        desk.say(&format!("n.{topic}"), "1");
    }
    assert!(page(&mut desk, "*.zzz", 0, 9, None).next.is_none(), "all were looked at");
    desk.say("n.zzz", "1");
    let first = page(&mut desk, "*.zzz", 0, 9, None);
    assert!(first.attachments.is_empty());
    let second = page(&mut desk, "*.zzz", 0, 9, first.next.as_deref());
    assert_eq!(names(&second.attachments), ["n.zzz"]);
    assert!(first.next.is_some() && second.next.is_none());
}

#[test]
fn only_the_first_page_holds_the_pattern() {
    let mut desk = Desk::new(Namespace { variants_max: 1, ..Namespace::default() });
    for topic in ["n.a", "n.b"] {
        desk.say(topic, "1");
    }
    desk.attach("n.b", 50);
    let first = page(&mut desk, "n.*", 100, 1, None);
    let second = page(&mut desk, "n.*", 100, 1, first.next.as_deref());
    assert!(first.held && first.refused == 0 && second.held);
    assert_eq!((second.attachments.len(), second.refused), (0, 1), "its variants are full");
    desk.home.drop_pattern(&"n.*".parse().expect("a pattern"), 100);
    desk.say("n.c", "1");
    assert!(desk.home.held_by("n.c@100ms").is_none(), "dropped once, it is held no more");
}

#[test]
fn a_match_comes_with_its_past() {
    let snapshot = SnapshotKind::Last;
    let mut desk = Desk::new(Namespace { snapshot, ..Namespace::default() });
    desk.say("n.a", "7");
    let (attachments, _) = attach_all(&mut desk, "n.*", 100);
    assert_eq!(&*attachments[0].name, "n.a@100ms");
    assert_eq!(&*attachments[0].topic, "n.a");
    assert_eq!(past(&attachments[0]).0, Some("n.a@100ms 0 [7]".to_owned()));
}

#[test]
fn a_topic_made_later_has_the_variant_that_is_waited_for() {
    let mut desk = Desk::with(vec![Namespace::default()]);
    let pattern: Pattern = "n.*".parse().expect("a pattern");
    attach_all(&mut desk, "n.*", 100);
    attach_all(&mut desk, "n.*", 100);
    attach_all(&mut desk, "*.b", 200);
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
    let (attachments, complete) = attach_all(&mut desk, ">", 100);
    assert!(complete && attachments.len() == 1 && &*attachments[0].name == "n.a@100ms");
    desk.say("slow.b", "1");
    assert!(desk.home.held_by("slow.b@100ms").is_none());
    assert_eq!(desk.home.totals().variants_refused, 1);
}
