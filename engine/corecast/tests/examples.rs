//! The examples do what they say: each is started as a program and spoken to.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A running example; killed when dropped.
struct Example {
    child: Child,
    /// `ws://ADDRESS`, as the example printed it.
    origin: String,
}

impl Example {
    fn start(name: &str) -> Self {
        // The test's own binary lies in `deps`, the examples beside it.
        let mut path = std::env::current_exe().expect("a path of our own");
        path.pop();
        path.pop();
        let path: PathBuf = path.join("examples").join(name);
        let mut child = Command::new(&path)
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; cargo builds it", path.display()));
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("its address");
        let path_at =
            line.rfind("//").and_then(|at| line[at + 2..].find('/').map(|to| at + 2 + to));
        let origin = line[..path_at.expect("a URL")].to_owned();
        Self { child, origin }
    }

    async fn connect(&self, path: &str) -> Client {
        let url = format!("{}{path}", self.origin);
        tokio_tungstenite::connect_async(url).await.expect("connected").0
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn hear(client: &mut Client) -> String {
    let next = tokio::time::timeout(Duration::from_secs(10), client.next());
    next.await.expect("in time").expect("a message").expect("no error").to_string()
}

#[tokio::test]
async fn echo_sends_every_message_back() {
    let echo = Example::start("echo");
    let mut client = echo.connect("/").await;
    for text in ["one", "two", ""] {
        client.send(Message::text(text)).await.expect("sent");
        assert_eq!(hear(&mut client).await, text);
    }
}

#[tokio::test]
async fn chat_tells_the_others_who_came_spoke_and_left() {
    let chat = Example::start("chat");
    let mut ann = chat.connect("/room/lobby?name=Ann").await;
    // Ann must be in before Ben comes: her own join is not told to her.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut ben = chat.connect("/room/lobby?name=Ben").await;
    assert_eq!(hear(&mut ann).await, "Ben: has joined");
    ben.send(Message::text("hello")).await.expect("sent");
    assert_eq!(hear(&mut ann).await, "Ben: hello");
    ann.send(Message::text("hello, Ben")).await.expect("sent");
    assert_eq!(hear(&mut ben).await, "Ann: hello, Ben");
    ben.close(None).await.expect("closed");
    assert_eq!(hear(&mut ann).await, "Ben: has left (Peer, 1005)");
}

#[tokio::test]
async fn ticker_publishes_from_tokio() {
    let ticker = Example::start("ticker");
    let mut client = ticker.connect("/ticker/BTCUSDT").await;
    for _ in 0..100 {
        assert!(hear(&mut client).await.starts_with(r#"{"symbol":"BTCUSDT","bid":"#));
    }
}
