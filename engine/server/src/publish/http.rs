//! A small HTTP/1.1 client for the admin port: one connection, answers with a length.

use std::fmt;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// Where the admin port is: `http://HOST[:PORT][/PATH]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    host: String,
    port: u16,
    /// What stands before `/publish`, without a slash at the end.
    prefix: String,
}

/// One server, by one connection at a time.
#[derive(Debug)]
pub(crate) struct Client {
    url: Url,
    authorization: Option<HeaderValue>,
    stream: Option<(TcpStream, Instant)>,
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// From `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// Nobody is there.
    Connect(io::Error),
    /// It broke off, or took too long. Whether the request was handled is not known.
    Broken(String),
}

impl Client {
    pub(crate) fn new(url: Url) -> Self {
        Self { url, authorization: None, stream: None }
    }

    /// Sends this with each request.
    pub(crate) fn with_authorization(self, authorization: Option<HeaderValue>) -> Self {
        Self { authorization, ..self }
    }

    /// Sends one request with a body and reads its answer. Nothing is sent twice: where the
    /// connection breaks nobody knows whether it was handled.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub(crate) async fn post(
        &mut self,
        target: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Answer, HttpError> {
        let fields = format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
        self.exchange("POST", target, &fields, body).await
    }

    /// Asks for something.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub(crate) async fn get(&mut self, target: &str) -> Result<Answer, HttpError> {
        self.exchange("GET", target, "", b"").await
    }

    async fn exchange(
        &mut self,
        method: &str,
        target: &str,
        fields: &str,
        body: &[u8],
    ) -> Result<Answer, HttpError> {
        let mut stream = match self.stream.take() {
            // The server closes a connection after a minute of silence.
            Some((stream, used_at)) if used_at.elapsed() < REUSE_WITHIN => stream,
            _ => self.connect().await?,
        };
        let Url { host, port, prefix } = &self.url;
        let token = self.authorization.as_ref().and_then(|value| value.to_str().ok());
        let token = token.map(|token| format!("Authorization: {token}\r\n")).unwrap_or_default();
        let head = format!(
            "{method} {prefix}{target} HTTP/1.1\r\nHost: {host}:{port}\r\n{fields}{token}\
             User-Agent: corecast/{}\r\n\r\n",
            env!("CARGO_PKG_VERSION"),
        );
        let exchange = async {
            stream
                .write_all(&[head.as_bytes(), body].concat())
                .await
                .map_err(|error| broken(&error))?;
            read_answer(&mut stream).await
        };
        let (answer, reusable) = timeout(ANSWER_WITHIN, exchange).await.map_err(|_| {
            HttpError::Broken(format!("no answer within {} s", ANSWER_WITHIN.as_secs()))
        })??;
        if reusable {
            self.stream = Some((stream, Instant::now()));
        }
        Ok(answer)
    }

    async fn connect(&self) -> Result<TcpStream, HttpError> {
        let connecting = TcpStream::connect((self.url.host.as_str(), self.url.port));
        let stream = timeout(CONNECT_WITHIN, connecting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(HttpError::Connect)?;
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

async fn read_answer(stream: &mut TcpStream) -> Result<(Answer, bool), HttpError> {
    let mut bytes = Vec::with_capacity(4_096);
    loop {
        if let Some((head_bytes, head)) = parse_head(&bytes)? {
            let whole = head_bytes + head.body_bytes;
            while bytes.len() < whole {
                read_some(stream, &mut bytes).await?;
            }
            let body = bytes[head_bytes..whole].to_vec();
            let Head { status, retry_after, .. } = head;
            return Ok((Answer { status, retry_after, body }, head.reusable));
        }
        if bytes.len() > HEAD_BYTES_MAX {
            return Err(HttpError::Broken("the answer's head is too long".to_owned()));
        }
        read_some(stream, &mut bytes).await?;
    }
}

async fn read_some(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<(), HttpError> {
    match stream.read_buf(bytes).await {
        Ok(0) => Err(HttpError::Broken("the server closed the connection".to_owned())),
        Ok(_) => Ok(()),
        Err(error) => Err(broken(&error)),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    retry_after: Option<Duration>,
    body_bytes: usize,
    reusable: bool,
}

/// The length of the head and what it says, once it is complete.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, Head)>, HttpError> {
    let wrong = |what: &str| HttpError::Broken(format!("the answer is no HTTP: {what}"));
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes).map_err(|error| wrong(&error.to_string()))?;
    let httparse::Status::Complete(head_bytes) = parsed else { return Ok(None) };
    let field = |name: &str| {
        let mut named = response.headers.iter().filter(|one| one.name.eq_ignore_ascii_case(name));
        named.next().and_then(|one| std::str::from_utf8(one.value).ok()).map(str::trim)
    };
    let length = field("content-length").and_then(|length| length.parse().ok());
    let body_bytes: usize = length.ok_or_else(|| wrong("it has no Content-Length"))?;
    if body_bytes > BODY_BYTES_MAX {
        return Err(wrong("its body is too long"));
    }
    let seconds = field("retry-after").and_then(|seconds| seconds.parse().ok());
    let closes = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let head = Head {
        status: response.code.unwrap_or_default(),
        retry_after: seconds.map(Duration::from_secs),
        body_bytes,
        reusable: !closes && response.version == Some(1),
    };
    Ok(Some((head_bytes, head)))
}

fn broken(error: &io::Error) -> HttpError {
    HttpError::Broken(error.to_string())
}

impl std::str::FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected http://HOST:PORT, such as http://127.0.0.1:9002".to_owned();
        if text.starts_with("https://") {
            return Err("the admin port speaks no TLS: use http://".to_owned());
        }
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        if rest.contains(['?', '#', '@', ' ', '\r', '\n']) {
            return Err(wrong());
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let bracketed = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (host, port) = match bracketed {
            Some((host, "")) => (host, "80"),
            Some((host, port)) => (host, port.strip_prefix(':').ok_or_else(wrong)?),
            None => authority.split_once(':').unwrap_or((authority, "80")),
        };
        let port = port.parse().map_err(|_| wrong())?;
        if host.is_empty() {
            return Err(wrong());
        }
        let prefix = path.trim_end_matches('/').to_owned();
        Ok(Self { host: host.to_owned(), port, prefix })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, prefix } = self;
        if host.contains(':') {
            write!(f, "http://[{host}]:{port}{prefix}")
        } else {
            write!(f, "http://{host}:{port}{prefix}")
        }
    }
}

