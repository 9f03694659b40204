//! The opening handshake where something goes wrong behind the handler's word.

mod common;

use std::time::Duration;

use corecast::{Accept, Arrival, Closed, Context, Engine, Handler, Message, Reject, Upgrade};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Careless;

/// What the handler gives for a connection: it may panic when it is dropped.
struct Fuse(bool);

impl Drop for Fuse {
    fn drop(&mut self) {
        assert!(!self.0, "asked for, where the data of a connection is dropped");
    }
}

impl Handler for Careless {
    type Data = Fuse;

    fn on_upgrade(
        &mut self,
        request: &Upgrade<'_>,
        _: &Arrival<'_>,
    ) -> Result<Accept<Fuse>, Reject> {
        Ok(match request.path() {
            "/bad-header" => Accept::new(Fuse(true)).header("X-Bad", "two\r\nlines"),
            "/long" => Accept::new(Fuse(true)).header("X-Long", "x".repeat(LONG_BYTES)),
            "/long-and-good" => Accept::new(Fuse(false)).header("X-Long", "x".repeat(LONG_BYTES)),
            _ => Accept::new(Fuse(false)),
        })
    }

    fn on_open(&mut self, _: &mut Fuse, _: &mut Context<'_>) {}

    fn on_message(&mut self, _: &mut Fuse, message: Message<'_>, context: &mut Context<'_>) {
        context.reply(&message.to_frame());
    }

    fn on_close(&mut self, _: Fuse, _: &Closed, _: &mut Context<'_>) {}
}

/// More than a socket takes while nobody reads.
const LONG_BYTES: usize = 8 << 20;

fn start() -> Engine {
    let builder = Engine::builder().listen("127.0.0.1:0".parse().expect("an address")).shards(1);
    builder.spawn(|_shard| Careless).expect("the engine starts")
}

async fn request(engine: &Engine, path: &str) -> TcpStream {
    let mut socket = TcpStream::connect(engine.local_addr()).await.expect("connected");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.expect("sent");
    socket
}

/// Reads up to the end of the head.
async fn head(socket: &mut TcpStream, within: Duration) -> String {
    let mut head = Vec::new();
    let read = async {
        let mut bytes = vec![0; 65_536];
        while !head.ends_with(b"\r\n\r\n") {
            let read = socket.read(&mut bytes).await.expect("an answer");
            assert!(read > 0, "the end, behind {} bytes", head.len());
            head.extend_from_slice(&bytes[..read]);
        }
    };
    tokio::time::timeout(within, read).await.expect("an answer in time");
    String::from_utf8(head).expect("text")
}

async fn is_alive(engine: &Engine) {
    let mut client = common::connect(engine, "").await;
    common::say(&mut client, "alive").await;
    assert_eq!(common::hear(&mut client).await, "alive");
}

#[tokio::test]
async fn data_that_panic_when_they_are_dropped_cost_one_handshake() {
    let engine = start();
    let mut socket = request(&engine, "/bad-header").await;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    is_alive(&engine).await;

    // The client leaves while its answer is on its way.
    let mut socket = request(&engine, "/long").await;
    socket.read_exact(&mut [0; 12]).await.expect("the answer begins");
    drop(socket);
    common::eventually("both panics are counted", || engine.stats().handler_panics == 2).await;
    is_alive(&engine).await;
}

#[tokio::test]
async fn an_answer_that_a_socket_takes_in_parts_arrives() {
    let engine = start();
    let mut socket = request(&engine, "/long-and-good").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let answer = head(&mut socket, Duration::from_secs(3)).await;
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.len() > LONG_BYTES);
}

#[cfg(feature = "fault-injection")]
#[tokio::test]
async fn an_answer_for_which_there_is_no_memory_comes_when_there_is() {
    let engine = start();
    is_alive(&engine).await;
    engine.inject_no_buffers(corecast::ShardId(0), 3);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut socket = request(&engine, "/").await;
    // The deadline of a handshake is 10 s.
    let answer = head(&mut socket, Duration::from_secs(5)).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    is_alive(&engine).await;
}
