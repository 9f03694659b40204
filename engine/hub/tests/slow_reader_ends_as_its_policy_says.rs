//! One reader that takes nothing, and what each policy makes of its backlog.

use std::time::Duration;

use corecast_hub::{
    ConnId, Flush, Hub, HubConfig, OutboxLimits, Overflow, Policy, Publication, Report, SendStatus,
    SharedFrame, SharedFrames, SlowReason, Timestamp,
};
use corecast_wire::{CloseCode, Frame};

const GAP: Policy = Policy::Lossless { overflow: Overflow::Gap };
const SECOND: u64 = 1_000_000_000;

#[test]
fn lossless_closes_and_says_which_bound() {
    for policy in [Policy::default(), Policy::Close] {
        let (mut hub, conn) = hub_with(4, 1_000, &[("t", policy)]);
        assert_eq!(publish_all(&mut hub, "t", 1..=4), Report { delivered: 4, ..NOTHING });
        // The fifth closes: itself and the four that wait are dropped.
        assert_eq!(publish_all(&mut hub, "t", 5..=5), Report { dropped: 5, ..NOTHING });
        assert_eq!(publish_all(&mut hub, "t", 6..=7), Report { dropped: 2, ..NOTHING });
        assert_eq!(received(&hub, conn), ["4407 slow reader: 5 frames waiting, at most 4"]);
        let reason = SlowReason::Frames { frames: 5, frames_max: 4 };
        assert_eq!(slow(&mut hub), [(conn, reason)]);
        assert_eq!(slow(&mut hub), []);
    }
    let (mut hub, conn) = hub_with(100, 20, &[("t", Policy::default())]);
    publish_all(&mut hub, "t", 10_000_000..=10_000_002);
    assert_eq!(received(&hub, conn), ["4407 slow reader: 30 bytes waiting, at most 20"]);
}

#[test]
fn a_frame_that_is_partly_sent_is_finished_before_the_close() {
    let (mut hub, conn) = hub_with(2, 1_000, &[("t", Policy::default())]);
    publish_all(&mut hub, "t", 1..=2);
    assert_eq!(hub.sent(conn, 1, Timestamp(0)).frames, 0);
    publish_all(&mut hub, "t", 3..=3);
    let outbox = hub.outbox(conn).expect("connected");
    let slices: Vec<_> = outbox.slices().collect();
    assert_eq!(slices[0], &Frame::text("1").as_bytes()[1..]);
    assert_eq!((slices.len(), slices[1][0]), (2, 0x88));
    let sent = hub.sent(conn, outbox_bytes(&hub, conn), Timestamp(0));
    assert_eq!((sent.frames, sent.finished_close, sent.more), (2, true, false));
}

#[test]
fn gap_declares_the_range_once_and_goes_on() {
    let (mut hub, conn) = hub_with(4, 1_000, &[("t", GAP), ("u", GAP)]);
    publish_all(&mut hub, "u", 1..=1);
    publish_all(&mut hub, "t", 1..=3);
    assert_eq!(publish_all(&mut hub, "t", 4..=4), Report { delivered: 1, dropped: 3, ..NOTHING });
    assert_eq!(received(&hub, conn), ["1", &gap("t", 1, 3), "4"]);
    publish_all(&mut hub, "t", 5..=5);
    // The second gap is merged with the one that still waits, in its place.
    assert_eq!(publish_all(&mut hub, "t", 6..=6), Report { delivered: 1, dropped: 2, ..NOTHING });
    assert_eq!(received(&hub, conn), ["1", &gap("t", 1, 5), "6"]);
    // Other topics leave no room: the frame itself is part of the gap.
    publish_all(&mut hub, "t", 7..=7);
    assert_eq!(publish_all(&mut hub, "u", 2..=2), Report { delivered: 1, dropped: 1, ..NOTHING });
    assert_eq!(received(&hub, conn), [&gap("u", 1, 1), &gap("t", 1, 5), "6", "7", "2"]);
    assert_eq!(slow(&mut hub), []);
}

