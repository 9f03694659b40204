//! Subscriptions by pattern: nothing is missed, nothing comes twice, nothing stays behind.

use std::sync::Arc;

use corecast_hub::limits::{
    ANNOUNCEMENT_BYTES_ALLOWANCE, PATTERN_TOKENS_MAX, PATTERN_TOPICS_MAX, PATTERNS_MAX,
};
use corecast_hub::{
    ConnId, Encoding, Frames, Hub, HubConfig, Namespace, Namespaces, OutboxLimits, Overflow,
    Pattern, Policy, Publication, Report, Resync, SharedFrames, SlowReason, Start, Stream,
    SubscribeError, Timestamp,
};
use corecast_wire::Frame;

const GAP: Policy = Policy::Lossless { overflow: Overflow::Gap };
const HOME: u16 = 3;

#[test]
fn a_topic_made_later_reaches_the_pattern_from_its_first_message() {
    let (mut hub, conn) = hub_with(&["trade.*"]);
    assert_eq!(publish(&mut hub, "trade.A", 7).delivered, 1);
    assert_eq!(publish(&mut hub, "trade.A", 8).delivered, 1);
    // The number that is announced is the one before the first message.
    assert_eq!(
        received(&mut hub, conn),
        [announced("trade.A", "trade.*", 6), "7".into(), "8".into()]
    );
    assert_eq!((hub.subscriptions(conn), hub.subscribers("trade.A")), (1, 1));
}

#[test]
fn what_no_pattern_matches_leaves_no_trace() {
    let (mut hub, conn) = hub_with(&["trade.*", "trade.*.spot", "quote.>", "book.A"]);
    for topic in ["trade", "trade.A.perp", "quote", "book.B", "book.A.x", "other", "$user.1"] {
        assert_eq!(publish(&mut hub, topic, 1), Report::default(), "{topic}");
    }
    assert_eq!((hub.topics(), hub.subscriptions(conn)), (0, 0));
    // `>` needs a token; one or more of them match.
    for topic in ["quote.A", "quote.A.B.C", "trade.A.spot", "book.A"] {
        assert_eq!(publish(&mut hub, topic, 1).delivered, 1, "{topic}");
    }
    assert_eq!(hub.topics(), 4);
}

#[test]
fn internal_topics_are_in_no_pattern() {
    let (mut hub, conn) = hub_with(&[">", "*.u1"]);
    assert_eq!(publish(&mut hub, "$user.u1", 1), Report::default());
    let other = hub.connect(Timestamp(0));
    hub.attach(other, &stream("$user.u1", 0), GAP, Encoding::Raw).expect("attached");
    assert_eq!(publish(&mut hub, "$user.u1", 2).delivered, 1);
    assert_eq!(received(&mut hub, conn), [""; 0]);
}

#[test]
fn another_homes_pattern_and_another_interval_do_not_match() {
    let (mut hub, conn) = hub_with(&["trade.*"]);
    let frames = frames("1");
    let elsewhere = Publication { home: HOME + 1, ..publication("trade.A", 1, &frames) };
    assert_eq!(hub.publish(&elsewhere, Timestamp(0)), Report::default());
    let raw = Publication::raw("trade.A", 1, &frames);
    assert_eq!(hub.publish(&raw, Timestamp(0)), Report::default());
    let variant = Publication { interval_ms: 100, ..publication("trade.A@100ms", 1, &frames) };
    assert_eq!(hub.publish(&variant, Timestamp(0)), Report::default());
    hub.attach_pattern(conn, HOME, &pattern("trade.*"), 100, Some(GAP), Encoding::Raw)
        .expect("attached");
    assert_eq!(hub.publish(&variant, Timestamp(0)).delivered, 1);
    let announcement = announced("trade.A@100ms", "trade.*@100ms", 0);
    assert_eq!(received(&mut hub, conn), [announcement, "1".into()]);
}

