//! A handler that does not know yet whom it lets in, and connections that are woken: by other
//! threads, and by the clock.

mod common;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use common::{eventually, hear, say};
use corecast::{
    Accept, Arrival, Builder, Closed, Context, Engine, Frame, Handler, Message, Reject, Upgrade,
    Waker,
};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;

/// `/later` waits until it was asked about so often as its query says; each ask hands its waker
/// out. `in MS` wakes the connection after so many milliseconds, `wall MS` the same by the wall
/// clock, `never` no more; each wake is told to the client.
struct Patient {
    seen: Sender<Seen>,
}

enum Seen {
    Asked(u32, Waker),
    Opened(Waker),
    Dropped,
    Closed,
}

/// What is kept between two asks: it says when it is dropped.
struct Asks(u32, Sender<Seen>);

impl Drop for Asks {
    fn drop(&mut self) {
        let _ = self.1.send(Seen::Dropped);
    }
}

impl Handler for Patient {
    type Data = ();

    fn on_upgrade(
        &mut self,
        request: &Upgrade<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Accept<()>, Reject> {
        assert_eq!(arrival.peer_addr().ip().to_string(), "127.0.0.1");
        assert_eq!((arrival.proxy_addr(), arrival.is_secure()), (None, false));
        if request.path() == "/refused" {
            return Err(Reject::new(503, "full").retry_after(7).header("X-Why", "a test"));
        }
        if request.path() == "/broken" {
            return Err(Reject::new(503, "full").header("X-Why", "two\r\nlines"));
        }
        let wanted: u32 = request.query().unwrap_or("0").parse().expect("a number");
        assert!(arrival.take_kept::<String>().is_none(), "of another type");
        let mut asks =
            arrival.take_kept::<Asks>().unwrap_or_else(|| Box::new(Asks(0, self.seen.clone())));
        asks.0 += 1;
        let asked = asks.0;
        if asked <= wanted {
            arrival.keep(*asks);
            let _ = self.seen.send(Seen::Asked(asked, arrival.waker()));
            return Err(Reject::later());
        }
        Ok(Accept::new(()))
    }

    fn on_open(&mut self, (): &mut (), context: &mut Context<'_>) {
        let _ = self.seen.send(Seen::Opened(context.waker()));
    }

    fn on_message(&mut self, (): &mut (), message: Message<'_>, context: &mut Context<'_>) {
        let Message::Text(text) = message else { return };
        match text.split_once(' ') {
            Some(("in", ms)) => {
                let ms = Duration::from_millis(ms.parse().expect("milliseconds"));
                context.wake_at(Some(context.now().after(ms)));
            }
            Some(("wall", ms)) => {
                let ms: i64 = ms.parse().expect("milliseconds");
                let wall_ns = context.feed().wall_ns();
                context.wake_at_wall(Some(wall_ns + ms * 1_000_000));
            }
            _ if text == "never" => {
                context.wake_at(None);
                context.wake_at_wall(None);
            }
            _ => {
                context.reply(&message.to_frame());
            }
        }
    }

    fn on_wake(&mut self, (): &mut (), context: &mut Context<'_>) {
        context.reply(&Frame::text("woken"));
    }

    fn on_close(&mut self, (): (), _: &Closed, _: &mut Context<'_>) {
        let _ = self.seen.send(Seen::Closed);
    }
}

fn start(configure: impl FnOnce(Builder) -> Builder) -> (Engine, Receiver<Seen>) {
    let (seen, events) = channel();
    let builder = Engine::builder().listen("127.0.0.1:0".parse().expect("an address")).shards(2);
    let spawned = configure(builder).spawn(move |_| Patient { seen: seen.clone() });
    (spawned.expect("the engine starts"), events)
}

fn next(events: &Receiver<Seen>) -> Seen {
    events.recv_timeout(Duration::from_secs(10)).expect("something happens")
}

fn asked(events: &Receiver<Seen>, wanted: u32) -> Waker {
    match next(events) {
        Seen::Asked(number, waker) if number == wanted => waker,
        _ => panic!("ask {wanted} was expected"),
    }
}

fn opened(events: &Receiver<Seen>) -> Waker {
    loop {
        match next(events) {
            Seen::Opened(waker) => return waker,
            Seen::Dropped | Seen::Closed => {}
            Seen::Asked(number, _) => panic!("ask {number} was not expected"),
        }
    }
}

async fn request(engine: &Engine, target: &str) -> TcpStream {
    let mut socket = TcpStream::connect(engine.local_addr()).await.expect("connected");
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.expect("sent");
    socket
}

async fn all_of(socket: &mut TcpStream) -> String {
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(10), socket.read_to_string(&mut answer));
    read.await.expect("an end in time").expect("an answer");
    answer
}

