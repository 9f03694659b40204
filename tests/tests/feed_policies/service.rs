//! An engine whose handler subscribes each connection to the stream that its path names: with the
//! stream's own policy at `/STREAM`, without losing any at `/all/STREAM`.

use bytes::Bytes;
use corecast::config::SocketConfig;
use corecast::{
    Accept, Announcement, Arrival, AttachRequest, AttachResult, CloseCode, Codec, Context,
    Encoding, Engine, Event, Frame, Gap, Handler, Member, Namespace, Policy, RawCodec, Reject,
    StreamMessage, StreamRef, StreamState, Update, Upgrade, split_variant,
};
use corecast_feed::json;
use eyre::Result;

/// Two shards, small socket buffers, so that a backlog is the engine's, and this namespace.
pub(crate) fn start(namespace: Namespace) -> Result<Engine> {
    let mut config = corecast::Config::default();
    config.listen.set_port(0);
    config.shards = 2;
    config.socket = SocketConfig { send_buffer_bytes: 8 << 10, ..config.socket };
    config.namespaces.push(namespace);
    Ok(Engine::builder().config(config).codec(Protocol).spawn(|_| Service)?)
}

/// Publishes, waiting for room as often as there is none.
pub(crate) fn publish(engine: &Engine, update: &Update) -> Result<()> {
    let publisher = engine.publisher();
    loop {
        match publisher.update(update.clone()) {
            Err(corecast::PublishError::Full) => publisher.wait_room(),
            done => return Ok(done?),
        }
    }
}

struct Service;

/// What a connection came for.
struct Peer {
    name: Box<str>,
    policy: Option<Policy>,
}

impl Handler for Service {
    type Data = Peer;

    fn on_upgrade(
        &mut self,
        request: &Upgrade<'_>,
        _: &Arrival<'_>,
    ) -> Result<Accept<Peer>, Reject> {
        let path = request.path().trim_start_matches('/');
        let (name, policy) = match path.strip_prefix("all/") {
            Some(name) => (name, Some(Policy::default())),
            None => (path, None),
        };
        Ok(Accept::new(Peer { name: name.into(), policy }))
    }

    fn on_open(&mut self, peer: &mut Peer, context: &mut Context<'_>) {
        let Ok((topic, interval_ms)) = split_variant(&peer.name) else {
            return context.close(CloseCode::POLICY_VIOLATION, "no stream has this name");
        };
        let request = AttachRequest { interval_ms, ..AttachRequest::new(topic, Encoding::Json) };
        let mut feed = context.feed();
        feed.speak(Encoding::Json);
        let results = feed.attach(0, vec![request]);
        begin(peer, results, context);
    }

    fn on_event(&mut self, peer: &mut Peer, event: Event, context: &mut Context<'_>) {
        if let Event::Attached { results, .. } = event {
            begin(peer, results, context);
        }
    }
}

/// Says `ready`, and lets the stream begin.
fn begin(peer: &Peer, results: Vec<AttachResult>, context: &mut Context<'_>) {
    for AttachResult { result, .. } in results {
        let begun = result.map_err(|error| error.to_string()).and_then(|attachment| {
            context.reply(&Frame::text(READY));
            let policy = peer.policy.unwrap_or(attachment.policy);
            let started = context.feed().start(&attachment, policy);
            started.map_err(|error| error.to_string())
        });
        if let Err(error) = begun {
            context.close(CloseCode::POLICY_VIOLATION, &error);
        }
    }
}

/// What a connection gets first.
pub(crate) const READY: &str = r#"{"type":"ready"}"#;

/// Messages as in the protocol; everything else does not happen here.
#[derive(Debug)]
struct Protocol;

impl Codec for Protocol {
    fn message(&self, stream: StreamRef<'_>, message: &StreamMessage, _: Encoding) -> Frame {
        let mut text = Vec::new();
        json::message(&mut text, stream.name, message.seq, message.ts, &message.data);
        Frame::prepare(corecast::Opcode::Text, &text).unwrap_or_else(|_| Frame::binary(&text))
    }

    fn snapshot(&self, of: StreamRef<'_>, message: &StreamMessage, encoding: Encoding) -> Frame {
        self.message(of, message, encoding)
    }

    fn gap(&self, stream: StreamRef<'_>, gap: &Gap<'_>, encoding: Encoding) -> Frame {
        RawCodec.gap(stream, gap, encoding)
    }

    fn announce(&self, announcement: &Announcement<'_>, encoding: Encoding) -> Frame {
        RawCodec.announce(announcement, encoding)
    }

    fn presence(&self, topic: &str, member: &Member, joined: bool, encoding: Encoding) -> Frame {
        RawCodec.presence(topic, member, joined, encoding)
    }

    fn state(&self, topic: &str, state: StreamState, at_ns: i64, encoding: Encoding) -> Frame {
        RawCodec.state(topic, state, at_ns, encoding)
    }

    fn array(&self, payloads: &[&Bytes]) -> Bytes {
        RawCodec.array(payloads)
    }
}
