//! `lossless:snapshot`: a slow reader pauses, and goes on with a gap, a snapshot and the rest.

use std::time::Duration;

use corecast_hub::{
    ConnId, Encoding, Frames, Hub, HubConfig, OutboxLimits, Overflow, Pattern, Policy, Publication,
    Report, Resync, SharedFrames, SlowReason, Start, Stream, Timestamp, Totals,
};
use corecast_wire::Frame;

const SNAPSHOT: Policy = Policy::Lossless { overflow: Overflow::Snapshot };
const HOME: u16 = 1;
const SECOND: u64 = 1_000_000_000;

#[test]
fn at_a_bound_the_backlog_goes_and_nothing_more_is_queued() {
    let (mut hub, conn) = hub_with(4, 10_000);
    fill(&mut hub, conn, 1);
    assert_eq!(publish(&mut hub, 2..=4), Report { delivered: 3, ..NOTHING });
    assert_eq!(publish(&mut hub, 5..=5), Report { dropped: 4, ..NOTHING });
    assert_eq!(publish(&mut hub, 6..=9), Report { dropped: 4, ..NOTHING });
    // Only what is partly sent is left; it belongs to the client.
    assert_eq!(hub.outbox(conn).map(|outbox| outbox.frames()), Some(1));
    assert_eq!(resyncs(&mut hub), [], "the socket takes nothing");
    unblock(&mut hub, conn);
    assert_eq!(received(&mut hub, conn), ["1"]);
    assert_eq!(resyncs(&mut hub), [resync(conn, 2)]);
    assert_eq!(resyncs(&mut hub), [], "each is listed once");
    balance(&hub);
}

#[test]
fn it_goes_on_with_the_gap_the_snapshot_and_what_came_behind() {
    let (mut hub, conn) = paused();
    publish(&mut hub, 8..=9);
    let missed = [Frame::text("8"), Frame::text("9")];
    assert!(hub.resync(conn, &stream(9), 2, Some(Frame::text("at 7")), &missed, NOW));
    assert_eq!(received(&mut hub, conn), [&gap(2, 7), "at 7", "8", "9"]);
    publish(&mut hub, 10..=10);
    assert_eq!(received(&mut hub, conn), ["10"]);
    balance(&hub);
    // Only once.
    assert!(!hub.resync(conn, &stream(9), 2, None, &[], NOW));
}

#[test]
fn it_never_goes_on_in_silence() {
    // No snapshot, nothing missed: the gap alone.
    let (mut hub, conn) = paused();
    assert!(hub.resync(conn, &stream(7), 2, None, &[], NOW));
    assert_eq!(received(&mut hub, conn), [gap(2, 7)]);
    // All that was lost is there: no gap.
    let (mut hub, conn) = paused();
    let missed: Vec<_> = (2..=7).map(|seq| Frame::text(&seq.to_string())).collect();
    assert!(hub.resync(conn, &stream(7), 2, None, &missed[..3], NOW));
    assert_eq!(received(&mut hub, conn), [&gap(2, 4), "2", "3", "4"], "three of seven: 5 to 7");
    let (mut hub, conn) = hub_with(8, 10_000);
    fill(&mut hub, conn, 1);
    publish(&mut hub, 2..=10);
    unblock(&mut hub, conn);
    received(&mut hub, conn);
    assert_eq!(resyncs(&mut hub), [resync(conn, 2)]);
    let missed: Vec<_> = (2..=9).map(|seq| Frame::text(&seq.to_string())).collect();
    // The answer is older than what was lost since: it is asked again.
    assert!(!hub.resync(conn, &stream(9), 2, None, &missed, NOW));
    hub.pong(conn, Frame::pong(b""));
    received(&mut hub, conn);
    assert_eq!(resyncs(&mut hub), [resync(conn, 2)]);
    // Another policy tells what was lost until then, and goes on.
    publish(&mut hub, 11..=12);
    hub.attach(conn, &stream(12), Policy::Latest, Encoding::Raw).expect("attached");
    publish(&mut hub, 13..=14);
    assert_eq!(received(&mut hub, conn), [&gap(2, 12), "14"]);
    balance(&hub);
}

