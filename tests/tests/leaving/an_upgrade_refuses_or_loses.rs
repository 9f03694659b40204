//! A new process takes the place of a running one: a connection is refused or reset, a message is
//! missing after a client has come back, or comes twice.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast_bench::swarm::{Change, End, Plan, Swarm};
use corecast_tests::feed::FeedClient;
use corecast_tests::gateway::{Framed, Said, address_of, post};
use corecast_tests::raw::RawClient;
use corecast_tests::server::TestServer;
use corecast_wire::frame::Opcode;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use serde_json::{Value, json};

pub(crate) const TOPIC: &str = "trade.X";
const SECOND: Duration = Duration::from_secs(1);

pub(crate) const CONFIG: &str = r#"
    [outbox]
    frames_max = 16384

    [[namespaces]]
    name = "trade"
    policy = "lossless"
    snapshot = "last"
    history_entries = 5000
"#;

pub(crate) fn socket(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("corecast-{}-{name}.take", std::process::id()))
}

pub(crate) fn start(path: &Path, options: &[&str]) -> Result<TestServer> {
    let config = format!("[take_over]\nunix = {path:?}\n{CONFIG}");
    let ports = ["--ingest-tcp", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    TestServer::start_with(&config, [&ports[..], options].concat())
}

#[test]
fn a_thousand_clients_come_back_as_told_and_miss_nothing() -> Result<()> {
    upgrade("thousand", 1_000, 0, 10)
}

/// Far more than one message for each time that the new process asks the old one whether it
/// follows.
#[test]
fn a_busy_topic_is_not_told_too_late() -> Result<()> {
    upgrade("busy", 4, 1_996, 600)
}

/// Puts a new process in the place of one with so many clients, others that are idle and do not
/// come back, and a publisher of so many messages each 50 ms.
fn upgrade(name: &str, clients: usize, idle: usize, messages: u64) -> Result<()> {
    let path = socket(name);
    let mut old = start(&path, &["--shards", "2"])?;
    let (address, ingest) = (old.address(), address_of(&old, "ingest on tcp ")?);
    let stop = Arc::new(AtomicBool::new(false));
    let publisher = thread::spawn({
        let stop = Arc::clone(&stop);
        move || publish(ingest, messages, &stop)
    });
    let strangers = thread::spawn({
        let stop = Arc::clone(&stop);
        move || connect_again_and_again(address, &stop)
    });
    let idle = thread::spawn(move || stay_until_sent_away(address, idle));
    let mut crowd = Crowd::open(address, clients)?;
    crowd.live(SECOND)?;
    ensure!(crowd.reconnects_ms.is_empty(), "nobody has come back yet");

    // Another number of shards than before.
    let begun = Instant::now();
    crowd.moved_at = Some(begun);
    let new = thread::spawn({
        let path = path.clone();
        move || start(&path, &["--shards", "1", "--take-over"])
    });
    while crowd.reconnects_ms.len() < clients {
        ensure!(begun.elapsed() < 90 * SECOND, "{} have come back", crowd.reconnects_ms.len());
        crowd.live(SECOND / 20)?;
    }
    let new = new.join().map_err(|_| eyre!("starting panicked"))??;
    crowd.live(SECOND)?;
    idle.join().map_err(|_| eyre!("those who are idle panicked"))??;
    let said = old.ended()?;
    ensure!(said.contains("another process has taken over") && said.contains("left in order"));
    ensure!(!said.contains("the relay has ended"), "clients were sent away at once: {said}");
    stop.store(true, Ordering::Relaxed);
    let (published, interruptions) =
        publisher.join().map_err(|_| eyre!("the publisher panicked"))??;
    let connected = strangers.join().map_err(|_| eyre!("the strangers panicked"))??;
    crowd.live(SECOND)?;
    crowd.check(clients, published)?;
    println!(
        "{published} messages to {clients} clients; the publisher was sent away {interruptions} \
         time(s); {connected} other connections, none refused or reset; the longest time that a \
         client was without a message: {:?}\n{}",
        crowd.clients.values().map(|client| client.silence_max).max(),
        crowd.histogram()
    );
    ensure!(interruptions == 1, "{interruptions}");
    crowd.check_spread()?;
    // Else it would wait for their answers to its Closes.
    drop(crowd);
    new.stop()
}

/// Clients that do as they are told.
struct Crowd {
    swarm: Swarm,
    /// By the connection's number.
    clients: HashMap<usize, Client>,
    /// Who comes back when.
    away: BinaryHeap<Reverse<(Instant, usize)>>,
    resting: HashMap<usize, Client>,
    epoch: Option<String>,
    moved_at: Option<Instant>,
    /// When each came back, in milliseconds since the new process was started.
    reconnects_ms: Vec<u64>,
    problems: Vec<String>,
    random: u64,
}

#[derive(Clone, Copy, Default)]
struct Client {
    /// The number of the last message, and what it carried.
    seq: u64,
    data: u64,
    reconnect_ms: u64,
    came_back: bool,
    resumed: bool,
    heard_at: Option<Instant>,
    /// The longest time without a message.
    silence_max: Duration,
}

impl Crowd {
    fn open(address: SocketAddr, clients: usize) -> Result<Self> {
        let mut swarm = Swarm::new(address)?;
        let mut epoch = None;
        // Where this thread runs late, a welcome comes together with the answer to the upgrade.
        let mut hear = |payload: &[u8]| Client::default().hear(payload, &mut epoch);
        let mut problem = Ok(());
        let all =
            swarm.open_all(&Plan::reader("/feed"), clients, 20 * SECOND, &mut |delivery| {
                problem = std::mem::replace(&mut problem, Ok(())).and(hear(delivery.payload));
            })?;
        problem?;
        let mut crowd = Self {
            swarm,
            clients: all.clone().map(|index| (index, Client::default())).collect(),
            away: BinaryHeap::new(),
            resting: HashMap::new(),
            epoch,
            moved_at: None,
            reconnects_ms: Vec::new(),
            problems: Vec::new(),
            random: 7,
        };
        for index in all {
            crowd.subscribe(index);
        }
        Ok(crowd)
    }

    fn subscribe(&mut self, index: usize) {
        let mut command = json!({"type": "subscribe", "id": 1, "topics": [TOPIC]});
        let client = self.clients.get(&index).copied().unwrap_or_default();
        if let Some(epoch) = self.epoch.as_ref().filter(|_| client.came_back) {
            command["resume"] = json!({"epoch": epoch, "seq": {TOPIC: client.seq}});
        }
        self.swarm.send(index, Opcode::Text, command.to_string().as_bytes());
    }

    /// Lets them live for so long.
    fn live(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            let Self { swarm, clients, epoch, problems, .. } = self;
            swarm.poll(Duration::from_millis(2), &mut |delivery| {
                let Some(client) = clients.get_mut(&delivery.connection) else { return };
                if let Err(error) = client.hear(delivery.payload, epoch) {
                    problems.push(format!("{error:#}"));
                }
            })?;
            for change in self.swarm.take_changes() {
                match change {
                    Change::Opened(index) => self.subscribe(index),
                    Change::Ended(index) => self.ended(index)?,
                    Change::Halted(_) => {}
                }
            }
            self.come_back()?;
            if let Some(problem) = self.problems.first() {
                bail!("{problem} (and {} others)", self.problems.len() - 1);
            }
        }
        Ok(())
    }

    fn ended(&mut self, index: usize) -> Result<()> {
        let end = self.swarm.end(index);
        let in_order = matches!(end, Some(End::Closed { code: Some(1012), .. }));
        ensure!(in_order, "connection {index}: {end:?}");
        let client = self.clients.remove(&index).ok_or_else(|| eyre!("unknown {index}"))?;
        // A random instant within what it was told.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let pause = (self.random >> 33) % (client.reconnect_ms + 1);
        self.away.push(Reverse((Instant::now() + Duration::from_millis(pause), index)));
        self.resting.insert(index, client);
        Ok(())
    }

    fn come_back(&mut self) -> Result<()> {
        while self.away.peek().is_some_and(|Reverse((at, _))| *at <= Instant::now()) {
            let Some(Reverse((_, index))) = self.away.pop() else { break };
            let client = self.resting.remove(&index).ok_or_else(|| eyre!("unknown {index}"))?;
            ensure!(!client.came_back, "sent away twice");
            let index = self.swarm.open(&Plan::reader("/feed")).wrap_err("refused")?;
            self.clients.insert(index, Client { came_back: true, ..client });
            let since = self.moved_at.ok_or_else(|| eyre!("sent away by nobody"))?.elapsed();
            self.reconnects_ms.push(since.as_millis() as u64);
        }
        Ok(())
    }

    fn check(&self, clients: usize, published: u64) -> Result<()> {
        ensure!(self.clients.len() == clients, "{} are connected", self.clients.len());
        for (index, client) in &self.clients {
            ensure!(client.came_back && client.resumed, "client {index} was not resumed");
            let (seq, data) = (client.seq, client.data);
            ensure!(data == published, "client {index} has {data} of {published}, number {seq}");
        }
        Ok(())
    }

    fn buckets(&self) -> Vec<usize> {
        let first = self.reconnects_ms.iter().min().copied().unwrap_or(0);
        let mut buckets = vec![0; 1];
        for at in &self.reconnects_ms {
            let bucket = ((at - first) / 250) as usize;
            buckets.resize(buckets.len().max(bucket + 1), 0);
            buckets[bucket] += 1;
        }
        buckets
    }

    fn histogram(&self) -> String {
        let first = self.reconnects_ms.iter().min().copied().unwrap_or(0);
        let line = |(bucket, count): (usize, usize)| {
            let from = first + 250 * bucket as u64;
            format!("{from:>6} ms {count:>5} {}\n", "#".repeat(count.div_ceil(5)))
        };
        self.buckets().into_iter().enumerate().map(line).collect()
    }

    /// 2 ms each: a machine that is busy makes them later, and nothing makes them earlier.
    fn check_spread(&self) -> Result<()> {
        let mut at_ms = self.reconnects_ms.clone();
        at_ms.sort_unstable();
        for (place, at_ms) in at_ms.iter().enumerate() {
            ensure!(
                *at_ms >= 2 * place.saturating_sub(2) as u64,
                "{place} are back after {at_ms} ms"
            );
        }
        Ok(())
    }
}

