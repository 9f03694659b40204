//! What a proxy says, well and badly: the PROXY protocol byte by byte, and the header fields whose
//! left end a client can write.

use std::net::SocketAddr;

use corecast_gate::network::Network;
use corecast_gate::proxy::limits::{HOPS_MAX, V1_BYTES_MAX, V2_BYTES_MAX};
use corecast_gate::proxy::{
    Client, HopError, ProxyError, ProxyHeader, Spoken, Versions, client_by_forwarded,
    client_by_x_forwarded_for, secure_by_forwarded, secure_by_x_forwarded_proto,
};
use proptest::prelude::*;

type Fed = Result<Option<(usize, Spoken)>, ProxyError>;

fn feed(bytes: &[u8]) -> Fed {
    ProxyHeader::new(Versions::Any).feed(bytes)
}

fn client(text: &str) -> Spoken {
    Spoken::For(text.parse().expect(text))
}

/// A binary header: version and command, family, what follows.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length[..], rest].concat()
}

const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

fn ipv6() -> Vec<u8> {
    let source: std::net::Ipv6Addr = "2001:db8::1".parse().expect("an address");
    [&source.octets()[..], &[0; 16], &[0xdc, 0x04, 0x01, 0xbb]].concat()
}

#[test]
fn lines_of_version_1() {
    for (line, spoken) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", client("192.0.2.1:56324")),
        ("PROXY TCP6 2001:db8::1 ::1 56324 443\r\n", client("[2001:db8::1]:56324")),
        ("PROXY TCP4 0.0.0.0 0.0.0.0 0 65535\r\n", client("0.0.0.0:0")),
        ("PROXY UNKNOWN\r\n", Spoken::Itself),
        ("PROXY UNKNOWN ffff:f...f:ffff 65535 65535\r\n", Spoken::Itself),
    ] {
        assert_eq!(feed(line.as_bytes()), Ok(Some((line.len(), spoken))), "{line:?}");
        let more = format!("{line}GET / HTTP/1.1\r\n");
        assert_eq!(feed(more.as_bytes()), Ok(Some((line.len(), spoken))), "{more:?}");
        for end in 0..line.len() {
            assert_eq!(feed(&line.as_bytes()[..end]), Ok(None), "{:?}", &line[..end]);
        }
    }
}

#[test]
fn lines_that_are_none() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_BYTES_MAX));
    for (line, error) in [
        ("GET / HTTP/1.1\r\n", ProxyError::Signature),
        ("PROXY\r\n", ProxyError::Signature),
        ("PROXYY TCP4 1.1.1.1 1.1.1.1 1 1\r\n", ProxyError::Signature),
        (" PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n", ProxyError::Signature),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n", ProxyError::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r ", ProxyError::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", ProxyError::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n", ProxyError::Malformed),
        ("PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n", ProxyError::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n", ProxyError::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n", ProxyError::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n", ProxyError::Malformed),
        ("PROXY TCP4 1.1.1.256 1.1.1.1 1 1\r\n", ProxyError::Malformed),
        ("PROXY TCP4 ::1 ::1 1 1\r\n", ProxyError::Malformed),
        ("PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n", ProxyError::Malformed),
        ("PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n", ProxyError::Malformed),
        (long.as_str(), ProxyError::TooLong),
    ] {
        assert_eq!(feed(line.as_bytes()), Err(error), "{line:?}");
    }
    // The longest line there is: 107 bytes, the end included.
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_BYTES_MAX - 16));
    assert_eq!(longest.len(), V1_BYTES_MAX);
    assert_eq!(feed(longest.as_bytes()), Ok(Some((V1_BYTES_MAX, Spoken::Itself))));
}