#[test]
fn all_that_was_missed_needs_no_gap() {
    let (mut hub, conn) = hub_with(6, 10_000);
    fill(&mut hub, conn, 1);
    publish(&mut hub, 2..=7);
    unblock(&mut hub, conn);
    received(&mut hub, conn);
    assert_eq!(resyncs(&mut hub), [resync(conn, 2)]);
    let missed: Vec<_> = (2..=7).map(|seq| Frame::text(&seq.to_string())).collect();
    assert!(hub.resync(conn, &stream(7), 2, None, &missed, NOW));
    assert_eq!(received(&mut hub, conn), ["2", "3", "4", "5", "6", "7"]);
    balance(&hub);
}

#[test]
fn what_does_not_fit_waits_until_nothing_does() {
    let (mut hub, conn) = paused();
    assert!(hub.send(conn, &shared("direct"), NOW) == corecast_hub::SendStatus::Sent);
    let missed: Vec<_> = (4..=7).map(|seq| Frame::text(&seq.to_string())).collect();
    assert!(!hub.resync(conn, &stream(7), 2, None, &missed, NOW), "five frames of four");
    assert_eq!(resyncs(&mut hub), []);
    assert_eq!(received(&mut hub, conn), ["direct"]);
    assert_eq!(resyncs(&mut hub), [resync(conn, 2)]);
    assert!(hub.resync(conn, &stream(7), 2, None, &missed, NOW));
    assert_eq!(received(&mut hub, conn), [&gap(2, 3), "4", "5", "6", "7"]);
    // What exceeds even an empty outbox would never fit.
    let (mut hub, conn) = paused();
    let missed: Vec<_> = (3..=7).map(|seq| Frame::text(&seq.to_string())).collect();
    assert!(!hub.resync(conn, &stream(7), 2, None, &missed, NOW));
    let mut slow = Vec::new();
    hub.take_slow(&mut slow);
    assert_eq!(slow.len(), 1);
    assert!(hub.outbox(conn).expect("connected").close_queued());
    balance(&hub);
}

#[test]
fn a_snapshot_of_any_size_closes_nobody_who_reads() {
    // What came behind it has the bounds for itself.
    let missed: Vec<_> = (4..=7).map(|seq| Frame::text(&seq.to_string())).collect();
    let large = || Some(Frame::text(&"x".repeat(50_000)));
    let (mut hub, conn) = paused();
    assert!(hub.resync(conn, &stream(7), 2, large(), &missed, NOW));
    let got = received(&mut hub, conn);
    assert_eq!(
        (&got[0], got[1].len(), &got[2..]),
        (&gap(2, 3), 50_000, &["4", "5", "6", "7"].map(String::from)[..])
    );
    // What exceeds even that would never fit.
    let more: Vec<_> = (3..=7).map(|seq| Frame::text(&seq.to_string())).collect();
    let (mut hub, conn) = paused();
    assert!(!hub.resync(conn, &stream(7), 2, large(), &more, NOW));
    assert!(hub.outbox(conn).expect("connected").close_queued());
    // At the start it waits behind the answer, under any policy, and comes alone.
    for policy in Policy::ALL {
        let mut hub = hub_with(4, 10_000).0;
        let conn = hub.connect(NOW);
        hub.send(conn, &shared("subscribed"), NOW);
        let start = |snapshot, missed| Start { policy, encoding: Encoding::Raw, snapshot, missed };
        hub.start(conn, &stream(7), start(large(), &missed), NOW).expect("started");
        publish(&mut hub, 8..=8);
        assert_eq!(received(&mut hub, conn), ["subscribed"], "{policy}");
        assert_eq!(resyncs(&mut hub), [resync(conn, 4)], "{policy}");
        assert!(hub.resync(conn, &stream(8), 4, large(), &missed, NOW), "{policy}");
        let got = received(&mut hub, conn);
        // No gap; and of the newest value one is enough.
        let expected = if policy == Policy::Latest { (1, 1) } else { (50_000, 5) };
        assert_eq!((got[0].len(), got.len()), expected, "{policy}");
        // Where nothing waits it comes at once.
        let conn = hub.connect(NOW);
        hub.start(conn, &stream(8), start(large(), &[]), NOW).expect("started");
        assert_eq!(received(&mut hub, conn)[0].len(), 50_000, "{policy}");
    }
}

#[test]
fn a_second_pause_covers_the_first_ones_notice() {
    let (mut hub, conn) = paused();
    hub.set_blocked(conn, true);
    assert!(hub.resync(conn, &stream(7), 2, Some(Frame::text("at 7")), &[], NOW));
    publish(&mut hub, 8..=9);
    assert_eq!(publish(&mut hub, 10..=10), Report { dropped: 4, ..NOTHING });
    assert!(hub.outbox(conn).is_some_and(|outbox| outbox.is_empty()));
    unblock(&mut hub, conn);
    assert_eq!(resyncs(&mut hub), [resync(conn, 2)], "the notice had not left either");
    assert!(hub.resync(conn, &stream(10), 2, Some(Frame::text("at 10")), &[], NOW));
    assert_eq!(received(&mut hub, conn), [&gap(2, 10), "at 10"]);
}

