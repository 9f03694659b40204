//! Conflated variants: what they say, when, and how long they live.

use std::collections::BTreeSet;

use corecast_hub::home::{EmissionKind, HistoryError};
use corecast_hub::{Encoding, Namespace, Overflow, Policy, SnapshotKind, Timestamp, Wanted};

use crate::desk::{Desk, SHARDS, past};

fn of(policy: Policy, snapshot: SnapshotKind) -> Desk {
    let history_entries = 16;
    Desk::new(Namespace { policy, snapshot, history_entries, ..Namespace::default() })
}

fn lossless(snapshot: SnapshotKind) -> Desk {
    of(Policy::Lossless { overflow: Overflow::Gap }, snapshot)
}

#[test]
fn latest_says_the_newest_value_once_in_an_interval() {
    let mut desk = of(Policy::Latest, SnapshotKind::Last);
    desk.attach("n.a", 100);
    for data in ["1", "2", "3"] {
        desk.say_key("n.a", data, data);
        assert_eq!(desk.out.len(), 1, "the variant waits");
        desk.pass_ms(20);
    }
    desk.tick();
    assert!(desk.out.is_empty(), "its tick has not come");
    desk.pass_ms(40);
    desk.tick();
    assert_eq!(desk.messages(), ["n.a@100ms 1 3"]);
    assert_eq!(desk.out[0].key.as_deref(), Some(b"3".as_slice()));
    desk.pass_ms(100);
    desk.tick();
    assert!(desk.out.is_empty() && desk.home.next_tick().is_none(), "nothing new, no cost");
}

#[test]
fn latest_by_key_says_the_newest_of_each_changed_key_in_the_order_of_the_first_change() {
    let mut desk = of(Policy::LatestByKey, SnapshotKind::Keys);
    desk.say_key("n.a", "x", "0");
    let attachment = desk.attach("n.a", 100);
    let snapshot = Some("n.a@100ms 0 [0]".to_owned());
    assert_eq!(past(&attachment), (snapshot, vec![]));
    for (key, data) in [("b", "1"), ("a", "2"), ("b", "3"), ("c", "4"), ("a", "5")] {
        desk.say_key("n.a", key, data);
    }
    desk.pass_ms(100);
    desk.tick();
    assert_eq!(desk.messages(), ["n.a@100ms 1 [3,5,4]"]);
    assert_eq!(past(&desk.attach("n.a", 100)).0, Some("n.a@100ms 1 [5,3,4,0]".to_owned()));
    // One array must not replace another that has other keys.
    assert_eq!(attachment.policy, Policy::Lossless { overflow: Overflow::Snapshot });
    assert_eq!(desk.attach("n.a", 0).policy, Policy::LatestByKey);
}

#[test]
fn every_other_policy_says_all_in_order() {
    let mut desk = lossless(SnapshotKind::Last);
    desk.say("n.a", "0");
    assert_eq!(past(&desk.attach("n.a", 100)).0, Some("n.a@100ms 0 [0]".to_owned()));
    for data in ["1", "2", "3"] {
        desk.say("n.a", data);
    }
    desk.pass_ms(100);
    desk.tick();
    assert_eq!(desk.messages(), ["n.a@100ms 1 [1,2,3]"]);
    assert_eq!(past(&desk.attach("n.a", 100)).0, Some("n.a@100ms 1 [1,2,3]".to_owned()));
    let back = desk.resume("n.a", 100, 0);
    assert_eq!((back.resumed, past(&back).1), (true, vec!["n.a@100ms 1 [1,2,3]".to_owned()]));
    let history = desk.home.history("n.a@100ms", None, 9, desk.now).expect("a history");
    assert!(history.complete && history.messages.len() == 1);
    let none = desk.home.history("n.a@50ms", None, 9, desk.now);
    assert_eq!(none, Err(HistoryError::Unknown));
}

#[test]
fn what_would_be_too_long_leaves_early_and_is_counted() {
    for policy in [Policy::LatestByKey, Policy::DropOldest] {
        let namespace = Namespace { policy, message_bytes_max: 10, ..Namespace::default() };
        let mut desk = Desk::new(namespace);
        desk.attach("n.a", 100);
        for (key, data) in [("a", "1111"), ("b", "2222")] {
            desk.say_key("n.a", key, data);
            assert_eq!(desk.messages().len(), 1);
        }
        desk.say_key("n.a", "c", "3333");
        assert_eq!(desk.messages(), ["n.a 3 3333", "n.a@100ms 1 [1111,2222]"]);
        desk.pass_ms(100);
        desk.tick();
        assert_eq!(desk.messages(), ["n.a@100ms 2 [3333]"]);
        let totals = desk.home.totals();
        assert_eq!((totals.variant_emissions, totals.early_emissions), (2, 1));
    }
}