/// What must not happen for a while.
const A_WHILE: Duration = Duration::from_millis(200);
/// What is woken comes at once; this much later only on a machine that has no time at all.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn who_is_put_off_is_asked_about_again_when_woken_and_not_before() {
    let (engine, events) = start(|builder| builder);
    let url = format!("ws://{}/later?2", engine.local_addr());
    let client = tokio::spawn(tokio_tungstenite::connect_async(url));
    let first = asked(&events, 1);
    assert!(events.recv_timeout(A_WHILE).is_err(), "nobody woke it");
    assert_eq!(engine.stats().connections, 0, "it is not open");
    first.wake();
    let second = asked(&events, 2);
    // Wakes that come together are one, from whichever thread and waker.
    let threads: Vec<_> = [first, second]
        .into_iter()
        .map(|waker| std::thread::spawn(move || (0..1_000).for_each(|_| waker.wake())))
        .collect();
    let (mut client, _) = client.await.expect("a task").expect("connected");
    opened(&events);
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    say(&mut client, "here").await;
    let mut wakes = 0;
    loop {
        match &*hear(&mut client).await {
            "here" => break,
            "woken" => wakes += 1,
            other => panic!("{other}"),
        }
    }
    // Of 2,000 a few hit the open connection; none is queued up for later.
    assert!(wakes <= 2_000);
    tokio::time::sleep(A_WHILE).await;
    say(&mut client, "and here").await;
    while hear(&mut client).await == "woken" {}
}

