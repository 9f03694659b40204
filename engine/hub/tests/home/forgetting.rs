//! Names that anybody may make up take no room from topics that are published to.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use corecast_hub::home::{AttachError, AttachRequest, EmissionKind, TopicsFull, variant_name};
use corecast_hub::{Encoding, Member, Namespace, Pattern};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::desk::{Desk, SHARDS, request};

/// What [`Desk::new`] has room for.
const TOPICS_MAX: u64 = 6;

fn fill(desk: &mut Desk, interval_ms: u32) {
    for topic in 0..TOPICS_MAX {
        desk.attach(&format!("n.{topic}"), interval_ms);
    }
}

fn is_there(desk: &Desk, name: &str) -> bool {
    desk.home.held_by(name).is_some()
}

/// Does for the shards that hear nothing what they do: they say so. How often they were asked.
fn answer(desk: &mut Desk, hears: impl Fn(&str, u16) -> bool) -> usize {
    let mut asked = 0;
    for emission in std::mem::take(&mut desk.out) {
        let is_question = emission.seq == 0 && emission.kind == EmissionKind::Message;
        if !is_question {
            continue;
        }
        assert!(emission.frames.bytes() == 0 && emission.interval_ms > 0, "nobody gets it");
        asked += 1;
        for shard in (0..SHARDS).filter(|shard| emission.heard & (1 << shard) != 0) {
            if !hears(&emission.name, shard) {
                desk.home.unheard(&emission.name, emission.stamp, shard);
            }
        }
    }
    asked
}

#[test]
fn made_up_names_do_not_keep_publishers_out() {
    let mut desk = Desk::new(Namespace { topics_max: 4, ..Namespace::default() });
    desk.say("n.real", "1");
    for topic in 0..1_000 {
        desk.attach(&format!("n.{topic}"), 0);
    }
    assert_eq!((desk.say("n.new", "1"), desk.say("n.real", "2")), (1, 2));
    let totals = desk.home.totals();
    assert_eq!((totals.topics, totals.forgotten), (4, 998));
    let left: Vec<_> = (0..1_000).filter(|n| is_there(&desk, &format!("n.{n}"))).collect();
    assert_eq!(left, [998, 999], "the oldest go first");
}

#[test]
fn the_oldest_of_all_namespaces_goes_where_the_home_is_full() {
    let other = Namespace { name: "o".into(), topics_max: 2, ..Namespace::default() };
    let mut desk = Desk::with(vec![other, Namespace::default()]);
    for topic in ["a", "o.a", "b", "o.b", "c", "d"] {
        desk.attach(topic, 0);
    }
    desk.attach("o.c", 0);
    assert!(!is_there(&desk, "o.a") && is_there(&desk, "a"), "its namespace was full");
    desk.attach("e", 0);
    assert!(!is_there(&desk, "a"), "the home was full");
    desk.attach("f", 0);
    assert!(!is_there(&desk, "b") && is_there(&desk, "o.b"));
    desk.attach("g", 0);
    assert!(!is_there(&desk, "o.b") && is_there(&desk, "c"));
}

#[test]
fn topics_with_members_or_messages_stay() {
    let mut desk = Desk::new(Namespace { presence: true, ..Namespace::default() });
    let join = |desk: &mut Desk, topic: &str| {
        let member = Some(Member { client: "x".into(), user: None });
        desk.try_attach(&AttachRequest { member, ..request(topic, 0) }).map(|_| ())
    };
    for topic in ["n.0", "n.1", "n.2"] {
        join(&mut desk, topic).expect("joined");
    }
    for topic in ["n.3", "n.4", "n.5"] {
        desk.attach(topic, 0);
        desk.say(topic, "1");
    }
    let full = AttachError::Full(TopicsFull::Home { topics_max: 6 });
    assert_eq!(join(&mut desk, "n.6"), Err(full));
    assert!(desk.home.leave("n.1", "x", desk.wanted, desk.now, &mut desk.out));
    assert_eq!(join(&mut desk, "n.6"), Ok(()));
    assert!(!is_there(&desk, "n.1") && is_there(&desk, "n.0"));
}

#[test]
fn a_variant_that_is_heard_keeps_its_topic_and_others_go() {
    let mut desk = Desk::new(Namespace::default());
    fill(&mut desk, 100);
    assert!(desk.try_attach(&request("n.new", 0)).is_err(), "the shards are asked first");
    assert!(answer(&mut desk, |name, _| name == "n.0@100ms") > 0);
    desk.attach("n.new", 0);
    assert!(is_there(&desk, "n.0@100ms") && !is_there(&desk, "n.1"));
    desk.say("n.0", "1");
    desk.pass_ms(100);
    desk.tick();
    assert_eq!(desk.messages(), ["n.0@100ms 1 [1]"]);
}

