//! What has no number (a stream is stale, somebody came) stands for itself: no message takes its
//! place, and it takes no message's.

use corecast_hub::{
    ConnId, Encoding, Hub, HubConfig, OutboxLimits, Policy, Publication, Report, SharedFrame,
    SharedFrames, Stream, SubscribeError, Timestamp,
};
use corecast_wire::Frame;

const NOW: Timestamp = Timestamp(1);

fn hub(frames_max: u32, subscriptions_max: usize) -> (Hub, ConnId) {
    let outbox = OutboxLimits { frames_max, ..OutboxLimits::default() };
    let mut hub = Hub::new(HubConfig { outbox, subscriptions_max, ..HubConfig::default() });
    let conn = hub.connect(NOW);
    (hub, conn)
}

fn publish(hub: &mut Hub, seq: u64, key: Option<&[u8]>, text: &str) -> Report {
    let frames = SharedFrames::raw(SharedFrame::new(Frame::text(text), NOW));
    hub.publish(&Publication { key, ..Publication::raw("quote.A", seq, &frames) }, NOW)
}

fn waiting(hub: &Hub, conn: ConnId) -> Vec<String> {
    let outbox = hub.outbox(conn).expect("connected");
    outbox.slices().map(|slice| String::from_utf8_lossy(&slice[2..]).into_owned()).collect()
}

#[test]
fn the_newest_value_and_the_notices_come_both() {
    for policy in [Policy::Latest, Policy::LatestByKey] {
        let (mut hub, conn) = hub(100, 10);
        hub.attach(conn, &Stream::raw("quote.A"), policy, Encoding::Raw).expect("attached");
        hub.set_blocked(conn, true);
        publish(&mut hub, 1, None, "one");
        publish(&mut hub, 0, None, "stale");
        publish(&mut hub, 0, None, "live");
        assert_eq!(publish(&mut hub, 2, None, "two").conflated, 1);
        assert_eq!(waiting(&hub, conn), ["two", "stale", "live"], "{policy}");
    }
}

#[test]
fn a_notice_that_finds_no_room_is_dropped_and_closes_nobody() {
    for policy in [Policy::default(), Policy::Latest, Policy::Close] {
        let (mut hub, conn) = hub(2, 10);
        hub.attach(conn, &Stream::raw("quote.A"), policy, Encoding::Raw).expect("attached");
        hub.set_blocked(conn, true);
        publish(&mut hub, 1, None, "one");
        publish(&mut hub, 0, None, "stale");
        assert_eq!(publish(&mut hub, 0, None, "live"), Report { dropped: 1, ..Report::default() });
        assert_eq!(waiting(&hub, conn), ["one", "stale"], "{policy}");
    }
}

#[test]
fn what_the_service_joins_for_a_peer_is_none_of_its_subscriptions() {
    let (mut hub, conn) = hub(100, 1);
    let mut join = |name: &str| {
        hub.attach(conn, &Stream::raw(name), Policy::Latest, Encoding::Raw).map(|_| ())
    };
    join("$beat.1").expect("internal");
    join("quote.A").expect("the one that is allowed");
    join("$user.u1").expect("internal");
    let full = Err(SubscribeError::SubscriptionsFull { subscriptions_max: 1 });
    assert_eq!(join("quote.B"), full);
    assert!(hub.detach(conn, "$beat.1") && hub.detach(conn, "quote.A"));
    hub.attach(conn, &Stream::raw("quote.B"), Policy::Latest, Encoding::Raw).expect("room again");
}
