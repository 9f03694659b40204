//! PROXY headers, through real sockets: from whom they are believed, and what becomes of those that
//! are missing, malformed or slow.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use corecast::config::{AddressConfig, ConnectionConfig, ProxyConfig, ProxyHeader, ProxyProtocol};
use corecast::{Accept, Arrival, Context, Engine, Frame, Handler, Message, Reject, Upgrade};
use corecast_tests::raw::{RawClient, Received};
use corecast_wire::frame::Opcode;
use eyre::{Result, ensure};

use crate::{ask, ip, let_in, request, too_many};

/// Tells each who asks who he is.
struct Mirror;

impl Handler for Mirror {
    type Data = String;

    fn on_upgrade(
        &mut self,
        _: &Upgrade<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Accept<String>, Reject> {
        let proxy = arrival.proxy_addr().map(|proxy| proxy.ip().to_string());
        Ok(Accept::new(format!("{} by {}", arrival.peer_addr(), proxy.unwrap_or_default())))
    }

    fn on_open(&mut self, data: &mut String, context: &mut Context<'_>) {
        let same = data.starts_with(&format!("{} by", context.peer_addr()));
        assert!(same, "the same address before and behind the handshake");
    }

    fn on_message(&mut self, data: &mut String, _: Message<'_>, context: &mut Context<'_>) {
        context.reply(&Frame::text(data));
    }
}

const PROXY: &str = "127.0.0.9";

fn mirror(protocol: ProxyProtocol, header: ProxyHeader) -> Result<Engine> {
    let trusted = vec![PROXY.parse()?, "10.0.0.0/8".parse()?];
    let mut config = corecast::Config {
        listen: "127.0.0.1:0".parse()?,
        shards: 2,
        address: AddressConfig { connections_max: 2, exempt: Vec::new(), ..Default::default() },
        proxy: ProxyConfig { trusted, protocol, header },
        ..Default::default()
    };
    config.connection = ConnectionConfig { handshake_timeout_ms: 2_000, ..config.connection };
    Ok(Engine::builder().config(config).spawn(|_| Mirror)?)
}

fn told(client: &mut RawClient) -> Result<String> {
    client.send_frame(Opcode::Text, b"who am I?")?;
    match client.receive()? {
        Received::Text(text) => Ok(text),
        other => eyre::bail!("{other:?}"),
    }
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length[..], rest].concat()
}

fn of_ipv4(last: u8) -> Vec<u8> {
    v2(0x21, 0x11, &[192, 0, 2, last, 127, 0, 0, 1, 0x1f, 0x90, 0, 80])
}

#[test]
fn the_client_is_who_the_proxy_says_and_is_charged() -> Result<()> {
    let engine = mirror(ProxyProtocol::Any, ProxyHeader::None)?;
    let server = engine.local_addr();
    let line = |last: u8| format!("PROXY TCP4 192.0.2.{last} 127.0.0.1 8080 80\r\n").into_bytes();
    let mut first = let_in(PROXY, server, &line(1), "")?;
    ensure!(told(&mut first)? == "192.0.2.1:8080 by 127.0.0.9");
    let mut second = let_in(PROXY, server, &of_ipv4(1), "")?;
    ensure!(told(&mut second)? == "192.0.2.1:8080 by 127.0.0.9");
    // That was the client's budget, whichever way he comes; the proxy's own is untouched.
    too_many(PROXY, server, &line(1), "")?;
    too_many(PROXY, server, &of_ipv4(1), "")?;
    let others: Vec<_> =
        (2..30).map(|n| let_in(PROXY, server, &of_ipv4(n), "")).collect::<Result<_>>()?;
    let v6: Vec<u8> = ["2001:db8::1", "::1"]
        .iter()
        .flat_map(|text| text.parse::<std::net::Ipv6Addr>().expect("an address").octets())
        .chain([0x1f, 0x90, 0, 80])
        .collect();
    let mut sixth = let_in(PROXY, server, &v2(0x21, 0x21, &v6), "")?;
    ensure!(told(&mut sixth)? == "[2001:db8::1]:8080 by 127.0.0.9");
    // With something behind the addresses that nobody asked for.
    let tlvs = [&v6[..], &[0x04, 1, 0], &[0; 256]].concat();
    let mut seventh = let_in(PROXY, server, &v2(0x21, 0x21, &tlvs), "")?;
    ensure!(told(&mut seventh)? == "[2001:db8::1]:8080 by 127.0.0.9");
    drop((first, second, others, sixth, seventh));
    wait_for_nobody(&engine)?;
    let stats = engine.stats();
    ensure!((stats.refused_by_address, stats.proxy_errors) == (2, 0), "{stats:?}");
    drop(let_in(PROXY, server, &line(1), "")?);
    Ok(())
}

#[test]
fn a_proxy_that_speaks_for_itself_is_a_client() -> Result<()> {
    let engine = mirror(ProxyProtocol::Any, ProxyHeader::None)?;
    let server = engine.local_addr();
    let mut held = Vec::new();
    for front in [v2(0x20, 0, &[]), b"PROXY UNKNOWN\r\n".to_vec()] {
        let mut client = let_in(PROXY, server, &front, "")?;
        let told = told(&mut client)?;
        ensure!(told.starts_with("127.0.0.9:") && told.ends_with(" by "), "{told}");
        held.push(client);
    }
    // A Unix socket has no address: the proxy stands for it, and it has two connections already.
    too_many(PROXY, server, &v2(0x21, 0x31, &[b'/'; 216]), "")
}

