//! What a plain GET on the WebSocket port is answered: a table of responses, encoded once at the
//! start.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use corecast_wire::handshake::{InvalidResponse, response};

use crate::limits;

/// Pre-encoded HTTP responses by path, and which paths are WebSocket paths.
#[derive(Clone)]
pub struct Pages {
    responses: HashMap<String, Bytes>,
    is_socket_path: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

/// Why a page was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The path does not begin with a slash.
    #[error("page path {0:?} does not begin with '/'")]
    Path(String),
    /// More pages than [`limits::PAGES_MAX`].
    #[error("more than {} pages", limits::PAGES_MAX)]
    TooMany,
    /// The content type is no header value.
    #[error(transparent)]
    Header(#[from] InvalidResponse),
}

impl Default for Pages {
    fn default() -> Self {
        let mut pages =
            Self { responses: HashMap::new(), is_socket_path: Arc::new(|path| path != "/") };
        let health = pages.add("/healthz", "text/plain; charset=utf-8", b"ok\n");
        assert_eq!(health, Ok(()), "the built-in page is well-formed");
        pages
    }
}

impl Pages {
    /// Adds a page.
    ///
    /// # Errors
    /// When the path is no path, or the table is full.
    pub fn add(&mut self, path: &str, content_type: &str, body: &[u8]) -> Result<(), PageError> {
        if !path.starts_with('/') {
            return Err(PageError::Path(path.to_owned()));
        }
        if self.responses.len() == limits::PAGES_MAX {
            return Err(PageError::TooMany);
        }
        let headers = [
            ("Content-Type", content_type),
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
        ];
        let response = Bytes::from(response(200, &headers, body)?);
        self.responses.insert(path.to_owned(), response);
        Ok(())
    }

    /// Says which paths are WebSocket paths: a plain GET there is answered 426, elsewhere 404.
    pub fn socket_path(&mut self, is_socket_path: impl Fn(&str) -> bool + Send + Sync + 'static) {
        self.is_socket_path = Arc::new(is_socket_path);
    }

    /// The answer to a plain request: that to a GET, without its body to a HEAD, 405 to any other
    /// method.
    #[must_use]
    pub fn answer(&self, method: &str, path: &str) -> Bytes {
        match method {
            "GET" => self.get(path),
            "HEAD" => {
                let answer = self.get(path);
                let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
                head.map_or(answer.clone(), |head| answer.slice(..head + 4))
            }
            _ => {
                let body = b"only GET and HEAD are answered here\n";
                response(405, &[("Allow", "GET, HEAD")], body)
                    .map_or_else(|_| Bytes::new(), Bytes::from)
            }
        }
    }

    fn get(&self, path: &str) -> Bytes {
        if let Some(found) = self.responses.get(path) {
            return found.clone();
        }
        let (status, headers, body): (_, &[(&str, &str)], _) = if (self.is_socket_path)(path) {
            let headers = &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")];
            (426, headers, "this is a WebSocket path: connect with ws://\n")
        } else {
            (404, &[], "nothing here\n")
        };
        response(status, headers, body.as_bytes()).map_or_else(|_| Bytes::new(), Bytes::from)
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("paths", &self.responses.keys()).finish_non_exhaustive()
    }
}