#[test]
fn a_reader_that_stalls_while_paused_is_closed() {
    let (mut hub, conn) = hub_with(2, 10_000);
    hub.set_blocked(conn, true);
    publish(&mut hub, 1..=3);
    assert!(hub.outbox(conn).is_some_and(|outbox| outbox.is_empty()));
    assert_eq!(hub.expire(conn, Timestamp(9 * SECOND)), None);
    // Another frame does not make the time begin anew.
    hub.send(conn, &shared("direct"), Timestamp(9 * SECOND));
    let reason = hub.expire(conn, Timestamp(11 * SECOND));
    assert!(matches!(reason, Some(SlowReason::Stall { .. })), "{reason:?}");
    // Who is paused but reads is not stalled, however long the home takes.
    let (mut hub, conn) = paused();
    assert_eq!(hub.expire(conn, Timestamp(1_000 * SECOND)), None);
}

#[test]
fn a_refused_answer_leaves_nobody_paused_for_ever() {
    let (mut hub, conn) = paused();
    assert!(!hub.resync_failed(conn, "book.A", 3), "another pause");
    assert!(!hub.resync_failed(conn, "book.B", 2));
    assert!(hub.resync_failed(conn, "book.A", 2));
    assert!(!hub.resync_failed(conn, "book.A", 2), "only once");
    publish(&mut hub, 8..=8);
    assert_eq!(received(&mut hub, conn), [&gap(2, 7), "8"]);
    assert!(!hub.resync(conn, &stream(8), 2, None, &[], NOW), "it is no longer paused");
    balance(&hub);
    // Whose snapshot was still to come goes on without; who shows the newest is not told.
    for policy in Policy::ALL {
        let mut hub = hub_with(1, 10_000).0;
        let conn = hub.connect(NOW);
        hub.send(conn, &shared("subscribed"), NOW);
        let snapshot = Some(Frame::text("at 7"));
        let start = Start { policy, encoding: Encoding::Raw, snapshot, missed: &[] };
        hub.start(conn, &stream(7), start, NOW).expect("started");
        publish(&mut hub, 8..=8);
        assert_eq!(received(&mut hub, conn), ["subscribed"]);
        assert!(!hub.resync_failed(conn, "book.A", 8), "nobody was asked");
        assert_eq!(resyncs(&mut hub), [resync(conn, 8)]);
        assert!(hub.resync_failed(conn, "book.A", 8));
        publish(&mut hub, 9..=9);
        let silent = [Policy::Latest, Policy::LatestByKey].contains(&policy);
        let expected = if silent { vec!["9".into()] } else { vec![gap(8, 8), "9".into()] };
        assert_eq!(received(&mut hub, conn), expected, "{policy}");
    }
}

#[test]
fn age_is_a_bound_as_well() {
    let (mut hub, conn) = hub_with(100, 10_000);
    fill(&mut hub, conn, 1);
    publish(&mut hub, 2..=4);
    let later = Timestamp(31 * SECOND);
    // A byte now and then: no stall.
    hub.sent(conn, 1, later);
    assert_eq!(hub.expire(conn, later), None);
    assert_eq!(hub.totals().dropped, 3);
    unblock(&mut hub, conn);
    received(&mut hub, conn);
    assert_eq!(resyncs(&mut hub), [resync(conn, 2)]);
    balance(&hub);
}

#[test]
fn a_start_sets_a_paused_subscription_right() {
    let (mut hub, conn) = paused();
    let snapshot = Some(Frame::text("at 7"));
    let start = Start { policy: SNAPSHOT, encoding: Encoding::Raw, snapshot, missed: &[] };
    assert!(!hub.start(conn, &stream(7), start, NOW).expect("attached").new);
    publish(&mut hub, 8..=8);
    assert_eq!(received(&mut hub, conn), [&gap(2, 7), "at 7", "8"]);
    assert!(!hub.resync(conn, &stream(8), 2, None, &[], NOW), "it is no longer paused");
}