#[test]
fn a_header_in_single_bytes_is_the_same_header() -> Result<()> {
    let engine = mirror(ProxyProtocol::Any, ProxyHeader::None)?;
    for front in [b"PROXY TCP4 192.0.2.1 127.0.0.1 8080 80\r\n".to_vec(), of_ipv4(1)] {
        let mut client = RawClient::connect_from(ip(PROXY), engine.local_addr())?;
        client.send_bytewise(&front)?;
        client.send_bytewise(&request("")?)?;
        ensure!(client.read_head()?.status == 101);
        ensure!(told(&mut client)? == "192.0.2.1:8080 by 127.0.0.9");
    }
    Ok(())
}

#[test]
fn a_header_from_elsewhere_is_believed_by_nobody() -> Result<()> {
    let engine = mirror(ProxyProtocol::Any, ProxyHeader::None)?;
    for front in [b"PROXY TCP4 192.0.2.1 127.0.0.1 8080 80\r\n".to_vec(), of_ipv4(1)] {
        let mut client = RawClient::connect_from(ip("127.0.0.10"), engine.local_addr())?;
        client.send(&front)?;
        client.send(&request("")?)?;
        let said = String::from_utf8_lossy(&client.read_to_end()?).into_owned();
        // It is no request, and is told so; nobody is asked who he is.
        let is_refused = ["HTTP/1.1 400 ", "HTTP/1.1 505 "].iter().any(|it| said.starts_with(it));
        ensure!(said.is_empty() || is_refused, "{said}");
    }
    // Without one he is who he is.
    let mut plain = let_in("127.0.0.10", engine.local_addr(), b"", "")?;
    let told = told(&mut plain)?;
    ensure!(told.starts_with("127.0.0.10:") && told.ends_with(" by "), "{told}");
    Ok(())
}

#[test]
fn a_proxy_without_its_header_is_closed() -> Result<()> {
    let asked = [ProxyProtocol::V1, ProxyProtocol::V2, ProxyProtocol::Any];
    let line = b"PROXY TCP4 192.0.2.1 127.0.0.1 8080 80\r\n".to_vec();
    for protocol in asked {
        let engine = mirror(protocol, ProxyHeader::None)?;
        let mut wrong = vec![b"GET / HTTP/1.1\r\n".to_vec(), b"PROXY TCP4 x\r\n".to_vec()];
        wrong.extend((protocol == ProxyProtocol::V1).then(|| of_ipv4(1)));
        wrong.extend((protocol == ProxyProtocol::V2).then(|| line.clone()));
        for front in &wrong {
            let mut client = RawClient::connect_from(ip(PROXY), engine.local_addr())?;
            client.send(front)?;
            ensure!(client.read_to_end()?.is_empty(), "{front:?} is answered");
        }
        // One that ends half-way.
        let client = RawClient::connect_from(ip(PROXY), engine.local_addr())?;
        client.stream().shutdown(std::net::Shutdown::Write)?;
        let mut client = client;
        client.expect_end()?;
        wait_for_nobody(&engine)?;
        let stats = engine.stats();
        ensure!(stats.proxy_errors == wrong.len() as u64 + 1, "{stats:?}");
    }
    Ok(())
}

#[test]
fn a_slow_header_meets_the_handshakes_deadline() -> Result<()> {
    let engine = mirror(ProxyProtocol::Any, ProxyHeader::None)?;
    let mut client = RawClient::connect_from(ip(PROXY), engine.local_addr())?;
    let began = Instant::now();
    let mut line = b"PROXY TCP6 2001:db8::1 2001:db8::2 65535 65535\r\n".iter();
    while began.elapsed() < Duration::from_millis(1_900) {
        client.send(&[*line.next().expect("long enough")])?;
        thread::sleep(Duration::from_millis(50));
    }
    client.expect_end()?;
    let took = began.elapsed();
    ensure!(took < Duration::from_secs(4), "cut off only after {took:?}");
    Ok(())
}

#[test]
fn a_header_and_a_field_are_followed_one_behind_the_other() -> Result<()> {
    // A balancer that speaks PROXY in front of a proxy of the network 10: both are trusted.
    let engine = mirror(ProxyProtocol::V1, ProxyHeader::XForwardedFor)?;
    let server: SocketAddr = engine.local_addr();
    let by_ten = b"PROXY TCP4 10.1.1.1 127.0.0.1 8080 80\r\n";
    let lines = "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n";
    let mut client = let_in(PROXY, server, by_ten, lines)?;
    ensure!(told(&mut client)? == "192.0.2.7:0 by 127.0.0.9");
    // A client of the balancer who is none of them writes what he likes.
    let mut client = let_in(PROXY, server, b"PROXY TCP4 192.0.2.8 127.0.0.1 1 80\r\n", lines)?;
    ensure!(told(&mut client)? == "192.0.2.8:1 by 127.0.0.9");
    let (_, head) = ask(PROXY, server, by_ten, "X-Forwarded-For: 1.2.3.4, nonsense\r\n")?;
    ensure!(head.status == 400, "{}", head.text);
    Ok(())
}

fn wait_for_nobody(engine: &Engine) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(10);
    while engine.stats().connections > 0 {
        ensure!(Instant::now() < until, "{:?}", engine.stats());
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(100));
    Ok(())
}
