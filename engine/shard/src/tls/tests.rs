//! A connection over a socket pair, with rustls' own client at the other end.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use corecast_hub::{ConnId, Timestamp};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::link::Gathered;
use super::{Desk, Tls, TlsSettings};
use crate::clock::Clock;
use crate::config::{CertificateConfig, TlsConfig};
use crate::limits::TLS_WRITE_BYTES_MAX;
use crate::socket::Written;
use crate::stream::Stream;

/// The server's end in its shard.
const CONN: ConnId = ConnId { index: 0, generation: 0 };

/// Both ends of a connection.
struct Pair {
    server: Stream,
    client: ClientConnection,
    socket: UnixStream,
}

impl Pair {
    /// A connection whose handshake is done.
    fn open() -> Self {
        let mut pair = Self::new();
        for _ in 0..10 {
            pair.client_sends();
            pair.server_shakes();
            pair.client_receives();
        }
        assert!(!pair.client.is_handshaking() && !pair.tls().is_shaking());
        pair
    }

    fn new() -> Self {
        let (settings, client) = settings();
        let desk = Rc::new(Desk::new(&TlsConfig::default(), Arc::new(settings)));
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        theirs.set_nonblocking(true).expect("a socket");
        let server = Stream::new(OwnedFd::from(ours), Some(Tls::new(&desk, Timestamp(0))));
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(client, name).expect("a client");
        Self { server, client, socket: theirs }
    }

    fn tls(&mut self) -> &mut Tls {
        self.server.tls.as_mut().expect("TLS")
    }

    fn client_sends(&mut self) {
        while self.client.wants_write() && self.client.write_tls(&mut self.socket).is_ok() {}
    }

    fn client_receives(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while matches!(self.client.read_tls(&mut self.socket), Ok(1..)) {
            self.client.process_new_packets().expect("TLS of the server");
            let _ = self.client.reader().read_to_end(&mut bytes);
        }
        bytes
    }

    fn server_shakes(&mut self) {
        self.tell_of_reads();
        let Stream { socket, tls } = &mut self.server;
        let tls = tls.as_mut().expect("TLS");
        if tls.is_shaking() && tls.gather(socket, CONN, Clock::start()) == Gathered::Due {
            tls.step(socket).expect("a handshake");
        }
    }

    fn server_reads(&mut self, room: &mut [u8]) -> Poll<io::Result<usize>> {
        self.tell_of_reads();
        self.server.read(room)
    }

    fn tell_of_reads(&mut self) {
        self.server.note(rustix::event::epoll::EventFlags::IN);
    }
}

/// A certificate of our own, and a client that trusts it.
fn settings() -> (TlsSettings, Arc<ClientConfig>) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let name = format!("corecast-shard-{}-{count}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    let files = CertificateConfig { chain: folder.join("chain.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.chain, made.cert.pem()).expect("a file");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("a file");
    let config = TlsConfig { certificates: vec![files], ..TlsConfig::default() };
    let settings = TlsSettings::load(&config, None).expect("settings");
    let again = TlsSettings::load(&config, Some(&settings)).expect("settings");
    let same = Arc::ptr_eq(&settings.server().ticketer, &again.server().ticketer);
    assert!(same, "tickets outlive a reload");
    std::fs::remove_dir_all(&folder).expect("a folder");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (settings, Arc::new(client))
}

#[test]
fn a_short_write_tells_of_all_but_its_last_byte() {
    let mut pair = Pair::open();
    let bytes: Vec<u8> = (0..400_000_u32).map(|n| (n / 7) as u8).collect();
    let (mut told, mut received, mut blocked) = (0, Vec::new(), 0);
    while told < bytes.len() {
        match pair.server.write(&bytes[told..]) {
            Written::Bytes(count) => {
                assert!(count <= TLS_WRITE_BYTES_MAX, "{count}");
                told += count;
            }
            Written::WouldBlock => {
                blocked += 1;
                assert!(!pair.server.is_clear(), "nothing waits, and it takes nothing");
                // A little of it is read: less than a record, now and then.
                let mut some = [0; 3_000];
                let count = pair.socket.read(&mut some).expect("bytes");
                let mut rest = &some[..count];
                while !rest.is_empty() {
                    pair.client.read_tls(&mut rest).expect("room");
                    pair.client.process_new_packets().expect("records");
                    let _ = pair.client.reader().read_to_end(&mut received);
                }
            }
            Written::Failed(error) => panic!("failed with {error}"),
        }
    }
    received.extend(pair.client_receives());
    assert!(blocked > 10, "the socket was never full");
    assert_eq!(received.len(), bytes.len());
    assert!(received == bytes, "the bytes are others");
    assert!(pair.server.is_clear() && pair.tls().is_bare(), "something is kept");
}

#[test]
fn a_write_does_not_end_behind_the_first_byte_of_a_frame() {
    let mut pair = Pair::open();
    let frames = [vec![1; TLS_WRITE_BYTES_MAX - 1], vec![2; 100]];
    // Were it held back, that frame could still be dropped: the hub does not know it as begun.
    let Stream { socket, tls } = &mut pair.server;
    let tls = tls.as_mut().expect("TLS");
    let written = tls.write_all(socket, frames.iter().map(|frame| &**frame));
    assert_eq!(written, Written::Bytes(TLS_WRITE_BYTES_MAX - 1));
    // What is left of a frame that has begun may be one byte.
    assert_eq!(tls.write_all(socket, [&frames[1][99..]].into_iter()), Written::Bytes(1));
}

