//! Publishers that do not wait, and the connections beside them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast::{
    Accept, Arrival, Context, Engine, Frame, Handler, Message, PublishError, Reject, Upgrade,
};
use corecast_tests::raw::{RawClient, Received, frame};
use eyre::{Result, ensure};

struct Echo;

impl Handler for Echo {
    type Data = ();

    fn on_upgrade(&mut self, _: &Upgrade<'_>, _: &Arrival<'_>) -> Result<Accept<()>, Reject> {
        Ok(Accept::new(()))
    }

    fn on_message(&mut self, _: &mut (), message: Message<'_>, context: &mut Context<'_>) {
        context.reply(&message.to_frame());
    }
}

#[test]
fn a_publisher_that_never_waits_does_not_silence_clients() -> Result<()> {
    let listen = "127.0.0.1:0".parse()?;
    let engine = Engine::builder().listen(listen).shards(2).spawn(|_| Echo)?;
    let mut client = RawClient::open(engine.local_addr(), "/")?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let (publisher, stop) = (engine.publisher(), &stop);
        let publishing = scope.spawn(move || {
            let (frame, mut full) = (Frame::binary(&[1; 64]), 0_u64);
            while !stop.load(Ordering::Relaxed) {
                full += u64::from(publisher.publish("flood", &frame) == Err(PublishError::Full));
            }
            full
        });
        thread::sleep(Duration::from_millis(200));
        let answered = (0..10).try_for_each(|_| answers(&mut client));
        stop.store(true, Ordering::Relaxed);
        let full = publishing.join().map_err(|_| eyre::eyre!("the publisher panicked"))?;
        println!("the mesh was full {full} times");
        answered?;
        ensure!(full > 0, "the mesh was never full");
        Ok(())
    })
}

fn answers(client: &mut RawClient) -> Result<()> {
    let asked = Instant::now();
    client.send(&[frame(0x89, b"ping"), frame(0x81, b"message")].concat())?;
    let mut answers = [client.receive()?, client.receive()?];
    answers.sort_by_key(|answer| matches!(answer, Received::Text(_)));
    ensure!(answers[0] == Received::Pong(b"ping".to_vec()), "{answers:?}");
    ensure!(answers[1] == Received::Text("message".to_owned()), "{answers:?}");
    ensure!(asked.elapsed() < Duration::from_secs(2), "the answer took {:?}", asked.elapsed());
    Ok(())
}
