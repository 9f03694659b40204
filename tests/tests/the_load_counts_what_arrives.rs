//! The load generator against a real server: its counts are exact, what a policy leaves out is
//! missing, and slow readers are told apart from the others.

#![forbid(unsafe_code)]

use std::time::Duration;

use corecast_bench::load::{self, Shape, Slow};
use corecast_bench::outcome::Outcome;
use corecast_bench::schedule::Pace;
use corecast_bench::servers::Site;
use corecast_bench::target::Target;
use corecast_bench::workload::{connect, echo, idle, stalled, storm};
use corecast_tests::server::TestServer;
use eyre::{Result, ensure};

const SUBSCRIBERS: usize = 50;

fn site(server: &TestServer) -> Site {
    Site::elsewhere("corecast", server.address(), Some(server.process().pid()))
}

fn shape(pace: &str) -> Result<Shape> {
    Ok(Shape {
        target: Target::plain("/ws/load"),
        subscribers: SUBSCRIBERS,
        publishers: 1,
        payload_bytes: 64,
        pace: pace.parse::<Pace>()?,
        slow: Slow::default(),
        warm_up: Duration::from_millis(300),
        measured: Duration::from_secs(1),
        seed: 7,
        busy: false,
    })
}

fn check_whole(outcome: &Outcome) -> Result<()> {
    let Outcome { published, expected, delivered, missing, duplicated, reordered, .. } = outcome;
    ensure!(*published > 0 && *expected == published * SUBSCRIBERS as u64, "{outcome:?}");
    ensure!(delivered == expected && [missing, duplicated, reordered] == [&0; 3], "{outcome:?}");
    ensure!(outcome.latency.count == *delivered && outcome.latency.ns_p50 > 0, "{outcome:?}");
    let cost = outcome.cost.as_ref();
    ensure!(cost.is_some_and(|cost| cost.rss_bytes > 0), "{outcome:?}");
    Ok(())
}

#[test]
fn everything_is_counted_once_at_every_pace() -> Result<()> {
    let server = TestServer::start::<&str>([])?;
    let site = site(&server);
    for (pace, publishers) in
        [("200", 1), ("200", 3), ("poisson:200", 2), ("bursty:200/20", 1), ("window:4", 2)]
    {
        let outcome = load::run(&site, &Shape { publishers, ..shape(pace)? })?;
        check_whole(&outcome)?;
        ensure!(pace != "200" || outcome.published == 200, "{}", outcome.published);
    }
    server.stop()
}

#[test]
fn a_template_reaches_the_subscribers_of_a_protocol() -> Result<()> {
    let server = TestServer::start::<&str>([])?;
    let target = Target {
        path: "/ws/{topic}".into(),
        topic: "letters".into(),
        publish: Some(r#"{"to":"{topic}","data":"{payload}"}"#.into()),
        ..Target::default()
    };
    check_whole(&load::run(&site(&server), &Shape { target, ..shape("100")? })?)?;
    server.stop()
}

/// A reader that reads a trickle of a topic whose policy is `latest` gets only some messages: as
/// one of whom everything is expected, it misses the others.
#[test]
fn what_a_policy_leaves_out_is_missing() -> Result<()> {
    let server = TestServer::start(["--policy", "latest=load"])?;
    // 6.4 MB/s for each of 50: more than sockets and the client's core take without a gap.
    let shape = Shape { payload_bytes: 1 << 16, ..shape("bursty:400/100")? };
    let outcome = load::run(&site(&server), &shape)?;
    ensure!(outcome.missing > 0, "nothing was left out: {outcome:?}");
    ensure!(outcome.delivered + outcome.missing == outcome.expected, "{outcome:?}");
    ensure!(outcome.duplicated + outcome.reordered == 0, "{outcome:?}");
    server.stop()
}

#[test]
fn slow_readers_are_not_among_the_expected() -> Result<()> {
    let server = TestServer::start::<&str>([])?;
    let slow = Slow { stalled: 3, trickling: 2, ..Slow::default() };
    let outcome = load::run(&site(&server), &Shape { slow, ..shape("200")? })?;
    check_whole(&outcome)?;
    let params = stalled::Params { shape: shape("200")?, stalled_share: 0.1, rounds: 1 };
    let outcome = stalled::run(&site(&server), &params)?;
    check_whole(&outcome)?;
    ensure!(outcome.extra["stalled_connections"] == 6.0, "{outcome:?}");
    ensure!(outcome.extra["p999_ratio"] > 0.0, "{outcome:?}");
    server.stop()
}

#[test]
fn round_trips_handshakes_and_quiet_connections_are_measured() -> Result<()> {
    let server = TestServer::start::<&str>([])?;
    let site = site(&server);
    let target = Target::plain("/echo");
    let outcome = echo::run(
        &site,
        &echo::Params {
            target: target.clone(),
            connections: 10,
            payload_bytes: 64,
            warm_up: Duration::from_millis(200),
            measured: Duration::from_millis(500),
            busy: false,
        },
    )?;
    ensure!(outcome.delivered > 100 && outcome.missing == 0, "{outcome:?}");
    ensure!(outcome.latency.count >= outcome.delivered, "{outcome:?}");

    let params =
        connect::Params { target: target.clone(), connections: 300, concurrency: 16, warm_up: 20 };
    let outcome = connect::run(&site, &params)?;
    ensure!(outcome.delivered == 300 && outcome.latency.count == 300, "{outcome:?}");

    let quiet = Duration::from_millis(500);
    let outcome =
        idle::run(&site, &idle::Params { target, connections: 300, warm_up: 300, quiet })?;
    let files = |name: &str| outcome.extra[name];
    ensure!(files("files_connected") - files("files_before") == 300.0, "{outcome:?}");
    ensure!(files("files_after_close") == files("files_before"), "{outcome:?}");
    ensure!(outcome.extra[idle::BYTES_PER_CONNECTION] < 65_536.0, "{outcome:?}");
    server.stop()
}

#[test]
fn all_clients_come_back_from_a_storm() -> Result<()> {
    let server = TestServer::start::<&str>([])?;
    let outcome = storm::run(
        &site(&server),
        &storm::Params {
            target: Target::plain("/ws/storm"),
            clients: 300,
            within: Duration::from_secs(1),
            rate: 50.0,
            payload_bytes: 64,
            seed: 3,
        },
    )?;
    ensure!(outcome.delivered == 300 && outcome.missing == 0, "{outcome:?}");
    ensure!(outcome.latency.count == 300, "{outcome:?}");
    let back = outcome.extra["all_back_seconds"];
    ensure!(back > 0.9 && outcome.extra["errors"] == 0.0, "{outcome:?}");
    server.stop()
}

#[test]
fn a_storm_waits_for_snapshots_where_nobody_publishes() -> Result<()> {
    let server = TestServer::start::<&str>([])?;
    let target = Target {
        path: "/feed".into(),
        topic: "quote.a".into(),
        subscribe: vec![r#"{"type":"subscribe","topics":["{topic}"]}"#.into()],
        ..Target::default()
    };
    let within = Duration::from_millis(500);
    let params =
        storm::Params { target, clients: 50, within, rate: 0.0, payload_bytes: 64, seed: 3 };
    let outcome = storm::run(&site(&server), &params)?;
    ensure!(outcome.delivered == 50 && outcome.published == 0, "{outcome:?}");
    server.stop()
}
