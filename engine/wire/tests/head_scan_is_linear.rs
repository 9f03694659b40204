//! Finding the end of a head costs each byte once, however it arrives (tungstenite's
//! CVE-2023-43669 was a re-parse from the start at each byte).

use corecast_wire::handshake::HeadScanner;
use corecast_wire::limits::{HEAD_BYTES_MAX, REQUEST_LINE_BYTES_MAX};
use corecast_wire::{HandshakeError, Request};

const HEAD: &[u8] = b"GET /ws?x=1 HTTP/1.1\r\nHost: a\r\nX-Long: 0123456789\r\n\r\n";

#[test]
fn any_split_finds_the_same_end() {
    let stream = [HEAD, b"\x81\x85frames"].concat();
    for first in 0..=stream.len() {
        for second in [1, 2, 3, stream.len()] {
            let mut scanner = HeadScanner::new();
            let mut fed = 0;
            let mut end = None;
            let (one, rest) = stream.split_at(first);
            let (two, three) = rest.split_at(second.min(rest.len()));
            for piece in [one, two, three] {
                if end.is_none() {
                    end = scanner.feed(piece).expect("a valid head").map(|bytes| fed + bytes);
                    fed += piece.len();
                }
            }
            assert_eq!(end, Some(HEAD.len()), "cut at {first} and {second} more");
            assert_eq!(scanner.scanned_bytes(), HEAD.len(), "each byte is looked at once");
        }
    }
}

#[test]
fn sixty_four_kib_in_one_byte_writes_are_refused_at_the_limit_and_cost_nothing_more() {
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    while head.len() < 64 * 1024 {
        head.extend(b"X-Filler: 0123456789012345678901234567890123456789\r\n");
    }
    let mut scanner = HeadScanner::new();
    let refused = head.iter().position(|byte| scanner.feed(&[*byte]).is_err());
    assert_eq!(refused, Some(HEAD_BYTES_MAX - 1));
    for byte in &head[HEAD_BYTES_MAX..] {
        assert_eq!(scanner.feed(&[*byte]), Err(HandshakeError::HeadTooLong));
    }
    assert_eq!(scanner.scanned_bytes(), HEAD_BYTES_MAX, "what follows is not looked at");
    let mut whole = HeadScanner::new();
    assert_eq!(whole.feed(&head), Err(HandshakeError::HeadTooLong));
    assert_eq!(whole.scanned_bytes(), HEAD_BYTES_MAX);
}

#[test]
fn a_head_of_just_the_allowed_length_passes() {
    for (filler, refused) in [(HEAD_BYTES_MAX, false), (HEAD_BYTES_MAX + 1, true)] {
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
        head.resize(filler - 4, b'x');
        head.extend(b"\r\n\r\n");
        let outcome = HeadScanner::new().feed(&head);
        assert_eq!(outcome.is_err(), refused, "{} bytes", head.len());
        assert_eq!(Request::parse(&head).is_err(), refused, "{} bytes", head.len());
    }
}

#[test]
fn a_request_line_without_end_is_414() {
    let mut scanner = HeadScanner::new();
    let line = vec![b'a'; 64 * 1024];
    let error = scanner.feed(&line).expect_err("too long");
    assert_eq!((error, error.status()), (HandshakeError::RequestLineTooLong, 414));
    assert_eq!(scanner.scanned_bytes(), REQUEST_LINE_BYTES_MAX);
}

#[test]
fn what_no_head_contains_is_refused_at_its_first_byte() {
    let cases: [(&[u8], HandshakeError); 12] = [
        (b"GET / HTTP/1.1\n", HandshakeError::BareLineEnd),
        (b"GET / HTTP/1.1\r\nHost: a\n", HandshakeError::BareLineEnd),
        (b"GET / HTTP/1.1\rX", HandshakeError::BareLineEnd),
        (b"GET / HTTP/1.1\r\r", HandshakeError::BareLineEnd),
        (b"GET / HTTP/1.1\r\nHost: a\r\n ", HandshakeError::FoldedHeader),
        (b"GET / HTTP/1.1\r\n\t", HandshakeError::FoldedHeader),
        (b" ", HandshakeError::FoldedHeader),
        (b"\r\n", HandshakeError::Malformed),
        (b"GET / HTTP/1.1\r\nHost: a\x00", HandshakeError::Malformed),
        (b"GET / HTTP/1.1\r\nHost: a\x7f", HandshakeError::Malformed),
        // The start of a TLS handshake, and of HTTP/2 after its valid first head.
        (b"\x16", HandshakeError::Malformed),
        (b"\x1b", HandshakeError::Malformed),
    ];
    for (head, error) in cases {
        let mut scanner = HeadScanner::new();
        let before = &head[..head.len() - 1];
        assert_eq!(scanner.feed(before), Ok(None), "{}", head.escape_ascii());
        assert_eq!(scanner.feed(&head[before.len()..]), Err(error), "{}", head.escape_ascii());
        assert_eq!(error.status(), 400);
    }
}
