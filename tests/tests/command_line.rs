//! `corecast publish` and `corecast subscribe`, as people and scripts use them.

#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use corecast_bench::process::corecast_program;
use corecast_tests::gateway::address_of;
use corecast_tests::server::TestServer;
use eyre::{Result, ensure, eyre};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const CONFIG: &str = r#"
    [[namespaces]]
    name = "trade"
    history_entries = 10000

    [[namespaces]]
    name = "quote"
    policy = "latest"
    snapshot = "last"

    [[namespaces]]
    name = "blob"
    payload = "binary"

    [[namespaces]]
    name = "full"
    topics_max = 1
"#;

/// A server with all ways in.
struct Place {
    server: TestServer,
    admin: String,
    ingest: String,
}

fn start() -> Result<Place> {
    let options = ["--shards", "2", "--admin", "127.0.0.1:0", "--ingest-tcp", "127.0.0.1:0"];
    let server = TestServer::start_with(CONFIG, options)?;
    let admin = format!("http://{}", address_of(&server, "admin on http://")?);
    let ingest = address_of(&server, "ingest on tcp ")?.to_string();
    Ok(Place { server, admin, ingest })
}

fn corecast(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(corecast_program()?);
    command.args(arguments).stdin(Stdio::null());
    Ok(command)
}

/// Publishes through the admin port; `input` is its standard input.
fn publish(place: &Place, arguments: &[&str], input: &str) -> Result<Output> {
    let mut command = corecast(&["publish", "--url", &place.admin])?;
    command.args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().ok_or_else(|| eyre!("it is piped"))?;
    // It may end before it has read all.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Ok(child.wait_with_output()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

/// A running `corecast subscribe`, with what it prints.
struct Subscriber {
    child: Child,
    /// None: nobody reads any more.
    lines: Option<io::Lines<BufReader<ChildStdout>>>,
}

impl Subscriber {
    fn start(feed: SocketAddr, arguments: &[&str]) -> Result<Self> {
        let mut command = corecast(&["subscribe", "--url", &format!("ws://{feed}/feed")])?;
        command.args(arguments);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| eyre!("it is piped"))?;
        Ok(Self { child, lines: Some(BufReader::new(stdout).lines()) })
    }

    fn line(&mut self) -> Result<String> {
        let line = self.lines.as_mut().and_then(Iterator::next);
        Ok(line.ok_or_else(|| eyre!("the output has ended"))??)
    }

    /// The next event of a subscriber with `--json`, past all others.
    fn event(&mut self, kind: &str) -> Result<Value> {
        loop {
            let event: Value = serde_json::from_str(&self.line()?)?;
            if event["type"] == kind {
                return Ok(event);
            }
        }
    }

    /// Waits until the server has granted this topic.
    fn granted(&mut self, topic: &str) -> Result<()> {
        while self.event("subscribed")?["ok"][0]["topic"] != topic {}
        Ok(())
    }

    /// The next message must have this data.
    fn expect(&mut self, data: &Value) -> Result<()> {
        let message = self.event("message")?;
        ensure!(message["data"] == *data, "{message} instead of {data}");
        Ok(())
    }

    fn ends_with(mut self, code: i32) -> Result<()> {
        let status = self.child.wait()?;
        ensure!(status.code() == Some(code), "ended with {status}, not {code}");
        Ok(())
    }
}

#[test]
fn one_message_is_published_and_its_report_printed() -> Result<()> {
    let place = start()?;
    let feed = place.server.address();
    let mut subscriber = Subscriber::start(feed, &["quote.X", "--json", "--count", "2"])?;
    subscriber.event("subscribed")?;
    let output = publish(&place, &["quote.X", "{\"bid\": 1.00}"], "")?;
    assert_eq!(text(&output.stdout), "quote.X seq 1: delivered 1, conflated 0, dropped 0");
    let message = subscriber.event("message")?;
    assert_eq!((&message["seq"], &message["data"]["bid"]), (&1.into(), &1.0.into()));
    publish(&place, &["quote.X", "--as", "text", "say \"hi\""], "")?;
    assert_eq!(subscriber.event("message")?["data"], "say \"hi\"");
    subscriber.ends_with(0)?;

    let mut raw = Subscriber::start(feed, &["quote.X", "--raw", "--count", "1"])?;
    assert_eq!(raw.line()?, "\"say \\\"hi\\\"\"", "the snapshot, and nothing around it");
    raw.ends_with(0)?;
    let mut lines = Subscriber::start(feed, &["quote.X", "--count", "1"])?;
    let line = lines.line()?;
    ensure!(
        line.starts_with("quote.X 2 ") && line.ends_with("snapshot \"say \\\"hi\\\"\""),
        "{line}"
    );
    lines.ends_with(0)?;
    place.server.stop()
}

