//! Publishers over the framed ways in: nothing is lost, nothing comes twice, and what is wrong is
//! told.

#![forbid(unsafe_code)]

use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use corecast_bench::clock;
use corecast_bench::process::corecast_program;
use corecast_bench::workload::gateway::{Gateway, Rhythm, Way};
use corecast_bench::workload::ingest::records::Records;
use corecast_tests::feed::FeedClient;
use corecast_tests::gateway::{Framed, Said, address_of, hello, hello_with, keyed, record};
use corecast_tests::server::TestServer;
use eyre::{Result, bail, ensure};

const CONFIG: &str = r#"
    [[namespaces]]
    name = "trade"
    history_entries = 100

    [[namespaces]]
    name = "blob"
    payload = "binary"

    [[namespaces]]
    name = "few"
    topics_max = 1

    [[namespaces]]
    name = "keys"
    policy = "latest_by_key"
    snapshot = "keys"
"#;

const OPTIONS: [&str; 4] = ["--shards", "2", "--ingest-tcp", "127.0.0.1:0"];

fn start(extra: &str) -> Result<(TestServer, std::net::SocketAddr)> {
    let server = TestServer::start_with(&format!("{extra}\n{CONFIG}"), OPTIONS)?;
    let ingest = address_of(&server, "ingest on tcp ")?;
    Ok((server, ingest))
}

/// The data of the next messages of a topic.
fn messages(client: &mut FeedClient, count: usize) -> Result<Vec<String>> {
    (0..count).map(|_| Ok(client.expect("message")?["data"].to_string())).collect()
}

fn expect_closing(said: Said, code: u16, words: &str) -> Result<()> {
    match said {
        Said::Error { seq: 0, code: found, closing: true, message } => {
            ensure!(found == code && message.contains(words), "{found}: {message}");
            Ok(())
        }
        other => bail!("{other:?} instead of an error {code} with {words:?}"),
    }
}

#[test]
fn a_flood_waits_for_room_and_arrives_whole() -> Result<()> {
    const RECORDS: u64 = 30_000;
    // So few may be pending that the publisher must wait again and again.
    let (server, ingest) =
        start("[mesh]\npending_publishes_max = 256\n[outbox]\nframes_max = 65536")?;
    let mut client = FeedClient::open(server.address())?;
    client.subscribe(&["trade.X"])?;
    let mut publisher = Framed::tcp(ingest)?;
    assert_eq!(publisher.hello("flood", 1)?, 0);
    let flood = thread::spawn(move || -> Result<()> {
        let mut bytes = Vec::new();
        for seq in 1..=RECORDS {
            bytes.extend(record(seq, "trade.X", seq.to_string().as_bytes())?);
        }
        publisher.send(&bytes)?;
        publisher.wait_ack(RECORDS)
    });
    for seq in 1..=RECORDS {
        let message = client.expect("message")?;
        ensure!(message["seq"] == seq && message["data"] == seq, "{message} is not {seq}");
    }
    flood.join().expect("no panic")?;
    server.stop()
}

#[test]
fn duplicates_are_acknowledged_and_not_published_again() -> Result<()> {
    let (server, ingest) = start("")?;
    let mut client = FeedClient::open(server.address())?;
    client.subscribe(&["trade.X"])?;
    let mut first = Framed::tcp(ingest)?;
    assert_eq!(first.hello("a", 7)?, 0);
    for seq in 1..=5 {
        first.publish(seq, "trade.X", &seq.to_string())?;
    }
    first.wait_ack(5)?;
    drop(first);

    let mut again = Framed::tcp(ingest)?;
    assert_eq!(again.hello("a", 7)?, 5, "the server says where it is");
    for seq in [3, 4, 5, 6, 6, 9] {
        again.publish(seq, "trade.X", &seq.to_string())?;
    }
    again.wait_ack(9)?;
    assert_eq!(messages(&mut client, 7)?, ["1", "2", "3", "4", "5", "6", "9"]);

    let mut restarted = Framed::tcp(ingest)?;
    assert_eq!(restarted.hello("a", 8)?, 0, "a new epoch counts from 1");
    expect_closing(again.next_but_acks()?, 409, "taken over")?;
    assert_eq!(again.next()?, Said::End);
    restarted.publish(1, "trade.X", "\"new\"")?;
    assert_eq!(messages(&mut client, 1)?, ["\"new\""]);

    let mut old = Framed::tcp(ingest)?;
    old.send(&hello("a", 7)?)?;
    expect_closing(old.next()?, 409, "epoch 7 is past")?;
    restarted.publish(2, "trade.X", "2")?;
    restarted.wait_ack(2)?;
    client.expect("message")?;
    client.expect_nothing()?;

    let log = server.process().output();
    for words in ["publisher restarted", "numbers do not follow", "missing=2", "takes over"] {
        ensure!(log.contains(words), "no {words:?} in the log:\n{log}");
    }
    server.stop()
}