/// `text` with all that is special in a query written as `%XX` (RFC 3986 §2.1).
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header fields of an answer.
const HEADERS_MAX: usize = 64;
/// Bytes of an answer's body: the results of the largest batch.
const BODY_BYTES_MAX: usize = 64 << 20;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const REUSE_WITHIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        for (text, shown) in [
            ("http://127.0.0.1:9002", "http://127.0.0.1:9002"),
            ("http://localhost:1/", "http://localhost:1"),
            ("http://[::1]:9002/admin/", "http://[::1]:9002/admin"),
            ("http://example.org", "http://example.org:80"),
        ] {
            assert_eq!(text.parse::<Url>().map(|url| url.to_string()), Ok(shown.to_owned()));
        }
        for bad in ["", "127.0.0.1:9002", "http://", "http://:1", "http://a:x", "http://a/?b"] {
            let error = bad.parse::<Url>().expect_err(bad);
            assert!(error.contains("http://HOST"), "{bad}: {error}");
        }
        assert!("https://a".parse::<Url>().expect_err("TLS").contains("no TLS"));
    }

    #[test]
    fn heads_are_read_when_they_are_complete() {
        let text =
            "HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\nContent-Length: 3\r\n\r\n";
        for end in 0..text.len() {
            assert!(matches!(parse_head(&text.as_bytes()[..end]), Ok(None)), "{end}");
        }
        let (bytes, head) = parse_head(text.as_bytes()).expect("HTTP").expect("complete");
        let retry_after = Some(Duration::from_secs(2));
        assert_eq!(bytes, text.len());
        assert_eq!(head, Head { status: 503, retry_after, body_bytes: 3, reusable: true });
        for bad in ["SSH-2.0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(matches!(parse_head(bad.as_bytes()), Err(HttpError::Broken(_))), "{bad}");
        }
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(percent_encoded("a.b-1_~"), "a.b-1_~");
        assert_eq!(percent_encoded("a b&c=é/+"), "a%20b%26c%3D%C3%A9%2F%2B");
    }
}
