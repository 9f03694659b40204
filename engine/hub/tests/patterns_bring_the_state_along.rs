//! A stream that a pattern meets on its way begins with its state, whatever the policy is.

use std::sync::Arc;

use corecast_hub::{
    ConnId, Encoding, Frames, Hub, HubConfig, Namespace, Namespaces, Overflow, Pattern, Policy,
    Publication, Report, Resync, SharedFrames, SnapshotKind, Start, Stream, Timestamp,
};
use corecast_wire::Frame;

const HOME: u16 = 3;
const NOW: Timestamp = Timestamp(0);

#[test]
fn a_first_snapshot_makes_the_topic_and_is_not_lost() {
    for policy in Policy::ALL {
        let (mut hub, conn) = hub_with(policy, SnapshotKind::Published);
        assert_eq!(snapshot(&mut hub, "book.A", 0).delivered, 1, "{policy}");
        assert_eq!(received(&mut hub, conn), [announced("book.A", 0), "at 0".into()]);
        assert_eq!(publish(&mut hub, "book.A", 1).delivered, 1);
        assert_eq!(received(&mut hub, conn), ["1"]);
        // One that comes later stands for its number: that is what is announced.
        assert_eq!(snapshot(&mut hub, "book.B", 7).delivered, 1);
        assert_eq!(received(&mut hub, conn), [announced("book.B", 7), "at 7".into()]);
        assert_eq!(listed(&mut hub), []);
    }
}

#[test]
fn a_stream_met_on_its_way_does_not_begin_without_its_state() {
    for policy in Policy::ALL {
        let (mut hub, conn) = hub_with(policy, SnapshotKind::Last);
        assert_eq!(publish(&mut hub, "book.A", 8), Report { dropped: 1, ..NOTHING });
        assert_eq!(publish(&mut hub, "book.A", 9), Report { dropped: 1, ..NOTHING });
        assert_eq!(listed(&mut hub), [(conn, 8)], "{policy}");
        assert_eq!(hub.expire(conn, NOW), None);
        // An answer that is older than what was lost since is none.
        assert!(!hub.resync(conn, &stream("book.A", 8), 8, snapshot_at(8), &[], NOW));
        assert_eq!(received(&mut hub, conn), [announced("book.A", 7)]);
        assert_eq!(listed(&mut hub), [(conn, 8)], "{policy}");
        let missed = [Frame::text("9")];
        assert!(hub.resync(conn, &stream("book.A", 9), 8, snapshot_at(8), &missed, NOW));
        publish(&mut hub, "book.A", 10);
        let got = received(&mut hub, conn);
        // No gap is told of what the snapshot stands for; of the newest value one is enough.
        let expected =
            if policy == Policy::Latest { &["10"][..] } else { &["at 8", "9", "10"][..] };
        assert_eq!(got, expected, "{policy}");
        assert_eq!((hub.queued_frames(), hub.queued_bytes()), (0, 0));
    }
}

#[test]
fn a_stream_from_its_first_message_and_one_without_state_begin_at_once() {
    let (mut hub, conn) = hub_with(GAP, SnapshotKind::Last);
    assert_eq!(publish(&mut hub, "book.A", 1).delivered, 1);
    assert_eq!(received(&mut hub, conn), [announced("book.A", 0), "1".into()]);
    let (mut hub, conn) = hub_with(GAP, SnapshotKind::None);
    assert_eq!(publish(&mut hub, "book.A", 8).delivered, 1);
    assert_eq!(received(&mut hub, conn), [announced("book.A", 7), "8".into()]);
}

#[test]
fn a_stream_made_known_by_anothers_name_does_not_begin_without_its_state() {
    for (kind, seq) in [(SnapshotKind::Last, 5), (SnapshotKind::Published, 0)] {
        let (mut hub, conn) = hub_with(GAP, kind);
        let other = hub.connect(NOW);
        hub.attach(other, &stream("book.A", seq), GAP, Encoding::Raw).expect("attached");
        assert_eq!(received(&mut hub, conn), [announced("book.A", seq)]);
        assert_eq!(listed(&mut hub), [(conn, seq + 1)]);
        let answer = stream("book.A", seq);
        assert!(hub.resync(conn, &answer, seq + 1, snapshot_at(seq), &[], NOW));
        assert_eq!(received(&mut hub, conn), [format!("at {seq}")]);
    }
}

