//! The admin port: publishing with curl, and what is wrong told as JSON.

#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use corecast_bench::process::corecast_program;
use corecast_tests::feed::FeedClient;
use corecast_tests::gateway::{address_of, http, post};
use corecast_tests::raw::{RawClient, Received};
use corecast_tests::server::{TestServer, launch};
use eyre::{Result, bail, ensure, eyre};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustix::process::Signal;
use serde_json::json;

const CONFIG: &str = r#"
    [admin]
    body_bytes_max = 65536
    batch_max = 10

    [[namespaces]]
    name = "trade"
    message_bytes_max = 1000

    [[namespaces]]
    name = "book"
    snapshot = "published"
    history_entries = 10

    [[namespaces]]
    name = "blob"
    payload = "binary"

    [[namespaces]]
    name = "few"
    snapshot = "published"
    history_entries = 10
    topics_max = 1
"#;

fn start() -> Result<(TestServer, SocketAddr)> {
    let options = ["--shards", "2", "--admin", "127.0.0.1:0"];
    let server = TestServer::start_with(CONFIG, options)?;
    let admin = address_of(&server, "admin on http://")?;
    Ok((server, admin))
}

#[test]
fn a_message_gets_its_number_and_arrives_byte_by_byte() -> Result<()> {
    let (server, admin) = start()?;
    let mut client = FeedClient::open(server.address())?;
    client.subscribe(&["trade.X"])?;
    let body = r#"{"topic":"trade.X","data":{ "b":1.00, "a":"\u00e4" },"ts":"17"}"#;
    let answer = post(admin, "/publish", body)?;
    let expected = json!({"seq": 1, "delivered": 1, "conflated": 0, "dropped": 0});
    assert_eq!((answer.status, &answer.body), (200, &expected), "{}", answer.head);
    let Received::Text(text) = client.raw().receive()? else { bail!("a text") };
    ensure!(text.contains(r#""ts":"17","data":{ "b":1.00, "a":"\u00e4" }}"#), "{text}");

    let answer = post(admin, "/publish?topic=trade.X", " {\"a\":\n 2}\n")?;
    assert_eq!((answer.status, &answer.body["seq"]), (200, &json!(2)));
    let message = client.expect("message")?;
    assert_eq!((&message["seq"], &message["data"]), (&json!(2), &json!({"a": 2})));
    server.stop()
}

#[test]
fn bytes_and_snapshots_are_published_too() -> Result<()> {
    let (server, admin) = start()?;
    let headers = ["Content-Type: application/octet-stream"];
    let target = "/publish?topic=blob.X&ts=17";
    assert_eq!(http(admin, "POST", target, &headers, b"\x00\xff\n")?.status, 200);
    let delta = r#"{"topic":"book.X","data":[1]}"#;
    assert_eq!(post(admin, "/publish", delta)?.body["seq"], 1);
    let snapshot = r#"{"topic":"book.X","data":{"all":1},"snapshot":true}"#;
    assert_eq!(post(admin, "/publish", snapshot)?.body["seq"], 1, "the state at the last message");
    let mut client = FeedClient::open(server.address())?;
    client.subscribe(&["book.X"])?;
    let state = client.expect("snapshot")?;
    assert_eq!((&state["seq"], &state["data"]), (&json!(1), &json!({"all": 1})));

    client.subscribe(&["blob.X"])?;
    assert_eq!(http(admin, "POST", target, &headers, b"\x00\xff\n")?.status, 200);
    let message = client.skip_to("message")?;
    assert_eq!((&message["data"], &message["ts"]), (&json!("AP8K"), &json!("17")));
    server.stop()
}

#[test]
fn each_mistake_has_its_status_and_names_its_field() -> Result<()> {
    let (server, admin) = start()?;
    let long = format!(r#"{{"topic":"trade.X","data":"{}"}}"#, "x".repeat(1_000));
    let huge = "x".repeat(70_000);
    let nested = "[".repeat(65) + &"]".repeat(65);
    let deep = format!(r#"{{"topic":"trade.X","data":{nested}}}"#);
    for (target, body, status, field, words) in [
        ("/publish", "", 400, None, "no message"),
        ("/publish", r#"{"data":1}"#, 400, Some("topic"), "missing"),
        ("/publish", r#"{"topic":"trade.X"}"#, 400, Some("data"), "missing"),
        ("/publish", r#"{"topic":"trade.X","data":1,"sequence":1}"#, 400, None, "`sequence`"),
        ("/publish", r#"{"topic":"none.X","data":1}"#, 404, Some("topic"), "namespace"),
        ("/publish", r#"{"topic":"trade.*","data":1}"#, 400, Some("topic"), "wildcard"),
        ("/publish", r#"{"topic":"trade.X@100ms","data":1}"#, 400, Some("topic"), "variant"),
        ("/publish", r#"{"topic":"blob.X","data":1}"#, 400, Some("data"), "/publish?topic="),
        ("/publish", &long, 413, Some("data"), "1000"),
        ("/publish", &huge, 413, None, "65536"),
        ("/publish", &deep, 413, Some("data"), "64"),
        ("/publish?topic=trade.X", &nested, 413, Some("data"), "64"),
        ("/publish", r#"["trade.X",1]"#, 400, None, "/publish/batch"),
        ("/publish", r#"[{"topic":"trade.X","data":1}]"#, 400, None, "/publish/batch"),
        ("/publish", r#"{"topic":"trade.X","data":1,"snapshot":true}"#, 405, Some("snapshot"), ""),
        ("/publish?topic=trade.X", "{", 400, Some("data"), "not JSON"),
        ("/publish?key=k", "1", 400, Some("topic"), "missing"),
        ("/publish?topic=trade.X&nope=1", "1", 400, None, "nope"),
        ("/publish/batch", "[1", 400, None, "no array"),
        ("/publish/batch", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11", 413, None, "at most 10"),
        ("/nowhere", "", 404, None, "/publish"),
    ] {
        let answer = post(admin, target, body)?;
        let error = &answer.body["error"];
        let shown = body.get(..60).unwrap_or(body);
        ensure!(answer.status == status, "{target} {shown}: {} {error}", answer.status);
        ensure!(error["code"] == status, "{target} {shown}: {error}");
        ensure!(error["field"].as_str() == field, "{target} {shown}: {error}");
        let message = error["message"].as_str().unwrap_or_default();
        ensure!(message.contains(words), "{target} {shown}: {message}");
    }
    assert_eq!(http(admin, "GET", "/publish", &[], b"")?.status, 405);
    assert_eq!(http(admin, "GET", "/healthz", &[], b"")?.status, 200);
    let page = ["Origin: http://example.org"];
    assert_eq!(http(admin, "POST", "/publish?topic=trade.X", &page, b"1")?.status, 403);
    server.stop()
}

#[test]
fn a_batch_is_published_in_order_and_each_message_has_its_result() -> Result<()> {
    let (server, admin) = start()?;
    let mut client = FeedClient::open(server.address())?;
    client.subscribe(&["trade.X"])?;
    let array = r#"[{"topic":"trade.X","data":1},{"topic":"none.X","data":2},
                    {"topic":"trade.X","data":3}]"#;
    let answer = post(admin, "/publish/batch", array)?;
    assert_eq!(answer.status, 200);
    assert_eq!((&answer.body["published"], &answer.body["failed"]), (&json!(2), &json!(1)));
    let results = &answer.body["results"];
    assert_eq!((&results[0]["seq"], &results[2]["seq"]), (&json!(1), &json!(2)));
    assert_eq!(results[1]["error"]["code"], 404);
    let lines =
        "{\"topic\":\"trade.X\",\"data\":4}\r\n\nnonsense\n{\"topic\":\"trade.X\",\"data\":5}";
    let answer = post(admin, "/publish/batch", lines)?;
    assert_eq!(answer.body["results"][1]["error"]["code"], 400);
    for (seq, data) in [(1, 1), (2, 3), (3, 4), (4, 5)] {
        let message = client.expect("message")?;
        assert_eq!((&message["seq"], &message["data"]), (&json!(seq), &json!(data)));
    }
    server.stop()
}

#[test]
fn a_snapshot_that_its_home_refuses_is_told() -> Result<()> {
    let (server, admin) = start()?;
    let (mut taken, mut refused) = (0, 0);
    for topic in ["few.a", "few.b", "few.c"] {
        let snapshot = json!({"topic": topic, "data": 1, "snapshot": true}).to_string();
        let answer = post(admin, "/publish", &snapshot)?;
        match answer.status {
            200 => taken += 1,
            429 => {
                ensure!(answer.body["error"]["field"] == "topic", "{}", answer.body);
                let batch = post(admin, "/publish/batch", format!("[{snapshot}]"))?;
                ensure!(batch.body["failed"] == 1, "{}", batch.body);
                ensure!(batch.body["results"][0]["error"]["code"] == 429, "{}", batch.body);
                refused += 1;
            }
            status => bail!("{status}: {}", answer.body),
        }
    }
    // One topic of each shard.
    ensure!(taken <= 2 && refused >= 1, "{taken} {refused}");
    server.stop()
}

#[test]
fn a_port_that_is_open_to_all_is_warned_of() -> Result<()> {
    let options = ["--shards", "1", "--admin", "0.0.0.0:0"];
    let server = TestServer::start_with(CONFIG, options)?;
    let output = server.process().output();
    ensure!(output.contains("asks nobody who he is"), "{output}");
    server.stop()
}

/// A file of tokens, which goes with the test.
struct TokenFile(PathBuf);

impl TokenFile {
    fn new(content: &str) -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("corecast-admin-{}-{count}", std::process::id());
        let this = Self(std::env::temp_dir().join(name));
        std::fs::write(&this.0, content)?;
        Ok(this)
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn without_a_token_nothing_is_published_and_a_new_one_takes_its_place() -> Result<()> {
    const ONE: &str = "first-0123456789abcdef";
    const TWO: &str = "second-0123456789abcdef";
    let file = TokenFile::new(ONE)?;
    let launch = launch()?
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0", "--shards", "1"])
        .args(["--log-level", "trace"])
        .env("CORECAST_ADMIN__TOKEN_FILE", &file.0);
    let server = TestServer::launch(&launch)?;
    let admin = SocketAddr::from(([127, 0, 0, 1], address_of(&server, "admin on http://")?.port()));
    let ask = |headers: &[&str]| http(admin, "POST", "/publish?topic=a.b", headers, b"1");
    let of = |token: &str| format!("Authorization: Bearer {token}");

    let answer = ask(&[])?;
    ensure!(answer.status == 401 && answer.head.contains("www-authenticate: bearer\r\n"));
    let twice = [&*of(ONE), &*of(ONE)];
    let basic = ["Authorization: Basic Zmlyc3QtMDEyMw=="];
    ensure!(ask(&twice)?.status == 401 && ask(&basic)?.status == 401);
    for wrong in [TWO, &ONE[..21], &format!("{ONE}f")] {
        ensure!(ask(&[&of(wrong)])?.status == 403, "{wrong}");
    }
    for path in ["/metrics", "/publish/batch", "/nowhere", "/healthz/"] {
        ensure!(http(admin, "GET", path, &[], b"")?.status == 401, "{path}");
    }
    ensure!(http(admin, "GET", "/healthz", &[], b"")?.status == 200);
    ensure!(ask(&[&of(ONE)])?.body["seq"] == 1, "nothing was published before");

    // The next one is good beside it, then alone.
    for (content, good) in [(format!("{ONE}\n{TWO}\n"), [200, 200]), (TWO.into(), [403, 200])] {
        std::fs::write(&file.0, content)?;
        server.process().signal(Signal::HUP)?;
        let until = Instant::now() + Duration::from_secs(10);
        let found = || Ok::<_, eyre::Report>([ask(&[&of(ONE)])?.status, ask(&[&of(TWO)])?.status]);
        while found()? != good {
            ensure!(Instant::now() < until, "{:?} and not {good:?}", found()?);
        }
    }
    let url = format!("http://{admin}");
    let publish = |path: &std::path::Path| {
        let mut command = std::process::Command::new(corecast_program()?);
        command.args(["publish", "a.b", "1", "--url", &url, "--token-file"]).arg(path);
        Ok::<_, eyre::Report>(command.output()?)
    };
    let output = publish(&file.0)?;
    ensure!(output.status.success(), "{output:?}");
    std::fs::write(&file.0, ONE)?;
    let output = publish(&file.0)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(65) && said.contains("(403)"), "{output:?}");

    let log = server.process().output();
    ensure!(!log.contains("asks nobody"), "{log}");
    ensure!(log.contains("anybody can read this secret"), "{log}");
    ensure!(![ONE, TWO].iter().any(|token| log.contains(token)), "a token is in the log:\n{log}");
    server.stop()
}

/// The value of a counter on the admin port.
fn counted(admin: SocketAddr, name: &str) -> Result<u64> {
    let text = http(admin, "GET", "/metrics", &[], b"")?.text;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.and_then(|value| value.parse().ok()).ok_or_else(|| eyre!("no {name} in\n{text}"))
}

#[test]
fn who_was_refused_and_why_is_counted() -> Result<()> {
    const SECRET: &[u8] = b"thirty-two bytes that nobody else has";
    let secret = TokenFile::new(std::str::from_utf8(SECRET)?)?;
    let config = format!(
        "[user]\nconnections_max = 1\n[address]\nconnections_max = 8\nexempt = []\n\
         [auth]\nmode = \"required\"\nfirst_message = false\n\
         [[auth.sources]]\nname = \"main\"\nsecret_file = {:?}",
        secret.0
    );
    let server = TestServer::start_with(&config, ["--shards", "2", "--admin", "127.0.0.1:0"])?;
    let admin = address_of(&server, "admin on http://")?;
    let reason =
        |name: &str| counted(admin, &format!("corecast_denials_total{{reason=\"{name}\"}}"));
    let ask = |headers: &[(&str, &str)]| {
        let mut client = RawClient::connect(server.address())?;
        let status = client.ask("/feed", &[], headers)?.status;
        Ok::<_, eyre::Report>((client, status))
    };
    let token = |expires: u64, secret: &[u8]| {
        let claims = json!({"sub": "ada", "exp": expires});
        let key = EncodingKey::from_secret(secret);
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?;
        Ok::<_, eyre::Report>(format!("Bearer {signed}"))
    };
    let good = token(4_000_000_000, SECRET)?;
    let old = token(1_000_000_000, SECRET)?;
    let forged = token(4_000_000_000, b"thirty-two bytes that strangers have")?;
    for (headers, status, name) in [
        (&[("Origin", "https://evil.example")][..], 403, "origin"),
        (&[], 401, "missing"),
        (&[("Authorization", &old)], 403, "expired"),
        (&[("Authorization", &forged)], 403, "signature"),
    ] {
        ensure!(reason(name)? == 0, "{name}");
        ensure!(ask(headers)?.1 == status, "{name}");
        ensure!(reason(name)? == 1, "{name}");
    }
    let (first, status) = ask(&[("Authorization", &good)])?;
    ensure!(status == 101);
    let until = Instant::now() + Duration::from_secs(10);
    // It is answered first, and then counted.
    while counted(admin, "corecast_connections")? != 1 {
        ensure!(Instant::now() < until, "it is not counted");
    }
    ensure!(ask(&[("Authorization", &good)])?.1 == 429, "one user has one connection");
    ensure!(counted(admin, "corecast_budget_refusals_total{budget=\"user\"}")? == 1);
    let held: Vec<_> = (0..7).map(|_| RawClient::connect(server.address())).collect();
    let over = "corecast_budget_refusals_total{budget=\"address\"}";
    let until = Instant::now() + Duration::from_secs(10);
    while counted(admin, over)? == 0 {
        ensure!(Instant::now() < until, "no address was refused");
        drop(RawClient::connect(server.address())?);
    }
    drop((first, held));
    ensure!(counted(admin, "corecast_draining")? == 0);
    server.stop()
}