#[test]
fn latest_keeps_the_newest_in_the_place_of_the_first() {
    let topics = [("a", Policy::Latest), ("b", Policy::Latest)];
    let (mut hub, conn) = hub_with(4, 1_000, &topics);
    publish_all(&mut hub, "a", 1..=1);
    publish_all(&mut hub, "b", 10..=10);
    let report = publish_all(&mut hub, "a", 2..=50);
    assert_eq!(report, Report { delivered: 49, conflated: 49, dropped: 0 });
    assert_eq!(received(&hub, conn), ["50", "10"]);
    // The one that is begun is no longer replaced.
    hub.sent(conn, 1, Timestamp(0));
    publish_all(&mut hub, "a", 51..=52);
    assert_eq!(received(&hub, conn)[1..], ["10", "52"]);
}

#[test]
fn latest_by_key_keeps_the_newest_of_each_key() {
    let (mut hub, conn) = hub_with(1_000, 100_000, &[("t", Policy::LatestByKey)]);
    // Few keys are searched, many are indexed.
    for keys in [4_u64, 100] {
        for seq in 1..=keys * 5 {
            publish_key(&mut hub, "t", seq, &(seq % keys).to_be_bytes());
        }
        let expected: Vec<_> = (keys * 4 + 1..=keys * 5).map(|seq| seq.to_string()).collect();
        assert_eq!(received(&hub, conn), expected);
        let bytes = outbox_bytes(&hub, conn);
        assert!(!hub.sent(conn, bytes, Timestamp(0)).more);
        assert_eq!(hub.outbox(conn).map(|outbox| outbox.heap_bytes()), Some(0));
    }
    // A key that is too long is no key: nothing replaces it.
    for seq in 1..=2 {
        publish_key(&mut hub, "t", seq, &[7; 256]);
    }
    assert_eq!(received(&hub, conn), ["1", "2"]);
}

#[test]
fn more_keys_than_are_remembered_still_end_with_the_newest_value() {
    let keys = corecast_hub::limits::KEYS_MAX as u64 + 10;
    let (mut hub, conn) = hub_with(200_000, 100_000_000, &[("t", Policy::LatestByKey)]);
    for seq in 0..keys * 2 {
        publish_key(&mut hub, "t", seq, &(seq % keys).to_be_bytes());
    }
    let mut newest = vec![0; keys as usize];
    for text in received(&hub, conn) {
        let seq: u64 = text.parse().expect("a number");
        newest[(seq % keys) as usize] = seq;
    }
    assert!(newest.iter().all(|seq| *seq >= keys));
}

#[test]
fn drop_oldest_keeps_the_newest_and_spares_other_topics() {
    let (mut hub, conn) = hub_with(4, 1_000, &[("log", Policy::DropOldest), ("t", GAP)]);
    publish_all(&mut hub, "log", 1..=2);
    publish_all(&mut hub, "t", 100..=100);
    assert_eq!(
        publish_all(&mut hub, "log", 3..=9),
        Report { delivered: 7, dropped: 6, conflated: 0 }
    );
    assert_eq!(received(&hub, conn), ["100", "7", "8", "9"]);
    assert_eq!(slow(&mut hub), []);
}

#[test]
fn a_ticker_behind_a_full_queue_has_an_allowance_and_then_an_end() {
    let (mut hub, conn) = hub_with(4, 1_000, &[("t", Policy::default())]);
    let latest = ["a", "b"].map(|topic| hub.subscribe(conn, topic, Some(Policy::Latest)));
    assert!(latest.iter().all(Result::is_ok));
    publish_all(&mut hub, "t", 1..=4);
    assert_eq!(publish_all(&mut hub, "a", 7..=9).conflated, 2);
    assert_eq!(received(&hub, conn), ["1", "2", "3", "4", "9"]);
    assert_eq!(publish_all(&mut hub, "b", 7..=7), Report { dropped: 6, ..NOTHING });
    assert_eq!(slow(&mut hub).len(), 1);
}