#[test]
fn where_all_variants_are_heard_none_goes() {
    let mut desk = Desk::new(Namespace::default());
    fill(&mut desk, 100);
    for _ in 0..9 {
        assert!(desk.try_attach(&request("n.new", 0)).is_err());
        assert!((1..=4).contains(&answer(&mut desk, |_, _| true)), "a few questions at a time");
    }
    assert_eq!(desk.home.totals().forgotten, 0);
    for topic in 0..TOPICS_MAX {
        assert!(is_there(&desk, &format!("n.{topic}@100ms")));
    }
}

#[test]
fn a_pattern_that_waits_gets_its_variant_though_nobody_heard_it_yet() {
    let mut desk = Desk::new(Namespace::default());
    desk.home.hold_pattern(&"n.*".parse().expect("a pattern"), 100).expect("held");
    fill(&mut desk, 0);
    assert!(desk.try_attach(&request("n.new", 0)).is_err());
    answer(&mut desk, |_, _| false);
    desk.attach("n.new", 0);
    assert!(!is_there(&desk, "n.0") && is_there(&desk, "n.1") && !is_there(&desk, "n.1@100ms"));
    desk.say("n.1", "1");
    desk.pass_ms(100);
    desk.tick();
    assert_eq!(desk.messages(), ["n.1@100ms 1 [1]"]);
    assert_eq!(desk.out[0].heard, 0b111);
}

#[test]
fn who_comes_back_to_a_topic_made_anew_misses_nothing() {
    let mut desk = Desk::new(Namespace { history_entries: 9, ..Namespace::default() });
    let seq = desk.attach("n.old", 100).seq;
    let (name, stamp) = ("n.old@100ms", desk.attach("n.old", 100).stamp);
    desk.home.unheard(name, stamp, 0);
    assert_eq!(desk.attach("n.old", 100).seq, seq, "nothing was missed");
    let stamp = desk.attach("n.old", 100).stamp;
    desk.home.unheard(name, stamp, 0);
    fill(&mut desk, 0);
    assert!(!is_there(&desk, "n.old"));
    desk.attach("n.old", 100);
    desk.say("n.old", "1");
    desk.pass_ms(100);
    desk.tick();
    let back = desk.resume("n.old", 100, seq);
    assert_eq!((back.resumed, back.missed.len()), (true, 1));
}

#[test]
fn a_place_that_is_used_again_has_no_chores_of_the_topic_before() {
    let namespace = Namespace { stale_after_ms: 50, history_age_ms: 50, ..Namespace::default() };
    let mut desk = Desk::new(Namespace { history_entries: 9, ..namespace });
    fill(&mut desk, 100);
    while desk.try_attach(&request("n.new", 100)).is_err() {
        answer(&mut desk, |_, _| false);
    }
    desk.pass_ms(10_000);
    desk.tick();
    assert!(desk.out.is_empty() && desk.home.next_tick().is_none());
    desk.say("n.new", "1");
    desk.pass_ms(100);
    desk.tick();
    let stale = desk.notices().into_iter().filter(|notice| notice.starts_with("stale"));
    assert_eq!((stale.count(), desk.messages().len()), (2, 1), "of the new topic alone");
}

#[test]
fn numbers_of_streams_do_not_run_out() {
    let mut desk = Desk::of_shards(Namespace::default(), u16::MAX);
    let mut last = BTreeMap::new();
    for topic in 0..140_000_u32 {
        let sid = desk.attach(&format!("n.{topic}"), 0).sid;
        let before = last.insert(sid, topic);
        assert!(before.is_none_or(|before| topic - before > 60_000), "{sid} again too soon");
    }
}

#[test]
fn a_refused_attach_makes_no_topic() {
    let mut desk = Desk::new(Namespace { variants_max: 1, ..Namespace::default() });
    desk.home.hold_pattern(&"n.*".parse().expect("a pattern"), 200).expect("held");
    let long = format!("n.{}", "x".repeat(34));
    for request in [request("n.a", 100), request("n.a", 5), request(&long, 200)] {
        desk.try_attach(&request).expect_err("refused");
        assert_eq!(desk.home.totals().topics, 0, "{request:?}");
    }
    desk.attach("n.a", 200);
}

#[derive(Debug, Clone)]
enum Operation {
    Attach {
        topic: u8,
        interval: usize,
    },
    Publish {
        topic: u8,
    },
    Join {
        topic: u8,
    },
    Leave {
        topic: u8,
    },
    /// Nobody hears a variant from now on.
    Quit {
        topic: u8,
        interval: usize,
    },
    Pass {
        ms: u64,
    },
}

const INTERVALS_MS: [u32; 3] = [0, 20, 50];

fn operations() -> impl Strategy<Value = Operation> {
    let (topic, interval) = (0_u8..20, 0..INTERVALS_MS.len());
    let stream = (topic.clone(), interval);
    prop_oneof![
        6 => stream.clone().prop_map(|(topic, interval)| Operation::Attach { topic, interval }),
        2 => topic.clone().prop_map(|topic| Operation::Publish { topic: topic % 5 }),
        1 => topic.clone().prop_map(|topic| Operation::Join { topic }),
        2 => topic.prop_map(|topic| Operation::Leave { topic }),
        3 => stream.prop_map(|(topic, interval)| Operation::Quit { topic, interval }),
        2 => (1_u64..40).prop_map(|ms| Operation::Pass { ms }),
    ]
}