#[test]
fn who_leaves_while_paused_is_forgotten() {
    let (mut hub, conn) = paused();
    assert!(hub.detach(conn, "book.A"));
    assert!(!hub.resync(conn, &stream(7), 2, None, &[], NOW));
    attach(&mut hub, conn, 7);
    assert!(!hub.resync(conn, &stream(7), 2, None, &[], NOW), "another subscription");
    publish(&mut hub, 8..=8);
    assert_eq!(received(&mut hub, conn), ["8"]);
    let (mut hub, conn) = paused();
    assert!(hub.disconnect(conn));
    assert!(!hub.resync(conn, &stream(7), 2, None, &[], NOW));
    assert_eq!((resyncs(&mut hub), hub.topics()), (vec![], 0));
}

#[test]
fn a_lost_notice_is_counted_and_not_told() {
    let (mut hub, conn) = hub_with(2, 10_000);
    fill(&mut hub, conn, 1);
    publish(&mut hub, 2..=2);
    // It has no number: it does not pause the stream.
    assert_eq!(publish(&mut hub, 0..=0), Report { dropped: 1, ..NOTHING });
    unblock(&mut hub, conn);
    assert_eq!(received(&mut hub, conn), ["1", "2"]);
    balance(&hub);
}

#[test]
fn a_gap_told_twice_ends_where_the_last_loss_did() {
    let gap_policy = Policy::Lossless { overflow: Overflow::Gap };
    let (mut hub, conn) = hub_with(3, 10_000);
    hub.attach(conn, &stream(0), gap_policy, Encoding::Raw).expect("attached");
    fill(&mut hub, conn, 1);
    publish(&mut hub, 2..=4);
    assert_eq!(waiting(&hub, conn)[1..], [gap(2, 3), "4".into()]);
    publish(&mut hub, 5..=5);
    assert_eq!(waiting(&hub, conn)[1..], [gap(2, 4), "5".into()]);
    balance(&hub);
}

#[test]
fn snapshots_obey_the_policy_of_their_subscription() {
    let frames = [Frame::text("8"), Frame::text("9")];
    let begin = |policy, missed| Start {
        policy,
        encoding: Encoding::Raw,
        snapshot: Some(Frame::text("at 7")),
        missed,
    };
    // The newest value wins over the snapshot, as over any older one.
    let mut hub = Hub::new(HubConfig::default());
    let conn = hub.connect(NOW);
    hub.start(conn, &stream(7), begin(Policy::Latest, &[]), NOW).expect("started");
    assert_eq!(waiting(&hub, conn), ["at 7"]);
    publish(&mut hub, 8..=9);
    assert_eq!(received(&mut hub, conn), ["9"]);
    // A snapshot asked for again stands behind what was queued meanwhile.
    publish(&mut hub, 10..=10);
    hub.send(conn, &shared("subscribed"), NOW);
    hub.start(conn, &stream(10), begin(Policy::Latest, &[]), NOW).expect("started");
    assert_eq!(received(&mut hub, conn), ["subscribed", "at 7"]);
    balance(&hub);
    // Of keys, no value replaces it, and it replaces none.
    let mut hub = Hub::new(HubConfig::default());
    let conn = hub.connect(NOW);
    hub.start(conn, &stream(7), begin(Policy::LatestByKey, &[]), NOW).expect("started");
    publish(&mut hub, 8..=9);
    assert_eq!(received(&mut hub, conn), ["at 7", "9"]);
    // In order, where nothing may be lost.
    let mut hub = Hub::new(HubConfig::default());
    let conn = hub.connect(NOW);
    hub.start(conn, &stream(9), begin(Policy::default(), &frames), NOW).expect("started");
    publish(&mut hub, 10..=10);
    assert_eq!(received(&mut hub, conn), ["at 7", "8", "9", "10"]);
    let Totals { offered, sent, .. } = hub.totals();
    assert_eq!((offered, sent), (4, 4));
}

#[test]
fn a_pattern_that_goes_leaves_nothing_paused() {
    let (mut hub, conn) = hub_with(2, 10_000);
    let pattern: Pattern = "book.*".parse().expect("a pattern");
    hub.attach_pattern(conn, HOME, &pattern, 0, Some(SNAPSHOT), Encoding::Raw).expect("room");
    let begin = Start { policy: SNAPSHOT, encoding: Encoding::Raw, snapshot: None, missed: &[] };
    assert!(!hub.match_stream(conn, &pattern, &stream(0), begin, NOW), "it has the name");
    assert!(hub.detach(conn, "book.A"));
    hub.set_blocked(conn, true);
    publish(&mut hub, 1..=5);
    assert!(hub.detach_pattern(conn, &pattern, 0));
    unblock(&mut hub, conn);
    assert_eq!((resyncs(&mut hub), hub.topics()), (vec![], 0));
}