#[test]
fn what_no_snapshot_stands_for_is_told_by_who_tells() {
    let silent = [Policy::Latest, Policy::LatestByKey, Policy::DropOldest];
    for policy in Policy::ALL {
        let (mut hub, conn) = hub_with(policy, SnapshotKind::Published);
        publish(&mut hub, "book.A", 8);
        received(&mut hub, conn);
        assert_eq!(listed(&mut hub), [(conn, 8)]);
        assert!(hub.resync(conn, &stream("book.A", 8), 8, None, &[], NOW));
        publish(&mut hub, "book.A", 9);
        let gap = r#"{"gap":{"topic":"book.A","from":8,"to":8,"reason":"frames"}}"#;
        let expected = if silent.contains(&policy) { vec!["9"] } else { vec![gap, "9"] };
        assert_eq!(received(&mut hub, conn), expected, "{policy}");
    }
}

#[test]
fn a_page_of_topics_repeats_nothing_that_a_publication_brought() {
    let (mut hub, conn) = hub_with(GAP, SnapshotKind::Last);
    let again = |hub: &mut Hub, topic: &str, seq| {
        let snapshot = Some(Frame::text("again"));
        let start =
            Start { policy: Policy::Latest, encoding: Encoding::Json, snapshot, missed: &[] };
        hub.match_stream(conn, &pattern(), &stream(topic, seq), start, NOW)
    };
    publish(&mut hub, "book.A", 1);
    assert_eq!(received(&mut hub, conn).len(), 2);
    assert!(!again(&mut hub, "book.A", 1));
    publish(&mut hub, "book.A", 2);
    publish(&mut hub, "book.A", 3);
    assert_eq!(received(&mut hub, conn), ["2", "3"], "with the terms that it had");
    // Nor what waits for its snapshot.
    publish(&mut hub, "book.B", 5);
    assert!(!again(&mut hub, "book.B", 5));
    assert_eq!(received(&mut hub, conn), [announced("book.B", 4)]);
    assert_eq!(listed(&mut hub), [(conn, 5)]);
    assert!(hub.resync(conn, &stream("book.B", 5), 5, snapshot_at(5), &[], NOW));
    assert_eq!(received(&mut hub, conn), ["at 5"]);
}

#[test]
fn other_terms_and_a_name_do_not_lose_the_snapshot_that_is_to_come() {
    for (before, policy) in Policy::ALL.into_iter().flat_map(|p| Policy::ALL.map(|q| (p, q))) {
        let (mut hub, conn) = hub_with(before, SnapshotKind::Last);
        publish(&mut hub, "book.A", 8);
        received(&mut hub, conn);
        hub.attach(conn, &stream("book.A", 8), policy, Encoding::Raw).expect("attached");
        publish(&mut hub, "book.A", 9);
        assert_eq!(listed(&mut hub), [(conn, 8)], "{before} {policy}");
        let start =
            Start { policy, encoding: Encoding::Raw, snapshot: snapshot_at(9), missed: &[] };
        assert!(!hub.start(conn, &stream("book.A", 9), start, NOW).expect("started").new);
        assert_eq!(received(&mut hub, conn), ["at 9"], "{before} {policy}");
        assert!(!hub.resync(conn, &stream("book.A", 9), 8, snapshot_at(9), &[], NOW));
        publish(&mut hub, "book.A", 10);
        assert_eq!(received(&mut hub, conn), ["10"], "{before} {policy}");
    }
}

#[test]
fn a_name_without_a_snapshot_does_not_end_the_wait_for_it() {
    for policy in Policy::ALL {
        let (mut hub, conn) = hub_with(policy, SnapshotKind::Last);
        publish(&mut hub, "book.A", 8);
        received(&mut hub, conn);
        // The answer to who resumes, without what a subscription that is there has already.
        let start = Start { policy, encoding: Encoding::Raw, snapshot: None, missed: &[] };
        hub.start(conn, &stream("book.A", 8), start, NOW).expect("started");
        assert_eq!(received(&mut hub, conn), [""; 0], "{policy}");
        assert_eq!(listed(&mut hub), [(conn, 8)], "{policy}");
        assert!(hub.resync(conn, &stream("book.A", 8), 8, snapshot_at(8), &[], NOW));
        assert_eq!(received(&mut hub, conn), ["at 8"], "{policy}");
    }
}