#[test]
fn who_sends_only_duplicates_is_answered_too() -> Result<()> {
    let (server, ingest) = start("")?;
    let mut publisher = Framed::tcp(ingest)?;
    publisher.hello("a", 1)?;
    publisher.publish(1, "trade.X", "1")?;
    publisher.wait_ack(1)?;
    for _ in 0..3 {
        publisher.publish(1, "trade.X", "1")?;
        assert_eq!(publisher.next()?, Said::Ack { epoch: 1, seq: 1 });
    }
    server.stop()
}

#[test]
fn what_its_home_refuses_is_told_before_it_is_acknowledged() -> Result<()> {
    let (server, ingest) = start("")?;
    let mut publisher = Framed::tcp(ingest)?;
    publisher.hello("a", 1)?;
    // Topics of both shards, and between those that are too many one that is known, and one that
    // is refused at once.
    let mut bytes = Vec::new();
    for seq in 1..=9 {
        let topic = match seq {
            6 => "few.t1".to_owned(),
            7 => "none.X".to_owned(),
            _ => format!("few.t{seq}"),
        };
        bytes.extend(record(seq, &topic, b"1")?);
    }
    publisher.send(&bytes)?;
    let (mut refused, mut acked) = (Vec::new(), 0);
    while acked < 9 {
        match publisher.next()? {
            Said::Ack { seq, .. } => acked = seq,
            Said::Error { seq, code, closing: false, message } => {
                ensure!(seq > acked, "the refusal of {seq} comes after the ack of {acked}");
                ensure!(code == if seq == 7 { 404 } else { 429 }, "{seq}: {code} {message}");
                refused.push(seq);
            }
            said => bail!("{said:?}"),
        }
    }
    // The first of each shard is taken; the other shard may be home to none of them.
    ensure!(refused.len() == 6 || refused.len() == 7, "{refused:?}");
    ensure!(refused.contains(&7) && !refused.contains(&1), "{refused:?}");
    ensure!(!refused.contains(&6) && refused.is_sorted(), "{refused:?}");
    drop(publisher);
    let tally = format!("refused={}", refused.len());
    let until = Instant::now() + Duration::from_secs(10);
    while !server.process().output().contains(&tally) {
        ensure!(Instant::now() < until, "no {tally}:\n{}", server.process().output());
        thread::sleep(Duration::from_millis(5));
    }
    // The log names a topic and why, and not each of them.
    let log = server.process().output();
    let lines = log.lines().filter(|line| line.contains("an update of a batch was refused"));
    let lines = Vec::from_iter(lines);
    ensure!(lines.len() == 1 && lines[0].contains("topic="), "{lines:?} in\n{log}");
    server.stop()
}

#[test]
fn a_key_too_many_is_told() -> Result<()> {
    let (server, ingest) = start("")?;
    let mut publisher = Framed::tcp(ingest)?;
    publisher.hello("a", 1)?;
    let keys_max = corecast::limits::hub::KEYS_MAX as u64;
    let mut bytes = Vec::new();
    for seq in 1..=keys_max + 1 {
        bytes.extend(keyed(seq, "keys.X", &seq.to_string())?);
    }
    bytes.extend(keyed(keys_max + 2, "keys.X", "1")?);
    publisher.send(&bytes)?;
    let said = publisher.next_but_acks()?;
    let Said::Error { seq, code: 413, closing: false, .. } = said else { bail!("{said:?}") };
    assert_eq!(seq, keys_max + 1);
    publisher.wait_ack(keys_max + 2)?;
    server.stop()
}