#[test]
fn headers_of_version_2() {
    // Type-length-values behind the addresses, one of them longer than anybody wants.
    let tlvs = [&[0x01, 0, 2, b'h', b'2'][..], &[0x20, 0x04, 0], &[7; 1_024]].concat();
    for (bytes, spoken) in [
        (v2(0x21, 0x11, &IPV4), client("192.0.2.1:56324")),
        (v2(0x21, 0x21, &ipv6()), client("[2001:db8::1]:56324")),
        (v2(0x21, 0x11, &[&IPV4[..], &tlvs].concat()), client("192.0.2.1:56324")),
        (v2(0x21, 0x21, &[&ipv6()[..], &tlvs].concat()), client("[2001:db8::1]:56324")),
        // A Unix socket has two names of 108 bytes, and no address.
        (v2(0x21, 0x31, &[b'/'; 216]), Spoken::Itself),
        (v2(0x21, 0x00, &[]), Spoken::Itself),
        (v2(0x21, 0x00, &tlvs), Spoken::Itself),
        // LOCAL: the proxy's own health checks; what it carries is skipped.
        (v2(0x20, 0x00, &[]), Spoken::Itself),
        (v2(0x20, 0x11, &IPV4), Spoken::Itself),
        (v2(0x20, 0x99, &[1, 2, 3]), Spoken::Itself),
    ] {
        let len = bytes.len();
        assert_eq!(feed(&bytes), Ok(Some((len, spoken))), "{bytes:?}");
        assert_eq!(feed(&[&bytes[..], &[0x16, 3, 1]].concat()), Ok(Some((len, spoken))));
        for end in 0..len {
            assert_eq!(feed(&bytes[..end]), Ok(None), "{end} of {bytes:?}");
        }
    }
}

#[test]
fn binary_headers_that_are_none() {
    let mut wrong = v2(0x21, 0x11, &IPV4);
    wrong[11] = b'X';
    let long = |length: usize| v2(0x21, 0x00, &vec![0; length]);
    for (bytes, error) in [
        (wrong, ProxyError::Signature),
        (v2(0x11, 0x11, &IPV4), ProxyError::Malformed),
        (v2(0x22, 0x11, &IPV4), ProxyError::Malformed),
        (v2(0x21, 0x12, &IPV4), ProxyError::Malformed),
        (v2(0x21, 0x41, &IPV4), ProxyError::Malformed),
        (v2(0x21, 0x01, &IPV4), ProxyError::Malformed),
        // Shorter than the addresses that it announces.
        (v2(0x21, 0x11, &IPV4[..11]), ProxyError::Malformed),
        (v2(0x21, 0x21, &IPV4), ProxyError::Malformed),
        (v2(0x21, 0x31, &[b'/'; 215]), ProxyError::Malformed),
        (long(V2_BYTES_MAX - 15), ProxyError::TooLong),
    ] {
        assert_eq!(feed(&bytes), Err(error), "{bytes:?}");
    }
    assert_eq!(feed(&long(V2_BYTES_MAX - 16)), Ok(Some((V2_BYTES_MAX, Spoken::Itself))));
    // What is longer is refused with its sixteenth byte, not with its last.
    assert_eq!(feed(&long(60_000)[..16]), Err(ProxyError::TooLong));
}

#[test]
fn only_the_version_that_is_asked_for_is_taken() {
    let line = b"PROXY UNKNOWN\r\n".to_vec();
    for (versions, takes_line, takes_binary) in
        [(Versions::V1, true, false), (Versions::V2, false, true), (Versions::Any, true, true)]
    {
        assert_eq!(ProxyHeader::new(versions).feed(&line).is_ok(), takes_line);
        let binary = v2(0x20, 0, &[]);
        assert_eq!(ProxyHeader::new(versions).feed(&binary).is_ok(), takes_binary);
    }
}

proptest! {
    #[test]
    fn any_split_of_any_bytes_says_the_same(
        begin in prop::sample::select(vec![
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET".to_vec(),
            v2(0x21, 0x11, &IPV4),
            v2(0x21, 0x21, &ipv6()),
            v2(0x20, 0x00, &[9; 40]),
            Vec::new(),
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..300),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = [begin, noise].concat();
        if bytes.is_empty() {
            return Ok(());
        }
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let whole = feed(&bytes);
        let cut = cut.index(bytes.len());
        let mut header = ProxyHeader::new(Versions::Any);
        let split = match header.feed(&bytes[..cut]) {
            Ok(None) => header.feed(&bytes[cut..]).map(|fed| fed.map(|(n, it)| (n + cut, it))),
            done => done,
        };
        prop_assert_eq!(whole, split);
        // However long it goes on: it is decided within its bound.
        let mut header = ProxyHeader::new(Versions::Any);
        let endless = bytes.iter().cycle().take(V2_BYTES_MAX + 1).copied().collect::<Vec<_>>();
        prop_assert!(header.feed(&endless) != Ok(None));
    }
}

fn trusted() -> Vec<Network> {
    ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().expect(text)).to_vec()
}