#[test]
fn a_pattern_that_goes_takes_what_waits_for_its_snapshot_along() {
    for policy in Policy::ALL {
        let (mut hub, conn) = hub_with(policy, SnapshotKind::Last);
        publish(&mut hub, "book.A", 8);
        assert!(hub.detach_pattern(conn, &pattern(), 0));
        assert_eq!((listed(&mut hub), hub.topics()), (vec![], 0), "{policy}");
        assert!(!hub.resync(conn, &stream("book.A", 8), 8, snapshot_at(8), &[], NOW));
        assert_eq!(received(&mut hub, conn), [announced("book.A", 7)]);
    }
}

#[test]
fn many_at_once_are_asked_for_in_turn_and_none_is_forgotten() {
    let (mut hub, conn) = hub_with(GAP, SnapshotKind::Last);
    let topics = 1_000;
    for n in 0..topics {
        publish(&mut hub, &format!("book.{n}"), 8);
    }
    received(&mut hub, conn);
    let mut asked = Vec::new();
    hub.take_resync(&mut asked);
    assert_eq!(asked.len(), corecast_hub::limits::RESYNCS_MAX);
    let mut resumed = 0;
    while let Some(Resync { name, lost_from, .. }) = asked.pop() {
        let answer = stream(&name, 8);
        assert!(hub.resync(conn, &answer, lost_from, snapshot_at(8), &[], NOW));
        resumed += 1;
        assert_eq!(received(&mut hub, conn), ["at 8"]);
        hub.take_resync(&mut asked);
        assert!(asked.len() <= corecast_hub::limits::RESYNCS_MAX);
    }
    assert_eq!(resumed, topics);
}

const GAP: Policy = Policy::Lossless { overflow: Overflow::Gap };
const NOTHING: Report = Report { delivered: 0, conflated: 0, dropped: 0 };

/// A connection with the pattern `book.*`.
fn hub_with(policy: Policy, snapshot: SnapshotKind) -> (Hub, ConnId) {
    let namespace = Namespace {
        name: "book".into(),
        policy,
        allow: Policy::ALL.into_iter().filter(|allowed| *allowed != policy).collect(),
        snapshot,
        history_entries: 8,
        ..Namespace::default()
    };
    // The hub asks what snapshots there are and what is granted; a home would refuse some.
    let namespaces = Arc::new(Namespaces::new(vec![namespace]).expect("namespaces"));
    let mut hub = Hub::new(HubConfig { namespaces, ..HubConfig::default() });
    let conn = hub.connect(NOW);
    hub.attach_pattern(conn, HOME, &pattern(), 0, Some(policy), Encoding::Raw).expect("attached");
    (hub, conn)
}

fn pattern() -> Pattern {
    "book.*".parse().expect("a pattern")
}

fn stream(name: &str, seq: u64) -> Stream<'_> {
    Stream { sid: 1, home: HOME, seq, ..Stream::raw(name) }
}

fn snapshot_at(seq: u64) -> Option<Frame> {
    Some(Frame::text(&format!("at {seq}")))
}

fn publish(hub: &mut Hub, topic: &str, seq: u64) -> Report {
    said(hub, topic, (seq, false), &seq.to_string())
}

fn snapshot(hub: &mut Hub, topic: &str, seq: u64) -> Report {
    said(hub, topic, (seq, true), &format!("at {seq}"))
}

fn said(hub: &mut Hub, topic: &str, (seq, is_snapshot): (u64, bool), text: &str) -> Report {
    let frames = SharedFrames::new(&Frames::raw(Frame::text(text)), NOW);
    let raw = Publication::raw(topic, seq, &frames);
    let key = text.as_bytes();
    let publication = Publication { sid: 1, home: HOME, is_snapshot, key: Some(key), ..raw };
    hub.publish(&publication, NOW)
}

fn announced(topic: &str, seq: u64) -> String {
    format!(r#"{{"subscribed":{{"topic":"{topic}","pattern":"book.*","seq":{seq}}}}}"#)
}

/// Who can go on, and from which number.
fn listed(hub: &mut Hub) -> Vec<(ConnId, u64)> {
    let mut listed = Vec::<Resync>::new();
    hub.take_resync(&mut listed);
    listed.into_iter().map(|resync| (resync.conn, resync.lost_from)).collect()
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
