//! The admin port on a real socket, with a sink that can be full.

use super::{App, Bounded, Desk, router};
use crate::intake::Intake;
use crate::intake::tests::Kept;
use crate::publish::http::{Answer, Client};
use crate::take_over::Bequeathed;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpListener;

async fn client(sink: Kept) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let draining = tokio::sync::watch::channel(false).1;
    let app = App {
        intake: Intake::new(sink, Bequeathed::default()),
        desk: Desk::default(),
        batch_max: 10,
        body_bytes_max: 1_000,
        draining,
    };
    tokio::spawn(async { axum::serve(Bounded::new(listener), router(app)).await });
    Client::new(url.parse().expect("a URL"))
}

async fn post(client: &mut Client, target: &str, body: &str) -> (Answer, Value) {
    let answer = client.post(target, "application/json", body.as_bytes()).await.expect("answered");
    let body = serde_json::from_slice(&answer.body).expect("JSON");
    (answer, body)
}

#[tokio::test]
async fn without_room_nothing_is_published_and_the_client_is_asked_to_come_back() {
    let (sink, mut updates) = Kept::with_room(0);
    let mut client = client(sink.clone()).await;
    let (answer, body) = post(&mut client, "/publish?topic=a", "1").await;
    assert_eq!((answer.status, answer.retry_after), (503, Some(Duration::from_secs(1))));
    assert_eq!(body["error"]["code"], 503);
    let lines = "{\"topic\":\"a\",\"data\":1}\n{\"topic\":\"a\",\"data\":2}";
    assert_eq!(post(&mut client, "/publish/batch", lines).await.0.status, 503);
    assert!(updates.try_recv().is_err(), "nothing was taken");

    sink.make_room(1);
    assert_eq!(post(&mut client, "/publish?topic=a", "3").await.1["seq"], 1);
    assert_eq!(updates.try_recv().expect("taken").data, "3");
}

#[tokio::test]
async fn a_batch_that_finds_no_room_ends_there_so_that_its_order_holds() {
    let (sink, mut updates) = Kept::with_room(2);
    let mut client = client(sink).await;
    let array: Vec<_> = (1..=4).map(|data| format!(r#"{{"topic":"a","data":{data}}}"#)).collect();
    let (answer, body) =
        post(&mut client, "/publish/batch", &format!("[{}]", array.join(","))).await;
    assert_eq!((answer.status, &body["published"], &body["failed"]), (200, &2.into(), &2.into()));
    let code = |index: usize| body["results"][index]["error"]["code"].as_u64();
    assert_eq!([0, 1, 2, 3].map(code), [None, None, Some(503), Some(503)]);
    let taken = [updates.try_recv(), updates.try_recv()].map(|update| update.expect("taken").data);
    assert_eq!(taken, ["1", "2"]);
    assert!(updates.try_recv().is_err());
}

#[tokio::test]
async fn who_waits_a_moment_finds_room() {
    let (sink, mut updates) = Kept::with_room(0);
    let mut client = client(sink.clone()).await;
    let room = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sink.make_room(1);
    };
    let ((answer, _), ()) = tokio::join!(post(&mut client, "/publish?topic=a", "1"), room);
    assert_eq!(answer.status, 200);
    assert_eq!(updates.recv().await.expect("taken").data, "1");
}
