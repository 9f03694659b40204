//! The plain way to use topics, one per connection: `/ws/<topic>` joins it, and what one sends goes
//! to the others. A handler for a client protocol takes this one's place behind the same routes.

use crate::route::{Route, RouteError, Routes};
use corecast::{
    Accept, CloseCode, Closed, Context, Handler, Message, PublishError, Reject, SendStatus, Upgrade,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What becomes of messages that clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// They go to the others of the topic.
    Broadcast,
    /// The connection is closed with 1008: here only the server publishes.
    Refuse,
}

/// How many connections have joined a topic, over all shards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audience(Arc<AtomicU64>);

impl Audience {
    /// Connections that have joined a topic now.
    pub(crate) fn joined(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One shard's handler.
#[derive(Debug)]
pub(crate) struct RawHandler {
    routes: Routes,
    inbound: Inbound,
    audience: Audience,
}

/// What a connection came for.
#[derive(Debug)]
pub(crate) enum Peer {
    /// This topic; `joined` once it is subscribed.
    Topic { topic: Box<str>, joined: bool },
    /// Its own messages back.
    Echo,
}

impl RawHandler {
    pub(crate) fn new(routes: Routes, inbound: Inbound, audience: Audience) -> Self {
        Self { routes, inbound, audience }
    }

    fn broadcast(&self, topic: &str, message: Message<'_>, context: &mut Context<'_>) {
        if self.inbound == Inbound::Refuse {
            context.close(CloseCode::POLICY_VIOLATION, "only the server publishes here");
            return;
        }
        match context.publish_others(topic, &message.to_frame()) {
            Ok(()) => {}
            // Nobody got it: its sender must know.
            Err(PublishError::Full) => {
                let reason =
                    "too many messages are pending: this one was not sent, try again later";
                context.close(CloseCode::TRY_AGAIN_LATER, reason);
            }
            Err(error) => context.close(CloseCode::GOING_AWAY, &error.to_string()),
        }
    }
}

impl Handler for RawHandler {
    type Data = Peer;

    fn on_upgrade(&mut self, request: &Upgrade<'_>) -> Result<Accept<Peer>, Reject> {
        match self.routes.resolve(request.path()) {
            Ok(Route::Echo) => Ok(Accept::new(Peer::Echo)),
            Ok(Route::Topic(topic)) => {
                Ok(Accept::new(Peer::Topic { topic: topic.into(), joined: false }))
            }
            Err(RouteError::Unknown) => Err(Reject::new(404, "topics are at /ws/<topic>")),
            Err(RouteError::Encoding) => {
                Err(Reject::new(400, "the path's percent-encoding is broken"))
            }
        }
    }

    fn on_open(&mut self, data: &mut Peer, context: &mut Context<'_>) {
        let Peer::Topic { topic, joined } = data else { return };
        match context.subscribe(topic) {
            Ok(_) => {
                *joined = true;
                self.audience.0.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => context.close(CloseCode::POLICY_VIOLATION, &error.to_string()),
        }
    }

    fn on_message(&mut self, data: &mut Peer, message: Message<'_>, context: &mut Context<'_>) {
        match data {
            Peer::Topic { topic, .. } => self.broadcast(topic, message, context),
            // Where its own queue is full the engine closes the connection and says why.
            Peer::Echo => {
                let _: SendStatus = context.reply(&message.to_frame());
            }
        }
    }

    fn on_close(&mut self, data: Peer, closed: &Closed, context: &mut Context<'_>) {
        if let Peer::Topic { joined: true, .. } = data {
            self.audience.0.fetch_sub(1, Ordering::Relaxed);
        }
        tracing::debug!(
            peer = %context.peer_addr(),
            by = ?closed.by,
            code = %closed.code,
            reason = %closed.reason,
            "connection closed"
        );
    }
}
