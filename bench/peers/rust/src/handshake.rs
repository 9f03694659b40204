//! The opening handshake of a server, for peers whose library leaves it to others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A longer head is refused.
pub const HEAD_BYTES_MAX: usize = 16 << 10;

const HEADERS_MAX: usize = 64;
/// RFC 6455 §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request that was understood, and its answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What the client asked for, such as `/ws/quotes`.
    pub path: String,
    /// The bytes of the answer.
    pub answer: Vec<u8>,
    /// Bytes of the request's head.
    pub head_bytes: usize,
}

/// Reads a request's head; `None` when it has not arrived whole.
///
/// # Errors
/// When it is no request for a WebSocket, or too long; the text says which.
pub fn accept(bytes: &[u8]) -> Result<Option<Accepted>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let head_bytes = match request.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(httparse::Status::Partial) => return Err("the request's head is too long"),
        Err(_) => return Err("not an HTTP request"),
    };
    let path = request.path.unwrap_or_default().to_owned();
    let key = request
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"))
        .ok_or("not a request for a WebSocket")?;
    let mut sha1 = sha1_smol::Sha1::from(key.value);
    sha1.update(GUID);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        STANDARD.encode(sha1.digest().bytes())
    );
    Ok(Some(Accepted { path, answer: answer.into_bytes(), head_bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 §1.3.
    const REQUEST: &[u8] = b"GET /ws/chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nsec-websocket-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    #[test]
    fn the_example_is_answered_as_in_the_rfc() {
        let accepted = accept(REQUEST).unwrap().unwrap();
        let answer = String::from_utf8(accepted.answer).unwrap();
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
        assert_eq!((accepted.path.as_str(), accepted.head_bytes), ("/ws/chat", REQUEST.len()));
    }

    #[test]
    fn every_beginning_of_a_request_is_waited_with() {
        for end in 0..REQUEST.len() {
            assert_eq!(accept(&REQUEST[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn others_and_endless_ones_are_refused() {
        assert!(accept(b"GET / HTTP/1.1\r\n\r\n").is_err());
        assert!(accept(b"\x16\x03\x01\x02\x00").is_err());
        let mut endless = b"GET / HTTP/1.1\r\nA: ".to_vec();
        endless.resize(HEAD_BYTES_MAX, b'a');
        assert!(accept(&endless).is_err());
    }
}
