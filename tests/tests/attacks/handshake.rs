//! Handshakes that never end, or are too large.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use corecast::{Accept, Arrival, Engine, Handler, Reject, Upgrade};
use corecast_tests::raw::{KEY, RawClient};
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use corecast_wire::client;
use eyre::{Result, ensure};

/// Time for the opening handshake, as the server's defaults have it.
const DEADLINE: Duration = Duration::from_secs(5);
/// What the sweep and a busy machine may add.
const LATE_MAX: Duration = Duration::from_secs(2);

#[test]
fn a_slow_handshake_is_cut_off_at_an_absolute_deadline() -> Result<()> {
    const SOCKETS: usize = 2_000;
    let siege = Siege::start(["--shards", "2"])?;
    let request = request(siege.address())?;
    let mut slow = Vec::new();
    for _ in 0..SOCKETS {
        slow.push(Slow::connect(siege.address())?);
    }
    let mut grown = 0;
    let started = Instant::now();
    for turn in 0.. {
        for one in slow.iter_mut().filter(|one| one.ended.is_none()) {
            // A byte a second: a deadline that each byte renews would never pass.
            if turn % 10 == 0 {
                one.send(&request[turn / 10..=turn / 10]);
            }
            one.look()?;
        }
        if slow.iter().all(|one| one.ended.is_some()) || started.elapsed() > 2 * DEADLINE {
            break;
        }
        grown = grown.max(siege.grown_bytes()?);
        thread::sleep(Duration::from_millis(100));
    }
    for one in &slow {
        let Some(ended) = one.ended else { panic!("a handshake goes on after {:?}", 2 * DEADLINE) };
        ensure!(ended >= DEADLINE - Duration::from_millis(500), "cut off after {ended:?}");
        ensure!(ended <= DEADLINE + LATE_MAX, "cut off only after {ended:?}");
        let said = String::from_utf8_lossy(&one.received);
        ensure!(said.starts_with("HTTP/1.1 408 "), "told {said:?}");
    }
    let each = grown / SOCKETS as u64;
    ensure!(each <= 4096, "a slow handshake holds {each} bytes");
    println!("{each} bytes for each slow handshake");
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_connection_that_says_nothing_is_cut_off_without_an_answer() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    let mut silent = Slow::connect(siege.address())?;
    while silent.ended.is_none() && silent.began.elapsed() < 2 * DEADLINE {
        silent.look()?;
        thread::sleep(Duration::from_millis(20));
    }
    let ended = silent.ended.unwrap_or(Duration::MAX);
    ensure!(ended >= DEADLINE && ended <= DEADLINE + LATE_MAX, "cut off after {ended:?}");
    ensure!(silent.received.is_empty(), "it asked for nothing");
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn huge_heads_are_refused_before_they_are_read() -> Result<()> {
    let siege = Siege::start(["--shards", "2"])?;
    let start = "GET /echo HTTP/1.1\r\nHost: a\r\n";
    let line = "x".repeat(64 << 10);
    let many: String = (0..2_000).map(|n| format!("X-{n}: 1\r\n")).collect();
    let spaces = format!("{start}Sec-WebSocket-Protocol: a{}b\r\n\r\n", " ".repeat(32_000));
    for (name, request, status) in [
        ("a header line of 64 KiB", format!("{start}X-Long: {line}\r\n\r\n"), 431),
        ("a header name of 64 KiB", format!("{start}{line}: 1\r\n\r\n"), 431),
        ("2,000 headers", format!("{start}{many}\r\n"), 431),
        ("65 short headers", format!("{start}{}\r\n", "a:\r\n".repeat(64)), 431),
        ("a request line of 64 KiB", format!("GET /{line} HTTP/1.1\r\n\r\n"), 414),
        ("a head without an end", format!("{start}X: {line}{line}{line}"), 431),
        ("32,000 spaces", spaces, 431),
    ] {
        for _ in 0..20 {
            let mut client = RawClient::connect(siege.address())?;
            client.send(request.as_bytes())?;
            let head = client.read_head()?;
            ensure!(head.status == status, "{name}: {}", head.text);
            ensure!(head.header("connection") == Some("close"), "{name}: {}", head.text);
            client.read_to_end()?;
        }
    }
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_head_in_single_bytes_costs_no_more_for_being_long() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    let cost = |head_bytes: usize, heads: usize| -> Result<f64> {
        let mut request = request(siege.address())?;
        request.truncate(request.len() - 2);
        request.extend_from_slice(b"X-Long: ");
        request.resize(head_bytes - 4, b'x');
        request.extend_from_slice(b"\r\n\r\n");
        let before = siege.usage()?.cpu;
        for _ in 0..heads {
            let mut client = RawClient::connect(siege.address())?;
            client.send_bytewise(&request)?;
            ensure!(client.read_head()?.status == 101, "it is a good request");
            client.reset()?;
        }
        let cpu = siege.usage()?.cpu.saturating_sub(before);
        Ok(cpu.as_secs_f64() / (heads * head_bytes) as f64)
    };
    // The same number of bytes, in short heads and in long ones.
    let (short, long) = (cost(1_000, 512)?, cost(8_000, 64)?);
    println!("{:.2} µs a byte in short heads, {:.2} in long ones", short * 1e6, long * 1e6);
    // Parsing anew with each byte would make it eight times as much. The floor is a tenth of a
    // second, ten ticks of the kernel's clock.
    let allowed = (short * 3.0).max(0.1 / 512_000.0);
    ensure!(long <= allowed, "{long} s a byte in long heads, {short} in short ones");
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_stalled_reader_of_a_page_does_not_stay_for_ever() -> Result<()> {
    struct Nothing;
    impl Handler for Nothing {
        type Data = ();
        fn on_upgrade(&mut self, _: &Upgrade<'_>, _: &Arrival<'_>) -> Result<Accept<()>, Reject> {
            Ok(Accept::new(()))
        }
    }
    let page_bytes = 16 << 20;
    let engine = Engine::builder()
        .listen("127.0.0.1:0".parse()?)
        .shards(1)
        .page("/large", "application/octet-stream", vec![b'x'; page_bytes])?
        .spawn(|_| Nothing)?;
    let mut client = RawClient::connect_small(engine.local_addr(), 4096)?;
    client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")?;
    // Nothing is read until long after the deadline of the handshake.
    thread::sleep(DEADLINE + LATE_MAX);
    client.set_patience(Duration::from_secs(60));
    let read = client.read_to_end()?.len();
    println!("{read} bytes of {page_bytes} were sent");
    ensure!(read < page_bytes, "the server still sent all of it: {read} bytes");
    Ok(())
}

fn request(server: SocketAddr) -> Result<Vec<u8>> {
    Ok(client::request(&server.to_string(), "/echo", KEY, &[], &[])?)
}

/// A client that sends little, and notes when and how it ends.
struct Slow {
    stream: TcpStream,
    began: Instant,
    ended: Option<Duration>,
    received: Vec<u8>,
}

impl Slow {
    fn connect(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, began: Instant::now(), ended: None, received: Vec::new() })
    }

    fn send(&mut self, bytes: &[u8]) {
        // A failure is the end, which the next look sees.
        let _ = self.stream.write(bytes);
    }

    fn look(&mut self) -> Result<()> {
        let mut bytes = [0; 1024];
        match self.stream.read(&mut bytes) {
            Ok(read @ 1..) => self.received.extend_from_slice(&bytes[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => self.ended = Some(self.began.elapsed()),
        }
        Ok(())
    }
}
