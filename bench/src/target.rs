//! Where to connect, and how to speak there: `ws://host:port/path`, `wss://`, and templates of
//! messages.

use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use eyre::{Result, WrapErr, bail, ensure, eyre};

use crate::stamp::{PRINTED_BYTES, STAMP_BYTES, Stamp};
use crate::swarm::Plan;

/// The place that a `ws://` or `wss://` URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether TLS is spoken there.
    pub secure: bool,
    /// Host and port as they stand in the URL, for the Host header.
    pub host: String,
    /// What the host's name means, the first of its addresses.
    pub address: SocketAddr,
    /// Path and query, beginning with `/`.
    pub path: String,
}

/// How to speak to a server. With nothing but a path it is plain fan-out: what one connection
/// sends on the path goes to all others there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Where subscribers connect, beginning with `/`; may contain `{topic}`.
    pub path: String,
    /// Where publishers connect, if elsewhere.
    pub publish_path: Option<String>,
    /// The Host header; the server's address when absent.
    pub host: Option<String>,
    /// What `{topic}` stands for.
    pub topic: String,
    /// Messages that a subscriber sends once it is connected; may contain `{topic}`.
    pub subscribe: Vec<String>,
    /// A subscriber counts as subscribed when a message with this text has come.
    pub subscribed: Option<String>,
    /// What a publisher sends: a text message with `{payload}` once, and perhaps `{topic}`. Absent
    /// means the payload alone, in a binary message.
    pub publish: Option<String>,
    /// Further header fields of the opening handshake.
    pub headers: Vec<(String, String)>,
    /// The subprotocol to offer.
    pub subprotocol: Option<String>,
}

impl FromStr for Url {
    type Err = eyre::Report;

    fn from_str(text: &str) -> Result<Self> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| eyre!("{text:?} is no URL: give ws://HOST:PORT/PATH"))?;
        let (secure, port) = match scheme {
            "ws" => (false, 80),
            "wss" => (true, 443),
            _ => bail!("{text:?}: the scheme is {scheme:?}, not ws or wss"),
        };
        ensure!(!rest.contains('#'), "{text:?}: a WebSocket URL has no fragment (#)");
        let (host, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        ensure!(!host.is_empty(), "{text:?} names no host");
        ensure!(!host.contains('@'), "{text:?}: give credentials as a header (--header)");
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let with_port = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        let mut found = with_port
            .to_socket_addrs()
            .wrap_err_with(|| format!("{text:?}: cannot find {with_port}"))?;
        let address = found.next().ok_or_else(|| eyre!("{host} has no address"))?;
        Ok(Self { secure, host: host.to_owned(), address, path })
    }
}

impl Target {
    /// Plain fan-out on a path.
    pub fn plain(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// # Errors
    /// When a path or template cannot be used, with what is wrong with it.
    pub fn check(&self) -> Result<()> {
        for path in [Some(&self.path), self.publish_path.as_ref()].into_iter().flatten() {
            ensure!(path.starts_with('/'), "the path {path:?} does not begin with /");
        }
        if let Some(publish) = &self.publish {
            let payloads = publish.matches(PAYLOAD).count();
            ensure!(payloads == 1, "{publish:?} has {PAYLOAD} {payloads} times, not once");
        }
        ensure!(
            self.subscribed.is_none() || !self.subscribe.is_empty(),
            "there is an answer to wait for, and nothing is sent to cause it"
        );
        let uses_topic = self.subscribe.iter().chain([&self.path]).any(|text| text.contains(TOPIC));
        ensure!(!uses_topic || !self.topic.is_empty(), "{TOPIC} is used, and no topic given");
        Ok(())
    }

    /// What each subscriber sends first, with the topic in its place.
    pub fn subscriptions(&self) -> impl Iterator<Item = String> {
        self.subscribe.iter().map(|text| text.replace(TOPIC, &self.topic))
    }

    /// A connection that subscribes, as `plan` behaves (its path is replaced).
    #[must_use]
    pub fn subscriber(&self, plan: Plan) -> Plan {
        Plan { target: self.path.replace(TOPIC, &self.topic), ..self.common(plan) }
    }

    /// A connection that publishes.
    #[must_use]
    pub fn publisher(&self) -> Plan {
        let path = self.publish_path.as_ref().unwrap_or(&self.path);
        self.common(Plan::reader(path.replace(TOPIC, &self.topic)))
    }

    fn common(&self, plan: Plan) -> Plan {
        let protocols = self.subprotocol.iter().cloned().collect();
        Plan { headers: self.headers.clone(), host: self.host.clone(), protocols, ..plan }
    }

    /// The least payload that has room for a stamp.
    #[must_use]
    pub fn payload_bytes_min(&self) -> usize {
        if self.publish.is_some() { PRINTED_BYTES } else { STAMP_BYTES }
    }
}

/// A message to publish again and again; only its stamp changes.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Vec<u8>,
    stamp_at: usize,
    is_text: bool,
}

