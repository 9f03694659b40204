//! The handler's calls: what is accepted and rejected, who hears what, how a connection ends.

mod common;

use std::time::Duration;

use common::{Seen, closed, connect, eventually, hear, join, say, start, try_connect};
use corecast::{Backend, ClosedBy, Frame};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Error};

#[tokio::test]
async fn a_rejection_is_answered_with_its_status_and_reason() {
    let (engine, _events) = start(|builder| builder);
    let Err(Error::Http(response)) = try_connect(&engine, "forbidden").await else {
        panic!("403 was expected")
    };
    assert_eq!(response.status(), 403);
    assert_eq!(response.body().as_deref(), Some(&b"not for you\n"[..]));
}

#[tokio::test]
async fn the_handler_chooses_among_the_offered_subprotocols() {
    let (engine, _events) = start(|builder| builder);
    let mut request =
        format!("ws://{}/room", engine.local_addr()).into_client_request().expect("a request");
    let offers = "one, two".parse().expect("a header");
    request.headers_mut().insert("Sec-WebSocket-Protocol", offers);
    let (_client, response) = tokio_tungstenite::connect_async(request).await.expect("connected");
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "two");
    assert_eq!(response.headers()["X-Served-By"], "test");
}

#[tokio::test]
async fn what_one_says_all_others_hear_on_both_shards_and_backends() {
    for backend in [Backend::Ring, Backend::Sendmsg] {
        let (engine, _events) = start(|builder| builder.backend(backend));
        let mut speaker = join(&engine, "room").await;
        let mut others = Vec::new();
        for _ in 0..20 {
            others.push(join(&engine, "room").await);
        }
        for n in 0..50 {
            say(&mut speaker, &format!("word {n}")).await;
        }
        for other in &mut others {
            for n in 0..50 {
                assert_eq!(hear(other).await, format!("word {n}"));
            }
        }
        // The speaker heard nothing of it: the next thing it hears is its own echo.
        say(&mut speaker, "echo me").await;
        assert_eq!(hear(&mut speaker).await, "me");
        say(&mut speaker, "all of us").await;
        assert_eq!(hear(&mut speaker).await, "of us");
    }
}

#[tokio::test]
async fn who_has_left_a_topic_hears_no_more_of_it() {
    let (engine, _events) = start(|builder| builder);
    let mut left = join(&engine, "room").await;
    let mut speaker = join(&engine, "room").await;
    say(&mut left, "leave").await;
    say(&mut left, "echo left").await;
    assert_eq!(hear(&mut left).await, "left");
    say(&mut speaker, "all hear").await;
    assert_eq!(hear(&mut speaker).await, "hear");
    say(&mut left, "echo next").await;
    assert_eq!(hear(&mut left).await, "next");
}

#[tokio::test]
async fn a_bad_topic_is_told_and_closed() {
    let (engine, _events) = start(|builder| builder);
    let mut client = connect(&engine, "a..b").await;
    let frame = closed(&mut client).await.expect("a code");
    assert_eq!(u16::from(frame.code), 1008, "{frame:?}");
    assert!(!frame.reason.is_empty());
}

#[tokio::test]
async fn a_panic_in_a_message_closes_that_connection_only() {
    let (engine, events) = start(|builder| builder.shards(1));
    let mut witness = join(&engine, "room").await;
    let mut culprit = join(&engine, "room").await;
    say(&mut culprit, "panic").await;
    assert_eq!(u16::from(closed(&mut culprit).await.expect("a code").code), 1011);
    let mut opener = connect(&engine, "panic-open").await;
    assert_eq!(u16::from(closed(&mut opener).await.expect("a code").code), 1011);
    let Err(Error::Http(response)) = try_connect(&engine, "panic-upgrade").await else {
        panic!("500 was expected")
    };
    assert_eq!(response.status(), 500);
    say(&mut witness, "echo unharmed").await;
    assert_eq!(hear(&mut witness).await, "unharmed");
    assert_eq!(engine.stats().handler_panics, 3);
    let panicked = events
        .try_iter()
        .filter(|seen| matches!(seen, Seen::Closed(_, closed) if closed.by == ClosedBy::Panic));
    eventually("both are gone", || engine.stats().connections == 1).await;
    assert!(panicked.count() <= 2);
}

#[tokio::test]
async fn on_close_comes_once_and_says_who_and_why() {
    let (engine, events) = start(|builder| builder);
    let mut by_peer = join(&engine, "room").await;
    let code = tungstenite::protocol::frame::coding::CloseCode::Library(4001);
    let frame = tungstenite::protocol::CloseFrame { code, reason: "done".into() };
    by_peer.close(Some(frame)).await.expect("closed");
    assert_eq!(u16::from(closed(&mut by_peer).await.expect("the echo").code), 4001);

    let mut by_handler = join(&engine, "room").await;
    say(&mut by_handler, "close 4002 go").await;
    let frame = closed(&mut by_handler).await.expect("a code");
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4002, "go"));

    drop(join(&engine, "room").await);

    let mut by_shutdown = join(&engine, "room").await;
    let ended = tokio::spawn(async move {
        assert_eq!(u16::from(closed(&mut by_shutdown).await.expect("a code").code), 1001);
    });
    engine.shutdown(Duration::from_secs(5)).await.expect("no panic");
    ended.await.expect("the client saw 1001");

    let (mut opened, mut ends) = (Vec::new(), Vec::new());
    for seen in events.try_iter() {
        match seen {
            Seen::Opened(id) => opened.push(id),
            Seen::Closed(id, closed) => ends.push((id, closed)),
        }
    }
    opened.sort();
    ends.sort_by_key(|(id, _)| *id);
    assert_eq!(opened, ends.iter().map(|(id, _)| *id).collect::<Vec<_>>(), "one close each");
    let mut causes: Vec<_> = ends
        .iter()
        .map(|(_, closed)| (format!("{:?}", closed.by), closed.code.0, &*closed.reason))
        .collect();
    causes.sort();
    assert_eq!(causes.len(), 4);
    assert_eq!(causes[0], ("Handler".to_owned(), 4002, "go"));
    assert_eq!(causes[1], ("Peer".to_owned(), 4001, "done"));
    assert_eq!((causes[2].0.as_str(), causes[2].1), ("Shutdown", 1001));
    assert_eq!((causes[3].0.as_str(), causes[3].1), ("Transport", 1006));
}

#[tokio::test]
async fn a_publisher_reaches_one_connection_and_can_close_it() {
    let (engine, events) = start(|builder| builder);
    let mut first = join(&engine, "room").await;
    let mut second = join(&engine, "room").await;
    let ids: Vec<_> = events
        .try_iter()
        .filter_map(|seen| if let Seen::Opened(id) = seen { Some(id) } else { None })
        .collect();
    let publisher = engine.publisher();
    publisher.send(ids[0], &Frame::text("to the first")).expect("sent");
    publisher.send(ids[1], &Frame::text("to the second")).expect("sent");
    assert_eq!(hear(&mut first).await, "to the first");
    assert_eq!(hear(&mut second).await, "to the second");
    publisher.close(ids[0], corecast::CloseCode(4100), "enough").expect("closed");
    assert_eq!(u16::from(closed(&mut first).await.expect("a code").code), 4100);
    say(&mut second, "echo still here").await;
    assert_eq!(hear(&mut second).await, "still here");
    second.close(None).await.expect("closed");
}