#[test]
fn lines_of_standard_input_arrive_in_their_order_by_every_way() -> Result<()> {
    const LINES: u64 = 3_000;
    let place = start()?;
    let input: String = (1..=LINES).map(|number| format!("{{\"n\":{number}}}\n")).collect();
    for way in [&[][..], &["--tcp", &place.ingest], &["--rate", "20000"]] {
        let count = LINES.to_string();
        let arguments = ["trade.X", "--json", "--count", &count];
        let mut subscriber = Subscriber::start(place.server.address(), &arguments)?;
        subscriber.granted("trade.X")?;
        let output = publish(&place, &[&["trade.X"][..], way].concat(), &input)?;
        ensure!(output.status.success(), "{}", text(&output.stderr));
        ensure!(text(&output.stderr).contains("3,000 messages"), "{}", text(&output.stderr));
        for number in 1..=LINES {
            subscriber.expect(&json!({ "n": number }))?;
        }
        subscriber.ends_with(0)?;
    }
    place.server.stop()
}

#[test]
fn a_message_that_its_home_refuses_fails_by_every_way() -> Result<()> {
    let place = start()?;
    for way in [&["--tcp", &place.ingest][..], &[]] {
        // At the third topic at the latest, one of the two shards has one too many.
        let mut last = None;
        for topic in ["full.a", "full.b", "full.c"] {
            let output = publish(&place, &[&[topic][..], way].concat(), "1\n2\n")?;
            if !output.status.success() {
                last = Some(output);
            }
        }
        let output = last.ok_or_else(|| eyre!("{way:?}: nothing was refused"))?;
        let stderr = text(&output.stderr);
        ensure!(output.status.code() == Some(65), "{way:?}: {} {stderr}", output.status);
        ensure!(stderr.contains("message 1: ") && stderr.contains("429"), "{way:?}: {stderr}");
    }
    place.server.stop()
}