#[test]
fn all_topics_of_an_interval_leave_together_within_one_interval() {
    let mut desk = lossless(SnapshotKind::None);
    for topic in ["n.a", "n.b", "n.c"] {
        desk.attach(topic, 100);
    }
    desk.attach("n.c", 250);
    desk.pass_ms(13);
    desk.say("n.a", "1");
    desk.pass_ms(80);
    desk.say("n.c", "2");
    let due = desk.home.next_tick().expect("a tick");
    assert_eq!(due, Timestamp(1_100_000_000), "a multiple of the interval");
    desk.now.mono = due;
    desk.tick();
    assert_eq!(desk.messages(), ["n.a@100ms 1 [1]", "n.c@100ms 1 [2]"]);
    assert_eq!(desk.home.next_tick(), Some(Timestamp(1_250_000_000)));
    // A publication at the very tick waits for the next one, not longer.
    desk.say("n.b", "3");
    assert_eq!(desk.home.next_tick(), Some(Timestamp(1_200_000_000)));
}

#[test]
fn a_thousand_subscribers_cost_one_encode_for_each_interval_and_encoding() {
    let mut desk = of(Policy::Latest, SnapshotKind::Last);
    desk.wanted = Wanted::NONE.with(Encoding::Json).with(Encoding::Binary);
    for _ in 0..1_000 {
        desk.attach("n.a", 100);
    }
    for _ in 0..10 {
        for value in 0..50 {
            desk.say("n.a", &value.to_string());
            desk.pass_ms(2);
        }
        desk.tick();
        assert_eq!(desk.messages().len(), 1);
    }
    let totals = desk.home.totals();
    assert_eq!(totals.variant_emissions, 10);
    assert_eq!(totals.encodes, 2 * (500 + 10), "500 messages of the topic, 10 of the variant");
}

#[test]
fn a_variant_ends_when_no_shard_hears_it_and_goes_on_counting() {
    let mut desk = lossless(SnapshotKind::None);
    let first = desk.attach("n.a", 100);
    let request = crate::desk::request("n.a", 100);
    desk.home.attach(&request, 2, desk.wanted, desk.now, &mut desk.out).expect("attached");
    desk.say("n.a", "1");
    desk.pass_ms(100);
    desk.tick();
    let stamp = desk.out[0].stamp;
    desk.home.unheard("n.a@100ms", stamp, 0);
    assert_eq!(desk.home.totals().variants, 1, "shard 2 hears it");
    desk.attach("n.a", 100);
    desk.home.unheard("n.a@100ms", stamp, 2);
    assert_eq!(desk.home.totals().variants, 1, "somebody came since that emission");
    let stamp = desk.attach("n.a", 100).stamp;
    desk.say("n.a", "2");
    for shard in 0..3 {
        desk.home.unheard("n.a@100ms", stamp, shard);
    }
    assert_eq!(desk.home.totals().variants, 0);
    desk.pass_ms(100);
    desk.tick();
    assert!(desk.out.is_empty(), "what waited went with it");
    // Who had its last number has missed message 2, so nothing is resumed.
    let again = desk.resume("n.a", 100, 1);
    assert_eq!((again.sid, again.seq, again.resumed), (first.sid, 2, false));
    desk.say("n.a", "3");
    desk.pass_ms(100);
    desk.tick();
    assert_eq!(desk.messages(), ["n.a@100ms 3 [3]"]);
}

#[test]
fn numbers_of_forgotten_variants_are_never_given_again() {
    let mut desk = lossless(SnapshotKind::None);
    let mut streams = BTreeSet::new();
    let (mut numbers, mut sids) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..200 {
        let interval_ms = 100 + round % 100;
        let attachment = desk.attach("n.a", interval_ms);
        desk.say("n.a", "1");
        desk.pass_ms(1_000);
        desk.tick();
        let emission = &desk.out[0];
        assert_eq!(emission.seq, attachment.seq + 1);
        assert!(streams.insert((interval_ms, emission.seq)), "{interval_ms} ms again");
        assert!(numbers.insert((emission.sid, emission.seq)), "told apart by number alone");
        sids.insert(emission.sid);
        let (name, stamp) = (emission.name.clone(), emission.stamp);
        desk.home.unheard(&name, stamp, 0);
        assert_eq!(desk.home.totals().variants, 0);
    }
    assert!((64..=65).contains(&sids.len()), "{} stream numbers for one topic", sids.len());
    let next = desk.attach("n.b", 0).sid;
    assert_eq!(next, sids.last().expect("some") + u32::from(SHARDS), "intervals use none up");
}

