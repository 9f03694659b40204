//! One deflate for each message, however many get it, and each of them reads it.

use std::time::Duration;

use corecast::config::{CompressWhat, CompressionConfig};
use corecast::{
    Accept, Arrival, Context, Engine, Frame, Handler, Message, PublishError, Reject, Upgrade,
};
use corecast_bench::command::raise_nofile;
use corecast_tests::raw::{RawClient, Received};
use eyre::{Result, ensure, eyre};

/// All join one topic; `sync` is answered, and anything else echoed.
struct Room;

impl Handler for Room {
    type Data = ();

    fn on_upgrade(&mut self, _: &Upgrade<'_>, _: &Arrival<'_>) -> Result<Accept<()>, Reject> {
        Ok(Accept::new(()))
    }

    fn on_open(&mut self, (): &mut (), context: &mut Context<'_>) {
        context.subscribe("quote").expect("there is room");
        context.reply(&Frame::text("joined"));
    }

    fn on_message(&mut self, (): &mut (), message: Message<'_>, context: &mut Context<'_>) {
        context.reply(&message.to_frame());
    }
}

fn engine(what: CompressWhat) -> Result<Engine> {
    let compression =
        CompressionConfig { enabled: true, what, threshold_bytes: 200, ..Default::default() };
    let builder = Engine::builder().listen("127.0.0.1:0".parse()?).shards(2);
    Ok(builder.compression(compression).spawn(|_| Room)?)
}

fn join(engine: &Engine, offer: Option<&str>) -> Result<RawClient> {
    let mut client = RawClient::connect(engine.local_addr())?;
    match offer {
        None => client.upgrade("/")?,
        Some(parameters) => {
            let agreed = client.upgrade_deflate("/", parameters)?;
            ensure!(agreed.is_some_and(|it| it.contains("server_no_context_takeover")));
        }
    }
    let joined = client.receive()?;
    ensure!(joined == Received::Text("joined".to_owned()), "{joined:?}");
    Ok(client)
}

fn quotes(round: usize) -> String {
    let quote = |at: usize| format!(r#"{{"s":"BTCUSDT","b":"617{at:02}.40","a":"617{at:02}.50"}}"#);
    format!("[{round},{}]", (0..20).map(quote).collect::<Vec<_>>().join(","))
}

fn publish(engine: &Engine, frame: &Frame) -> Result<()> {
    loop {
        match engine.publisher().publish("quote", frame) {
            Err(PublishError::Full) => std::thread::sleep(Duration::from_millis(1)),
            other => return Ok(other?),
        }
    }
}

#[test]
fn a_thousand_subscribers_cost_one_deflate_for_each_message_and_all_can_read_it() -> Result<()> {
    const MESSAGES: usize = 40;
    raise_nofile();
    let engine = engine(CompressWhat::All)?;
    let mut clients = Vec::new();
    for index in 0..1000 {
        // One in ten does not compress, and one in ten wants a window that is too short.
        let offer = match index % 10 {
            0 => None,
            1 => Some("; server_max_window_bits=10"),
            2 => Some("; server_max_window_bits=15; client_no_context_takeover"),
            _ => Some("; client_max_window_bits"),
        };
        clients.push(join(&engine, offer)?);
    }
    let before = engine.stats();
    for round in 0..MESSAGES {
        publish(&engine, &Frame::text(&quotes(round)))?;
    }
    for (index, client) in clients.iter_mut().enumerate() {
        for round in 0..MESSAGES {
            let found = client.receive()?;
            ensure!(found == Received::Text(quotes(round)), "{index}, {round}: {found:?}");
        }
    }
    let after = engine.stats();
    let deflates = after.compression.deflates - before.compression.deflates;
    ensure!(deflates == MESSAGES as u64, "{deflates} deflates of {MESSAGES} messages");
    let plain = (clients.len() * MESSAGES * quotes(0).len()) as u64;
    let sent = after.bytes_out - before.bytes_out;
    // Four fifths of them get a fifth of the bytes, or less.
    ensure!(sent < plain * 2 / 5, "{sent} of {plain} bytes were sent");
    drop(clients);
    engine.shutdown_blocking(Duration::from_secs(5))?;
    Ok(())
}

#[test]
fn what_nobody_takes_or_nobody_asked_for_is_not_compressed() -> Result<()> {
    let long = Frame::text(&quotes(1));
    // Nobody takes it.
    let all = engine(CompressWhat::All)?;
    let mut plain = join(&all, None)?;
    publish(&all, &long)?;
    ensure!(plain.receive()? == Received::Text(quotes(1)));
    ensure!(all.stats().compression.deflates == 0);
    // Somebody does, and then leaves.
    let mut taker = join(&all, Some(""))?;
    publish(&all, &long)?;
    ensure!(taker.receive()? == Received::Text(quotes(1)));
    ensure!(plain.receive()? == Received::Text(quotes(1)));
    ensure!(all.stats().compression.deflates == 1);
    // Too short.
    publish(&all, &Frame::text("61737.40"))?;
    ensure!(taker.receive()? == Received::Text("61737.40".to_owned()));
    ensure!(all.stats().compression.deflates == 1);
    // A reply to it alone.
    taker.send_frame(corecast_wire::frame::Opcode::Text, quotes(2).as_bytes())?;
    ensure!(taker.receive()? == Received::Text(quotes(2)));
    ensure!(all.stats().compression.deflates == 2);
    drop(taker);
    wait_for(|| all.stats().connections == 1)?;
    let before = all.stats().compression.deflates;
    publish(&all, &long)?;
    ensure!(all.stats().compression.deflates == before);
    // Who does not read would be waited for.
    drop(plain);
    all.shutdown_blocking(Duration::from_secs(5))?;
    // Batches alone are asked for.
    let batches = engine(CompressWhat::Batches)?;
    let mut taker = join(&batches, Some(""))?;
    publish(&batches, &long)?;
    ensure!(taker.receive()? == Received::Text(quotes(1)));
    ensure!(batches.stats().compression.deflates == 0);
    drop(taker);
    batches.shutdown_blocking(Duration::from_secs(5))?;
    Ok(())
}

fn wait_for(mut is_so: impl FnMut() -> bool) -> Result<()> {
    for _ in 0..500 {
        if is_so() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(eyre!("it did not come about within 5 s"))
}
