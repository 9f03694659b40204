//! The client's handshake against the server's, and against answers that must not open it.

use corecast_wire::client::{self, ResponseError};
use corecast_wire::handshake::{InvalidResponse, accept_response, response};
use corecast_wire::{Request, Upgrade};
use proptest::prelude::*;

proptest! {
    #[test]
    fn both_sides_agree(nonce in any::<[u8; 16]>(), offered in 0_usize..4, chosen in 0_usize..4) {
        let protocols = &["a", "b.v1", "c+d"][..offered.min(3)];
        let key = client::key(nonce);
        let extra = [("Origin", "https://example.com")];
        let request = client::request("host:9001", "/ws/x?y=z", &key, protocols, &extra);
        let request = request.expect("valid parts");
        let upgrade = Upgrade::parse(Request::parse(&request).expect("HTTP")).expect("an upgrade");
        prop_assert_eq!(upgrade.path(), "/ws/x");
        prop_assert_eq!(upgrade.query(), Some("y=z"));
        prop_assert_eq!(upgrade.origin(), Some("https://example.com"));
        prop_assert_eq!(upgrade.protocols().collect::<Vec<_>>(), protocols);
        let chosen = protocols.get(chosen).copied();
        let extra = [("X-Id", "7")];
        let answer = accept_response(&upgrade, chosen, None, &extra).expect("valid parts");
        let response = client::verify(&answer, &key, protocols).expect("accepted");
        prop_assert_eq!(response.subprotocol, chosen);
        prop_assert_eq!(response.header("x-id"), Some("7"));
        let other = client::key(nonce.map(|byte| !byte));
        let refused = client::verify(&answer, &other, protocols).err();
        prop_assert_eq!(refused, Some(ResponseError::Accept));
    }
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn verify(line: &str, fields: &[&str]) -> Option<ResponseError> {
    let head = format!("{line}\r\n{}\r\n\r\n", fields.join("\r\n"));
    client::verify(head.as_bytes(), KEY, &["chat"]).err()
}

#[test]
fn answers_that_open_the_connection() {
    let line = "HTTP/1.1 101 Switching Protocols";
    for fields in [
        ["Upgrade: websocket", "Connection: Upgrade", ACCEPT].as_slice(),
        &["UPGRADE: WebSocket", "connection: keep-alive, upgrade", ACCEPT],
        &["Upgrade: websocket", "Connection: Upgrade", ACCEPT, "Sec-WebSocket-Protocol: chat"],
    ] {
        assert_eq!(verify(line, fields), None, "{fields:?}");
    }
}

#[test]
fn answers_that_do_not() {
    let line = "HTTP/1.1 101 Switching Protocols";
    let (upgrade, connection) = ("Upgrade: websocket", "Connection: Upgrade");
    let wrong = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=";
    let extension = "Sec-WebSocket-Extensions: permessage-deflate";
    let not_offered = ResponseError::Extension("permessage-deflate".to_owned());
    let cases: Vec<(Vec<&str>, ResponseError)> = vec![
        (vec![connection, ACCEPT], ResponseError::Upgrade),
        (vec!["Upgrade: h2c", connection, ACCEPT], ResponseError::Upgrade),
        (vec!["Upgrade: h2c, websocket", connection, ACCEPT], ResponseError::Upgrade),
        (vec![upgrade, ACCEPT], ResponseError::Connection),
        (vec![upgrade, connection], ResponseError::Accept),
        (vec![upgrade, connection, wrong], ResponseError::Accept),
        (vec![upgrade, connection, ACCEPT, ACCEPT], ResponseError::Accept),
        (vec![upgrade, connection, ACCEPT, extension], not_offered),
        (
            vec![upgrade, connection, ACCEPT, "Sec-WebSocket-Protocol: other"],
            ResponseError::Subprotocol("other".to_owned()),
        ),
    ];
    for (fields, error) in cases {
        assert_eq!(verify(line, &fields), Some(error), "{fields:?}");
    }
    let plain = response(403, &[], b"no").expect("valid parts");
    let head = plain.len() - 2;
    let outcome = client::verify(&plain[..head], KEY, &[]).err();
    assert_eq!(outcome, Some(ResponseError::Status(403)));
    assert!(matches!(verify("HTTP/1.0 101 X", &[ACCEPT]), Some(ResponseError::Malformed(_))));
    assert!(matches!(verify("garbage", &[ACCEPT]), Some(ResponseError::Malformed(_))));
}

#[test]
fn a_request_cannot_be_split_by_its_parts() {
    let bad = "a\r\nX: y";
    for (host, target, key, protocol, value) in [
        (bad, "/", KEY, "p", "v"),
        ("h", "/\r\nX: y", KEY, "p", "v"),
        ("h", "/a b", KEY, "p", "v"),
        ("h", "no-slash", KEY, "p", "v"),
        ("h", "/#fragment", KEY, "p", "v"),
        ("h", "/", bad, "p", "v"),
        ("h", "/", KEY, bad, "v"),
        ("h", "/", KEY, "p", bad),
    ] {
        let request = client::request(host, target, key, &[protocol], &[("X-V", value)]);
        assert!(matches!(request, Err(InvalidResponse::Header(_))), "{request:?}");
    }
}
