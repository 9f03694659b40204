//! What the hook is asked, as JSON.

use super::limits::HEADER_BYTES_MAX;
use crate::config::hook::HookEvent;
use serde::Serialize;
use std::collections::BTreeMap;

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
    /// Of `connect`: the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Question<'a> {
    /// May somebody connect?
    ///
    /// # Errors
    ///
    /// When a header is too long to be told.
    pub(crate) fn connect(
        user: Option<&'a str>,
        request: &'a corecast::Upgrade<'_>,
        address: std::net::IpAddr,
        names: &'a [String],
    ) -> Result<Self, &'static str> {
        let mut headers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in request.headers() {
            let wanted = names.iter().find(|wanted| wanted.eq_ignore_ascii_case(name));
            if let Some(wanted) = wanted {
                if value.len() > HEADER_BYTES_MAX {
                    return Err("a header is too long");
                }
                headers.entry(wanted).or_default().push(value);
            }
        }
        Ok(Self {
            path: Some(request.path()),
            address: Some(address.to_string()),
            origin: request.origin(),
            headers,
            ..Self::about(HookEvent::Connect, user, None, Vec::new())
        })
    }

    /// May a client that says now who it is stay?
    pub(crate) fn stay(user: Option<&'a str>, client: &'a str) -> Self {
        Self::about(HookEvent::Connect, user, Some(client), Vec::new())
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
        let (path, address, origin, headers) = Default::default();
        Self { event, user, client, topics, path, address, origin, headers }
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
}