fn by_list(lines: &[&str]) -> Result<Client, HopError> {
    client_by_x_forwarded_for(lines.iter().copied(), &trusted())
}

fn by_forwarded(lines: &[&str]) -> Result<Client, HopError> {
    client_by_forwarded(lines.iter().copied(), &trusted())
}

fn known(text: &str) -> Result<Client, HopError> {
    let bare = || SocketAddr::new(text.parse().expect(text), 0);
    Ok(Client::Known(text.parse().unwrap_or_else(|_| bare())))
}

#[test]
fn what_a_client_wrote_itself_is_not_believed() {
    for (lines, client) in [
        (&["192.0.2.1"][..], known("192.0.2.1")),
        (&["1.2.3.4, 192.0.2.1"], known("192.0.2.1")),
        (&["10.0.0.9, 192.0.2.1, 10.0.0.2,10.0.0.3"], known("192.0.2.1")),
        (&["1.2.3.4", "192.0.2.1", "10.0.0.2"], known("192.0.2.1")),
        (&["nonsense, 192.0.2.1"], known("192.0.2.1")),
        (&["'; drop table, ,192.0.2.1 , "], known("192.0.2.1")),
        (&["192.0.2.1:8080"], known("192.0.2.1:8080")),
        (&["[2001:db8::1]:8080, fd00::1"], known("[2001:db8::1]:8080")),
        (&["[2001:db8::1]"], known("2001:db8::1")),
        (&["2001:db8::1"], known("2001:db8::1")),
        (&["::ffff:10.0.0.1, ::ffff:10.0.0.2"], known("::ffff:10.0.0.1")),
        // All of them are proxies: the farthest is who asks.
        (&["10.0.0.1, 10.0.0.2"], known("10.0.0.1")),
        // Nobody says.
        (&[], Ok(Client::Unsaid)),
        (&["", " , "], Ok(Client::Unsaid)),
        (&["1.2.3.4, unknown"], Ok(Client::Unsaid)),
        (&["1.2.3.4, unknown, 10.0.0.2"], known("10.0.0.2")),
        // A proxy says what cannot be understood.
        (&["192.0.2.1, nonsense"], Err(HopError::Malformed)),
        (&["192.0.2.1, 300.1.1.1"], Err(HopError::Malformed)),
        (&["192.0.2.1, 1.1.1.1:x"], Err(HopError::Malformed)),
        (&["[::1"], Err(HopError::Malformed)),
    ] {
        assert_eq!(by_list(lines), client, "{lines:?}");
    }
    let row = ["10.0.0.1"; HOPS_MAX].join(",");
    assert_eq!(by_list(&[&row]), known("10.0.0.1"));
    assert_eq!(by_list(&["10.0.0.1", &row]), Err(HopError::TooMany));
    let long = format!("{}192.0.2.1", "10.0.0.1,".repeat(10_000));
    assert_eq!(by_list(&[&long]), known("192.0.2.1"), "only the right end is walked");
}

#[test]
fn forwarded_elements_with_quotes_and_hidden_names() {
    for (lines, client) in [
        (&["for=192.0.2.1"][..], known("192.0.2.1")),
        (&["FOR=\"192.0.2.1:80\";proto=http;by=10.0.0.1"], known("192.0.2.1:80")),
        (&["for=\"[2001:db8:cafe::17]:4711\""], known("[2001:db8:cafe::17]:4711")),
        (&["for=\"\\[2001:db8::1]\""], known("2001:db8::1")),
        (&["for=[2001:db8::1]"], known("2001:db8::1")),
        (&["for=1.2.3.4, for=192.0.2.1;secret=\"a,b;c\\\"d\" , for=10.0.0.1"], known("192.0.2.1")),
        (&["for=1.2.3.4", "for=192.0.2.1", "for=10.0.0.1"], known("192.0.2.1")),
        (&["for=192.0.2.1:_hidden"], known("192.0.2.1")),
        (&[" , for=192.0.2.1;, ,"], known("192.0.2.1")),
        (&["for=1.2.3.4, for=_gazonk"], Ok(Client::Unsaid)),
        (&["for=1.2.3.4, for=\"unknown\""], Ok(Client::Unsaid)),
        (&["for=1.2.3.4, for=_mine, for=10.0.0.7"], known("10.0.0.7")),
        // A proxy that adds no `for` does not say who came.
        (&["for=1.2.3.4, proto=https"], Ok(Client::Unsaid)),
        (&[], Ok(Client::Unsaid)),
        (&["for=192.0.2.1, for=nonsense"], Err(HopError::Malformed)),
        (&["for=192.0.2.1;for=192.0.2.2"], Err(HopError::Malformed)),
        (&["for=_"], Err(HopError::Malformed)),
        (&["for="], Err(HopError::Malformed)),
        (&["192.0.2.1"], Err(HopError::Malformed)),
    ] {
        assert_eq!(by_forwarded(lines), client, "{lines:?}");
    }
}