impl Client {
    fn hear(&mut self, payload: &[u8], epoch: &mut Option<String>) -> Result<()> {
        let event: Value = serde_json::from_slice(payload)?;
        match event["type"].as_str().unwrap_or_default() {
            "welcome" => {
                let told = event["epoch"].as_str().unwrap_or_default();
                let known = epoch.get_or_insert_with(|| told.to_owned());
                ensure!(told == known, "another epoch: {event}");
            }
            "subscribed" => {
                let granted = &event["ok"][0];
                ensure!(granted["topic"] == TOPIC, "{event}");
                self.resumed = granted["resumed"] == true;
                ensure!(self.resumed || !self.came_back, "number {}: {event}", self.seq);
            }
            // The first one tells where a client begins.
            "snapshot" => {
                ensure!(self.seq == 0, "after number {}: {event}", self.seq);
                self.seq = event["seq"].as_u64().unwrap_or_default();
                self.data = event["data"].as_u64().unwrap_or_default();
            }
            "message" => {
                let (seq, data) = (event["seq"].as_u64(), event["data"].as_u64());
                let is_next = seq == Some(self.seq + 1) && data == Some(self.data + 1);
                let begins = self.seq == 0;
                ensure!(is_next || begins, "behind {} ({}): {event}", self.seq, self.data);
                (self.seq, self.data) = (seq.unwrap_or(0), data.unwrap_or(0));
                let now = Instant::now();
                let silence = self.heard_at.map_or(Duration::ZERO, |at| now - at);
                self.silence_max = self.silence_max.max(silence);
                self.heard_at = Some(now);
            }
            "going_away" => {
                self.reconnect_ms = event["reconnect_ms"][1].as_u64().unwrap_or_default();
            }
            "heartbeat" => {}
            other => bail!("{other}: {event}"),
        }
        Ok(())
    }
}

