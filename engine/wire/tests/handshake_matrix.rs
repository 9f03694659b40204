//! The server's handshake: what is accepted, and what each flaw is answered with.

use corecast_wire::handshake::{InvalidResponse, accept_response, response};
use corecast_wire::{HandshakeError, Request, Upgrade};

const VALID: &[&str] = &[
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

fn head(line: &str, fields: &[&str]) -> Vec<u8> {
    let mut out = format!("{line}\r\n");
    for field in fields {
        out += field;
        out += "\r\n";
    }
    (out + "\r\n").into_bytes()
}

/// The valid handshake with its field `name` replaced by `fields` (none, one or several).
fn with(name: &str, fields: &[&str]) -> Vec<u8> {
    let kept = VALID.iter().filter(|field| !field.starts_with(&format!("{name}:"))).copied();
    let all: Vec<&str> = kept.chain(fields.iter().copied()).collect();
    head("GET /chat HTTP/1.1", &all)
}

fn upgrade(head: &[u8]) -> Result<Upgrade<'_>, HandshakeError> {
    Upgrade::parse(Request::parse(head)?)
}

#[test]
fn variations_that_are_valid() {
    let cases = [
        with("", &[]),
        with("Upgrade", &["UPGRADE: WebSocket"]),
        with("Upgrade", &["Upgrade: h2c, websocket"]),
        with("Upgrade", &["Upgrade: h2c", "Upgrade: websocket"]),
        with("Connection", &["connection: keep-alive, UPGRADE"]),
        with("Connection", &["Connection: keep-alive", "Connection:  upgrade  "]),
        with("Connection", &["Connection: ,, Upgrade ,"]),
        with("Content-Length", &["Content-Length: 0"]),
        with("Origin", &["Origin: null"]),
        with("Host", &["Host: [::1]:9001"]),
        with("Sec-WebSocket-Key", &["Sec-WebSocket-Key:   dGhlIHNhbXBsZSBub25jZQ==  "]),
        // RFC 6455's own example has bits set that base64 does not use.
        with("Sec-WebSocket-Key", &["Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC=="]),
        with("Sec-WebSocket-Extensions", &["Sec-WebSocket-Extensions: a; b=\"10\"; c, d"]),
        head("GET http://server.example.com/chat HTTP/1.1", VALID),
    ];
    for head in &cases {
        let outcome = upgrade(head).map(|upgrade| upgrade.path().to_owned());
        assert_eq!(outcome, Ok("/chat".to_owned()), "{}", head.escape_ascii());
    }
}

type Flaw = (Vec<u8>, HandshakeError, u16);

/// Heads that are not the HTTP/1.1 that a handshake needs.
fn http_flaws() -> Vec<Flaw> {
    use HandshakeError as E;
    vec![
        (head("POST /chat HTTP/1.1", VALID), E::Method, 405),
        (head("HEAD /chat HTTP/1.1", VALID), E::Method, 405),
        (head("GET /chat HTTP/1.0", VALID), E::Http10, 400),
        (head("GET /chat HTTP/2.0", VALID), E::UnsupportedHttpVersion, 505),
        (head("GET /chat", VALID), E::Malformed, 400),
        (head("GET  /chat HTTP/1.1", VALID), E::Malformed, 400),
        (head("GET chat HTTP/1.1", VALID), E::InvalidTarget, 400),
        (head("GET /chat#top HTTP/1.1", VALID), E::InvalidTarget, 400),
        (head("GET /chät HTTP/1.1", VALID), E::InvalidTarget, 400),
        (head("GET http:///chat HTTP/1.1", VALID), E::InvalidTarget, 400),
        (with("Host", &[]), E::Host, 400),
        (with("Host", &["Host: a", "Host: a"]), E::Host, 400),
        (with("Host", &["Host:"]), E::Host, 400),
        (with("Host", &["Host: a b"]), E::Host, 400),
        (with("Host", &["Host: a/b"]), E::Host, 400),
        (with("Host", &["Host: user@a"]), E::Host, 400),
        (with("", &["X: \u{1}"]), E::Malformed, 400),
        (with("", &["X : y"]), E::Malformed, 400),
        (with("", &["X"]), E::Malformed, 400),
        (with("", &[": y"]), E::Malformed, 400),
        (with("", &["X: a\r\n b"]), E::FoldedHeader, 400),
        (with("", &["X: a\nY: b"]), E::BareLineEnd, 400),
    ]
}