#[tokio::test]
async fn frames_behind_the_request_wait_for_the_answer() {
    let (engine, events) = start(|builder| builder);
    let mut socket = request(&engine, "/later?1").await;
    let waker = asked(&events, 1);
    // A masked text "hi".
    socket.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.expect("sent");
    tokio::time::sleep(A_WHILE).await;
    waker.wake();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x81\x02hi") {
        let read = tokio::time::timeout(Duration::from_secs(5), socket.read_buf(&mut answer));
        assert!(read.await.expect("an answer").expect("bytes") > 0, "{answer:?}");
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_is_put_off_is_noticed() {
    let (engine, events) = start(|builder| builder);
    let socket = request(&engine, "/later?1").await;
    let waker = asked(&events, 1);
    drop(socket);
    assert!(matches!(next(&events), Seen::Dropped), "what was kept for it goes at once");
    // Its place is another's now, whom a late wake does not reach.
    let mut others = Vec::new();
    for _ in 0..8 {
        let mut other = request(&engine, "/later?1").await;
        let theirs = asked(&events, 1);
        waker.wake();
        assert!(
            tokio::time::timeout(A_WHILE / 4, other.read_u8()).await.is_err(),
            "the answer to a wake of another's"
        );
        others.push((other, theirs));
    }
    assert!(others.iter().any(|(_, theirs)| theirs.id().conn.index == waker.id().conn.index));
    for (mut other, theirs) in others {
        theirs.wake();
        assert_eq!(other.read_u8().await.expect("an answer"), b'H');
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test of the wall clock")]
async fn who_is_put_off_for_too_long_is_told_so() {
    let (engine, events) = start(|builder| {
        let connection = corecast::config::ConnectionConfig {
            handshake_timeout_ms: 500,
            ..corecast::config::ConnectionConfig::default()
        };
        builder.connection(connection)
    });
    let begun = Instant::now();
    let mut socket = request(&engine, "/later?1").await;
    let waker = asked(&events, 1);
    let answer = all_of(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(matches!(next(&events), Seen::Dropped));
    waker.wake();
    assert!(events.recv_timeout(A_WHILE).is_err(), "it is gone");
}

#[tokio::test]
async fn a_rejection_says_when_to_come_back() {
    let (engine, _events) = start(|builder| builder);
    let answer = all_of(&mut request(&engine, "/refused").await).await;
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.contains("\r\nRetry-After: 7\r\n") && answer.contains("\r\nX-Why: a test\r\n"));
    assert!(answer.ends_with("\r\n\r\nfull\n"), "{answer}");
    let answer = all_of(&mut request(&engine, "/broken").await).await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && !answer.contains("lines"), "{answer}");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test of the wall clock")]
async fn a_connection_is_woken_at_its_instant_and_once() {
    let (engine, events) = start(|builder| builder);
    let (mut client, _) =
        tokio_tungstenite::connect_async(format!("ws://{}/", engine.local_addr()))
            .await
            .expect("connected");
    opened(&events);
    let begun = Instant::now();
    say(&mut client, "in 60000").await;
    say(&mut client, "in 400").await;
    assert_eq!(hear(&mut client).await, "woken");
    let waited = begun.elapsed();
    assert!((Duration::from_millis(400)..SOON).contains(&waited), "{waited:?}");
    say(&mut client, "in 1000").await;
    say(&mut client, "never").await;
    tokio::time::sleep(6 * A_WHILE).await;
    say(&mut client, "here").await;
    assert_eq!(hear(&mut client).await, "here", "not at an instant that was taken back");
    // One that is gone is not woken, nor is the one that has its place.
    say(&mut client, "in 100").await;
    client.close(None).await.expect("closed");
    while client.next().await.is_some() {}
    eventually("it is gone", || engine.stats().connections == 0).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        let url = format!("ws://{}/", engine.local_addr());
        others.push(tokio_tungstenite::connect_async(url).await.expect("connected").0);
    }
    tokio::time::sleep(A_WHILE).await;
    for other in &mut others {
        other.send(tungstenite::Message::text("here")).await.expect("sent");
        assert_eq!(hear(other).await, "here");
    }
}

#[tokio::test]
async fn wakes_of_many_connections_all_arrive() {
    let (engine, events) = start(|builder| builder);
    let mut clients = Vec::new();
    for _ in 0..600 {
        let url = format!("ws://{}/", engine.local_addr());
        clients.push(tokio_tungstenite::connect_async(url).await.expect("connected").0);
    }
    let wakers: Vec<_> = clients.iter().map(|_| opened(&events)).collect();
    std::thread::spawn(move || wakers.iter().for_each(Waker::wake)).join().expect("no panic");
    for client in &mut clients {
        assert_eq!(hear(client).await, "woken");
    }
}

#[tokio::test]
async fn a_wake_of_an_engine_that_has_ended_does_nothing() {
    let (engine, events) = start(|builder| builder);
    let _socket = request(&engine, "/later?1").await;
    let waker = asked(&events, 1);
    engine.shutdown(Duration::from_millis(200)).await.expect("no panic");
    waker.wake();
    drop(engine);
    waker.wake();
}

#[cfg(feature = "fault-injection")]
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test of the wall clock")]
async fn who_waits_for_the_wall_clock_is_woken_by_it_however_it_is_set() {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let (engine, events) = start(|builder| builder);
    let url = format!("ws://{}/", engine.local_addr());
    let (mut client, _) = tokio_tungstenite::connect_async(url).await.expect("connected");
    opened(&events);
    let begun = Instant::now();
    say(&mut client, "wall 300").await;
    assert_eq!(hear(&mut client).await, "woken");
    let within = Duration::from_millis(300)..SOON;
    assert!(within.contains(&begun.elapsed()), "{:?}", begun.elapsed());
    // Two hours from now, and the clock is set one hour and then another forward.
    say(&mut client, "wall 7200000").await;
    // The clock is set when that is done, and not before.
    say(&mut client, "here").await;
    assert_eq!(hear(&mut client).await, "here");
    engine.inject_wall_clock(HOUR_NS);
    tokio::time::sleep(A_WHILE).await;
    say(&mut client, "here").await;
    assert_eq!(hear(&mut client).await, "here", "an hour is left");
    engine.inject_wall_clock(2 * HOUR_NS);
    let begun = Instant::now();
    assert_eq!(hear(&mut client).await, "woken");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    // Set back, it waits longer than was thought, and not less.
    say(&mut client, "wall 2000").await;
    say(&mut client, "here").await;
    assert_eq!(hear(&mut client).await, "here");
    engine.inject_wall_clock(0);
    tokio::time::sleep(11 * A_WHILE).await;
    say(&mut client, "here").await;
    assert_eq!(hear(&mut client).await, "here");
    say(&mut client, "never").await;
    engine.inject_wall_clock(3 * HOUR_NS);
    tokio::time::sleep(A_WHILE).await;
    say(&mut client, "here").await;
    assert_eq!(hear(&mut client).await, "here");
}