/// Publishes so many numbers each 50 ms, and goes on where it was when it is sent away. Gives how
/// many, and how often it was.
fn publish(ingest: SocketAddr, messages: u64, stop: &AtomicBool) -> Result<(u64, u32)> {
    let (mut sent, mut acked, mut interruptions) = (0, 0, 0);
    let mut framed = Framed::tcp(ingest)?;
    framed.hello("numbers", 1)?;
    loop {
        let ending = stop.load(Ordering::Relaxed);
        let mut gone = false;
        for _ in 0..(if ending { 0 } else { messages }) {
            sent += 1;
            gone |= framed.publish(sent, TOPIC, &sent.to_string()).is_err();
        }
        while !gone && acked < sent {
            match framed.next()? {
                Said::Ack { seq, .. } => acked = seq,
                Said::Error { seq: 0, closing: true, .. } | Said::End => gone = true,
                other => bail!("{other:?}"),
            }
        }
        if gone {
            // What it was told before it was sent away counts.
            while let Ok(Said::Ack { seq, .. } | Said::Error { seq, .. }) = framed.next() {
                acked = acked.max(seq);
            }
            interruptions += 1;
            framed = Framed::tcp(ingest).wrap_err("the publisher is refused")?;
            framed.hello("numbers", 1)?;
            for number in acked + 1..=sent {
                framed.publish(number, TOPIC, &number.to_string())?;
            }
        } else if ending {
            return Ok((sent, interruptions));
        }
        thread::sleep(SECOND / 20);
    }
}