#[test]
fn a_new_variant_of_a_book_starts_with_its_snapshot_and_the_messages_since() {
    let mut desk = lossless(SnapshotKind::Published);
    desk.say_snapshot("n.a", "S0");
    desk.say("n.a", "1");
    desk.say("n.a", "2");
    let attachment = desk.attach("n.a", 100);
    let snapshot = Some("n.a@100ms 0 S0".to_owned());
    assert_eq!(past(&attachment), (snapshot, vec!["n.a@100ms 1 [1,2]".to_owned()]));
    assert!(desk.out.is_empty() && desk.home.totals().variant_emissions == 0, "nobody heard it");
    desk.say("n.a", "3");
    desk.say_snapshot("n.a", "S3");
    assert_eq!(desk.messages(), ["n.a@100ms 2 [3]"], "what waits comes before the snapshot");
    let later = desk.attach("n.a", 100);
    assert_eq!(past(&later), (Some("n.a@100ms 2 S3".to_owned()), vec![]));
    desk.say("n.a", "4");
    let waiting = desk.attach("n.a", 100);
    assert_eq!(past(&waiting), past(&later), "what waits is told once: by the tick");
    desk.pass_ms(100);
    desk.tick();
    assert_eq!(desk.messages(), ["n.a@100ms 3 [4]"]);
}

#[test]
fn a_variant_that_has_no_snapshot_gets_the_next() {
    let mut desk = lossless(SnapshotKind::Published);
    desk.say("n.a", "1");
    assert!(desk.attach("n.a", 100).snapshot_follows);
    desk.say("n.a", "2");
    desk.say_snapshot("n.a", "S2");
    assert_eq!(desk.messages(), ["n.a@100ms 1 [2]"]);
    assert_eq!(desk.snapshots(), ["n.a 2 S2", "n.a@100ms 1 S2"]);
    let of_variant = desk.out.iter().filter(|emission| emission.interval_ms > 0);
    let kinds: Vec<_> = of_variant.map(|emission| emission.kind).collect();
    assert_eq!(kinds, [EmissionKind::Message, EmissionKind::Snapshot]);
}

#[test]
fn a_variant_is_told_to_all_shards_that_hear_it_and_to_no_other() {
    let mut desk = lossless(SnapshotKind::None);
    let heard = |desk: &mut Desk| {
        desk.say("n.a", "1");
        assert_eq!(desk.out[0].heard, u64::MAX, "the topic itself is for all");
        desk.pass_ms(100);
        desk.tick();
        (desk.out[0].heard, desk.out[0].stamp)
    };
    desk.attach("n.a", 100);
    assert_eq!(heard(&mut desk).0, 0b001);
    let request = crate::desk::request("n.a", 100);
    desk.home.attach(&request, 2, desk.wanted, desk.now, &mut desk.out).expect("attached");
    let (shards, stamp) = heard(&mut desk);
    assert_eq!(shards, 0b101);
    desk.home.unheard("n.a@100ms", stamp, 0);
    assert_eq!(heard(&mut desk).0, 0b100);
    // Where a pattern waits for it, any shard may have a subscriber.
    desk.home.unheard("n.a@100ms", stamp, 2);
    desk.home.hold_pattern(&"n.*".parse().expect("a pattern"), 100).expect("held");
    desk.attach("n.a", 100);
    assert_eq!(heard(&mut desk).0, 0b111);
    desk.say("n.b", "1");
    desk.pass_ms(100);
    desk.tick();
    assert_eq!((&*desk.out[0].name, desk.out[0].heard), ("n.b@100ms", 0b111));
}

#[test]
fn with_too_many_shards_for_the_bits_all_are_told() {
    for (shards, heard) in [(64, 1 << 63), (65, u64::MAX)] {
        let mut desk = Desk::of_shards(Namespace::default(), shards);
        let request = crate::desk::request("n.a", 100);
        desk.home.attach(&request, 63, desk.wanted, desk.now, &mut desk.out).expect("attached");
        desk.say("n.a", "1");
        desk.pass_ms(100);
        desk.tick();
        assert_eq!(desk.out[0].heard, heard);
    }
}
