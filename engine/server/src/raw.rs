//! The plain way to use topics, one per connection: `/ws/<topic>` joins it, and what one sends goes
//! to the others. No protocol: a message is bytes.

use crate::guest::Guest;
use corecast::{CloseCode, Context, Message, PublishError, PublishRight, Reject, SendStatus};
use corecast_gate::Verb;
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

    /// One has joined.
    pub(crate) fn join(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One who had joined is gone.
    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One shard's part.
#[derive(Debug)]
pub(crate) struct RawHandler {
    inbound: Inbound,
    /// Whether namespaces that somebody wrote say who publishes.
    keeps_namespaces: bool,
    audience: Audience,
}

/// What a connection came for, and who it is.
#[derive(Debug)]
pub(crate) struct Peer {
    wish: Wish,
    /// None: somebody who may do everything, for ever.
    guest: Option<Box<Guest>>,
}

#[derive(Debug)]
enum Wish {
    /// This topic; `joined` once it is subscribed.
    Topic { topic: Box<str>, joined: bool },
    /// Its own messages back.
    Echo,
}

impl Peer {
    /// Somebody who wants to join `topic`, or to hear himself where it is none.
    ///
    /// # Errors
    ///
    /// 403 when he has no right to it.
    pub(crate) fn new(topic: Option<&str>, guest: Guest) -> Result<Self, Reject> {
        let wish = match topic {
            None => Wish::Echo,
            Some(topic) if guest.may(Verb::Subscribe, topic) => {
                Wish::Topic { topic: topic.into(), joined: false }
            }
            Some(_) => return Err(Reject::new(403, "this client may not subscribe to this topic")),
        };
        Ok(Self { wish, guest: guest.is_bounded().then(|| Box::new(guest)) })
    }
}

impl RawHandler {
    pub(crate) fn new(inbound: Inbound, keeps_namespaces: bool, audience: Audience) -> Self {
        Self { inbound, keeps_namespaces, audience }
    }

    fn broadcast(
        &self,
        topic: &str,
        guest: Option<&Guest>,
        message: Message<'_>,
        context: &mut Context<'_>,
    ) {
        if guest.is_some_and(|guest| !guest.may(Verb::Publish, topic)) {
            let code = corecast_feed::CloseCode::Forbidden.code();
            return context.close(CloseCode(code), "this client may not publish to this topic");
        }
        if self.inbound == Inbound::Refuse {
            context.close(CloseCode::POLICY_VIOLATION, "only the server publishes here");
            return;
        }
        if self.keeps_namespaces && is_servers(topic, context) {
            let code = corecast_feed::CloseCode::Forbidden.code();
            return context.close(CloseCode(code), "only the server publishes to this topic");
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

/// Whether its namespace leaves publishing to the server.
fn is_servers(topic: &str, context: &mut Context<'_>) -> bool {
    let feed = context.feed();
    let namespace = feed.namespaces().find(topic);
    namespace.is_some_and(|namespace| namespace.publish != PublishRight::Clients)
}

impl RawHandler {
    /// See [`corecast::Handler::on_open`].
    pub(crate) fn on_open(&self, data: &mut Peer, context: &mut Context<'_>) {
        if let Some(guest) = &data.guest {
            context.wake_at_wall(guest.expires_ns());
        }
        let Wish::Topic { topic, joined } = &mut data.wish else { return };
        match context.subscribe(topic) {
            Ok(_) => {
                *joined = true;
                self.audience.join();
            }
            Err(error) => context.close(CloseCode::POLICY_VIOLATION, &error.to_string()),
        }
    }

    /// See [`corecast::Handler::on_message`].
    pub(crate) fn on_message(
        &self,
        data: &mut Peer,
        message: Message<'_>,
        context: &mut Context<'_>,
    ) {
        match &data.wish {
            Wish::Topic { topic, .. } => {
                self.broadcast(topic, data.guest.as_deref(), message, context);
            }
            // Where its own queue is full the engine closes the connection and says why.
            Wish::Echo => {
                let _: SendStatus = context.reply(&message.to_frame());
            }
        }
    }

    /// See [`corecast::Handler::on_wake`].
    pub(crate) fn on_wake(&self, data: &Peer, context: &mut Context<'_>) {
        let Some(guest) = &data.guest else { return };
        if guest.is_expired(context.feed().wall_ns()) {
            let code = corecast_feed::CloseCode::Unauthenticated.code();
            let reason = "the token has expired: reconnect with a newer one";
            context.close_now(CloseCode(code), reason);
        } else {
            context.wake_at_wall(guest.expires_ns());
        }
    }

    /// See [`corecast::Handler::on_close`].
    pub(crate) fn on_close(&self, data: &Peer) {
        if let Wish::Topic { joined: true, .. } = data.wish {
            self.audience.leave();
        }
    }
}
