//! An offer is accepted that should be declined, an answer says what was not offered, or a client
//! is refused what it may ask for.

use corecast_wire::deflate::{Agreed, negotiate};
use corecast_wire::handshake::accept_response;
use corecast_wire::{HandshakeError, Request, Upgrade};

/// What becomes of the values of `Sec-WebSocket-Extensions`: the answer's, or none.
fn answer(values: &[&str], client_takeover: bool) -> Result<Option<Agreed>, HandshakeError> {
    let mut head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        .to_owned();
    for value in values {
        head.push_str(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
    }
    head.push_str("\r\n");
    let upgrade = Upgrade::parse(Request::parse(head.as_bytes())?)?;
    let agreed = negotiate(upgrade.extensions(), client_takeover);
    let answer = accept_response(&upgrade, None, agreed.as_ref(), &[]).expect("a valid answer");
    let answer = String::from_utf8(answer).expect("text");
    let extensions: Vec<_> =
        answer.lines().filter_map(|l| l.strip_prefix("Sec-WebSocket-Extensions: ")).collect();
    assert_eq!(extensions, agreed.iter().map(Agreed::response).collect::<Vec<_>>());
    Ok(agreed)
}

const OURS: &str = "permessage-deflate; server_no_context_takeover";
const BOTH: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

#[test]
fn each_valid_offer_is_accepted_as_it_may_be() {
    for (offer, takeover, expected) in [
        ("permessage-deflate", false, BOTH.to_owned()),
        ("permessage-deflate", true, OURS.to_owned()),
        ("permessage-deflate; client_no_context_takeover", true, BOTH.to_owned()),
        ("permessage-deflate; server_no_context_takeover", true, OURS.to_owned()),
        ("permessage-deflate; client_max_window_bits", true, OURS.to_owned()),
        ("permessage-deflate; client_max_window_bits=8", true, OURS.to_owned()),
        ("permessage-deflate; client_max_window_bits=\"15\"", true, OURS.to_owned()),
        (
            "permessage-deflate;server_max_window_bits=15 ; client_no_context_takeover",
            true,
            format!("{BOTH}; server_max_window_bits=15"),
        ),
        (
            "permessage-deflate; server_max_window_bits=\"10\"; client_max_window_bits=9; \
             server_no_context_takeover; client_no_context_takeover",
            false,
            format!("{BOTH}; server_max_window_bits=10"),
        ),
    ] {
        let agreed = answer(&[offer], takeover).expect("well formed").expect(offer);
        assert_eq!(agreed.response(), expected, "{offer}");
        assert_eq!(agreed.is_client_takeover(), !expected.contains("client_no"), "{offer}");
        let takes_shared = !expected.contains("bits=10");
        assert_eq!(agreed.takes_shared(), takes_shared, "{offer}");
    }
    for bits in 8..=15 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        let agreed = answer(&[&offer], true).expect("well formed").expect("a window that is known");
        assert_eq!(agreed.response(), format!("{OURS}; server_max_window_bits={bits}"));
        assert_eq!(agreed.takes_shared(), bits == 15);
    }
}

#[test]
fn an_offer_with_anything_wrong_in_it_is_declined() {
    for parameters in [
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=010",
        "server_max_window_bits=+9",
        "server_max_window_bits=1e1",
        "server_max_window_bits=256",
        "server_max_window_bits=264",
        "server_max_window_bits=99999999999999999999",
        "server_max_window_bits=ten",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=09",
        "client_max_window_bits=x",
        "server_no_context_takeover=1",
        "server_no_context_takeover=true",
        "client_no_context_takeover=\"1\"",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits; client_max_window_bits=10",
        "unknown",
        "unknown=1",
        "Server_no_context_takeover",
        "client_max_window_bits; mystery",
    ] {
        let offer = format!("permessage-deflate; {parameters}");
        for takeover in [false, true] {
            assert_eq!(answer(&[&offer], takeover), Ok(None), "{parameters}");
        }
    }
    for other in ["x-webkit-deflate-frame", "permessage-bzip2", "permessage-deflate2", "x"] {
        assert_eq!(answer(&[other], true), Ok(None));
    }
    assert_eq!(answer(&[], true), Ok(None));
}

#[test]
fn the_first_offer_that_can_be_accepted_is() {
    let first = "permessage-deflate; server_max_window_bits=10";
    let second = "permessage-deflate; client_max_window_bits";
    let bad = "permessage-deflate; server_max_window_bits=99";
    let (ten, plain) = (format!("{OURS}; server_max_window_bits=10"), OURS.to_owned());
    for (values, expected) in [
        (vec![format!("{first}, {second}")], &ten),
        (vec![format!("{second}, {first}")], &plain),
        (vec![format!("{bad}, {second}")], &plain),
        (vec![format!("foo; a=b, {bad},{bad} ,{first}")], &ten),
        (vec![bad.to_owned(), first.to_owned(), second.to_owned()], &ten),
    ] {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let agreed = answer(&values, true).expect("well formed").expect("one is fine");
        assert_eq!(agreed.response(), *expected, "{values:?}");
    }
}

#[test]
fn what_is_no_list_of_offers_fails_the_handshake() {
    for malformed in [
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=\"1 0\"",
        "permessage-deflate; =10",
        "permessage-deflate;",
        "permessage deflate",
        "permessage-deflate; server_max_window_bits=\"10",
    ] {
        assert_eq!(answer(&[malformed], true), Err(HandshakeError::Extensions), "{malformed}");
    }
}
