//! The handler of the program's engine: at each path the one that is asked for.

use crate::feed::{FeedHandler, Session};
use crate::raw::{self, RawHandler};
use crate::route::{Route, RouteError, Routes};
use corecast::{
    Accept, Arrival, Closed, Context, Event, Handler, Leaving, Message, Reject, TimerContext,
    Upgrade,
};
use std::time::Duration;

/// One shard's handler.
#[derive(Debug)]
pub(crate) struct ServerHandler {
    routes: Routes,
    raw: RawHandler,
    feed: FeedHandler,
}

/// What a connection came for.
#[derive(Debug)]
pub(crate) enum Peer {
    /// Bytes.
    Raw(raw::Peer),
    /// The feed protocol.
    Feed(Session),
}

impl ServerHandler {
    pub(crate) fn new(routes: Routes, raw: RawHandler, feed: FeedHandler) -> Self {
        Self { routes, raw, feed }
    }
}

impl Handler for ServerHandler {
    type Data = Peer;

    fn on_upgrade(
        &mut self,
        request: &Upgrade<'_>,
        _: &Arrival<'_>,
    ) -> Result<Accept<Peer>, Reject> {
        match self.routes.resolve(request.path()) {
            Ok(Route::Echo) => Ok(Accept::new(Peer::Raw(raw::Peer::Echo))),
            Ok(Route::Topic(topic)) => {
                let topic = raw::Peer::Topic { topic: topic.into(), joined: false };
                Ok(Accept::new(Peer::Raw(topic)))
            }
            Ok(Route::Feed) => {
                let (session, subprotocol) = self.feed.on_upgrade(request)?;
                let accept = Accept::new(Peer::Feed(session));
                Ok(match subprotocol {
                    Some(subprotocol) => accept.subprotocol(subprotocol),
                    None => accept,
                })
            }
            Err(RouteError::Unknown) => Err(Reject::new(404, self.unknown())),
            Err(RouteError::Encoding) => {
                Err(Reject::new(400, "the path's percent-encoding is broken"))
            }
        }
    }

    fn on_open(&mut self, peer: &mut Peer, context: &mut Context<'_>) {
        match peer {
            Peer::Raw(peer) => self.raw.on_open(peer, context),
            Peer::Feed(session) => self.feed.on_open(session, context),
        }
    }

    fn on_message(&mut self, peer: &mut Peer, message: Message<'_>, context: &mut Context<'_>) {
        match peer {
            Peer::Raw(peer) => self.raw.on_message(peer, message, context),
            Peer::Feed(session) => self.feed.on_message(session, message, context),
        }
    }

    fn on_event(&mut self, peer: &mut Peer, event: Event, context: &mut Context<'_>) {
        match peer {
            // It asks for nothing that is answered later.
            Peer::Raw(_) => {}
            Peer::Feed(session) => self.feed.on_event(session, event, context),
        }
    }

    fn on_leaving(&mut self, peer: &mut Peer, leaving: &Leaving, context: &mut Context<'_>) {
        match peer {
            // There is no word for it: the Close says it.
            Peer::Raw(_) => {}
            Peer::Feed(session) => session.leaving(leaving, context),
        }
    }

    fn on_timer(&mut self, context: &mut TimerContext<'_>) -> Option<Duration> {
        self.routes.feed.as_ref()?;
        self.feed.on_timer(context)
    }

    fn on_close(&mut self, peer: Peer, closed: &Closed, context: &mut Context<'_>) {
        match peer {
            Peer::Raw(peer) => self.raw.on_close(&peer),
            Peer::Feed(session) => self.feed.on_close(session),
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

impl ServerHandler {
    fn unknown(&self) -> String {
        match &self.routes.feed {
            Some(feed) => format!("topics are at /ws/<topic>, the feed is at {feed}"),
            None => "topics are at /ws/<topic>".to_owned(),
        }
    }
}