fn stay_until_sent_away(address: SocketAddr, clients: usize) -> Result<()> {
    let mut swarm = Swarm::new(address)?;
    swarm.open_all(&Plan::reader("/feed"), clients, 20 * SECOND, &mut |_| {})?;
    while swarm.live() > 0 {
        swarm.poll(SECOND / 100, &mut |_| {})?;
        for change in swarm.take_changes() {
            let Change::Ended(index) = change else { bail!("{change:?}") };
            let end = swarm.end(index);
            ensure!(matches!(end, Some(End::Closed { code: Some(1012), .. })), "{end:?}");
        }
    }
    Ok(())
}

/// Others connect all the while: each gets its answer.
fn connect_again_and_again(address: SocketAddr, stop: &AtomicBool) -> Result<u64> {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut client = RawClient::connect(address).wrap_err("refused")?;
        client.upgrade_to("/ws/others", &[]).wrap_err("reset")?;
        count += 1;
        thread::sleep(Duration::from_millis(5));
    }
    Ok(count)
}

#[test]
fn who_finds_nobody_starts_afresh_and_without_a_path_is_told_so() -> Result<()> {
    let path = socket("nobody");
    let server = start(&path, &["--take-over"])?;
    ensure!(server.process().output().contains("nobody is there to take over from"));
    server.stop()?;
    ensure!(!path.exists(), "the socket's file is taken away");
    let launch = corecast_tests::server::launch()?;
    let launch = launch.args(["serve", "--listen=127.0.0.1:0", "--take-over"]).ready_at_once();
    let mut process = launch.start()?;
    let status = process.wait(10 * SECOND)?;
    let said = process.output();
    ensure!(status.code() == Some(78) && said.contains("take_over.unix"), "{status}: {said}");
    Ok(())
}

#[test]
fn too_much_to_take_over_begins_a_new_epoch_and_refuses_nobody() -> Result<()> {
    let path = socket("much");
    let mut old = start(&path, &["--shards", "2"])?;
    let (address, admin) = (old.address(), address_of(&old, "admin on http://")?);
    post(admin, "/publish?topic=trade.X", "1")?;
    let mut client = FeedClient::open(address)?;
    let before = client.welcome["epoch"].clone();
    let mut new = start(&path, &["--shards=3", "--take-over"])?;
    ensure!(new.address() == address, "{} is not {address}", new.address());
    client.skip_to("going_away")?;
    drop(client);
    old.ended()?;
    let client = FeedClient::open(address)?;
    ensure!(client.welcome["epoch"] == before, "the same epoch");
    drop(client);
    let config = format!("[take_over]\nunix = {path:?}\nstate_bytes_max = 10\n{CONFIG}");
    let options = ["--take-over", "--admin=127.0.0.1:0", "--ingest-tcp=127.0.0.1:0"];
    let third = TestServer::start_with(&config, options)?;
    new.ended()?;
    let client = FeedClient::open(address)?;
    ensure!(client.welcome["epoch"] != before, "a new epoch");
    ensure!(third.process().output().contains("a new epoch begins"));
    ensure!(post(admin, "/publish?topic=trade.X", "1")?.body["seq"] == 1);
    drop(client);
    third.stop()
}
