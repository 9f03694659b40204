//! Subscribing, leaving and disconnecting do not search: with 100,000 topics, or 100,000
//! subscribers of one, they cost what they cost with a few.

use std::time::Duration;

use corecast_hub::{
    ConnId, Hub, HubConfig, Publication, SharedFrame, SharedFrames, SubscribeError, Timestamp,
    TopicError,
};
use corecast_wire::Frame;

const MANY: usize = 100_000;

#[test]
fn a_hundred_thousand_topics_of_one_connection() {
    let mut hub = hub();
    let conn = hub.connect(Timestamp(0));
    let names: Vec<String> = (0..MANY).map(|topic| format!("trade.{topic}")).collect();
    let names = names.iter().map(String::as_str);
    let elapsed = time(|| {
        names
            .clone()
            .for_each(|name| assert!(hub.subscribe(conn, name, None).is_ok_and(|s| s.new)));
        names.clone().for_each(|name| assert!(hub.unsubscribe(conn, name)));
        assert_eq!((hub.topics(), hub.subscriptions(conn)), (0, 0));
        names.for_each(|name| assert!(hub.subscribe(conn, name, None).is_ok()));
        assert!(hub.disconnect(conn));
        assert_eq!(hub.topics(), 0);
    });
    // A search per call would be 10^10 steps: minutes.
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
}

#[test]
fn a_hundred_thousand_subscribers_of_one_topic() {
    let mut hub = hub();
    let connections: Vec<_> = (0..MANY).map(|_| hub.connect(Timestamp(0))).collect();
    let elapsed = time(|| {
        for conn in &connections {
            assert!(hub.subscribe(*conn, "trade", None).is_ok());
        }
        for conn in &connections[..MANY / 2] {
            assert!(hub.unsubscribe(*conn, "trade"));
        }
        assert_eq!(hub.subscribers("trade"), MANY / 2);
        assert_eq!(publish(&mut hub, "trade"), MANY as u64 / 2);
        for conn in &connections {
            assert!(hub.disconnect(*conn));
        }
        assert_eq!((hub.topics(), hub.connections()), (0, 0));
    });
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
}

#[test]
fn leaving_takes_exactly_the_one_who_leaves() {
    let mut hub = hub();
    let connections: Vec<_> = (0..50).map(|_| hub.connect(Timestamp(0))).collect();
    for topic in 0..40 {
        for conn in &connections {
            hub.subscribe(*conn, &format!("t.{topic}"), None).expect("subscribed");
        }
    }
    for (at, conn) in connections.iter().enumerate() {
        for topic in (0..40).filter(|topic| (topic + at) % 3 == 0) {
            assert!(hub.unsubscribe(*conn, &format!("t.{topic}")));
            assert!(!hub.unsubscribe(*conn, &format!("t.{topic}")));
        }
    }
    for (at, conn) in connections.iter().enumerate() {
        let mut names: Vec<_> = hub.subscribed_topics(*conn).collect();
        names.sort_unstable();
        let expected = (0..40).filter(|topic| (topic + at) % 3 != 0);
        let mut expected: Vec<_> = expected.map(|topic| format!("t.{topic}")).collect();
        expected.sort_unstable();
        assert_eq!(names, expected);
    }
    let left = |topic| (0..50).filter(|at| (topic + at) % 3 != 0).count() as u64;
    for topic in 0..40 {
        assert_eq!(publish(&mut hub, &format!("t.{topic}")), left(topic));
    }
}

#[test]
fn bounds_are_errors_that_name_the_bound() {
    let config = HubConfig {
        topics_max: 2,
        subscriptions_max: 2,
        topic_bytes_max: 5,
        ..HubConfig::default()
    };
    let mut hub = Hub::new(config);
    let (first, second) = (hub.connect(Timestamp(0)), hub.connect(Timestamp(0)));
    let mut subscribe = |conn: ConnId, topic| hub.subscribe(conn, topic, None);
    assert!(subscribe(first, "a").is_ok() && subscribe(first, "b").is_ok());
    assert!(subscribe(first, "a").is_ok_and(|again| !again.new));
    let full = SubscribeError::SubscriptionsFull { subscriptions_max: 2 };
    assert_eq!(subscribe(first, "c"), Err(full));
    assert_eq!(subscribe(second, "c"), Err(SubscribeError::TopicsFull { topics_max: 2 }));
    let long = TopicError::TooLong { bytes: 6, bytes_max: 5 };
    assert_eq!(subscribe(second, "abcdef"), Err(SubscribeError::Topic(long)));
    assert!(subscribe(second, "b").is_ok_and(|subscribed| subscribed.new));
    // A topic that nobody has any more makes room for another.
    assert!(hub.unsubscribe(first, "a"));
    assert!(hub.subscribe(second, "c", None).is_ok());
    assert!(hub.disconnect(second) && !hub.disconnect(second));
    assert_eq!(hub.subscribe(second, "b", None), Err(SubscribeError::Gone));
    let reused = hub.connect(Timestamp(0));
    assert_eq!((reused.index, reused.generation), (second.index, second.generation + 1));
    assert_eq!((hub.subscriptions(reused), hub.subscribers("b")), (0, 1));
}

fn hub() -> Hub {
    Hub::new(HubConfig { subscriptions_max: MANY, ..HubConfig::default() })
}

fn publish(hub: &mut Hub, topic: &str) -> u64 {
    let frames = SharedFrames::raw(SharedFrame::new(Frame::text("1"), Timestamp(0)));
    hub.publish(&Publication::raw(topic, 1, &frames), Timestamp(0)).delivered
}

#[allow(clippy::disallowed_methods)] // the test's own time, not the hub's
fn time(work: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}