#[test]
fn two_patterns_that_match_deliver_once_and_either_keeps_the_topic() {
    for gone in ["trade.*", "trade.>"] {
        let (mut hub, conn) = hub_with(&["trade.*", "trade.>"]);
        assert_eq!(publish(&mut hub, "trade.A", 1).delivered, 1);
        assert_eq!(received(&mut hub, conn).len(), 2);
        assert!(hub.detach_pattern(conn, &pattern(gone), 0));
        assert!(!hub.detach_pattern(conn, &pattern(gone), 0));
        assert_eq!(publish(&mut hub, "trade.A", 2).delivered, 1);
        assert_eq!(received(&mut hub, conn), ["2"]);
        let other = if gone == "trade.*" { "trade.>" } else { "trade.*" };
        assert!(hub.detach_pattern(conn, &pattern(other), 0));
        assert_eq!(publish(&mut hub, "trade.A", 3), Report::default());
        assert_eq!((hub.topics(), hub.patterns(conn)), (0, 0));
    }
}

#[test]
fn a_name_and_a_pattern_hold_one_subscription_and_the_name_wins() {
    let (mut hub, conn) = hub_with(&["trade.*"]);
    publish(&mut hub, "trade.A", 1);
    let subscribed =
        hub.attach(conn, &stream("trade.A", 1), Policy::Latest, Encoding::Raw).expect("attached");
    assert!(!subscribed.new);
    assert_eq!(received(&mut hub, conn).len(), 2);
    publish(&mut hub, "trade.A", 2);
    assert_eq!(publish(&mut hub, "trade.A", 3), Report { delivered: 1, conflated: 1, dropped: 0 });
    // Without the name the pattern's terms hold again.
    assert!(hub.detach(conn, "trade.A"));
    assert!(!hub.detach(conn, "trade.A"), "what a pattern holds is not the name's to give up");
    publish(&mut hub, "trade.A", 4);
    assert_eq!(publish(&mut hub, "trade.A", 5), Report { delivered: 1, conflated: 0, dropped: 0 });
    assert_eq!(received(&mut hub, conn), ["3", "4", "5"]);
    // The other way round: the pattern goes, the name stays.
    hub.attach(conn, &stream("trade.A", 5), GAP, Encoding::Raw).expect("attached");
    assert!(hub.detach_pattern(conn, &pattern("trade.*"), 0));
    assert_eq!(publish(&mut hub, "trade.A", 6).delivered, 1);
    assert!(hub.detach(conn, "trade.A"));
    assert_eq!(hub.topics(), 0);
}

#[test]
fn a_topic_made_by_name_serves_the_patterns_as_well() {
    let (mut hub, conn) = hub_with(&["trade.*"]);
    let other = hub.connect(Timestamp(0));
    hub.attach(other, &stream("trade.A", 41), GAP, Encoding::Raw).expect("attached");
    assert_eq!(received(&mut hub, conn), [announced("trade.A", "trade.*", 41)]);
    assert_eq!(publish(&mut hub, "trade.A", 42).delivered, 2);
    // Who asks by name is not told of its own pattern.
    hub.attach(conn, &stream("trade.B", 5), GAP, Encoding::Raw).expect("attached");
    assert_eq!(received(&mut hub, conn), ["42"]);
    assert!(hub.detach(conn, "trade.B"));
    assert_eq!(publish(&mut hub, "trade.B", 6).delivered, 1);
}

#[test]
fn a_topic_known_outside_the_feed_is_matched_when_its_home_speaks() {
    let (mut hub, conn) = hub_with(&["trade.*"]);
    let raw = hub.connect(Timestamp(0));
    hub.subscribe(raw, "trade.A", None).expect("subscribed");
    assert_eq!(hub.publish(&Publication::raw("trade.A", 1, &frames("x")), NOW).delivered, 1);
    assert_eq!(publish(&mut hub, "trade.A", 9).delivered, 2);
    assert_eq!(received(&mut hub, conn), [announced("trade.A", "trade.*", 8), "9".into()]);
    // A publication outside the feed reaches those who want its encoding, announces nothing.
    assert_eq!(hub.publish(&Publication::raw("trade.A", 2, &frames("y")), NOW).delivered, 2);
}

