//! A hook on loopback that answers as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use corecast_tests::raw::RawClient;
use corecast_tests::server::TestServer;
use eyre::{Result, ensure};
use serde_json::Value;

use crate::NAMESPACES;

/// A hook on loopback. It answers whoever is named in the question's path, user or first topic.
pub(crate) struct HookServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl HookServer {
    pub(crate) fn start(answer: impl Fn(&Value) -> String + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (answer, seen) = (Arc::new(answer), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                thread::spawn(move || serve_one(&stream, &*answer, &seen));
            }
        });
        Ok(Self { address, asked })
    }

    pub(crate) fn asked(&self) -> Vec<Value> {
        self.asked.lock().map(|asked| asked.clone()).unwrap_or_default()
    }

    /// Waits until so many questions have come.
    pub(crate) fn wait_for(&self, count: usize) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(10);
        while self.asked().len() < count {
            ensure!(Instant::now() < until, "{count} questions: {:?}", self.asked());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

fn serve_one(
    stream: &TcpStream,
    answer: &(dyn Fn(&Value) -> String + Send + Sync),
    seen: &Mutex<Vec<Value>>,
) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = bytes.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let question: Value = serde_json::from_slice(&body).unwrap_or_default();
        if let Ok(mut seen) = seen.lock() {
            seen.push(question.clone());
        }
        let text = answer(&question);
        if text.is_empty() || (&*stream).write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

pub(crate) fn says(answer: &Value) -> String {
    http(200, &answer.to_string())
}

pub(crate) fn http(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A server whose hook is asked about these, with settings beside.
pub(crate) fn ask_hook(hook: &HookServer, on: &str, more: &str) -> Result<TestServer> {
    let config = format!(
        "[connection]\nclose_timeout_ms = 200\n{NAMESPACES}\n[feed]\nsend = \"users\"\n\
         commands_per_second_max = 0\n[auth.hook]\nurl = \"http://{}/ask\"\non = [{on}]\n{more}\n",
        hook.address
    );
    TestServer::start_with(&config, ["--shards", "2"])
}

/// The status of an upgrade with this cookie, and the body of a refusal.
pub(crate) fn knock(server: &TestServer, target: &str, cookie: &str) -> Result<(u16, String)> {
    let mut client = RawClient::connect(server.address())?;
    let head = client.ask(target, &[], &[("Cookie", cookie)])?;
    if head.status == 101 {
        return Ok((101, String::new()));
    }
    let body = String::from_utf8_lossy(&client.read_to_end()?).into_owned();
    ensure!(head.status != 503 || head.header("retry-after").is_some(), "{}", head.text);
    Ok((head.status, body))
}
