//! A reader that stops: what is encrypted for it already leaves as it is, and nothing is lost, cut
//! or doubled when it reads on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eyre::{Result, ensure};
use futures_util::SinkExt;
use rustls::ClientConfig;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, WITHIN};
use crate::files::Authority;
use crate::server::start;

const MESSAGES: usize = 600;

#[tokio::test]
async fn short_writes_at_every_size_lose_nothing() -> Result<()> {
    let authority = Authority::new("slow")?;
    let table = authority.sign("one", &["localhost"])?.table();
    for backend in ["ring", "sendmsg"] {
        // The last reader begins to read when all others have read all: on a slow machine, late.
        let rest = "[socket]\nsend_buffer_bytes = 8192\n[connection]\nping_interval_ms = 600000\n\
                    [outbox]\nbytes_max = 67108864\nage_max_ms = 600000\n\
                    stall_max_ms = 600000\n";
        let tls = format!("{table}\n{rest}");
        let config = format!("backend = \"{backend}\"\n[tls]\nlisten = \"127.0.0.1:0\"\n{tls}");
        let (server, address) = crate::server::start_whole(&config)?;
        for version in rustls::ALL_VERSIONS {
            let config = Arc::new(authority.client_with(&[version], None)?);
            // Enough of them that the ring is used, each slow in its own way.
            let mut readers = Vec::new();
            for place in 0..8 {
                readers.push((place, narrow(address, &config).await?));
            }
            let mut publisher = Client::open(address, "localhost", "/ws/slow", &config).await?;
            for number in 0..MESSAGES {
                publisher.0.send(Message::binary(payload(number))).await?;
            }
            for (place, reader) in &mut readers {
                for number in 0..MESSAGES {
                    if number % 97 == *place {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    let got = reader.receive().await?;
                    let same = got == payload(number);
                    ensure!(same, "{backend}, {version:?}, reader {place}: message {number}");
                }
            }
            drop((readers, publisher));
        }
        server.stop()?;
    }
    Ok(())
}

/// Of every size around those at which records, writes and buffers end.
fn payload(number: usize) -> Vec<u8> {
    let bytes = match number % 7 {
        0 => number % 300,
        1 => 16_384 - 20 + number % 40,
        2 => 32_768 - 20 + number % 40,
        3 => 1 + number % 2,
        4 => 60_000 + number % 5_000,
        5 => 1_000 + number,
        _ => 8_192 - 20 + number % 40,
    };
    (0..bytes).map(|n| (n / 3 + number) as u8).collect()
}

/// A subscriber whose socket takes little at a time.
async fn narrow(server: SocketAddr, config: &Arc<ClientConfig>) -> Result<Client> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_recv_buffer_size(4_096)?;
    socket.connect(&server.into())?;
    socket.set_nonblocking(true)?;
    SockRef::from(&socket).set_tcp_nodelay(true)?;
    let socket = TcpStream::from_std(socket.into())?;
    let host = rustls::pki_types::ServerName::try_from("localhost")?;
    let stream = TlsConnector::from(Arc::clone(config)).connect(host, socket).await?;
    Client::upgrade(stream, "localhost", "/ws/slow").await
}

#[tokio::test]
async fn a_reader_that_stops_is_closed_and_costs_a_bounded_memory() -> Result<()> {
    let authority = Authority::new("stopped")?;
    let table = authority.sign("one", &["localhost"])?.table();
    let rest = "[outbox]\nstall_max_ms = 1500\n[connection]\nclose_timeout_ms = 500\n";
    let (server, address) = start(&table, rest)?;
    let config = Arc::new(authority.client()?);
    let stopped = narrow(address, &config).await?;
    let mut publisher = Client::open(address, "localhost", "/ws/slow", &config).await?;
    let before = server.usage()?.fds;
    let message = vec![7; 30_000];
    for _ in 0..600 {
        publisher.0.send(Message::binary(message.clone())).await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
        if server.usage()?.fds < before {
            break;
        }
    }
    let until = Instant::now() + WITHIN;
    while server.usage()?.fds >= before {
        ensure!(Instant::now() < until, "the reader that stopped is still connected");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop((stopped, publisher));
    server.wait_until_idle(WITHIN)?;
    server.stop()
}