#[test]
fn a_listed_stream_is_announced_once_with_its_snapshot_behind() {
    let (mut hub, conn) = hub_with(&["trade.*"]);
    let missed = [Frame::text("49"), Frame::text("50")];
    let begin = |snapshot: &str| Start {
        snapshot: Some(Frame::text(snapshot)),
        missed: &missed,
        ..start(GAP)
    };
    let listed = stream("trade.A", 50);
    assert!(hub.match_stream(conn, &pattern("trade.*"), &listed, begin("at 48"), NOW));
    assert!(!hub.match_stream(conn, &pattern("trade.*"), &listed, begin("again"), NOW));
    publish(&mut hub, "trade.A", 51);
    let expected = [announced("trade.A", "trade.*", 50), "at 48".into()];
    assert_eq!(received(&mut hub, conn)[..2], expected);
    // A second pattern holds it as well, silently.
    hub.attach_pattern(conn, HOME, &pattern("*.A"), 0, Some(GAP), Encoding::Raw).expect("room");
    assert!(!hub.match_stream(conn, &pattern("*.A"), &listed, begin("no"), NOW));
    assert_eq!(received(&mut hub, conn), [""; 0]);
    assert!(hub.detach_pattern(conn, &pattern("trade.*"), 0));
    assert_eq!(publish(&mut hub, "trade.A", 52).delivered, 1);
    // A pattern that was given up meanwhile is not served.
    assert!(!hub.match_stream(conn, &pattern("trade.*"), &listed, begin("late"), NOW));
    assert_eq!(received(&mut hub, conn), ["52"]);
}

#[test]
fn a_notice_of_an_unknown_stream_announces_no_number() {
    let (mut hub, conn) = hub_with(&["trade.*"]);
    assert_eq!(publish(&mut hub, "trade.A", 0), Report::default());
    assert_eq!((hub.topics(), received(&mut hub, conn).len()), (0, 0));
}

#[test]
fn each_encoding_gets_its_own_frame_and_who_has_none_is_passed_over() {
    let mut hub = Hub::new(HubConfig::default());
    let conns = Encoding::ALL.map(|encoding| {
        let conn = hub.connect(NOW);
        hub.attach(conn, &stream("t", 0), GAP, encoding).expect("attached");
        conn
    });
    let both = Frames::default()
        .with(Encoding::Json, Frame::text("json"))
        .with(Encoding::Binary, Frame::binary(b"binary"));
    let both = SharedFrames::new(&both, NOW);
    let report = hub.publish(&publication("t", 1, &both), NOW);
    assert_eq!(report, Report { delivered: 2, conflated: 0, dropped: 0 });
    assert_eq!(hub.totals().offered, 2, "what is not meant for a socket is not offered");
    let got = conns.map(|conn| received(&mut hub, conn).concat());
    assert_eq!(got, ["", "json", "binary"]);
    // It changes with the next subscription.
    hub.attach(conns[0], &stream("t", 1), GAP, Encoding::Json).expect("attached");
    hub.publish(&publication("t", 2, &both), NOW);
    assert_eq!(received(&mut hub, conns[0]), ["json"]);
}

#[test]
fn what_a_namespace_does_not_grant_is_not_given() {
    let namespace = Namespace {
        name: "quote".into(),
        policy: Policy::Latest,
        allow: vec![Policy::DropOldest],
        ..Namespace::default()
    };
    let namespaces = Arc::new(Namespaces::new(vec![namespace]).expect("namespaces"));
    let hub = Hub::new(HubConfig { namespaces, ..HubConfig::default() });
    assert_eq!(hub.policy_for("quote.A", 0, None), Policy::Latest);
    assert_eq!(hub.policy_for("quote.A", 0, Some(GAP)), Policy::Latest);
    assert_eq!(hub.policy_for("quote.A", 0, Some(Policy::DropOldest)), Policy::DropOldest);
    assert_eq!(hub.policy_for("trade.A", 0, Some(GAP)), GAP);
    assert_eq!(hub.policy_for("trade.A", 0, None), Policy::default());
}

