//! Requests that a proxy in front and the server could understand differently.

use corecast_tests::raw::{RawClient, Received, frame};
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use eyre::{Result, ensure};

/// A good handshake. Behind a refused head it must find nobody.
const GOOD: &str = "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

const KEY_LINE: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The good handshake with `old` replaced, and the status that it must get.
const CASES: &[(&str, &str, &str, u16)] = &[
    ("bare LF", "Host: a\r\n", "Host: a\n", 400),
    ("bare LF at the end", "13\r\n\r\n", "13\n\n", 400),
    ("bare CR", "Host: a\r\n", "Host: a\rX: b\r\n", 400),
    ("CR CR LF", "Host: a\r\n", "Host: a\r\r\n", 400),
    ("folded header", "Upgrade: websocket", "X: a\r\n b\r\nUpgrade: websocket", 400),
    ("folded by a tab", "Upgrade: websocket", "X: a\r\n\tb\r\nUpgrade: websocket", 400),
    ("leading-space header", "HTTP/1.1\r\nHost", "HTTP/1.1\r\n Host", 400),
    ("blank before the colon", "Host: a", "Host : a", 400),
    ("header without a colon", "Host: a\r\n", "Host: a\r\nnonsense\r\n", 400),
    ("empty header name", "Host: a\r\n", "Host: a\r\n: b\r\n", 400),
    ("NUL in a value", "Host: a", "Host: a\r\nX: \0", 400),
    ("empty line in front", "GET /echo", "\r\nGET /echo", 400),
    ("no Host", "Host: a\r\n", "", 400),
    ("two Hosts", "Host: a\r\n", "Host: a\r\nHost: a\r\n", 400),
    ("two Hosts in one", "Host: a\r\n", "Host: a, b\r\n", 400),
    (
        "two keys",
        KEY_LINE,
        concat!(
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        ),
        400,
    ),
    ("no key", KEY_LINE, "", 400),
    ("short key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", 400),
    ("body by length", "Host: a\r\n", "Host: a\r\nContent-Length: 5\r\n", 400),
    ("body by chunks", "Host: a\r\n", "Host: a\r\nTransfer-Encoding: chunked\r\n", 400),
    (
        "body by both",
        "Host: a\r\n",
        "Host: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        400,
    ),
    (
        "lengths that differ",
        "Host: a\r\n",
        "Host: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n",
        400,
    ),
    ("HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 400),
    ("HTTP/2.0", "HTTP/1.1", "HTTP/2.0", 505),
    ("HTTP/0.9", " HTTP/1.1", "", 400),
    ("POST", "GET ", "POST ", 405),
    ("version 8", ": 13", ": 8", 426),
    ("no version", "Sec-WebSocket-Version: 13\r\n", "", 426),
    ("two versions", ": 13\r\n", ": 13\r\nSec-WebSocket-Version: 13\r\n", 400),
    ("upgrade to another", "Upgrade: websocket", "Upgrade: h2c", 400),
    ("Connection without Upgrade", "Connection: Upgrade", "Connection: keep-alive", 400),
    ("two origins", "Host: a\r\n", "Host: a\r\nOrigin: http://a\r\nOrigin: http://b\r\n", 403),
    ("target with a fragment", "/echo ", "/echo#a ", 400),
    ("target without a slash", "/echo ", "echo ", 400),
    ("path that is not there", "/echo ", "/nothing ", 404),
    ("broken percent-encoding", "/echo ", "/ws/%zz ", 400),
];

#[test]
fn bytes_behind_a_refused_head_are_not_a_request() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    for &(name, old, new, status) in CASES {
        ensure!(GOOD.matches(old).count() == 1, "{name}: {old:?} is in the handshake once");
        let request = GOOD.replace(old, new);
        let answer = exchange(&siege, &[request.as_bytes(), b"\x81\x80\0\0\0\0", GOOD.as_bytes()])?;
        check_refused(name, &answer, status)?;
    }
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn plain_requests_are_answered_once_and_closed() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    for (name, request, status) in [
        ("page", "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("absent page", "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("socket path", "GET /ws/topic HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        ("echo path", "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        ("keep-alive", "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", 200),
        ("POST", "POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", 405),
        ("DELETE", "DELETE /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405),
        ("no HTTP", "hello\r\n\r\n", 400),
        ("TLS", "\x16\x03\x01\x02\0\x01\0\x01\u{7f}\x03\r\n\r\n", 400),
    ] {
        check_refused(name, &exchange(&siege, &[request.as_bytes(), GOOD.as_bytes()])?, status)?;
    }
    let head = exchange(&siege, &[b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n"])?;
    check_refused("HEAD", &head, 200)?;
    ensure!(head.ends_with("\r\n\r\n"), "HEAD has no body: {head:?}");
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn bytes_behind_a_good_head_are_frames() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    let mut client = RawClient::connect(siege.address())?;
    let frames = [frame(0x81, b"hi"), frame(0x88, &1000_u16.to_be_bytes())].concat();
    client.send(&[GOOD.as_bytes(), &frames].concat())?;
    ensure!(client.read_head()?.status == 101);
    ensure!(client.receive()? == Received::Text("hi".to_owned()));
    ensure!(client.expect_close()?.0 == 1000);
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

/// Sends all of it at once and reads to the end.
fn exchange(siege: &Siege, parts: &[&[u8]]) -> Result<String> {
    let mut client = RawClient::connect(siege.address())?;
    client.send(&parts.concat())?;
    Ok(String::from_utf8_lossy(&client.read_to_end()?).into_owned())
}

/// One answer with this status, which ends the connection.
fn check_refused(name: &str, answer: &str, status: u16) -> Result<()> {
    ensure!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer:?}");
    ensure!(answer.matches("HTTP/1.1 ").count() == 1, "{name}: more than one answer: {answer:?}");
    ensure!(answer.contains("\r\nConnection: close\r\n"), "{name}: {answer:?}");
    let version = answer.contains("\r\nSec-WebSocket-Version: 13\r\n");
    ensure!(version == (status == 426), "{name}: 426 names the version: {answer:?}");
    Ok(())
}
