//! Against a server of another make: tungstenite, a thread per connection.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use corecast_wire::frame::Opcode;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::{Message, WebSocket, accept_hdr};

use super::{Change, Delivery, End, Plan, Publishing, Role, Swarm};
use crate::stamp::Stamp;

const WITHIN: Duration = Duration::from_secs(10);

/// A server that runs `serve` for each connection; the path `/no` is refused.
fn server(serve: fn(WebSocket<TcpStream>)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || {
                if let Ok(socket) = accept_hdr(stream, check_path) {
                    serve(socket);
                }
            });
        }
    });
    address
}

#[expect(clippy::result_large_err, reason = "tungstenite's signature")]
fn check_path(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == "/no" {
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = tungstenite::http::StatusCode::FORBIDDEN;
        return Err(refusal);
    }
    Ok(response)
}

fn echo(mut socket: WebSocket<TcpStream>) {
    while let Ok(message) = socket.read() {
        if message.is_text() || message.is_binary() {
            let _ = socket.send(message);
        }
    }
}

/// Sends 200 messages of 64 KiB, which no socket buffers hold, then says 1008.
fn flood(mut socket: WebSocket<TcpStream>) {
    for _ in 0..200 {
        let _ = socket.send(Message::binary(vec![7; 65_536]));
    }
    let code = 1008.into();
    let _ = socket.close(Some(CloseFrame { code, reason: "too slow".into() }));
    while socket.read().is_ok() {}
}

/// Says one thing, and goes without a Close.
fn hang_up(mut socket: WebSocket<TcpStream>) {
    let _ = socket.send(Message::text("last words"));
}

fn nothing(_: Delivery<'_>) {}

fn poll_until(swarm: &mut Swarm, index: usize) -> End {
    for _ in 0..WITHIN.as_millis() / 10 {
        swarm.poll_for(Duration::from_millis(10), &mut nothing).unwrap();
        if let Some(end) = swarm.end(index) {
            return end.clone();
        }
    }
    panic!("connection {index} has not ended: {:?}", swarm.counts(index))
}

#[test]
fn messages_of_all_sizes_come_back_whole() {
    let mut swarm = Swarm::new(server(echo)).unwrap();
    let all = swarm.open_all(&Plan::reader("/"), 20, WITHIN, &mut nothing).unwrap();
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 300_000];
    for index in all.clone() {
        for size in sizes {
            swarm.send(index, Opcode::Text, &vec![b'a' + index as u8; size]);
        }
    }
    let mut seen = vec![Vec::new(); all.len()];
    while seen.iter().any(|seen| seen.len() < sizes.len()) {
        swarm
            .poll(WITHIN, &mut |delivery| {
                assert!(delivery.is_text);
                assert!(delivery.payload.iter().all(|&b| b == b'a' + delivery.connection as u8));
                seen[delivery.connection].push(delivery.payload.len());
            })
            .unwrap();
    }
    assert!(seen.iter().all(|seen| *seen == sizes));
    swarm.close_all(1000);
    for index in all {
        let closed = End::Closed { code: Some(1000), reason: String::new() };
        assert_eq!(poll_until(&mut swarm, index), closed);
        assert_eq!(swarm.counts(index).messages, sizes.len() as u64);
    }
    assert_eq!(swarm.live(), 0);
}

#[test]
fn a_stalled_connection_reads_nothing_and_its_reason_later() {
    let mut swarm = Swarm::new(server(flood)).unwrap();
    let index = swarm.open_all(&Plan::stalled("/"), 1, WITHIN, &mut nothing).unwrap().start;
    swarm.poll_for(Duration::from_millis(600), &mut nothing).unwrap();
    // What came in one piece with the handshake's answer is all that it knows of.
    assert!(swarm.counts(index).bytes < 64 << 10, "{:?}", swarm.counts(index));
    swarm.set_role(index, Role::Reader);
    let closed = End::Closed { code: Some(1008), reason: "too slow".into() };
    assert_eq!(poll_until(&mut swarm, index), closed);
    assert_eq!(swarm.counts(index).messages, 200);
}