#[test]
fn patterns_are_bounded_in_number_and_in_tokens() {
    let (mut hub, conn) = hub_with(&[]);
    let attach = |hub: &mut Hub, text: &str| {
        hub.attach_pattern(conn, HOME, &pattern(text), 0, None, Encoding::Raw)
    };
    let deep = vec!["a"; PATTERN_TOKENS_MAX].join(".");
    assert_eq!(attach(&mut hub, &deep), Ok(()));
    let tokens = PATTERN_TOKENS_MAX + 1;
    let error = SubscribeError::PatternTokens { tokens };
    assert_eq!(attach(&mut hub, &format!("{deep}.a")), Err(error));
    for n in 1..PATTERNS_MAX {
        assert_eq!(attach(&mut hub, &format!("t.{n}.*")), Ok(()));
    }
    assert_eq!(attach(&mut hub, "one.more"), Err(SubscribeError::PatternsFull));
    assert_eq!(attach(&mut hub, "t.1.*"), Ok(()), "it is there already");
    assert!(hub.detach_pattern(conn, &pattern("t.50.*"), 0));
    assert_eq!(attach(&mut hub, "one.more"), Ok(()));
    assert_eq!(hub.patterns(conn), PATTERNS_MAX);
    assert_eq!(publish(&mut hub, "t.99.x", 1).delivered, 1);
    let gone = ConnId { generation: conn.generation + 1, ..conn };
    let error = hub.attach_pattern(gone, HOME, &pattern("a"), 0, None, Encoding::Raw);
    assert_eq!(error, Err(SubscribeError::Gone));
}

#[test]
fn a_pattern_that_may_hold_no_more_says_so_once() {
    let outbox = OutboxLimits::default();
    let mut hub = Hub::new(HubConfig { outbox, ..HubConfig::default() });
    let conn = hub.connect(NOW);
    hub.attach_pattern(conn, HOME, &pattern("t.*"), 0, Some(Policy::Latest), Encoding::Raw)
        .expect("attached");
    for n in 0..PATTERN_TOPICS_MAX {
        let report = publish(&mut hub, &format!("t.{n}"), 1);
        assert_eq!(report.delivered, 1);
        if n % 1_000 == 0 {
            received(&mut hub, conn);
        }
    }
    let mut unmatched = Vec::new();
    hub.take_unmatched(&mut unmatched);
    assert_eq!(unmatched, []);
    for n in 0..3 {
        assert_eq!(publish(&mut hub, &format!("more.{n}"), 1), Report::default());
        assert_eq!(publish(&mut hub, &format!("t.more{n}"), 1), Report::default());
    }
    hub.take_unmatched(&mut unmatched);
    assert_eq!(unmatched, [(conn, "t.*".into())]);
    assert_eq!((hub.topics(), hub.subscriptions(conn)), (PATTERN_TOPICS_MAX, PATTERN_TOPICS_MAX));
    // Subscriptions by name are counted apart.
    hub.attach(conn, &stream("named", 0), GAP, Encoding::Raw).expect("room");
    assert!(hub.detach_pattern(conn, &pattern("t.*"), 0));
    assert_eq!((hub.topics(), hub.subscriptions(conn)), (1, 1));
}

#[test]
fn a_hundred_thousand_streams_listed_in_pages_do_not_close_who_reads() {
    let (mut hub, conn) = hub_with(&["t.*"]);
    let mut pages = 0;
    for page in 0..PATTERN_TOPICS_MAX / 1_000 {
        while !hub.has_room(conn) {
            received(&mut hub, conn);
            pages += 1;
        }
        list(&mut hub, conn, page * 1_000..(page + 1) * 1_000);
    }
    assert!(!hub.outbox(conn).expect("connected").close_queued());
    assert!(pages > 1 && hub.subscriptions(conn) == PATTERN_TOPICS_MAX, "{pages} pages read");
    // Who asks for them over and over and reads nothing is closed.
    assert!(hub.detach_pattern(conn, &pattern("t.*"), 0));
    hub.attach_pattern(conn, HOME, &pattern("t.*"), 0, None, Encoding::Raw).expect("room");
    list(&mut hub, conn, 0..PATTERN_TOPICS_MAX);
    assert!(hub.outbox(conn).expect("connected").close_queued());
    assert!(!hub.has_room(conn));
    let mut slow = Vec::new();
    hub.take_slow(&mut slow);
    let reason = slow.pop().expect("closed").1;
    let bytes_max = ANNOUNCEMENT_BYTES_ALLOWANCE as u64;
    assert!(matches!(reason, SlowReason::Bytes { bytes_max: of, .. } if of == bytes_max));
}