#[test]
fn what_comes_in_is_read_whatever_the_room() {
    let mut pair = Pair::open();
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n / 5) as u8).collect();
    for room_bytes in [1, 7, 1_000, 16_384, 70_000] {
        let (mut sent, mut read, mut idle) = (0, Vec::new(), 0);
        let mut room = vec![0; room_bytes];
        while read.len() < bytes.len() {
            if sent < bytes.len() {
                sent += pair.client.writer().write(&bytes[sent..]).expect("room");
            }
            pair.client_sends();
            match pair.server_reads(&mut room) {
                Poll::Ready(Ok(count)) => {
                    assert!(count > 0, "an end that is none");
                    read.extend_from_slice(&room[..count]);
                    idle = 0;
                }
                Poll::Ready(Err(error)) => panic!("{error}"),
                Poll::Pending => idle += 1,
            }
            assert!(idle < 100, "{} bytes do not come", bytes.len() - read.len());
        }
        assert!(read == bytes, "in pieces of {room_bytes} the bytes are others");
        assert!(pair.server_reads(&mut room).is_pending());
        assert!(pair.tls().is_bare(), "something is kept");
    }
}

#[test]
fn a_flood_of_key_updates_ends_the_connection() {
    let mut pair = Pair::open();
    let mut room = [0; 4_096];
    for count in 0..100 {
        if pair.client.refresh_traffic_keys().is_err() {
            break;
        }
        pair.client_sends();
        match pair.server_reads(&mut room) {
            Poll::Pending => {
                pair.client_receives();
            }
            Poll::Ready(Err(_)) => {
                assert!(count > 10, "a few updates are in order");
                return;
            }
            Poll::Ready(Ok(count)) => panic!("{count} bytes of nothing"),
        }
    }
    panic!("a hundred updates in a row are taken");
}

#[test]
fn little_payload_in_much_tls_leaves_others_their_turn() {
    const MESSAGES: usize = 2_000;
    let mut pair = Pair::open();
    pair.client.set_buffer_limit(None);
    for _ in 0..MESSAGES {
        // Some 50 bytes for one; and the payload begins the count of updates anew.
        pair.client.writer().write_all(b"x").expect("room");
        pair.client.refresh_traffic_keys().expect("TLS 1.3");
    }
    pair.client_sends();
    let (mut read, mut turns, mut room) = (0, 0, [0; 70_000]);
    while read < MESSAGES {
        let Poll::Ready(Ok(count)) = pair.server_reads(&mut room) else { break };
        assert!(count > 0 && (read + count == MESSAGES || pair.server.has_more()));
        read += count;
        turns += 1;
    }
    assert_eq!(read, MESSAGES);
    assert!(turns > 1, "all of it in one turn");
}

#[test]
fn a_key_update_comes_between_two_writes() {
    let mut pair = Pair::open();
    let mut room = [0; 4_096];
    for round in 0..5 {
        pair.client.refresh_traffic_keys().expect("TLS 1.3");
        pair.client.writer().write_all(b"in").expect("room");
        pair.client_sends();
        assert!(matches!(pair.server_reads(&mut room), Poll::Ready(Ok(2))), "round {round}");
        assert_eq!(pair.server.write(b"out"), Written::Bytes(3));
        assert_eq!(pair.client_receives(), b"out", "round {round}");
    }
}

#[test]
fn the_end_is_told_and_heard() {
    let mut pair = Pair::open();
    pair.client.send_close_notify();
    pair.client_sends();
    let mut room = [0; 64];
    assert!(matches!(pair.server_reads(&mut room), Poll::Ready(Ok(0))));
    // Its side is shut, and ours is not.
    assert_eq!(pair.server.write(b"last"), Written::Bytes(4));
    pair.server.shut(std::net::Shutdown::Write);
    assert_eq!(pair.client_receives(), b"last");
    let state = pair.client.process_new_packets().expect("records");
    assert!(state.peer_has_closed(), "no close_notify came");
}

#[test]
fn an_end_that_is_found_while_writing_is_heard() {
    let mut pair = Pair::open();
    let mut room = [0; 64];
    pair.client.writer().write_all(&[7; 1_000]).expect("room");
    pair.client.writer().write_all(&[8; 1_000]).expect("room");
    pair.client.send_close_notify();
    pair.client_sends();
    // There is room for less than the first record: the others are still encrypted.
    assert!(matches!(pair.server_reads(&mut room), Poll::Ready(Ok(64))));
    assert_eq!(pair.server.write(b"out"), Written::Bytes(3));
    let mut read = 64;
    loop {
        match pair.server_reads(&mut room) {
            Poll::Ready(Ok(0)) => break,
            Poll::Ready(Ok(count)) => read += count,
            other => panic!("no end behind {read} bytes: {other:?}"),
        }
    }
    assert_eq!(read, 2_000);
}

#[test]
fn no_work_is_done_for_who_has_gone() {
    use rustix::event::epoll::EventFlags;
    let mut pair = Pair::new();
    pair.client_sends();
    pair.server.note(EventFlags::IN | EventFlags::RDHUP);
    let Stream { socket, tls } = &mut pair.server;
    let tls = tls.as_mut().expect("TLS");
    assert_eq!(tls.gather(socket, CONN, Clock::start()), Gathered::Ended);
    // Who was answered may shut its side behind its request.
    let mut pair = Pair::new();
    pair.client_sends();
    pair.server_shakes();
    pair.client_receives();
    pair.client_sends();
    pair.server.note(EventFlags::IN | EventFlags::RDHUP);
    pair.server_shakes();
    assert!(!pair.tls().is_shaking());
}