#[test]
fn readers_of_more_than_one_turn_get_it_all() {
    let mut swarm = Swarm::new(server(flood)).unwrap();
    let all = swarm.open_all(&Plan::reader("/"), 4, WITHIN, &mut nothing).unwrap();
    for index in all {
        // All that the kernel tells is that something came: the backlog must not be forgotten.
        let closed = End::Closed { code: Some(1008), reason: "too slow".into() };
        assert_eq!(poll_until(&mut swarm, index), closed);
        assert_eq!(swarm.counts(index).messages, 200);
    }
    assert!(swarm.lag().len() >= 800);
}

#[test]
fn an_end_right_behind_a_message_is_seen() {
    let mut swarm = Swarm::new(server(hang_up)).unwrap();
    let all = Vec::from_iter((0..20).map(|_| swarm.open(&Plan::reader("/")).unwrap()));
    for index in all {
        assert_eq!(poll_until(&mut swarm, index), End::WithoutClose);
        assert_eq!(swarm.counts(index).messages, 1);
    }
}

#[test]
fn a_trickling_connection_reads_at_its_pace() {
    let mut swarm = Swarm::new(server(flood)).unwrap();
    let plan = Plan::trickle("/", 100, Duration::from_millis(10));
    let index = swarm.open_all(&plan, 1, WITHIN, &mut nothing).unwrap().start;
    let before = swarm.counts(index).bytes;
    swarm.poll_for(Duration::from_millis(500), &mut nothing).unwrap();
    let read = swarm.counts(index).bytes - before;
    assert!((500..=5_100).contains(&read), "{read} bytes in 0.5 s");
}

#[test]
fn a_refusal_names_the_status() {
    let mut swarm = Swarm::new(server(echo)).unwrap();
    let index = swarm.open(&Plan::reader("/no")).unwrap();
    let end = poll_until(&mut swarm, index).to_string();
    assert!(end.contains("403"), "{end}");
    let failed = swarm.open_all(&Plan::reader("/no"), 3, WITHIN, &mut nothing).unwrap_err();
    assert!(failed.to_string().contains("403"), "{failed}");
}

#[test]
fn nobody_listening_is_a_failure() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut swarm = Swarm::new(address).unwrap();
    let index = swarm.open(&Plan::reader("/")).unwrap();
    assert!(matches!(poll_until(&mut swarm, index), End::Failed(_)));
}

#[test]
fn a_half_handshake_halts_and_is_abandoned() {
    let mut swarm = Swarm::new(server(echo)).unwrap();
    let index = swarm.open(&Plan::half_handshake("/", 30)).unwrap();
    swarm.poll_for(Duration::from_millis(100), &mut nothing).unwrap();
    assert_eq!(swarm.take_changes(), [Change::Halted(index)]);
    swarm.abandon(index, true);
    assert_eq!(swarm.take_changes(), [Change::Ended(index)]);
    swarm.release(index);
    assert_eq!(swarm.open(&Plan::reader("/")).unwrap(), index);
}

#[test]
fn published_messages_are_stamped_in_order_at_their_rate() {
    let mut swarm = Swarm::new(server(echo)).unwrap();
    let connection = swarm.open_all(&Plan::reader("/"), 1, WITHIN, &mut nothing).unwrap().start;
    swarm.publish(Publishing { connection, rate: 500.0, payload_bytes: 64, count: 100 });
    let mut stamps = Vec::new();
    while stamps.len() < 100 {
        let take = &mut |delivery: Delivery<'_>| {
            let stamp = Stamp::read(delivery.payload).unwrap();
            assert!(delivery.payload.len() == 64 && delivery.received_ns > stamp.due_ns);
            stamps.push(stamp);
        };
        swarm.poll(WITHIN, take).unwrap();
    }
    assert!(!swarm.is_publishing());
    for (number, pair) in stamps.windows(2).enumerate() {
        assert_eq!(pair[0].sequence, number as u64);
        assert_eq!(pair[1].due_ns - pair[0].due_ns, 2_000_000);
    }
}
