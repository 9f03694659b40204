//! Requests that no honest client sends, and those that one sends too often.

use corecast_wire::client;
use eyre::Result;

/// A valid opening handshake.
pub(super) fn upgrade(host: &str, target: &str, headers: &[(&str, &str)]) -> Result<Vec<u8>> {
    // The server need not know that the key is always the same.
    Ok(client::request(host, target, &client::key([7; 16]), &[], headers)?)
}

/// Handshakes that are refused, each for a reason of its own, by name.
pub(super) fn bad(host: &str, target: &str) -> Vec<(&'static str, Vec<u8>)> {
    let lines = |first: &str, rest: &[String]| {
        let mut text = format!("{first}\r\n");
        rest.iter().for_each(|line| text.push_str(&format!("{line}\r\n")));
        (text + "\r\n").into_bytes()
    };
    let good = [
        format!("Host: {host}"),
        "Upgrade: websocket".into(),
        "Connection: Upgrade".into(),
        "Sec-WebSocket-Version: 13".into(),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==".into(),
    ];
    let with = |more: &[String]| [&good[..], more].concat();
    let but = |place: usize, line: &str| {
        let mut lines = good.clone();
        lines[place] = line.into();
        lines
    };
    let get = format!("GET {target} HTTP/1.1");
    let many = Vec::from_iter((0..100).map(|number| format!("X-{number}: y")));
    let long = [format!("X-Long: {}", "x".repeat(12_000))];
    let body = ["Content-Length: 5".to_owned()];
    vec![
        ("no upgrade", lines(&get, &good[..1])),
        ("POST", lines(&format!("POST {target} HTTP/1.1"), &good)),
        ("HTTP/1.0", lines(&format!("GET {target} HTTP/1.0"), &good)),
        ("no host", lines(&get, &good[1..])),
        ("version 12", lines(&get, &but(3, "Sec-WebSocket-Version: 12"))),
        ("short key", lines(&get, &but(4, "Sec-WebSocket-Key: abc="))),
        ("100 headers", lines(&get, &with(&many))),
        ("12 KB line", lines(&get, &with(&long))),
        ("body", [lines(&get, &with(&body)), b"hello".to_vec()].concat()),
        ("bare LF", lines(&get, &good).into_iter().filter(|byte| *byte != b'\r').collect()),
        ("unknown path", lines("GET /nowhere HTTP/1.1", &good)),
        ("no HTTP", [0x80, 0xff, 0x00, 0x13].repeat(64)),
    ]
}

/// A first flight of TLS 1.3 and 1.2, as a browser's is: it costs the server a signature.
pub(super) fn hello() -> Result<Vec<u8>> {
    crate::tls::client_hello("localhost")
}