/// Heads that are HTTP/1.1 and no handshake.
fn websocket_flaws() -> Vec<Flaw> {
    use HandshakeError as E;
    let key = VALID[3];
    vec![
        (with("Upgrade", &[]), E::Upgrade, 400),
        (with("Upgrade", &["Upgrade: websockets"]), E::Upgrade, 400),
        (with("Upgrade", &["Upgrade: h2c"]), E::Upgrade, 400),
        (with("Connection", &[]), E::Connection, 400),
        (with("Connection", &["Connection: keep-alive"]), E::Connection, 400),
        (with("Connection", &["Connection: upgrade-insecure"]), E::Connection, 400),
        (with("Sec-WebSocket-Key", &[]), E::Key, 400),
        (with("Sec-WebSocket-Key", &[key, key]), E::Key, 400),
        (with("Sec-WebSocket-Key", &["Sec-WebSocket-Key:"]), E::Key, 400),
        (with("Sec-WebSocket-Key", &["Sec-WebSocket-Key: c2hvcnQ="]), E::Key, 400),
        (with("Sec-WebSocket-Key", &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"]), E::Key, 400),
        (with("Sec-WebSocket-Key", &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE="]), E::Key, 400),
        (with("Sec-WebSocket-Key", &["Sec-WebSocket-Key: d-hlIHNhbXBsZSBub25jZQ=="]), E::Key, 400),
        (with("Sec-WebSocket-Version", &[]), E::Version, 426),
        (with("Sec-WebSocket-Version", &["Sec-WebSocket-Version: 8"]), E::Version, 426),
        (with("Sec-WebSocket-Version", &["Sec-WebSocket-Version: 013"]), E::Version, 426),
        (with("Sec-WebSocket-Version", &["Sec-WebSocket-Version: 13, 8"]), E::Version, 426),
        (with("Sec-WebSocket-Version", &[VALID[4], VALID[4]]), E::DuplicateVersion, 400),
        (with("Origin", &["Origin: http://a", "Origin: http://a"]), E::DuplicateOrigin, 403),
        (with("", &["Content-Length: 5"]), E::Body, 400),
        (with("", &["Content-Length: 0", "Content-Length: 5"]), E::Body, 400),
        (with("", &["Content-Length: +0"]), E::Body, 400),
        (with("", &["Transfer-Encoding: chunked"]), E::Body, 400),
        (with("", &["Sec-WebSocket-Protocol: a, a"]), E::Subprotocols, 400),
        (with("", &["Sec-WebSocket-Protocol: a b"]), E::Subprotocols, 400),
        (with("", &["Sec-WebSocket-Extensions: a; =1"]), E::Extensions, 400),
        (with("", &["Sec-WebSocket-Extensions: a; b=\"x,y\""]), E::Extensions, 400),
        (with("", &["Sec-WebSocket-Extensions: a; b=\"\""]), E::Extensions, 400),
    ]
}

#[test]
fn each_flaw_has_its_answer() {
    for (head, error, status) in http_flaws().into_iter().chain(websocket_flaws()) {
        let outcome = upgrade(&head).map(|_| "accepted");
        assert_eq!(outcome, Err(error), "{}", head.escape_ascii());
        assert_eq!(error.status(), status, "{error}");
        let answer = String::from_utf8(error.to_response()).expect("text");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{answer}");
        assert_eq!(status == 426, head.contains("Sec-WebSocket-Version: 13"), "{answer}");
    }
}

#[test]
fn counts_have_limits() {
    let many = |count: usize| vec!["X: y"; count];
    assert_eq!(upgrade(&with("", &many(64 - 5))).map(|_| ()), Ok(()));
    for count in [64 - 4, 1300] {
        let error = upgrade(&with("", &many(count))).map(|_| ()).expect_err("too many");
        assert_eq!((error, error.status()), (HandshakeError::TooManyHeaders, 431), "{count}");
    }
    for (count, accepted) in [(32, true), (33, false)] {
        let offered: Vec<String> = (0..count).map(|at| format!("p{at}")).collect();
        let field = format!("Sec-WebSocket-Protocol: {}", offered.join(","));
        assert_eq!(upgrade(&with("", &[&field])).is_ok(), accepted, "{count} subprotocols");
    }
    for (count, accepted) in [(16, true), (17, false)] {
        let field = format!("Sec-WebSocket-Extensions: {}", vec!["e"; count].join(","));
        assert_eq!(upgrade(&with("", &[&field])).is_ok(), accepted, "{count} extensions");
    }
}

#[test]
fn a_request_tells_a_page_from_a_socket() {
    for (head, wanted) in [
        (head("GET / HTTP/1.1", &["Host: a"]), false),
        (head("GET / HTTP/1.1", &["Host: a", "Connection: Upgrade", "Upgrade: h2c"]), false),
        (head("GET / HTTP/1.0", &[]), false),
        (head("GET / HTTP/1.1", &["Host: a", "Upgrade: h2c, WEBSOCKET"]), true),
        (head("GET / HTTP/1.1", &["Host: a", "Sec-WebSocket-Key: x"]), true),
        (with("", &[]), true),
    ] {
        let request = Request::parse(&head).expect("valid HTTP");
        assert_eq!(request.is_upgrade(), wanted, "{}", head.escape_ascii());
    }
}

#[test]
fn the_parts_of_a_request() {
    for (target, path, query) in [
        ("/", "/", None),
        ("/ws/quote.BTC?token=a%20b?c", "/ws/quote.BTC", Some("token=a%20b?c")),
        ("/?", "/", Some("")),
        ("HTTP://host:1?q", "/", Some("q")),
        ("https://host", "/", None),
    ] {
        let head = head(&format!("GET {target} HTTP/1.1"), &["hOST: h", "X-A:  one ", "x-a: two"]);
        let request = Request::parse(&head).expect("valid HTTP");
        assert_eq!((request.path(), request.query()), (path, query), "{target}");
        assert_eq!((request.method, request.target), ("GET", target));
        assert_eq!(request.header("X-a"), Some("one"));
        assert_eq!(request.header("missing"), None);
        let all: Vec<_> = request.headers().collect();
        assert_eq!(all, [("hOST", "h"), ("X-A", "one"), ("x-a", "two")]);
    }
    assert!(Request::parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nmore").is_err());
    assert!(Request::parse(b"GET / HTTP/1.1\r\nHost: a\r\n").is_err());
    assert!(Request::parse(b"").is_err());
    let latin1 = b"GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n";
    assert_eq!(Request::parse(latin1).map(|_| ()), Err(HandshakeError::HeaderNotUtf8));
}

#[test]
fn the_offers_of_an_upgrade() {
    let head = with(
        "",
        &[
            "Sec-WebSocket-Protocol: chat, superchat",
            "Sec-WebSocket-Protocol: v2",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            "Sec-WebSocket-Extensions: x; a=\"1\" ; b = 2, y",
            "Origin: https://example.com",
        ],
    );
    let upgrade = upgrade(&head).expect("valid");
    assert_eq!(upgrade.protocols().collect::<Vec<_>>(), ["chat", "superchat", "v2"]);
    assert_eq!(upgrade.origin(), Some("https://example.com"));
    assert_eq!(upgrade.accept_key(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let offers: Vec<_> = upgrade.extensions().collect();
    let names: Vec<_> = offers.iter().map(|offer| offer.name).collect();
    assert_eq!(names, ["permessage-deflate", "x", "y"]);
    let deflate: Vec<_> = offers[0].parameters().collect();
    assert_eq!(deflate, [("client_max_window_bits", None)]);
    let x: Vec<_> = offers[1].parameters().collect();
    assert_eq!(x, [("a", Some("1")), ("b", Some("2"))]);
    assert_eq!(offers[2].parameters().count(), 0);
}

#[test]
fn the_accepting_answer() {
    let head = with("", &["Sec-WebSocket-Protocol: chat, superchat"]);
    let upgrade = upgrade(&head).expect("valid");
    let answer = accept_response(&upgrade, Some("superchat"), None, &[("Server", "corecast")]);
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: superchat\r\nServer: corecast\r\n\r\n";
    assert_eq!(answer.map(|bytes| String::from_utf8(bytes).expect("text")), Ok(expected.into()));
    let plain = accept_response(&upgrade, None, None, &[]).expect("fine");
    assert!(!String::from_utf8(plain).expect("text").contains("Protocol:"));
    for other in ["chat2", "CHAT", "", "chat, superchat", "chat\r\nX: y"] {
        let refused = accept_response(&upgrade, Some(other), None, &[]);
        assert_eq!(refused, Err(InvalidResponse::NotOffered(other.to_owned())));
    }
}

#[test]
fn no_answer_can_be_split_by_its_headers() {
    let head = with("", &[]);
    let upgrade = upgrade(&head).expect("valid");
    let malformed = [
        ("X", "a\r\nY: b"),
        ("X", "a\nb"),
        ("X", "a\rb"),
        ("X", "a\0b"),
        ("X\r\nY", "b"),
        ("X Y", "b"),
        ("X:", "b"),
        ("", "b"),
    ];
    for (name, value) in malformed {
        let expected = Err(InvalidResponse::Header(name.to_owned()));
        assert_eq!(accept_response(&upgrade, None, None, &[(name, value)]), expected);
        assert_eq!(response(200, &[(name, value)], b""), expected);
    }
    for name in ["Connection", "content-length", "Transfer-Encoding", "Sec-WebSocket-Extensions"] {
        let expected = Err(InvalidResponse::ReservedHeader(name.to_owned()));
        assert_eq!(accept_response(&upgrade, None, None, &[(name, "x")]), expected);
        assert_eq!(response(200, &[(name, "x")], b""), expected);
    }
}

#[test]
fn a_plain_answer_closes_and_states_its_length() {
    let answer = response(200, &[("Content-Type", "text/html")], b"<p>").expect("fine");
    let expected = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\
        Content-Type: text/html\r\n\r\n<p>";
    assert_eq!(String::from_utf8(answer), Ok(expected.to_owned()));
    let empty = String::from_utf8(response(204, &[], b"").expect("fine")).expect("text");
    assert_eq!(empty, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    for status in [0, 100, 101, 199, 600, 65_535] {
        assert_eq!(response(status, &[], b""), Err(InvalidResponse::Status(status)));
    }
}
