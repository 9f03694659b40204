//! A little that stands for a lot holds the shard: one client's bombs, each of them allowed, before
//! everybody else's messages.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use corecast::{
    Accept, Arrival, Config, Context, Engine, Frame, Handler, Message, Reject, Upgrade,
};
use corecast_tests::raw::{RawClient, Received, frame};
use eyre::{Result, ensure};

use crate::deflated;

const MESSAGE_BYTES: usize = 65_536;

/// Notes of each message what it begins with, in the order of the turns. `hold` holds the shard
/// until it is let go, so that what others send is there before any of it is read.
struct Ledger {
    noted: Sender<u8>,
    held: Sender<()>,
    let_go: Arc<Mutex<Receiver<()>>>,
}

impl Handler for Ledger {
    type Data = ();

    fn on_upgrade(&mut self, _: &Upgrade<'_>, _: &Arrival<'_>) -> Result<Accept<()>, Reject> {
        Ok(Accept::new(()))
    }

    fn on_message(&mut self, (): &mut (), message: Message<'_>, context: &mut Context<'_>) {
        if message.as_bytes() == b"hold" {
            self.held.send(()).expect("the test waits");
            let let_go = self.let_go.lock().expect("nobody panics with it");
            return let_go.recv().expect("the test lets go");
        }
        self.noted.send(message.as_bytes()[0]).expect("the test reads");
        context.reply(&Frame::text("noted"));
    }
}

struct World {
    engine: Engine,
    noted: Receiver<u8>,
    held: Receiver<()>,
    let_go: Sender<()>,
}

impl World {
    fn begin(bytes_per_second_max: u32) -> Result<Self> {
        let (noted, notes) = channel();
        let (held, holds) = channel();
        let (let_go, goes) = channel();
        let goes = Arc::new(Mutex::new(goes));
        let mut config = Config { listen: "127.0.0.1:0".parse()?, ..Config::default() };
        config.compression.enabled = true;
        config.connection.bytes_per_second_max = bytes_per_second_max;
        let engine = Engine::builder().config(config).shards(1).spawn(move |_| Ledger {
            noted: noted.clone(),
            held: held.clone(),
            let_go: Arc::clone(&goes),
        })?;
        Ok(Self { engine, noted: notes, held: holds, let_go })
    }

    fn join(&self) -> Result<RawClient> {
        let mut client = RawClient::connect(self.engine.local_addr())?;
        ensure!(client.upgrade_deflate("/", "; client_no_context_takeover")?.is_some());
        Ok(client)
    }

    /// Runs `send` while the shard is held, and lets go.
    fn hold(&self, send: impl FnOnce() -> Result<()>) -> Result<RawClient> {
        let mut holder = self.join()?;
        holder.send(&frame(0x81, b"hold"))?;
        self.held.recv_timeout(PATIENCE)?;
        send()?;
        self.let_go.send(())?;
        Ok(holder)
    }

    fn notes(&self, count: usize) -> Result<Vec<u8>> {
        (0..count).map(|_| Ok(self.noted.recv_timeout(PATIENCE)?)).collect()
    }

    fn finish(self, clients: Vec<RawClient>) -> Result<()> {
        drop(clients);
        Ok(self.engine.shutdown_blocking(Duration::from_secs(5))?)
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

/// So many messages of 64 KiB of one letter; some 80 bytes each.
fn bombs(letter: u8, count: usize) -> Vec<u8> {
    frame(0xc1, &deflated(&vec![letter; MESSAGE_BYTES])).repeat(count)
}

#[test]
fn bombs_of_two_clients_take_turns_message_by_message() -> Result<()> {
    const EACH: usize = 100;
    let world = World::begin(0)?;
    let (mut first, mut second) = (world.join()?, world.join()?);
    let holder = world.hold(|| {
        first.send(&bombs(b'a', EACH))?;
        second.send(&bombs(b'b', EACH))
    })?;
    let notes = world.notes(2 * EACH)?;
    let longest = notes.chunk_by(|one, next| one == next).map(<[u8]>::len).max();
    // A turn ends with the message that spends its 64 KiB.
    ensure!(longest == Some(1), "{longest:?} messages of one client in one turn");
    for client in [&mut first, &mut second] {
        for at in 0..EACH {
            let found = client.receive()?;
            ensure!(found == Received::Text("noted".to_owned()), "{at}: {found:?}");
        }
    }
    world.finish(vec![first, second, holder])
}

#[test]
fn bombs_of_many_clients_leave_the_shard_its_rounds() -> Result<()> {
    const CLIENTS: usize = 64;
    const EACH: usize = 8;
    let world = World::begin(0)?;
    let mut clients = (0..CLIENTS).map(|_| world.join()).collect::<Result<Vec<_>>>()?;
    let bombs = bombs(b'a', EACH);
    let holder = world.hold(|| clients.iter_mut().try_for_each(|client| client.send(&bombs)))?;
    let before = world.engine.rounds()[0];
    world.notes(CLIENTS * EACH)?;
    let rounds = world.engine.rounds()[0] - before;
    // 32 MiB, of which five times 320 KiB pass in a round at most.
    ensure!(rounds >= 15, "{rounds} rounds");
    clients.push(holder);
    world.finish(clients)
}

#[test]
fn who_is_bounded_in_bytes_a_second_pays_for_what_his_messages_stand_for() -> Result<()> {
    let world = World::begin(1_000)?;
    let mut client = world.join()?;
    // A tenth of a burst on the wire, and 32 MiB of messages.
    client.send(&bombs(b'a', 512))?;
    let (code, reason) = client.expect_close()?;
    ensure!(code == 4429 && reason.contains("1000 bytes a second"), "{code} {reason}");
    let stats = world.engine.stats().compression;
    // The burst is 1 MiB; the message that passes it is the last.
    let handled = stats.inflate_bytes_out as usize / MESSAGE_BYTES;
    ensure!((1..=17).contains(&handled), "{handled} messages were inflated");
    world.finish(vec![client])
}
