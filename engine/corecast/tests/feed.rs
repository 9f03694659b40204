//! What an embedder builds upon the feed: topics with numbers, snapshots, variants, presence.

mod common;

use std::time::Duration;

use common::{Client, connect, eventually, hear, say};
use corecast::config::OutboxConfig;
use corecast::{
    Accept, Answer, Arrival, AttachRequest, AttachResult, Closed, Context, Encoding, Engine, Event,
    Frame, Handler, Member, Message, Namespace, PublishError, Question, Reject, SnapshotKind,
    Update, Upgrade, split_variant,
};

/// `sub NAME…`, `unsub NAME`, `who TOPIC`. Each topic is joined under the connection's name.
struct Service;

/// Whether the connection asks for a topic when it is gone already.
struct Peer {
    asks_late: bool,
}

impl Handler for Service {
    type Data = Peer;

    fn on_upgrade(
        &mut self,
        request: &Upgrade<'_>,
        _: &Arrival<'_>,
    ) -> Result<Accept<Peer>, Reject> {
        Ok(Accept::new(Peer { asks_late: request.path() == "/late" }))
    }

    fn on_open(&mut self, _peer: &mut Peer, context: &mut Context<'_>) {
        context.feed().speak(Encoding::Json);
    }

    fn on_message(&mut self, _peer: &mut Peer, message: Message<'_>, context: &mut Context<'_>) {
        let Message::Text(text) = message else { return };
        let (order, rest) = text.split_once(' ').unwrap_or((text, ""));
        match order {
            "sub" => {
                let requests = rest.split(' ').map(|name| wish(name, context)).collect();
                let results = context.feed().attach(1, requests);
                begin(results, context);
            }
            "unsub" => {
                let (topic, _) = split_variant(rest).expect("a name");
                let ended = context.feed().detach(topic, rest);
                context.reply(&Frame::text(&format!("unsubscribed {ended}")));
            }
            _ => {
                let question = Question::Presence { topic: rest.into(), limit: 10 };
                context.feed().ask(2, question).expect("room in the mesh");
            }
        }
    }

    fn on_event(&mut self, _peer: &mut Peer, event: Event, context: &mut Context<'_>) {
        match event {
            Event::Attached { results, .. } => begin(results, context),
            Event::Answer { answer: Answer::Presence { total, .. }, .. } => {
                context.reply(&Frame::text(&format!("members {total}")));
            }
            other => panic!("not asked for: {other:?}"),
        }
    }

    fn on_close(&mut self, peer: Peer, _closed: &Closed, context: &mut Context<'_>) {
        if peer.asks_late {
            let request = wish("chat.room", context);
            let results = context.feed().attach(1, vec![request]);
            assert!(results.iter().all(|result| result.result.is_err()), "{results:?}");
        }
    }
}

fn wish(name: &str, context: &Context<'_>) -> AttachRequest {
    let (topic, interval_ms) = split_variant(name).expect("a name");
    let client = context.id().to_string().into();
    let member = (interval_ms == 0).then_some(Member { client, user: None });
    AttachRequest { interval_ms, member, ..AttachRequest::new(topic, Encoding::Json) }
}

fn begin(results: Vec<AttachResult>, context: &mut Context<'_>) {
    for result in results {
        match result.result {
            Ok(attachment) => {
                let line = format!("subscribed {} {}", attachment.name, attachment.seq);
                context.reply(&Frame::text(&line));
                let policy = attachment.policy;
                context.feed().start(&attachment, policy).expect("started");
            }
            Err(error) => drop(context.reply(&Frame::text(&format!("refused {error}")))),
        }
    }
}

fn start(outbox: OutboxConfig) -> Engine {
    let chat = Namespace { name: "chat".into(), presence: true, ..Namespace::default() };
    let quote =
        Namespace { name: "quote".into(), snapshot: SnapshotKind::Last, ..Namespace::default() };
    let trade = Namespace { name: "trade".into(), ..Namespace::default() };
    let builder = Engine::builder().listen("127.0.0.1:0".parse().expect("an address")).shards(2);
    let builder = builder.outbox(outbox).namespace(chat).namespace(quote).namespace(trade);
    builder.spawn(|_shard| Service).expect("the engine starts")
}

