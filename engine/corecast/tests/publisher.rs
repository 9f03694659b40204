//! The publisher: reports, order, back-pressure, and what slow readers get.

mod common;

use std::time::Duration;

use common::{closed, hear, join, start};
use corecast::config::{MeshConfig, OutboxConfig};
use corecast::{Frame, Overflow, Policy, PublishError};

#[tokio::test]
async fn a_report_counts_the_queues_on_all_shards() {
    let (engine, _events) = start(|builder| builder);
    let mut clients = Vec::new();
    for _ in 0..9 {
        clients.push(join(&engine, "quote.A").await);
    }
    let publisher = engine.publisher();
    let report = publisher.publish_reported("quote.A", &Frame::text("1")).expect("taken").await;
    assert_eq!((report.delivered, report.conflated, report.dropped), (9, 0, 0));
    let blocking = publisher.clone();
    let report = tokio::task::spawn_blocking(move || {
        blocking.publish_reported("quote.NOBODY", &Frame::text("1")).expect("taken").wait()
    });
    assert_eq!(report.await.expect("waited").delivered, 0);
    for client in &mut clients {
        assert_eq!(hear(client).await, "1");
    }
}

#[tokio::test]
async fn publications_of_many_threads_arrive_in_one_order_everywhere() {
    let (engine, _events) = start(|builder| builder);
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(join(&engine, "trade.A").await);
    }
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let publisher = engine.publisher();
            std::thread::spawn(move || {
                for n in 0..500 {
                    publisher.wait_ready();
                    let frame = Frame::text(&format!("{thread} {n}"));
                    publisher.publish("trade.A", &frame).expect("taken");
                }
            })
        })
        .collect();
    let mut orders = Vec::new();
    for client in &mut clients {
        let mut order = Vec::new();
        for _ in 0..2_000 {
            order.push(hear(client).await);
        }
        orders.push(order);
    }
    threads.into_iter().for_each(|thread| thread.join().expect("published"));
    for order in &orders {
        assert!(order == &orders[0], "two subscribers saw two orders");
    }
    for thread in 0..4 {
        let of_one: Vec<_> =
            orders[0].iter().filter(|t| t.starts_with(&format!("{thread} "))).collect();
        assert!(of_one.iter().enumerate().all(|(n, text)| **text == format!("{thread} {n}")));
    }
}

