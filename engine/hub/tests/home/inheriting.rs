//! A home of another process goes on where one has stopped.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use corecast_hub::home::{AttachRequest, HeritageError, Home, HomeConfig, Tap, TopicImage};
use corecast_hub::{
    Encoding, Namespace, Namespaces, Now, Policy, SnapshotKind, Timestamp, Update, UpdateKind,
    Wanted,
};

use super::desk::{EPOCH, SHARD, SHARDS, Words, told};

fn now(ms: u64) -> Now {
    Now { mono: Timestamp(ms * 1_000_000), wall_ns: 0 }
}

fn home_with(namespaces: Vec<Namespace>) -> Home {
    home_of(0, namespaces)
}

fn home_of(generation: u32, namespaces: Vec<Namespace>) -> Home {
    Home::new(HomeConfig {
        shard: SHARD,
        shards: SHARDS,
        epoch: EPOCH,
        generation,
        namespaces: Arc::new(Namespaces::new(namespaces).expect("good ones")),
        codec: Arc::new(Words),
        topic_bytes_max: 64,
        topics_max: 100,
        missed_entries_max: 1_000,
        missed_bytes_max: 1 << 20,
    })
}

fn kept(name: &str, snapshot: SnapshotKind) -> Namespace {
    Namespace { name: name.into(), snapshot, history_entries: 5, ..Namespace::default() }
}

fn all_kinds() -> Vec<Namespace> {
    let mut keys = kept("keys", SnapshotKind::Keys);
    keys.policy = Policy::LatestByKey;
    vec![
        kept("none", SnapshotKind::None),
        kept("last", SnapshotKind::Last),
        keys,
        kept("book", SnapshotKind::Published),
    ]
}

fn publish(home: &mut Home, topic: &str, data: &str, ms: u64) -> u64 {
    let mut update = Update::new(topic, data.to_owned());
    update.key = Some(format!("k{}", data.len()).into());
    home.publish(&update, Wanted::NONE, now(ms), &mut Vec::new()).expect("taken")
}

/// What one gets who joins, or comes back with all up to `since`.
fn attach(home: &mut Home, topic: &str, since: Option<u64>) -> (bool, u64, Option<String>, usize) {
    let mut request = AttachRequest::new(topic, Encoding::Json);
    request.resume = since.map(|since| (home.epoch(), since));
    let wanted = Wanted::NONE.with(Encoding::Json);
    let got = home.attach(&request, 0, wanted, now(50), &mut Vec::new()).expect("attached");
    (got.resumed, got.seq, got.snapshot.as_ref().map(|frame| told(frame).data), got.missed.len())
}

fn move_all(from: &Home, to: &mut Home) -> Result<usize, HeritageError> {
    let (mut after, mut pages) = (None, 0);
    loop {
        let (images, next) = from.images(after.as_deref(), 40);
        for image in images {
            to.inherit(image, now(20))?;
        }
        pages += 1;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(pages),
        }
    }
}

fn filled() -> Home {
    let mut home = home_with(all_kinds());
    for topic in ["none.a", "last.a", "keys.a", "book.a", "last.b"] {
        for number in 1..=8 {
            publish(&mut home, topic, &"1".repeat(1 + number % 3), number as u64);
        }
    }
    let mut snapshot = Update::new("book.a", "[7]");
    snapshot.kind = UpdateKind::Snapshot;
    home.publish(&snapshot, Wanted::NONE, now(9), &mut Vec::new()).expect("taken");
    publish(&mut home, "book.a", "9", 10);
    home
}

#[test]
fn who_joins_or_comes_back_gets_the_same_from_either() {
    let mut old = filled();
    let mut new = home_with(all_kinds());
    assert!(move_all(&old, &mut new).expect("all fit") > 1, "in several parts");
    for topic in ["none.a", "last.a", "keys.a", "book.a", "last.b"] {
        for since in [None, Some(8), Some(6), Some(3), Some(2), Some(0), Some(99)] {
            let (from_old, from_new) =
                (attach(&mut old, topic, since), attach(&mut new, topic, since));
            assert_eq!(from_old, from_new, "{topic} since {since:?}");
        }
    }
    assert!(attach(&mut new, "last.a", Some(6)).0, "resumed");
    for home in [&mut old, &mut new] {
        assert_eq!(publish(home, "last.a", "22", 60), 9, "numbers go on");
        assert_eq!(attach(home, "last.a", Some(6)).3, 3);
    }
}

#[test]
fn what_only_was_subscribed_to_is_not_moved() {
    let mut old = home_with(vec![kept("last", SnapshotKind::Last)]);
    attach(&mut old, "last.nobody", None);
    assert_eq!(old.images(None, 1_000), (Vec::new(), None));
}