const NOTHING: Report = Report { delivered: 0, conflated: 0, dropped: 0 };
const NOW: Timestamp = Timestamp(0);

fn hub_with(frames_max: u32, bytes_max: usize) -> (Hub, ConnId) {
    let stall_max = Duration::from_secs(10);
    let outbox = OutboxLimits { bytes_max, frames_max, stall_max, ..OutboxLimits::default() };
    let mut hub = Hub::new(HubConfig { outbox, ..HubConfig::default() });
    let conn = hub.connect(NOW);
    attach(&mut hub, conn, 0);
    (hub, conn)
}

/// A subscription that lost 2 to 7, has been listed, and whose outbox is empty.
fn paused() -> (Hub, ConnId) {
    let (mut hub, conn) = hub_with(4, 10_000);
    fill(&mut hub, conn, 1);
    publish(&mut hub, 2..=7);
    unblock(&mut hub, conn);
    assert_eq!(received(&mut hub, conn), ["1"]);
    assert_eq!(resyncs(&mut hub), [resync(conn, 2)]);
    (hub, conn)
}

fn attach(hub: &mut Hub, conn: ConnId, seq: u64) {
    hub.attach(conn, &stream(seq), SNAPSHOT, Encoding::Raw).expect("attached");
}

fn stream(seq: u64) -> Stream<'static> {
    Stream { sid: 1, home: HOME, seq, ..Stream::raw("book.A") }
}

fn resync(conn: ConnId, lost_from: u64) -> Resync {
    let (name, topic) = ("book.A".into(), "book.A".into());
    let (interval_ms, home, encoding) = (0, HOME, Encoding::Raw);
    Resync { conn, name, topic, interval_ms, home, encoding, lost_from }
}

fn resyncs(hub: &mut Hub) -> Vec<Resync> {
    let mut resyncs = Vec::new();
    hub.take_resync(&mut resyncs);
    resyncs
}

/// Publishes one message of which the socket takes a byte, and no more.
fn fill(hub: &mut Hub, conn: ConnId, seq: u64) {
    publish(hub, seq..=seq);
    hub.sent(conn, 1, NOW);
    hub.set_blocked(conn, true);
}

fn unblock(hub: &mut Hub, conn: ConnId) {
    hub.set_blocked(conn, false);
}

fn shared(text: &str) -> corecast_hub::SharedFrame {
    corecast_hub::SharedFrame::new(Frame::text(text), NOW)
}

fn publish(hub: &mut Hub, seqs: std::ops::RangeInclusive<u64>) -> Report {
    let mut report = NOTHING;
    for seq in seqs {
        let frames = SharedFrames::new(&Frames::raw(Frame::text(&seq.to_string())), NOW);
        let raw = Publication::raw("book.A", seq, &frames);
        report.add(hub.publish(&Publication { sid: 1, home: HOME, ..raw }, NOW));
    }
    report
}

fn gap(from: u64, to: u64) -> String {
    format!(r#"{{"gap":{{"topic":"book.A","from":{from},"to":{to},"reason":"frames"}}}}"#)
}

fn balance(hub: &Hub) {
    let Totals { offered, sent, conflated, dropped, abandoned, .. } = hub.totals();
    let queued = hub.queued_frames();
    assert_eq!(offered, sent + conflated + dropped + abandoned + queued, "conservation");
}

/// The payloads of all frames that wait; of one that is partly sent the last byte.
fn waiting(hub: &Hub, conn: ConnId) -> Vec<String> {
    let outbox = hub.outbox(conn).expect("connected");
    let begun = outbox.is_begun();
    let payload = |(at, slice): (usize, &[u8])| {
        let header = match slice.get(1) {
            _ if at == 0 && begun => slice.len() - 1,
            Some(126) => 4,
            _ => 2,
        };
        String::from_utf8_lossy(&slice[header..]).into_owned()
    };
    outbox.slices().enumerate().map(payload).collect()
}

fn received(hub: &mut Hub, conn: ConnId) -> Vec<String> {
    let received = waiting(hub, conn);
    let bytes = hub.outbox(conn).map_or(0, |outbox| outbox.slices().map(<[u8]>::len).sum());
    hub.sent(conn, bytes, NOW);
    received
}