impl Message {
    /// The message of `target` with a payload of so many bytes.
    ///
    /// # Errors
    /// When the payload has no room for a stamp.
    pub fn new(target: &Target, payload_bytes: usize) -> Result<Self> {
        let least = target.payload_bytes_min();
        ensure!(payload_bytes >= least, "a payload has at least {least} bytes here");
        let Some(publish) = &target.publish else {
            return Ok(Self { bytes: vec![b'x'; payload_bytes], stamp_at: 0, is_text: false });
        };
        let (before, behind) = publish.split_once(PAYLOAD).unwrap_or((publish, ""));
        let mut bytes = before.replace(TOPIC, &target.topic).into_bytes();
        let stamp_at = bytes.len();
        bytes.resize(stamp_at + payload_bytes, b'x');
        bytes.extend_from_slice(behind.replace(TOPIC, &target.topic).as_bytes());
        Ok(Self { bytes, stamp_at, is_text: true })
    }

    /// The message with this stamp.
    pub fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        let payload = &mut self.bytes[self.stamp_at..];
        if self.is_text {
            stamp.print(payload);
        } else {
            stamp.write(payload);
        }
        &self.bytes
    }

    /// Whether it goes as a text message.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.is_text
    }
}

const PAYLOAD: &str = "{payload}";
const TOPIC: &str = "{topic}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_with_and_without_port_and_path() {
        let url: Url = "ws://127.0.0.1:9001/ws/a?b=c".parse().unwrap();
        assert_eq!(url.address, "127.0.0.1:9001".parse().unwrap());
        assert_eq!([&*url.host, &*url.path], ["127.0.0.1:9001", "/ws/a?b=c"]);
        let url: Url = "ws://[::1]".parse().unwrap();
        assert_eq!((url.address.port(), &*url.path, url.secure), (80, "/", false));
        let url: Url = "wss://127.0.0.1/a".parse().unwrap();
        assert_eq!((url.address.port(), &*url.path, url.secure), (443, "/a", true));
        assert_eq!("ws://127.0.0.1?a".parse::<Url>().unwrap().path, "/?a");
    }

    #[test]
    fn wrong_urls_say_what_would_be_right() {
        for (wrong, hint) in [
            ("127.0.0.1:1", "ws://HOST:PORT/PATH"),
            ("https://a/", "not ws or wss"),
            ("http://a/", "not ws or wss"),
            ("ws:///x", "no host"),
            ("ws://127.0.0.1/#a", "fragment"),
            ("ws://a:b@127.0.0.1/", "--header"),
            ("ws://127.0.0.1:99999/", "cannot find"),
        ] {
            let error = wrong.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains(hint), "{wrong}: {error}");
        }
    }

    #[test]
    fn templates_are_filled() {
        let target = Target {
            path: "/{topic}".into(),
            topic: "t".into(),
            subscribe: vec![r#"{"sub":"{topic}"}"#.into()],
            publish: Some(r#"{"to":"{topic}","data":"{payload}"}"#.into()),
            ..Target::default()
        };
        target.check().unwrap();
        assert_eq!(target.publisher().target, "/t");
        assert_eq!(Vec::from_iter(target.subscriptions()), [r#"{"sub":"t"}"#]);
        let mut message = Message::new(&target, 40).unwrap();
        let stamp = Stamp { due_ns: 1, sequence: 2 };
        let text = str::from_utf8(message.stamped(stamp)).unwrap();
        assert!(text.starts_with(r#"{"to":"t","data":"~cb~0000"#), "{text}");
        assert!(text.ends_with(r#"2xxxx"}"#), "{text}");
        assert_eq!(Stamp::find(text.as_bytes(), 0).unwrap().1, stamp);
        assert!(Message::new(&target, PRINTED_BYTES - 1).is_err());
    }

    #[test]
    fn templates_that_cannot_be_filled_are_refused() {
        let plain = Target::plain("/a");
        plain.check().unwrap();
        for wrong in [
            Target::plain("a"),
            Target::plain("/{topic}"),
            Target { publish: Some("{}".into()), ..plain.clone() },
            Target { publish: Some("{payload}{payload}".into()), ..plain.clone() },
            Target { subscribed: Some("ok".into()), ..plain.clone() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