#[test]
fn how_a_client_came_is_said_by_the_proxy_that_it_came_to() {
    for (lines, is_secure) in [
        (&["https"][..], Some(true)),
        (&[" HTTPS "], Some(true)),
        (&["wss"], Some(true)),
        (&["http"], Some(false)),
        (&["https,https", "https"], Some(true)),
        // Two that differ: one of them may be the client's own word.
        (&["https, http"], None),
        (&["http", "https"], None),
        (&["https, "], None),
        (&["spdy"], None),
        (&[""], None),
        (&[], None),
    ] {
        assert_eq!(secure_by_x_forwarded_proto(lines.iter().copied()), is_secure, "{lines:?}");
    }
    let trusted: [Network; 1] = ["10.0.0.0/8".parse().expect("a network")];
    for (lines, is_secure) in [
        (&["for=192.0.2.1;proto=https"][..], Some(true)),
        (&["proto=HTTP;for=192.0.2.1"], Some(false)),
        (&["for=192.0.2.1;proto=\"https\", for=10.0.0.1;proto=http"], Some(true)),
        // What stands to the left of who is not believed is anybody's.
        (&["for=1.2.3.4;proto=https, for=192.0.2.1;proto=http"], Some(false)),
        (&["for=1.2.3.4;proto=https", "for=192.0.2.1"], None),
        (&["for=1.2.3.4;proto=https, for=_hidden;proto=http"], Some(false)),
        (&["for=192.0.2.1;proto=https, for=nonsense"], None),
        (&[], None),
    ] {
        assert_eq!(secure_by_forwarded(lines.iter().copied(), &trusted), is_secure, "{lines:?}");
    }
}

#[test]
fn an_open_quote_does_not_swallow_what_the_proxy_adds() {
    for left in ["for=\"", "for=9.9.9.9, for=\"", "for=9.9.9.9;x=\"", "x=\"\\", "for=\"a\\\""] {
        for right in ["for=192.0.2.1", "for=\"[2001:db8::1]\"", "for=\"192.0.2.1:80\";by=\"x\""] {
            let joined = format!("{left}, {right}");
            let said = by_forwarded(&[&joined]);
            let is_fooled = matches!(said, Ok(Client::Known(client))
                if !["192.0.2.1", "2001:db8::1"].contains(&client.ip().to_string().as_str()));
            assert!(!is_fooled && said != Ok(Client::Unsaid), "{joined:?}: {said:?}");
            // In a line of its own, what the proxy says is not touched by what it was sent.
            let alone = by_forwarded(&[left, right]);
            assert!(matches!(alone, Ok(Client::Known(_))), "{left:?} {right:?}: {alone:?}");
        }
    }
}

proptest! {
    #[test]
    fn the_proxys_own_word_wins_over_any_text_in_front(text in "[ -~]{0,80}") {
        let said = by_list(&[&format!("{text}, 192.0.2.1")]);
        prop_assert_eq!(said, known("192.0.2.1"));
        prop_assert_eq!(by_forwarded(&[&text, "for=192.0.2.1"]), known("192.0.2.1"));
        let joined = by_forwarded(&[&format!("{text}, for=192.0.2.1")]);
        prop_assert!(joined.is_err() || joined == known("192.0.2.1"), "{:?}", joined);
    }
}
