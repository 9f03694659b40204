//! The program as it is started in production: it serves, and it ends when told to.

#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use corecast_bench::process::corecast_program;
use corecast_tests::control::Control;
use corecast_tests::raw::{RawClient, Received};
use corecast_tests::server::TestServer;
use corecast_wire::frame::Opcode;
use eyre::{Result, ensure, eyre};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn echo_answers_and_sigterm_ends_the_program() -> Result<()> {
    let mut server = TestServer::start(["--shards", "2"])?;
    let mut client = RawClient::open(server.address(), "/echo")?;
    client.send_frame(Opcode::Text, "κόσμε".as_bytes())?;
    assert_eq!(client.receive()?, Received::Text("κόσμε".to_owned()));
    client.send_frame(Opcode::Close, &1000_u16.to_be_bytes())?;
    assert_eq!(client.expect_close()?.0, 1000);
    server.wait_until_idle(Duration::from_secs(5))?;

    let mut left = RawClient::open(server.address(), "/echo")?;
    server.begin_stop()?;
    assert_eq!(left.expect_close()?.0, 1001, "a client that is there at the end is told");
    server.stop()
}

#[test]
fn a_log_that_nobody_reads_does_not_hold_up_the_end() -> Result<()> {
    let mut command = Command::new(corecast_program()?);
    command.args(["serve", "--listen", "127.0.0.1:0", "--shards", "1"]).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| eyre!("no stdout"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    ensure!(line.starts_with("listening on"), "{line}");
    // The reader of the log is gone, as where a collector has died: SIGTERM is logged.
    drop(child.stderr.take());
    kill_process(Pid::from_child(&child), Signal::TERM)?;
    let until = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Err(eyre!("it has not ended"));
        }
        thread::sleep(Duration::from_millis(5));
    };
    ensure!(status.success(), "{status}");
    Ok(())
}

#[test]
fn a_handshake_in_single_bytes_is_a_handshake() -> Result<()> {
    let server = TestServer::start(["--shards", "1"])?;
    let mut client = RawClient::connect(server.address())?;
    let host = server.address().to_string();
    let request = corecast_wire::client::request(
        &host,
        "/echo",
        corecast_tests::raw::KEY,
        &[],
        &[("Origin", &format!("http://{host}"))],
    )?;
    client.send_bytewise(&request)?;
    let head = client.read_head()?;
    assert_eq!((head.status, head.header("upgrade")), (101, Some("websocket")), "{}", head.text);
    client.send_frame(Opcode::Binary, &[0; 70_000])?;
    assert_eq!(client.expect_close()?.0, 1009, "the default limit is 64 KiB");
    server.stop()
}

#[test]
fn the_control_connections_lose_nothing_in_peace() -> Result<()> {
    let server = TestServer::start(["--shards", "2"])?;
    let report = Control::baseline(server.address(), Duration::from_secs(1))?;
    ensure!(report.sent >= 150, "an open loop of 200 a second sent {}", report.sent);
    ensure!(report.latency_p50 < Duration::from_millis(50), "{report:?}");
    server.stop()
}
