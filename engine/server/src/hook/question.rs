//! What the hook is asked, as JSON.

use super::limits::HEADER_BYTES_MAX;
use crate::config::hook::HookEvent;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What a connection's request said that the hook is told. It is kept for as long as the hook may
/// be asked about the connection again; its `Debug` leaves out what may be secret.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Request {
    path: Box<str>,
    address: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Box<str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<Box<str>, Vec<Box<str>>>,
}

/// A question. What it says is all that an answer is remembered by.
#[derive(Debug, Serialize)]
pub(crate) struct Question<'a> {
    event: HookEvent,
    /// Who it is about; absent: somebody who has no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    /// The connection, where it has no user: answers about somebody without a name hold for that
    /// connection alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    /// Of `subscribe` and `publish`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    topics: Vec<&'a str>,
    /// Of `connect`.
    #[serde(flatten)]
    request: Option<&'a Request>,
}

impl Request {
    /// Whether headers are told: they may hold a credential, and it may be a guess.
    pub(crate) fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// What is told of a request: these headers of it, and whose it is.
    ///
    /// # Errors
    ///
    /// When a header is too long to be told.
    pub(crate) fn of(
        request: &corecast::Upgrade<'_>,
        address: std::net::IpAddr,
        names: &[String],
    ) -> Result<Self, &'static str> {
        let mut headers: BTreeMap<Box<str>, Vec<Box<str>>> = BTreeMap::new();
        for (name, value) in request.headers() {
            let wanted = names.iter().find(|wanted| wanted.eq_ignore_ascii_case(name));
            if let Some(wanted) = wanted {
                if value.len() > HEADER_BYTES_MAX {
                    return Err("a header is too long");
                }
                headers.entry(wanted.as_str().into()).or_default().push(value.into());
            }
        }
        let address = address.to_string().into();
        let (path, origin) = (request.path().into(), request.origin().map(Into::into));
        Ok(Self { path, address, origin, headers })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("Request")
            .field("path", &self.path)
            .field("address", &self.address)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

impl<'a> Question<'a> {
    /// May somebody connect?
    pub(crate) fn connect(user: Option<&'a str>, request: &'a Request) -> Self {
        Self { request: Some(request), ..Self::about(HookEvent::Connect, user, None, Vec::new()) }
    }

    /// May a client that says now who it is stay? It came with this request.
    pub(crate) fn stay(
        user: Option<&'a str>,
        client: &'a str,
        request: Option<&'a Request>,
    ) -> Self {
        Self { request, ..Self::about(HookEvent::Connect, user, Some(client), Vec::new()) }
    }

    /// May a client subscribe to these topics and patterns, or publish to this topic?
    pub(crate) fn topics(
        event: HookEvent,
        user: Option<&'a str>,
        client: &'a str,
        topics: Vec<&'a str>,
    ) -> Self {
        let client = user.is_none().then_some(client);
        Self::about(event, user, client, topics)
    }

    /// As it is asked.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a question is JSON")
    }

    fn about(
        event: HookEvent,
        user: Option<&'a str>,
        client: Option<&'a str>,
        topics: Vec<&'a str>,
    ) -> Self {
        Self { event, user, client, topics, request: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_no_name_shares_no_answer() {
        let ask = |user, client| {
            Question::topics(HookEvent::Subscribe, user, client, vec!["a"]).to_json()
        };
        assert_ne!(ask(None, "c1"), ask(None, "c2"));
        assert_eq!(ask(Some("u1"), "c1"), ask(Some("u1"), "c2"), "one user, one answer");
        assert_ne!(ask(Some("u1"), "c1"), ask(Some("u2"), "c1"));
        let publish = Question::topics(HookEvent::Publish, Some("u1"), "c1", vec!["a"]);
        assert_ne!(publish.to_json(), ask(Some("u1"), "c1"));
        assert_eq!(publish.to_json(), r#"{"event":"publish","user":"u1","topics":["a"]}"#);
    }

    #[test]
    fn a_request_is_told_whole_and_logged_without_its_headers() {
        let headers = BTreeMap::from([("cookie".into(), vec!["secret".into()])]);
        let (path, address) = ("/feed".into(), "192.0.2.1".into());
        let request = Request { path, address, origin: None, headers };
        let told = r#""path":"/feed","address":"192.0.2.1","headers":{"cookie":["secret"]}}"#;
        let connect = Question::connect(Some("u1"), &request);
        assert_eq!(connect.to_json(), format!(r#"{{"event":"connect","user":"u1",{told}"#));
        let stay = Question::stay(None, "c1", Some(&request));
        assert_eq!(stay.to_json(), format!(r#"{{"event":"connect","client":"c1",{told}"#));
        assert!(!format!("{connect:?}").contains("secret"), "{connect:?}");
    }
}