#[test]
fn mistakes_end_with_their_exit_code_and_say_what_to_do() -> Result<()> {
    let place = start()?;
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let url = format!("http://{nobody}");
    for (arguments, input, code, words) in [
        (&["trade.X", "{"][..], "", 65, "--as text"),
        (&["trade.X"], "1\n2\n{\n", 65, "message 3: "),
        (&["none.X", "1"], "", 65, "namespace"),
        (&["none.X"], "1\n2\n", 65, "message 1: "),
        (&["none.X", "--tcp", &place.ingest], "1\n2\n", 65, "message 1: "),
        (&["trade.X", "1", "--url", &url], "", 69, "--admin"),
        (&["trade.X", "1", "--tcp", &nobody], "", 69, "--ingest-tcp"),
        (&["trade.X", "1", "--unix", "/nowhere"], "", 69, "--ingest-unix"),
        (&["trade.X", "1", "--rate", "0"], "", 2, "messages a second"),
        (&["trade.X", "1", "--tcp", "a", "--unix", "b"], "", 2, ""),
    ] {
        let mut command = corecast(&["publish"])?;
        if !arguments.contains(&"--url") {
            command.args(["--url", &place.admin]);
        }
        command.args(arguments).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output()?;
        let stderr = text(&output.stderr);
        ensure!(output.status.code() == Some(code), "{arguments:?}: {} {stderr}", output.status);
        ensure!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
    for (arguments, code, words) in [
        (["trade..X", "--url", &format!("ws://{}/feed", place.server.address())], 65, "trade..X"),
        (["trade.X", "--url", &format!("ws://{}/x", place.server.address())], 69, "404"),
        (["trade.X", "--url", &format!("ws://{nobody}/feed")], 69, "corecast serve"),
    ] {
        let output = corecast(&["subscribe"])?.args(arguments).output()?;
        let stderr = text(&output.stderr);
        ensure!(output.status.code() == Some(code), "{arguments:?}: {} {stderr}", output.status);
        ensure!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
    place.server.stop()
}

#[test]
fn every_configuration_that_is_shown_is_one() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut shown = vec![std::fs::read_to_string(root.join("docs/corecast.example.toml"))?];
    for page in ["README.md", "docs/authentication.md", "tuning/README.md"] {
        let text = std::fs::read_to_string(root.join(page))?;
        let blocks =
            text.split("\n```toml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
        // A manifest of cargo's is none of ours.
        shown.extend(blocks.filter(|block| !block.starts_with("[dep")).map(ToOwned::to_owned));
    }
    ensure!(shown.len() >= 6, "{} were found", shown.len());
    let path = std::env::temp_dir().join(format!("corecast-shown-{}.toml", std::process::id()));
    for config in &shown {
        std::fs::write(&path, config)?;
        let output = corecast(&["config", "--check"])?.arg(&path).output()?;
        ensure!(output.status.success(), "{config}\n{}", text(&output.stderr));
    }
    std::fs::remove_file(&path)?;
    Ok(())
}

#[test]
fn a_cut_connection_is_resumed_without_a_hole() -> Result<()> {
    let place = start()?;
    let (proxy, cut) = proxy(place.server.address())?;
    publish(&place, &["trade.X", "0"], "")?;
    let mut by_pattern = Subscriber::start(proxy, &["trade.*", "--json", "--count", "30"])?;
    let mut by_name = Subscriber::start(proxy, &["trade.X", "--json", "--count", "30"])?;
    by_pattern.granted("trade.X")?;
    by_name.granted("trade.X")?;
    for round in 0..3 {
        let numbers: Vec<u64> = (round * 10 + 1..=round * 10 + 10).collect();
        let (before, after) = numbers.split_at(5);
        for half in [before, after] {
            let lines: Vec<String> = half.iter().map(u64::to_string).collect();
            publish(&place, &["trade.X"], &lines.join("\n"))?;
            if half == before {
                cut();
            }
        }
        for number in numbers {
            by_pattern.expect(&number.into())?;
            by_name.expect(&number.into())?;
        }
    }
    by_pattern.ends_with(0)?;
    by_name.ends_with(0)?;
    place.server.stop()
}

#[test]
fn a_restarted_server_is_told_of() -> Result<()> {
    let (before, after) = (start()?, start()?);
    let target = Arc::new(Mutex::new(before.server.address()));
    let (proxy, cut) = proxy_to(Arc::clone(&target))?;
    let mut command = corecast(&["subscribe", "--url", &format!("ws://{proxy}/feed")])?;
    command.args(["trade.X", "--json"]).stderr(Stdio::piped());
    let mut subscriber = Subscriber::spawn(command)?;
    subscriber.granted("trade.X")?;
    publish(&before, &["trade.X", "1"], "")?;
    subscriber.expect(&1.into())?;
    cut();
    subscriber.granted("trade.X")?;
    *target.lock().expect("no panic") = after.server.address();
    cut();
    subscriber.granted("trade.X")?;
    publish(&after, &["trade.X", "2"], "")?;
    subscriber.expect(&2.into())?;
    subscriber.child.kill()?;
    let stderr = subscriber.child.stderr.take().ok_or_else(|| eyre!("it is piped"))?;
    let said = io::read_to_string(stderr)?;
    let told = said.matches("the server has restarted").count();
    ensure!(told == 1, "told {told} times, not once:\n{said}");
    before.server.stop()?;
    after.server.stop()
}

#[test]
fn ctrl_c_and_a_reader_that_goes_end_a_subscriber_with_success() -> Result<()> {
    let place = start()?;
    let feed = place.server.address();
    let mut subscriber = Subscriber::start(feed, &["trade.X", "--json"])?;
    subscriber.event("subscribed")?;
    kill_process(Pid::from_child(&subscriber.child), Signal::INT)?;
    let mut rest = String::new();
    for line in subscriber.lines.iter_mut().flatten() {
        rest += &line?;
    }
    ensure!(!rest.contains("error"), "{rest}");
    subscriber.ends_with(0)?;

    publish(&place, &["quote.X", "1"], "")?;
    let mut head = Subscriber::start(feed, &["quote.X"])?;
    ensure!(head.line()?.ends_with("snapshot 1"), "the first line");
    head.lines = None;
    publish(&place, &["quote.X", "2"], "")?;
    ensure!(head.child.wait()?.success(), "`| head -1` is no failure");

    let mut stats = Subscriber::start(feed, &["trade.X", "--stats"])?;
    ensure!(stats.line()?.starts_with("topic"), "a table");
    kill_process(Pid::from_child(&stats.child), Signal::TERM)?;
    stats.ends_with(0)?;
    place.server.stop()
}

/// A port that leads to `server`, and what cuts all connections through it.
fn proxy(server: SocketAddr) -> Result<(SocketAddr, impl Fn())> {
    proxy_to(Arc::new(Mutex::new(server)))
}

/// The same for a server that may change.
fn proxy_to(target: Arc<Mutex<SocketAddr>>) -> Result<(SocketAddr, impl Fn())> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let streams = Arc::new(Mutex::new(Vec::<TcpStream>::new()));
    let kept = Arc::clone(&streams);
    thread::spawn(move || -> Result<()> {
        for client in listener.incoming() {
            let server = *target.lock().expect("no panic");
            let (client, server) = (client?, TcpStream::connect(server)?);
            for (mut from, mut to) in [
                (client.try_clone()?, server.try_clone()?),
                (server.try_clone()?, client.try_clone()?),
            ] {
                thread::spawn(move || io::copy(&mut from, &mut to));
            }
            kept.lock().expect("no panic").extend([client, server]);
        }
        Ok(())
    });
    let cut = move || {
        for stream in streams.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    };
    Ok((address, cut))
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
