//! Which path of the WebSocket port means what.

use std::borrow::Cow;
use std::sync::Arc;

/// Where topics hang.
const TOPICS: &str = "/ws/";
/// Where messages come back, when `--echo` asks for it.
const ECHO: &str = "/echo";

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// To join this topic. The engine judges the name.
    Topic(Cow<'a, str>),
    /// To get each message back.
    Echo,
    /// To speak the feed protocol.
    Feed,
}

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteError {
    /// Nothing is there: 404.
    Unknown,
    /// A percent sign without two hexadecimal digits, or bytes that are not UTF-8: 400.
    Encoding,
}

/// The paths that exist.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    /// Whether `/echo` exists.
    pub(crate) echo: bool,
    /// The path of the feed, where there is one.
    pub(crate) feed: Option<Arc<str>>,
}

impl Routes {
    /// What `path`, without its query, asks for.
    ///
    /// # Errors
    ///
    /// When it asks for nothing.
    pub(crate) fn resolve<'a>(&self, path: &'a str) -> Result<Route<'a>, RouteError> {
        if path == ECHO && self.echo {
            return Ok(Route::Echo);
        }
        if self.feed.as_deref() == Some(path) {
            return Ok(Route::Feed);
        }
        let topic = path.strip_prefix(TOPICS).ok_or(RouteError::Unknown)?;
        percent_decoded(topic).map(Route::Topic).ok_or(RouteError::Encoding)
    }

    /// Whether a WebSocket may be had at `path`: a plain GET there is answered 426, elsewhere 404.
    pub(crate) fn is_socket_path(&self, path: &str) -> bool {
        self.resolve(path) != Err(RouteError::Unknown)
    }
}

/// `%` and two hexadecimal digits become the byte they mean (RFC 3986 §2.1).
pub(crate) fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
        rest = after;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Result<Route<'_>, RouteError> {
        Ok(Route::Topic(name.into()))
    }

    #[test]
    fn topics_hang_under_ws() {
        let routes = Routes::default();
        assert_eq!(routes.resolve("/ws/quote.BTCUSDT"), topic("quote.BTCUSDT"));
        assert_eq!(routes.resolve("/ws/a/b"), topic("a/b"));
        assert_eq!(routes.resolve("/ws/a%3Ab%2fc"), topic("a:b/c"));
        assert_eq!(routes.resolve("/ws/%E2%82%AC"), topic("€"));
        assert_eq!(routes.resolve("/ws/"), topic(""));
    }

    #[test]
    fn everything_else_is_unknown_or_badly_encoded() {
        let routes = Routes::default();
        for path in ["/", "/ws", "/wsx", "/WS/a", "/echo", "ws/a", ""] {
            assert_eq!(routes.resolve(path), Err(RouteError::Unknown), "{path}");
            assert!(!routes.is_socket_path(path));
        }
        for path in ["/ws/%", "/ws/%4", "/ws/%zz", "/ws/%ff", "/ws/%+1"] {
            assert_eq!(routes.resolve(path), Err(RouteError::Encoding), "{path}");
            assert!(routes.is_socket_path(path));
        }
    }

    #[test]
    fn the_feed_is_where_it_was_put() {
        let routes = Routes { feed: Some("/feed".into()), ..Routes::default() };
        assert_eq!(routes.resolve("/feed"), Ok(Route::Feed));
        assert_eq!(routes.resolve("/ws/feed"), topic("feed"));
        for path in ["/feed/", "/feeds", "/echo"] {
            assert_eq!(routes.resolve(path), Err(RouteError::Unknown), "{path}");
        }
        assert_eq!(Routes::default().resolve("/feed"), Err(RouteError::Unknown));
    }

    #[test]
    fn echo_exists_only_when_asked_for() {
        let echo = Routes { echo: true, ..Routes::default() };
        assert_eq!(echo.resolve("/echo"), Ok(Route::Echo));
        assert_eq!(echo.resolve("/echo/"), Err(RouteError::Unknown));
        assert!(echo.is_socket_path("/echo"));
    }
}