#[test]
fn forgetting_touches_nothing_that_anybody_needs() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("CORECAST_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("replay with CORECAST_SEED={seed}");
    let cases = number("CORECAST_CASES").unwrap_or(1_000) as u32;
    let rng_seed = RngSeed::Fixed(seed);
    let config = Config { cases, rng_seed, failure_persistence: None, ..Config::default() };
    let (forgotten, asked) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let runs = (prop::bool::ANY, prop::collection::vec(operations(), 1..200));
    let outcome = TestRunner::new(config).run(&runs, |(patterns, operations)| {
        let mut town = Town::new(patterns);
        operations.iter().for_each(|operation| town.perform(operation));
        forgotten.set(forgotten.get() + town.desk.home.totals().forgotten);
        asked.set(asked.get() + town.asked);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("CORECAST_SEED={seed}: {error}");
    }
    assert!(forgotten.get() > 0 && asked.get() > 0, "CORECAST_SEED={seed}: nothing was forgotten");
}

/// What must be there, whatever else is forgotten.
struct Town {
    desk: Desk,
    published: BTreeMap<String, u64>,
    joined: BTreeSet<String>,
    heard: BTreeSet<String>,
    asked: usize,
}

impl Town {
    fn new(patterns: bool) -> Self {
        let namespace = Namespace { presence: true, stale_after_ms: 70, ..Namespace::default() };
        let history = Namespace { history_entries: 3, history_age_ms: 30, ..namespace };
        let mut desk = Desk::new(history);
        if patterns {
            desk.home.hold_pattern(&"n.*".parse().expect("a pattern"), 20).expect("held");
        }
        let (joined, heard) = (BTreeSet::new(), BTreeSet::new());
        Self { desk, published: BTreeMap::new(), joined, heard, asked: 0 }
    }

    fn perform(&mut self, operation: &Operation) {
        let desk = &mut self.desk;
        match *operation {
            Operation::Attach { topic, interval } => {
                let (topic, interval_ms) = (format!("n.{topic}"), INTERVALS_MS[interval]);
                if desk.try_attach(&request(&topic, interval_ms)).is_ok() && interval_ms > 0 {
                    self.heard.insert(variant_name(&topic, interval_ms));
                }
            }
            Operation::Publish { topic } => {
                let topic = format!("n.{topic}");
                if let Ok(seq) = desk.publish(&crate::desk::update(&topic, "1")) {
                    let before = self.published.insert(topic, seq).unwrap_or(0);
                    assert_eq!(seq, before + 1, "what was published to is not forgotten");
                }
            }
            Operation::Join { topic } => {
                let topic = format!("n.{topic}");
                let member = Some(Member { client: "x".into(), user: None });
                let wish = AttachRequest { member, ..AttachRequest::new(&topic, Encoding::Json) };
                if desk.try_attach(&wish).is_ok() {
                    self.joined.insert(topic);
                }
            }
            Operation::Leave { topic } => {
                let topic = format!("n.{topic}");
                let left = desk.home.leave(&topic, "x", desk.wanted, desk.now, &mut desk.out);
                assert_eq!(left, self.joined.remove(&topic));
            }
            Operation::Quit { topic, interval } => {
                self.heard.remove(&variant_name(&format!("n.{topic}"), INTERVALS_MS[interval]));
            }
            Operation::Pass { ms } => {
                desk.pass_ms(ms);
                desk.tick();
            }
        }
        self.check();
    }

    fn check(&mut self) {
        let desk = &mut self.desk;
        for emission in &desk.out {
            assert!(is_there(desk, &emission.name), "{} speaks, and is gone", emission.name);
        }
        self.asked += answer(desk, |name, shard| shard == 0 && self.heard.contains(name));
        assert!(desk.home.totals().topics <= TOPICS_MAX);
        for name in self.published.keys().chain(&self.joined).chain(&self.heard) {
            assert!(is_there(desk, name), "{name} was forgotten");
        }
        let pattern: Pattern = ">".parse().expect("a pattern");
        let (interval_ms, encoding) = (0, Encoding::Json);
        let request = corecast_hub::home::PatternRequest {
            pattern: &pattern,
            interval_ms,
            encoding,
            shard: 0,
            limit: 99,
            after: None,
        };
        let page = desk.home.attach_matching(&request, desk.wanted, desk.now, &mut desk.out);
        let sids: BTreeSet<_> = page.attachments.iter().map(|attachment| attachment.sid).collect();
        assert_eq!(sids.len() as u64, desk.home.totals().topics, "each has its own number");
        for attachment in page.attachments {
            let seq = self.published.get(&*attachment.topic).copied().unwrap_or(0);
            assert_eq!(attachment.seq, seq, "{}", attachment.topic);
        }
    }
}