#[test]
fn announcements_take_no_room_from_others() {
    let outbox = OutboxLimits { bytes_max: 1_000, frames_max: 4, ..OutboxLimits::default() };
    let mut hub = Hub::new(HubConfig { outbox, ..HubConfig::default() });
    let conn = hub.connect(NOW);
    hub.attach_pattern(conn, HOME, &pattern("t.*"), 0, Some(GAP), Encoding::Raw).expect("room");
    list(&mut hub, conn, 0..500);
    assert!(hub.has_room(conn));
    assert!(hub.outbox(conn).is_some_and(|outbox| outbox.frames() == 500));
    for seq in 1..=4 {
        assert_eq!(publish(&mut hub, "t.7", seq).delivered, 1);
        assert_eq!(hub.has_room(conn), seq < 2);
    }
    assert_eq!(publish(&mut hub, "t.8", 1), Report { dropped: 1, ..Report::default() });
    assert_eq!(hub.congested(), 1);
    let got = received(&mut hub, conn);
    assert_eq!(got[500..504], ["1", "2", "3", "4"]);
    assert_eq!((hub.queued_bytes(), hub.congested(), hub.has_room(conn)), (0, 0, true));
}

#[test]
fn a_pattern_over_many_topics_with_snapshots_closes_nobody_and_loses_no_state() {
    for policy in Policy::ALL {
        let mut hub = Hub::new(HubConfig::default());
        let conn = hub.connect(NOW);
        hub.attach_pattern(conn, HOME, &pattern("t.*"), 0, Some(policy), Encoding::Raw)
            .expect("room");
        let (topics, mut got) = (18_000, 0);
        for n in 0..topics {
            let name = format!("t.{n}");
            let snapshot = Some(Frame::text("a state"));
            let start = Start { snapshot, ..start(policy) };
            assert!(hub.match_stream(conn, &pattern("t.*"), &stream(&name, 9), start, NOW));
        }
        let mut resyncs: Vec<Resync> = Vec::new();
        loop {
            let frames = received(&mut hub, conn);
            assert!(frames.iter().all(|frame| !frame.contains("gap")), "{policy}");
            got += frames.iter().filter(|frame| *frame == "a state").count();
            hub.take_resync(&mut resyncs);
            if frames.is_empty() && resyncs.is_empty() {
                break;
            }
            for Resync { name, lost_from, .. } in resyncs.drain(..) {
                let snapshot = Some(Frame::text("a state"));
                assert!(hub.resync(conn, &stream(&name, 9), lost_from, snapshot, &[], NOW));
            }
        }
        assert_eq!(got, topics, "{policy}");
    }
}

#[test]
fn conflation_does_not_pass_the_announcement() {
    let mut hub = Hub::new(HubConfig::default());
    let conn = hub.connect(NOW);
    hub.attach_pattern(conn, HOME, &pattern("q.*"), 0, Some(Policy::Latest), Encoding::Raw)
        .expect("attached");
    publish(&mut hub, "q.A", 1);
    publish(&mut hub, "q.A", 2);
    publish(&mut hub, "q.A", 3);
    assert_eq!(received(&mut hub, conn), [announced("q.A", "q.*", 0), "3".into()]);
}

#[test]
fn a_thousand_subscribers_of_one_pattern_share_one_announcement() {
    let mut hub = Hub::new(HubConfig::default());
    let conns: Vec<ConnId> = (0..1_000).map(|_| hub.connect(NOW)).collect();
    for conn in &conns {
        hub.attach_pattern(*conn, HOME, &pattern("t.*"), 0, Some(GAP), Encoding::Raw)
            .expect("attached");
    }
    assert_eq!(publish(&mut hub, "t.A", 1).delivered, 1_000);
    let place = |conn: &ConnId| {
        let outbox = hub.outbox(*conn).expect("connected");
        outbox.slices().next().map(<[u8]>::as_ptr)
    };
    let first = place(&conns[0]);
    assert!(conns.iter().all(|conn| place(conn) == first), "made more than once");
}