/// The next text that is not one of the notices.
async fn hear_message(client: &mut Client) -> String {
    loop {
        let text = hear(client).await;
        if !text.starts_with(r#"{"joined""#) && !text.starts_with(r#"{"left""#) {
            return text;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_together_comes_in_order_and_what_is_wrong_alone_is_refused() {
    let engine = start(OutboxConfig::default());
    let publisher = engine.publisher();
    let mut clients = Vec::new();
    for topic in ["trade.A", "trade.B", "trade.C", "trade.D"] {
        let mut client = connect(&engine, "").await;
        say(&mut client, &format!("sub {topic}")).await;
        assert_eq!(hear(&mut client).await, format!("subscribed {topic} 0"));
        clients.push((topic, client));
    }
    // Homes on both shards, and between the good ones some that nobody takes.
    let wrong = [3, 50, 199];
    let mut updates: Vec<Update> = (0..200_usize)
        .map(|number| match clients.get(number % 4) {
            Some((topic, _)) if !wrong.contains(&number) => Update::new(*topic, number.to_string()),
            _ => Update::new("unknown.A", number.to_string()),
        })
        .collect();
    let report = publisher.update_all(&mut updates).expect("room").await;
    assert!(updates.is_empty() && report.dealt == 200, "{report:?}");
    let places: Vec<u32> = report.refused.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, wrong.map(|number| number as u32));
    for (index, (topic, client)) in clients.iter_mut().enumerate() {
        for number in (index..200).step_by(4).filter(|number| !wrong.contains(number)) {
            assert_eq!(hear(client).await, number.to_string(), "{topic}");
        }
    }
    // In a run, nothing is published beside what nobody takes.
    let mut run = ["trade.A", "unknown.A"].map(|topic| Update::new(topic, "1")).to_vec();
    let report = publisher.update_run(&mut run).expect("room").await;
    assert_eq!((report.dealt, report.refused[0].0, run.len()), (1, 1, 0), "{report:?}");
    let mut run = vec![Update::new("trade.A", "200"); 100];
    let report = publisher.update_run(&mut run).expect("room").await;
    assert_eq!((report.dealt, report.refused.len()), (100, 0), "{report:?}");
    for _ in 0..100 {
        assert_eq!(hear(&mut clients[0].1).await, "200");
    }
    eventually("all places are given back", || publisher.pending() == 0).await;
    let (updates_max, _) = publisher.batch_max();
    let mut many = vec![Update::new("trade.A", "1"); 3 * updates_max];
    let refused = publisher.update_all(&mut many).expect_err("more than may be pending");
    assert_eq!((refused, many.len()), (PublishError::Full, 3 * updates_max));
    assert_eq!(publisher.pending(), 0);
    engine.shutdown(Duration::ZERO).await.expect("no panic");
    let stopped = publisher.update_all(&mut many).expect_err("it has ended");
    assert_eq!(stopped, PublishError::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_and_what_follows_come_whichever_shard_is_home() {
    let engine = start(OutboxConfig::default());
    let publisher = engine.publisher();
    for topic in ["quote.A", "quote.B", "quote.C", "quote.D"] {
        let report = publisher.update_reported(Update::new(topic, "1")).expect("room").await;
        assert_eq!((report.seq, report.refused), (Some(1), None));
        let mut client = connect(&engine, "").await;
        say(&mut client, &format!("sub {topic}")).await;
        assert_eq!(hear(&mut client).await, format!("subscribed {topic} 1"));
        assert_eq!(hear(&mut client).await, "1");
        let report = publisher.update_reported(Update::new(topic, "2")).expect("room").await;
        assert_eq!((report.seq, report.delivered), (Some(2), 1));
        assert_eq!(hear(&mut client).await, "2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_room_loses_no_update() {
    let outbox = OutboxConfig { frames_max: 1_024, ..OutboxConfig::default() };
    let engine = start(outbox);
    let mut client = connect(&engine, "").await;
    say(&mut client, "sub trade.A").await;
    assert_eq!(hear(&mut client).await, "subscribed trade.A 0");
    let publisher = engine.publisher();
    let publishing = std::thread::spawn(move || {
        for number in 1..=50_000_u32 {
            publisher.wait_ready();
            publisher.update(Update::new("trade.A", number.to_string())).expect("room");
        }
    });
    for number in 1..=50_000_u32 {
        assert_eq!(hear(&mut client).await, number.to_string());
    }
    publishing.join().expect("published");
    assert_eq!(engine.stats().dropped, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_does_not_end_the_variant_that_is_being_joined() {
    let engine = start(OutboxConfig::default());
    let publisher = engine.publisher();
    for topic in ["chat.A", "chat.B", "chat.C", "chat.D"] {
        let mut client = connect(&engine, "").await;
        say(&mut client, &format!("sub {topic}@50ms {topic}")).await;
        assert_eq!(hear_message(&mut client).await, format!("subscribed {topic}@50ms 0"));
        assert_eq!(hear_message(&mut client).await, format!("subscribed {topic} 0"));
        publisher.update(Update::new(topic, "7")).expect("room");
        let mut heard = [hear_message(&mut client).await, hear_message(&mut client).await];
        heard.sort();
        assert_eq!(heard, ["7", "[7]"], "the topic and its variant speak");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_a_variant_is_not_leaving_the_topic() {
    let engine = start(OutboxConfig::default());
    for topic in ["chat.A", "chat.B", "chat.C"] {
        let mut client = connect(&engine, "").await;
        say(&mut client, &format!("sub {topic} {topic}@50ms")).await;
        hear_message(&mut client).await;
        hear_message(&mut client).await;
        for (order, answer) in [
            (format!("who {topic}"), "members 1"),
            (format!("unsub {topic}@50ms"), "unsubscribed true"),
            (format!("who {topic}"), "members 1"),
            (format!("unsub {topic}"), "unsubscribed true"),
            (format!("who {topic}"), "members 0"),
        ] {
            say(&mut client, &order).await;
            assert_eq!(hear_message(&mut client).await, answer, "{order}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_gone_joins_nothing_and_harms_nobody() {
    let engine = start(OutboxConfig::default());
    for _ in 0..20 {
        drop(connect(&engine, "late").await);
    }
    eventually("they are gone", || engine.stats().connections == 0).await;
    for _ in 0..4 {
        let mut client = connect(&engine, "").await;
        say(&mut client, "sub chat.room").await;
        assert!(hear_message(&mut client).await.starts_with("subscribed chat.room"));
        say(&mut client, "who chat.room").await;
        assert_eq!(hear_message(&mut client).await, "members 1");
        client.close(None).await.expect("closed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(engine.stats().handler_panics, 0);
}