/// What one write does not take leaves with the next one at once: nothing else happens that would
/// wake the shard, which looks around by itself twenty times a second.
#[tokio::test]
async fn a_burst_that_takes_several_writes_waits_for_nobody() {
    let (engine, _events) = start(|builder| builder);
    let mut client = join(&engine, "trade.A").await;
    let publisher = engine.publisher();
    let bursts = async {
        for burst in 0..40 {
            for n in 0..300 {
                publisher.publish("trade.A", &Frame::text(&format!("{burst} {n}"))).expect("taken");
            }
            for n in 0..300 {
                assert_eq!(hear(&mut client).await, format!("{burst} {n}"));
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(2), bursts).await.expect("40 bursts take 4 s asleep");
}

#[tokio::test]
async fn a_full_mesh_refuses_and_room_comes_back() {
    let mesh = MeshConfig { pending_publishes_max: 64, ..MeshConfig::default() };
    let (engine, _events) = start(|builder| builder.mesh(mesh));
    let mut client = join(&engine, "trade.A").await;
    let publisher = engine.publisher();
    let (mut taken, mut refused) = (0, 0);
    for n in 0..20_000 {
        match publisher.publish("trade.A", &Frame::text(&format!("{n}"))) {
            Ok(()) => taken += 1,
            Err(PublishError::Full) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0, "64 places took {taken} publications");
    publisher.room().await;
    publisher.publish("trade.A", &Frame::text("last")).expect("there is room");
    let mut heard = 1;
    while hear(&mut client).await != "last" {
        heard += 1;
    }
    assert_eq!(heard, taken + 1, "what was taken arrived, what was refused did not");
}

#[tokio::test]
async fn a_publisher_that_waits_for_ready_loses_nothing_to_a_slow_reader() {
    let outbox = OutboxConfig { bytes_max: 256 * 1024, ..OutboxConfig::default() };
    let (engine, _events) = start(|builder| builder.outbox(outbox));
    let mut slow = join(&engine, "trade.A").await;
    let publisher = engine.publisher();
    let payload = "x".repeat(4_000);
    let writer = tokio::spawn(async move {
        for n in 0..3_000 {
            publisher.ready().await;
            publisher.publish("trade.A", &Frame::text(&format!("{n} {payload}"))).expect("taken");
        }
    });
    // 12 MB through a queue of 256 KiB: the reader sets the pace.
    for n in 0..3_000 {
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(hear(&mut slow).await.starts_with(&format!("{n} ")));
    }
    writer.await.expect("all were taken");
    let stats = engine.stats();
    assert_eq!((stats.dropped, stats.slow_closed), (0, 0));
}

#[tokio::test]
async fn each_policy_does_with_a_stalled_reader_what_it_says() {
    for policy in [
        Policy::Lossless { overflow: Overflow::Close },
        Policy::Lossless { overflow: Overflow::Gap },
        Policy::Lossless { overflow: Overflow::Snapshot },
        Policy::Latest,
        Policy::LatestByKey,
        Policy::DropOldest,
        Policy::Close,
    ] {
        let outbox = OutboxConfig { bytes_max: 64 * 1024, ..OutboxConfig::default() };
        let (engine, _events) = start(|builder| builder.outbox(outbox).policy("feed.*", policy));
        let mut stalled = join(&engine, "feed.A").await;
        let publisher = engine.publisher();
        let payload = "x".repeat(1_000);
        let last = 20_000;
        for n in 1..=last {
            publisher.room().await;
            let frame = Frame::text(&format!("{n} {payload}"));
            let key = (n % 3_i32).to_le_bytes();
            publisher.publish_key("feed.A", &key, &frame).expect("taken");
        }
        let number = |text: &str| text.split(' ').next().and_then(|n| n.parse::<i32>().ok());
        match policy {
            Policy::Lossless { overflow: Overflow::Close } | Policy::Close => {
                let frame = closed(&mut stalled).await.expect("a code");
                assert_eq!(u16::from(frame.code), 4407, "{policy}: {frame:?}");
                assert!(frame.reason.contains("slow reader"), "{policy}: {frame:?}");
            }
            // Outside the feed there are no snapshots: the gap is told.
            Policy::Lossless { overflow: Overflow::Gap | Overflow::Snapshot } => {
                let mut due = 1;
                while due <= last {
                    let text = hear(&mut stalled).await;
                    if let Some(n) = number(&text) {
                        assert_eq!(n, due, "a hole that was not declared");
                        due += 1;
                    } else {
                        let field = |name: &str| -> i32 {
                            let (_, rest) = text.split_once(&format!("\"{name}\":")).expect(name);
                            let end = rest.find(|c: char| !c.is_ascii_digit()).expect("an end");
                            rest[..end].parse().expect("a number")
                        };
                        assert_eq!(field("from"), due, "{text}");
                        due = field("to") + 1;
                    }
                }
                assert!(engine.stats().dropped > 0, "{policy}: the queue was too large");
            }
            Policy::Latest | Policy::LatestByKey | Policy::DropOldest => {
                let (mut previous, mut heard) = (0, 0);
                while previous < last {
                    let n = number(&hear(&mut stalled).await).expect("a number");
                    let in_order = n > previous || policy == Policy::LatestByKey;
                    assert!(in_order, "{policy}: {n} after {previous}");
                    previous = previous.max(n);
                    heard += 1;
                }
                assert!(heard < last, "{policy}: the queue was too large");
                let stats = engine.stats();
                let lost = stats.conflated + stats.dropped;
                assert!(lost >= (last - heard - 3).unsigned_abs().into(), "{policy}: {stats:?}");
            }
        }
    }
}

#[tokio::test]
async fn publishing_to_no_topic_is_refused_with_its_name() {
    let (engine, _events) = start(|builder| builder);
    let publisher = engine.publisher();
    for bad in ["", "a..b", "a.*", ">", "a b"] {
        let error = publisher.publish(bad, &Frame::text("x")).expect_err(bad);
        assert!(matches!(error, PublishError::Topic(_)), "{bad:?}: {error}");
    }
    engine.shutdown(Duration::from_secs(1)).await.expect("no panic");
    let error = publisher.publish("a", &Frame::text("x")).expect_err("it has shut down");
    assert_eq!(error, PublishError::Stopped);
    publisher.ready().await;
}

#[tokio::test]
async fn every_report_comes_also_when_the_engine_ends_meanwhile() {
    for _ in 0..20 {
        let (engine, _events) = start(|builder| builder);
        let publisher = engine.publisher();
        let reports = std::thread::spawn(move || {
            let mut reports = Vec::new();
            loop {
                match publisher.publish_reported("trade.A", &Frame::text("x")) {
                    Ok(reported) => reports.push(reported),
                    Err(PublishError::Full) => publisher.wait_room(),
                    Err(_) => return (reports, publisher),
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(5)).await;
        engine.shutdown(Duration::from_secs(1)).await.expect("no panic");
        let (reports, publisher) = reports.join().expect("it is told that the engine has stopped");
        let all = async {
            for report in reports {
                report.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), all).await.expect("no report is left out");
        assert_eq!(publisher.pending(), 0);
    }
}

#[tokio::test]
async fn a_frame_that_never_fits_is_told_apart_from_a_full_mesh() {
    let mesh = MeshConfig { pending_bytes_max: 65_536, ..MeshConfig::default() };
    let (engine, _events) = start(|builder| builder.mesh(mesh));
    let frame = Frame::binary(&[0; 70_000]);
    let error = engine.publisher().publish("trade.A", &frame).expect_err("too large");
    assert!(matches!(error, PublishError::TooLarge { bytes_max: 65_536, .. }), "{error}");
}

#[tokio::test]
async fn a_connection_of_another_engine_is_nobody_here() {
    let (large, events) = start(|builder| builder.shards(4));
    let (small, _events) = start(|builder| builder.shards(1));
    let mut ids = Vec::new();
    while ids.iter().all(|id: &corecast::ConnectionId| id.shard.0 == 0) {
        let _client = join(&large, "room").await;
        ids.extend(events.try_iter().filter_map(|seen| match seen {
            common::Seen::Opened(id) => Some(id),
            common::Seen::Closed(..) => None,
        }));
    }
    let foreign = ids.into_iter().find(|id| id.shard.0 > 0).expect("found above");
    let error = small.publisher().send(foreign, &Frame::text("x")).expect_err("no such shard");
    assert_eq!(error, PublishError::Stopped);
}
