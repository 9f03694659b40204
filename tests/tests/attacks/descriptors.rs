//! No descriptor left.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::raw::{RawClient, Received, frame};
use corecast_tests::server::{TestServer, launch};
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use eyre::{Result, ensure};

/// As many as one shard needs to start at all.
const NOFILE: usize = 64;
/// More than there is room for.
const CLIENTS: usize = 120;

#[test]
fn a_server_out_of_descriptors_refuses_and_recovers() -> Result<()> {
    let limit = format!("--nofile={NOFILE}:{NOFILE}");
    let serve = ["serve", "--echo", "--listen", "127.0.0.1:0", "--shards", "1"];
    let launch = launch()?.args(serve).wrapped_by(["prlimit", &limit, "--"]);
    let siege = Siege::around(TestServer::launch(&launch)?)?;
    let calm = share(&siege)?;

    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..CLIENTS {
        let mut client = RawClient::connect(siege.address())?;
        client.send(REQUEST)?;
        let head = client.read_head()?;
        match head.status {
            101 => open.push(client),
            503 => {
                ensure!(head.header("retry-after") == Some("1"), "{}", head.text);
                ensure!(head.header("connection") == Some("close"), "{}", head.text);
                ensure!(client.read_to_end()?.len() == 33, "the whole answer arrives");
                refused += 1;
            }
            status => eyre::bail!("{status} instead of 101 or 503"),
        }
    }
    println!("{} open, {refused} refused", open.len());
    ensure!(open.len() + 20 > NOFILE / 2 && refused > 0, "the limit is reached");

    // Saturated, with clients that keep knocking.
    let knocking = Knocking::start(siege.address())?;
    let saturated = share(&siege)?;
    println!("CPU share: calm {calm:.3}, saturated {saturated:.3}");
    ensure!(saturated < calm + 0.05, "the listener spins: {saturated:.3} of a core");
    knocking.stop();
    for client in &mut open {
        client.send(&frame(0x81, b"there?"))?;
        ensure!(client.receive()? == Received::Text("there?".to_owned()), "open ones are unharmed");
    }

    drop(open);
    let freed = Instant::now();
    let mut again = loop {
        let mut client = RawClient::connect(siege.address())?;
        client.send(REQUEST)?;
        if client.read_head()?.status == 101 {
            break client;
        }
        ensure!(freed.elapsed() < Duration::from_secs(1), "no recovery after a second");
        thread::sleep(Duration::from_millis(20));
    };
    println!("recovered after {:?}", freed.elapsed());
    again.send(&frame(0x81, b"back"))?;
    ensure!(again.receive()? == Received::Text("back".to_owned()));
    drop(again);
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_full_shard_answers_503() -> Result<()> {
    let siege = Siege::start(["--shards", "1", "--connections-max", "20"])?;
    // Three of them are the control's.
    let mut open = Vec::new();
    for _ in 0..17 {
        open.push(RawClient::open(siege.address(), "/echo")?);
    }
    for _ in 0..50 {
        let mut client = RawClient::connect(siege.address())?;
        client.send(REQUEST)?;
        let head = client.read_head()?;
        ensure!(head.status == 503 && head.header("retry-after") == Some("1"), "{}", head.text);
    }
    drop(open.pop());
    thread::sleep(Duration::from_millis(200));
    open.push(RawClient::open(siege.address(), "/echo")?);
    drop(open);
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

const REQUEST: &[u8] = b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// Ten connections that wait in the accept queue or are refused, and come back.
struct Knocking {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Knocking {
    fn start(server: SocketAddr) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let knock = |_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if let Ok(mut client) = RawClient::connect(server) {
                        let _ = client.send(REQUEST).and_then(|()| client.read_to_end());
                    }
                    thread::sleep(Duration::from_millis(50));
                }
            })
        };
        let threads = (0..10).map(knock).collect();
        Ok(Self { stop, threads })
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// How much of one core the server takes now.
fn share(siege: &Siege) -> Result<f64> {
    let time = Duration::from_secs(2);
    let before = siege.usage()?.cpu;
    thread::sleep(time);
    Ok(siege.usage()?.cpu.saturating_sub(before).as_secs_f64() / time.as_secs_f64())
}