#[test]
fn a_bad_record_is_refused_alone_and_a_malformed_one_ends_its_connection() -> Result<()> {
    let (server, ingest) = start("")?;
    let mut client = FeedClient::open(server.address())?;
    client.subscribe(&["trade.X", "blob.X"])?;
    let mut other = Framed::tcp(ingest)?;
    other.hello("other", 1)?;
    let mut publisher = Framed::tcp(ingest)?;
    publisher.hello("a", 1)?;
    for (seq, topic, data) in [
        (1, "trade.X", &b"1"[..]),
        (2, "trade.X", b"{\"half\":"),
        (3, "none.X", b"1"),
        (4, "trade.*", b"1"),
        (5, "blob.X", b"\xff{"),
    ] {
        publisher.send(&record(seq, topic, data)?)?;
    }
    for (seq, code, words) in [(2, 400, "not JSON"), (3, 404, "namespace"), (4, 400, "wildcard")] {
        match publisher.next_but_acks()? {
            Said::Error { seq: about, code: found, closing: false, message } => {
                ensure!((about, found) == (seq, code), "{about} {found} {message}");
                ensure!(message.contains(words), "{message}");
            }
            said => bail!("{said:?} instead of an error of record {seq}"),
        }
    }
    publisher.wait_ack(5)?;
    assert_eq!(messages(&mut client, 2)?, ["1", "\"/3s=\""]);

    let good = record(6, "trade.X", b"6")?;
    publisher.send(&[&good[..], &[9, 0, 0, 0, 77]].concat())?;
    let said = publisher.next_but_acks()?;
    expect_closing(said.clone(), 400, "a frame of type 77")?;
    let Said::Error { message, .. } = said else { bail!("an error") };
    ensure!(message.contains("at byte "), "{message}");
    assert_eq!(publisher.next()?, Said::End);
    assert_eq!(messages(&mut client, 1)?, ["6"], "what came before it is published");
    other.publish(1, "trade.X", "7")?;
    other.wait_ack(1)?;
    assert_eq!(messages(&mut client, 1)?, ["7"], "nobody else feels it");
    server.stop()
}

#[test]
fn who_does_not_say_who_he_is_or_is_one_too_many_is_refused() -> Result<()> {
    let limits = "[ingest]\npublishers_max = 1\nrecord_bytes_max = 4096";
    let (server, ingest) = start(limits)?;
    let mut one = Framed::tcp(ingest)?;
    one.hello("one", 1)?;
    let mut two = Framed::tcp(ingest)?;
    two.send(&hello("two", 1)?)?;
    expect_closing(two.next()?, 429, "1 publishers")?;
    let mut rude = Framed::tcp(ingest)?;
    rude.send(&record(1, "trade.X", b"1")?)?;
    expect_closing(rude.next()?, 401, "first frame must be a hello")?;
    let mut http = Framed::tcp(ingest)?;
    http.send(b"GET / HTTP/1.1\r\n\r\n")?;
    expect_closing(http.next()?, 400, "is this the ingest protocol")?;
    let mut silent = Framed::tcp(ingest)?;
    expect_closing(silent.next()?, 408, "no hello")?;
    one.send(&record(1, "trade.X", "1".repeat(5_000).as_bytes())?)?;
    expect_closing(one.next_but_acks()?, 400, "allowed are 4096")?;
    drop(one);
    drop(Framed::tcp(ingest)?);
    server.stop()
}

#[test]
fn a_publisher_without_news_repeats_its_hello() -> Result<()> {
    let (server, ingest) = start("")?;
    let mut publisher = Framed::tcp(ingest)?;
    publisher.hello("a", 3)?;
    publisher.publish(1, "trade.X", "1")?;
    publisher.wait_ack(1)?;
    assert_eq!(publisher.hello("a", 3)?, 1);
    publisher.send(&hello("a", 4)?)?;
    expect_closing(publisher.next()?, 400, "a record must come here")?;
    server.stop()
}

#[test]
fn the_number_0_is_no_records_and_what_came_before_it_counts() -> Result<()> {
    let (server, ingest) = start("")?;
    let mut publisher = Framed::tcp(ingest)?;
    publisher.hello("a", 3)?;
    publisher.send(&[record(1, "trade.X", b"1")?, record(0, "trade.X", b"2")?].concat())?;
    match publisher.next()? {
        Said::Ack { seq: 1, .. } => {}
        other => bail!("{other:?} instead of an ack of the first"),
    }
    expect_closing(publisher.next()?, 400, "they count from 1")?;
    server.stop()
}

#[test]
fn the_end_of_the_server_is_told_after_the_last_ack() -> Result<()> {
    let (mut server, ingest) = start("")?;
    let mut publisher = Framed::tcp(ingest)?;
    publisher.hello("a", 1)?;
    publisher.publish(1, "trade.X", "1")?;
    publisher.wait_ack(1)?;
    server.begin_stop()?;
    expect_closing(publisher.next()?, 503, "ending")?;
    drop(publisher);
    server.stop()
}