#[test]
fn age_closes_declares_drops_or_keeps() {
    let late = Timestamp(31 * SECOND);
    let age = Duration::from_secs(31);
    let age = SlowReason::Age { age, age_max: Duration::from_secs(30) };
    for (policy, expected, reason) in [
        (
            Policy::default(),
            vec!["4407 slow reader: a frame waited 31000 ms, at most 30000 ms"],
            Some(age),
        ),
        (GAP, vec![r#"{"gap":{"topic":"t","from":2,"to":3,"reason":"age"}}"#], None),
        (Policy::DropOldest, vec![], None),
        (Policy::Latest, vec!["3"], None),
    ] {
        let (mut hub, conn) = hub_with(100, 1_000, &[("t", policy)]);
        publish_all(&mut hub, "t", 1..=3);
        // The peer takes a byte now and then: it is slow, it does not stall.
        let first = if policy == Policy::Latest { 0 } else { 3 };
        hub.sent(conn, first, Timestamp(29 * SECOND));
        hub.pong(conn, Frame::pong(b""));
        hub.sent(conn, 2, Timestamp(30 * SECOND));
        assert_eq!(hub.expire(conn, Timestamp(30 * SECOND)), None);
        assert_eq!(hub.expire(conn, late), reason, "{policy}");
        assert_eq!(received(&hub, conn), expected, "{policy}");
    }
}

#[test]
fn a_peer_that_takes_no_byte_at_all_is_closed_whatever_the_policy() {
    for policy in Policy::ALL {
        let (mut hub, conn) = hub_with(2, 1_000, &[("t", policy)]);
        let far = Timestamp(100 * SECOND);
        assert_eq!(hub.expire(conn, far), None, "nothing waits, nobody stalls");
        let mut now = far;
        let mut reason = None;
        // What is replaced or dropped meanwhile is no progress.
        for seq in 1..200 {
            now = now.after(Duration::from_millis(100));
            publish(&mut hub, "t", seq, None, now);
            reason = reason.or(hub.expire(conn, now));
        }
        let closed = slow(&mut hub);
        assert_eq!(closed.len(), 1, "{policy}");
        let lossy =
            !matches!(policy, Policy::Close | Policy::Lossless { overflow: Overflow::Close });
        assert_eq!(matches!(reason, Some(SlowReason::Stall { .. })), lossy, "{policy}: {reason:?}");
        let status = hub.send(conn, &SharedFrame::new(Frame::text("x"), now), now);
        assert_eq!(status, SendStatus::Gone);
    }
}

#[test]
fn a_close_lets_the_backlog_go_first_or_not() {
    for (flush, expected) in
        [(Flush::Queued, vec!["1", "2", "1001 bye"]), (Flush::Now, vec!["1001 bye"])]
    {
        let (mut hub, conn) = hub_with(100, 1_000, &[("t", Policy::default())]);
        publish_all(&mut hub, "t", 1..=2);
        assert!(hub.close(conn, Frame::close(CloseCode::GOING_AWAY, "bye"), flush));
        assert_eq!(publish_all(&mut hub, "t", 3..=3), Report { dropped: 1, ..NOTHING });
        assert!(!hub.pong(conn, Frame::pong(b"x")) && !hub.ping(conn, Frame::ping(b"x")));
        assert_eq!(received(&hub, conn), expected);
        // The first Close frame stays, a later call may still cut what waits before it.
        assert!(hub.close(conn, Frame::close(CloseCode::NORMAL, "later"), Flush::Now));
        assert_eq!(received(&hub, conn), ["1001 bye"]);
        assert_eq!(hub.totals().dropped, 3);
    }
}

#[test]
fn only_the_latest_pong_waits_and_it_goes_ahead_of_the_backlog() {
    let (mut hub, conn) = hub_with(100, 1_000, &[("t", Policy::default())]);
    publish_all(&mut hub, "t", 1..=2);
    hub.sent(conn, 1, Timestamp(0));
    for ping in 0..1_000_u32 {
        assert!(hub.pong(conn, Frame::pong(&ping.to_be_bytes())));
    }
    let outbox = hub.outbox(conn).expect("connected");
    let slices: Vec<_> = outbox.slices().map(<[u8]>::to_vec).collect();
    let pong = Frame::pong(&999_u32.to_be_bytes());
    let first = Frame::text("1");
    assert_eq!(slices, [&first.as_bytes()[1..], pong.as_bytes(), Frame::text("2").as_bytes()]);
}

#[test]
fn publishers_wait_for_lossless_readers_only() {
    for (policy, congested) in
        [(Policy::default(), 1), (GAP, 1), (Policy::Close, 0), (Policy::DropOldest, 0)]
    {
        let (mut hub, conn) = hub_with(10, 1_000, &[("t", policy)]);
        publish_all(&mut hub, "t", 1..=5);
        assert_eq!(hub.congested(), 0);
        publish_all(&mut hub, "t", 6..=6);
        assert_eq!(hub.congested(), congested, "{policy}");
        hub.sent(conn, 3, Timestamp(0));
        assert_eq!(hub.congested(), 0);
    }
}

const NOTHING: Report = Report { delivered: 0, conflated: 0, dropped: 0 };

fn hub_with(frames_max: u32, bytes_max: usize, topics: &[(&str, Policy)]) -> (Hub, ConnId) {
    let outbox = OutboxLimits { bytes_max, frames_max, ..OutboxLimits::default() };
    let mut hub = Hub::new(HubConfig { outbox, ..HubConfig::default() });
    let conn = hub.connect(Timestamp(0));
    for (topic, policy) in topics {
        hub.subscribe(conn, topic, Some(*policy)).expect("subscribed");
    }
    (hub, conn)
}

fn publish(hub: &mut Hub, topic: &str, seq: u64, key: Option<&[u8]>, now: Timestamp) -> Report {
    let frames = SharedFrames::raw(SharedFrame::new(Frame::text(&seq.to_string()), now));
    hub.publish(&Publication { key, ..Publication::raw(topic, seq, &frames) }, now)
}

fn publish_key(hub: &mut Hub, topic: &str, seq: u64, key: &[u8]) {
    publish(hub, topic, seq, Some(key), Timestamp(0));
}

fn publish_all(hub: &mut Hub, topic: &str, seqs: impl Iterator<Item = u64>) -> Report {
    let mut sum = NOTHING;
    seqs.for_each(|seq| sum.add(publish(hub, topic, seq, None, Timestamp(0))));
    sum
}

fn outbox_bytes(hub: &Hub, conn: ConnId) -> usize {
    hub.outbox(conn).map_or(0, |outbox| outbox.gather(&mut Vec::new(), usize::MAX))
}

/// What the reader would get, as text; a Close as its code and reason.
fn received(hub: &Hub, conn: ConnId) -> Vec<String> {
    let outbox = hub.outbox(conn).expect("connected");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let frames = outbox.slices().map(|frame| match frame[0] {
        0x88 => {
            let code = u16::from_be_bytes([frame[2], frame[3]]);
            format!("{code} {}", text(&frame[4..]))
        }
        _ => text(frame.get(2..).unwrap_or_default()),
    });
    frames.collect()
}

fn slow(hub: &mut Hub) -> Vec<(ConnId, SlowReason)> {
    let mut slow = Vec::new();
    hub.take_slow(&mut slow);
    slow
}

fn gap(topic: &str, from: u64, to: u64) -> String {
    format!(r#"{{"gap":{{"topic":"{topic}","from":{from},"to":{to},"reason":"frames"}}}}"#)
}