#[test]
fn a_variant_goes_on_with_numbers_that_nobody_has() {
    let space =
        Namespace { interval_min_ms: 10, variants_max: 2, ..kept("last", SnapshotKind::Last) };
    let (mut old, mut new) = (home_with(vec![space.clone()]), home_with(vec![space]));
    publish(&mut old, "last.a", "1", 1);
    let mut request = AttachRequest::new("last.a", Encoding::Json);
    request.interval_ms = 10;
    let wanted = Wanted::NONE.with(Encoding::Json);
    let mut out = Vec::new();
    old.attach(&request, 0, wanted, now(1), &mut out).expect("attached");
    publish(&mut old, "last.a", "2", 2);
    old.tick(wanted, now(40), &mut out);
    let seq = old.attach(&request, 0, wanted, now(41), &mut out).expect("attached").seq;
    assert!(seq > 0);
    move_all(&old, &mut new).expect("all fit");
    request.resume = Some((new.epoch(), seq + 5));
    let got = new.attach(&request, 0, wanted, now(50), &mut out).expect("attached");
    assert!(!got.resumed && got.seq > seq + 1_000_000 && got.snapshot.is_some(), "{got:?}");
}

#[test]
fn variants_that_are_made_on_both_sides_behind_the_move_share_no_number() {
    let space = || {
        let last = kept("last", SnapshotKind::Last);
        vec![Namespace { interval_min_ms: 10, variants_max: 2, ..last }]
    };
    let wanted = Wanted::NONE.with(Encoding::Json);
    // One topic has no variant yet, the other is not there at all.
    let mut homes = [0, 1, 2].map(|generation| home_of(generation, space()));
    publish(&mut homes[0], "last.a", "1", 1);
    for place in 1..3 {
        let (before, after) = homes.split_at_mut(place);
        move_all(&before[place - 1], &mut after[0]).expect("it fits");
    }
    for topic in ["last.a", "last.new"] {
        let numbers = homes.each_mut().map(|home| {
            let mut request = AttachRequest::new(topic, Encoding::Json);
            request.interval_ms = 10;
            let mut numbers = Vec::new();
            for round in 0..5 {
                publish(home, topic, "2", 100 * round);
                let mut out = Vec::new();
                let got = home.attach(&request, 0, wanted, now(100 * round), &mut out);
                numbers.push(got.expect("attached").seq);
                home.tick(wanted, now(100 * round + 50), &mut out);
            }
            (numbers[0], numbers[4])
        });
        for pair in numbers.windows(2) {
            assert!(pair[0].1 > pair[0].0, "{topic}: {numbers:?}");
            assert!(pair[1].0 > pair[0].1 + 1_000_000, "{topic}: {numbers:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let old = filled();
    let named = |name: &str| -> TopicImage {
        let (images, _) = old.images(None, usize::MAX);
        images.into_iter().find(|image| &*image.name == name).expect("it is there")
    };
    let mut new = home_with(all_kinds());
    new.inherit(named("last.a"), now(20)).expect("it fits");
    assert_eq!(new.inherit(named("last.a"), now(20)), Err(HeritageError::Twice));
    let mut hole = named("last.b");
    hole.stream.history.remove(1);
    assert_eq!(new.inherit(hole, now(20)), Err(HeritageError::Hole));
    let mut ahead = named("none.a");
    ahead.stream.seq = 7;
    assert_eq!(new.inherit(ahead, now(20)), Err(HeritageError::Hole));
    let mut end = named("none.a");
    end.stream.history[4].0.seq = u64::MAX;
    end.stream.seq = u64::MAX;
    assert_eq!(home_with(all_kinds()).inherit(end, now(20)), Err(HeritageError::Hole));
    for name in ["gone.a", "last.a@100ms", "", "last..a"] {
        let image = TopicImage { name: name.into(), ..named("last.b") };
        let refused = home_with(all_kinds()).inherit(image, now(20));
        assert_eq!(refused, Err(HeritageError::Unknown), "{name}");
    }
    let mut other = home_with(vec![kept("last", SnapshotKind::Keys)]);
    assert_eq!(other.inherit(named("last.a"), now(20)), Err(HeritageError::Snapshot));
    let few = Namespace { topics_max: 1, ..kept("last", SnapshotKind::Last) };
    let mut few = home_with(vec![few]);
    few.inherit(named("last.a"), now(20)).expect("room for one");
    assert!(matches!(few.inherit(named("last.b"), now(20)), Err(HeritageError::Full(_))));
}

#[derive(Debug)]
struct Kept(Sender<String>);

impl Tap for Kept {
    fn taken(&self, update: &Update, _: Now) {
        let text = String::from_utf8_lossy(&update.data).into_owned();
        self.0.send(text).expect("somebody hears it");
    }
}

#[test]
fn a_tap_hears_what_is_taken_and_not_what_is_refused() {
    let mut home = home_with(vec![kept("last", SnapshotKind::Last)]);
    let (sender, heard) = channel();
    home.set_tap(Some(Arc::new(Kept(sender))));
    publish(&mut home, "last.a", "1", 1);
    let unknown = Update::new("gone.a", "2");
    home.publish(&unknown, Wanted::NONE, now(1), &mut Vec::new()).expect_err("no namespace");
    publish(&mut home, "last.a", "3", 2);
    home.set_tap(None);
    publish(&mut home, "last.a", "4", 3);
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["1", "3"]);
}