#[test]
fn a_unix_socket_is_for_owner_and_group_and_goes_with_the_server() -> Result<()> {
    let path = std::env::temp_dir().join(format!("corecast-test-{}.sock", std::process::id()));
    // What a server that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path)?);
    let options = ["--shards", "1", "--ingest-unix", path.to_str().expect("UTF-8")];
    let server = TestServer::start_with(CONFIG, options)?;
    assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o660);
    let mut client = FeedClient::open(server.address())?;
    client.subscribe(&["trade.X"])?;
    let mut publisher = Framed::unix(&path)?;
    publisher.hello("a", 1)?;
    publisher.publish(1, "trade.X", "{\"a\": 1}")?;
    publisher.wait_ack(1)?;
    assert_eq!(messages(&mut client, 1)?, ["{\"a\":1}"]);
    drop(publisher);
    server.stop()?;
    ensure!(!path.exists(), "the file is still there");
    Ok(())
}

/// What the harness publishes with.
#[test]
fn the_harness_publishes_over_both_sockets_and_hears_of_refusals() -> Result<()> {
    let path = std::env::temp_dir().join(format!("corecast-test-g-{}.sock", std::process::id()));
    let unix = ["--ingest-unix", path.to_str().expect("UTF-8")];
    let options = OPTIONS.into_iter().chain(unix);
    let server = TestServer::start_with(CONFIG, options)?;
    let tcp = address_of(&server, "ingest on tcp ")?;
    for (way, topic) in [(Way::Ingest(path), "keys.A"), (Way::IngestTcp(tcp), "keys.B")] {
        let rhythm = Rhythm { starts_ns: clock::now_ns(), rest: Duration::from_millis(5) };
        let publish = |topic: &str| {
            let records = Records::new(1, 3, 2_000.0, 64, rhythm.starts_ns);
            Gateway::start(&way, vec![topic.to_owned()], Box::new(records), rhythm)
        };
        let gateway = publish(topic)?;
        while gateway.progress().acknowledged < 10 && !gateway.is_finished() {
            thread::sleep(Duration::from_millis(5));
        }
        let published = gateway.finish()?;
        let mut client = FeedClient::open(server.address())?;
        client.subscribe(&[topic])?;
        let snapshot = client.expect("snapshot")?;
        let data = snapshot["data"].as_array().map_or(0, Vec::len);
        ensure!(snapshot["seq"] == published && data == 3, "{published} with 3 keys: {snapshot}");
        let refused = publish("none.X")?;
        let until = Instant::now() + Duration::from_secs(10);
        while !refused.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        let error = format!("{:#}", refused.finish().expect_err("no namespace has it"));
        ensure!(error.contains("record 1 was refused"), "{error}");
    }
    server.stop()
}

#[test]
fn a_publisher_without_a_token_is_refused_before_anything_is_taken() -> Result<()> {
    const TOKEN: &str = "venue-0123456789abcdef";
    let file = std::env::temp_dir().join(format!("corecast-ingest-{}.token", std::process::id()));
    std::fs::write(&file, format!("# venue 1\n{TOKEN}\n"))?;
    let (server, ingest) = start(&format!("[ingest]\ntoken_file = {file:?}"))?;
    let wrong = "venue-0123456789abcdeg";
    for (token, code) in [(None, 401), (Some(wrong), 403), (Some(&TOKEN[..21]), 403)] {
        let mut stranger = Framed::tcp(ingest)?;
        let mut bytes = hello_with("a", 1, token)?;
        bytes.extend(record(1, "trade.X", b"1")?);
        stranger.send(&bytes)?;
        expect_closing(stranger.next()?, code, "ingest.token_file")?;
        ensure!(stranger.next()? == Said::End);
    }
    let mut publisher = Framed::tcp(ingest)?;
    assert_eq!(publisher.hello_with("a", 1, TOKEN)?, 0, "nothing was taken before");
    publisher.publish(1, "trade.X", "1")?;
    publisher.wait_ack(1)?;
    // A sign of life needs none: who it is was shown.
    publisher.hello("a", 1)?;

    let address = ingest.to_string();
    let mut command = std::process::Command::new(corecast_program()?);
    command.args(["publish", "trade.X", "1", "--tcp", &address, "--token-env", "VENUE"]);
    ensure!(command.env("VENUE", TOKEN).output()?.status.success());
    let output = command.env("VENUE", wrong).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && said.contains("(403)"), "{said}");
    let log = server.process().output();
    ensure!(![TOKEN, wrong].iter().any(|token| log.contains(token)), "{log}");
    std::fs::remove_file(&file)?;
    server.stop()
}
