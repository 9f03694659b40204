//! Where the feed is: `ws://HOST[:PORT]/PATH`, or `wss://`.

use crate::publish::http::percent_encoded;
use corecast_feed::Subprotocol;
use std::fmt;
use std::str::FromStr;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri, header};

/// A URL that can be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FeedUrl(Uri);

impl FeedUrl {
    /// The opening handshake, as this user where one is named.
    ///
    /// # Errors
    ///
    /// When the two make no request.
    pub(crate) fn request(&self, user: Option<&str>) -> Result<Request, String> {
        let mut text = self.0.to_string();
        if let Some(user) = user {
            text.push(if self.0.query().is_some() { '&' } else { '?' });
            text.push_str("user=");
            text.push_str(&percent_encoded(user));
        }
        let mut request = text.into_client_request().map_err(|error| error.to_string())?;
        let subprotocol = HeaderValue::from_static(Subprotocol::Json.name());
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
        Ok(request)
    }
}

impl FromStr for FeedUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "expected ws://HOST:PORT/feed or wss://HOST:PORT/feed, such as \
             ws://127.0.0.1:9001/feed"
                .to_owned()
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let is_whole = matches!(uri.scheme_str(), Some("ws" | "wss"))
            && uri.host().is_some_and(|h| !h.is_empty());
        if is_whole { Ok(Self(uri)) } else { Err(wrong()) }
    }
}

impl fmt::Display for FeedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_and_the_subprotocol_stand_in_the_request() {
        let url: FeedUrl = "ws://127.0.0.1:9001/feed".parse().expect("a URL");
        let request = url.request(Some("Jürgen K")).expect("a request");
        assert_eq!(request.uri().to_string(), "ws://127.0.0.1:9001/feed?user=J%C3%BCrgen%20K");
        assert_eq!(request.headers()[header::SEC_WEBSOCKET_PROTOCOL], "corecast.v1.json");
        let url: FeedUrl = "ws://localhost/feed?a=b".parse().expect("a URL");
        let uri = url.request(Some("u")).expect("a request").uri().to_string();
        assert_eq!(uri, "ws://localhost/feed?a=b&user=u");
    }

    #[test]
    fn what_is_no_feed_is_refused() {
        for bad in
            ["", "127.0.0.1:9001", "http://127.0.0.1/feed", "ws://", "ws:///feed", "ws://a b"]
        {
            let error = bad.parse::<FeedUrl>().expect_err(bad);
            assert!(error.contains("ws://HOST"), "{bad}: {error}");
        }
        assert!("wss://a/feed".parse::<FeedUrl>().is_ok());
    }
}