#[test]
fn a_connection_that_closes_is_not_subscribed_any_more() {
    let (mut hub, conn) = hub_with(&["t.*"]);
    let bye = Frame::close(corecast_wire::CloseCode::NORMAL, "");
    assert!(hub.close(conn, bye, corecast_hub::Flush::Queued));
    assert_eq!(publish(&mut hub, "t.A", 1), Report::default());
    assert_eq!((hub.topics(), hub.subscriptions(conn)), (0, 0));
}

#[test]
fn disconnecting_takes_the_patterns_along() {
    let (mut hub, conn) = hub_with(&["t.*", "t.>", "*.A", "u.B.c"]);
    let other = hub.connect(NOW);
    hub.attach_pattern(other, HOME, &pattern("t.*"), 0, Some(GAP), Encoding::Raw).expect("room");
    publish(&mut hub, "t.A", 1);
    assert!(hub.disconnect(conn));
    assert_eq!((hub.topics(), hub.subscribers("t.A")), (1, 1));
    assert_eq!(publish(&mut hub, "t.B", 1).delivered, 1);
    assert_eq!(publish(&mut hub, "u.B.c", 1), Report::default());
    // The place is used again by one who has asked for nothing.
    let again = hub.connect(NOW);
    assert_eq!(again.index, conn.index);
    assert_eq!(publish(&mut hub, "x.A", 1), Report::default());
    assert!(hub.disconnect(other));
    assert_eq!(hub.topics(), 0);
}

const NOW: Timestamp = Timestamp(0);

fn hub_with(patterns: &[&str]) -> (Hub, ConnId) {
    let mut hub = Hub::new(HubConfig::default());
    let conn = hub.connect(NOW);
    for text in patterns {
        hub.attach_pattern(conn, HOME, &pattern(text), 0, Some(GAP), Encoding::Raw)
            .expect("attached");
    }
    (hub, conn)
}

/// Lists streams for the pattern `t.*`, as its home does.
fn list(hub: &mut Hub, conn: ConnId, streams: std::ops::Range<usize>) {
    for n in streams {
        let name = format!("t.{n}");
        hub.match_stream(conn, &pattern("t.*"), &stream(&name, 0), start(GAP), NOW);
    }
}

fn pattern(text: &str) -> Pattern {
    text.parse().expect("a pattern")
}

fn stream(name: &str, seq: u64) -> Stream<'_> {
    Stream { sid: 1, home: HOME, seq, ..Stream::raw(name) }
}

fn start(policy: Policy) -> Start<'static> {
    Start { policy, encoding: Encoding::Raw, snapshot: None, missed: &[] }
}

fn frames(text: &str) -> SharedFrames {
    SharedFrames::new(&Frames::raw(Frame::text(text)), NOW)
}

fn publication<'a>(topic: &'a str, seq: u64, frames: &'a SharedFrames) -> Publication<'a> {
    Publication { sid: 1, home: HOME, ..Publication::raw(topic, seq, frames) }
}

fn publish(hub: &mut Hub, topic: &str, seq: u64) -> Report {
    hub.publish(&publication(topic, seq, &frames(&seq.to_string())), NOW)
}

fn announced(topic: &str, pattern: &str, seq: u64) -> String {
    format!(r#"{{"subscribed":{{"topic":"{topic}","pattern":"{pattern}","seq":{seq}}}}}"#)
}

/// Sends all that waits; returns the payloads.
fn received(hub: &mut Hub, conn: ConnId) -> Vec<String> {
    let Some(outbox) = hub.outbox(conn) else { return Vec::new() };
    let frames: Vec<Vec<u8>> = outbox.slices().map(<[u8]>::to_vec).collect();
    let bytes = frames.iter().map(Vec::len).sum();
    hub.sent(conn, bytes, NOW);
    let payload = |frame: Vec<u8>| {
        let header = if frame[1] < 126 { 2 } else { 4 };
        String::from_utf8_lossy(&frame[header..]).into_owned()
    };
    frames.into_iter().map(payload).collect()
}
