//! An engine with a handler that does what its clients ask, and clients of another make.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use corecast::{
    Accept, Arrival, Builder, CloseCode, Closed, ConnectionId, Context, Engine, Frame, Handler,
    Leaving, Message, Policy, Reject, Upgrade,
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Error};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub(crate) type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What the handler saw.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Opened(ConnectionId),
    Closed(ConnectionId, Closed),
}

/// `/TOPIC` joins the topic. A message goes to the others in it, but for these orders:
/// `echo …`, `panic`, `block`, `close CODE REASON`, `leave`, `all …`.
pub(crate) struct Service {
    pub(crate) seen: Sender<Seen>,
}

pub(crate) struct Member {
    topic: String,
}

impl Handler for Service {
    type Data = Member;

    fn on_upgrade(
        &mut self,
        request: &Upgrade<'_>,
        _: &Arrival<'_>,
    ) -> Result<Accept<Member>, Reject> {
        let topic = request.path().trim_start_matches('/').to_owned();
        match &*topic {
            "forbidden" => Err(Reject::new(403, "not for you")),
            "panic-upgrade" => panic!("asked for, at the upgrade"),
            _ => {
                let accept = Accept::new(Member { topic }).header("X-Served-By", "test");
                let chosen = request.protocols().find(|offered| *offered == "two");
                Ok(match chosen {
                    Some(name) => accept.subprotocol(name),
                    None => accept,
                })
            }
        }
    }

    fn on_open(&mut self, member: &mut Member, context: &mut Context<'_>) {
        let _ = self.seen.send(Seen::Opened(context.id()));
        assert!(member.topic != "panic-open", "asked for, at the opening");
        let subscribed = match member.topic.strip_prefix("latest/") {
            Some(topic) => context.subscribe_with(topic, Policy::Latest),
            None => context.subscribe(&member.topic),
        };
        if let Err(error) = subscribed {
            context.close(CloseCode::POLICY_VIOLATION, &error.to_string());
        }
    }

    fn on_message(&mut self, member: &mut Member, message: Message<'_>, context: &mut Context<'_>) {
        let text = if let Message::Text(text) = message { text } else { "" };
        let (order, rest) = text.split_once(' ').unwrap_or((text, ""));
        match order {
            "echo" => {
                context.reply(&Frame::text(rest));
            }
            "panic" => panic!("asked for, in a message"),
            "close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                context.close(CloseCode(code.parse().unwrap_or(1000)), reason);
            }
            "block" => block(),
            "leave" => assert!(context.unsubscribe(&member.topic)),
            "all" => context.publish(&member.topic, &Frame::text(rest)).expect("published"),
            _ => context.publish_others(&member.topic, &message.to_frame()).expect("published"),
        }
    }

    fn on_leaving(&mut self, _: &mut Member, leaving: &Leaving, context: &mut Context<'_>) {
        let (deadline, code) = (leaving.deadline.as_millis(), leaving.code.0);
        context.reply(&Frame::text(&format!("leaving {deadline} {code}")));
    }

    fn on_close(&mut self, _member: Member, closed: &Closed, context: &mut Context<'_>) {
        let _ = self.seen.send(Seen::Closed(context.id(), closed.clone()));
    }
}

/// What a handler must never do.
#[expect(clippy::disallowed_methods, reason = "to show what becomes of it")]
fn block() {
    std::thread::sleep(Duration::from_secs(3));
}

/// An engine on a port of its own, and what its handlers see.
pub(crate) fn start(configure: impl FnOnce(Builder) -> Builder) -> (Engine, Receiver<Seen>) {
    let (seen, events) = channel();
    let builder = Engine::builder().listen("127.0.0.1:0".parse().expect("an address")).shards(2);
    let engine = configure(builder)
        .spawn(move |_shard| Service { seen: seen.clone() })
        .expect("the engine starts");
    (engine, events)
}

pub(crate) async fn connect(engine: &Engine, path: &str) -> Client {
    try_connect(engine, path).await.expect("connected")
}

pub(crate) async fn try_connect(engine: &Engine, path: &str) -> Result<Client, Error> {
    let url = format!("ws://{}/{path}", engine.local_addr());
    tokio_tungstenite::connect_async(url).await.map(|(client, _)| client)
}

/// Connects, and waits until the service has it subscribed.
pub(crate) async fn join(engine: &Engine, path: &str) -> Client {
    let mut client = connect(engine, path).await;
    say(&mut client, "echo here").await;
    assert_eq!(hear(&mut client).await, "here");
    client
}

pub(crate) async fn say(client: &mut Client, text: &str) {
    client.send(tungstenite::Message::text(text)).await.expect("sent");
}

/// The next text.
pub(crate) async fn hear(client: &mut Client) -> String {
    match next(client).await {
        tungstenite::Message::Text(text) => text.to_string(),
        other => panic!("a text was expected, not {other:?}"),
    }
}

/// The Close that ends the stream; what comes before it is skipped.
pub(crate) async fn closed(client: &mut Client) -> Option<CloseFrame> {
    loop {
        match next(client).await {
            tungstenite::Message::Close(frame) => return frame,
            _ => continue,
        }
    }
}

pub(crate) async fn next(client: &mut Client) -> tungstenite::Message {
    tokio::time::timeout(Duration::from_secs(20), client.next())
        .await
        .expect("something within 20 s")
        .expect("the stream goes on")
        .expect("a message")
}

/// Waits for something that another thread brings about.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 10 s: {what}");
}
