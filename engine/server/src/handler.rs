//! The handler of the program's engine: at each path the one that is asked for.

use crate::doorkeeper::{Door, Doorkeeper, Entry, Judged, counted};
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
    door: Doorkeeper,
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
    pub(crate) fn new(
        routes: Routes,
        door: Doorkeeper,
        raw: RawHandler,
        feed: FeedHandler,
    ) -> Self {
        Self { routes, door, raw, feed }
    }
}

impl Handler for ServerHandler {
    type Data = Peer;

    fn on_upgrade(
        &mut self,
        request: &Upgrade<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Accept<Peer>, Reject> {
        let route = match self.routes.resolve(request.path()) {
            Ok(route) => route,
            Err(RouteError::Unknown) => return Err(Reject::new(404, self.unknown())),
            Err(RouteError::Encoding) => {
                return Err(Reject::new(400, "the path's percent-encoding is broken"));
            }
        };
        let door = if route == Route::Feed { Door::Feed } else { Door::Raw };
        let topic = match route {
            Route::Feed | Route::Echo => None,
            Route::Topic(topic) => Some(topic),
        };
        let judged = self.door.judge(door, topic.as_deref(), request, arrival)?;
        if door == Door::Feed {
            return self.accept_feed(request, arrival, judged);
        }
        let Entry::Known(guest) = judged.entry else {
            return Err(Reject::new(401, "a token is needed"));
        };
        Ok(Accept::new(Peer::Raw(raw::Peer::new(topic.as_deref(), guest)?)))
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

    fn on_wake(&mut self, peer: &mut Peer, context: &mut Context<'_>) {
        match peer {
            Peer::Raw(peer) => self.raw.on_wake(peer, context),
            Peer::Feed(session) => self.feed.on_wake(session, context),
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
    fn accept_feed(
        &mut self,
        request: &Upgrade<'_>,
        arrival: &Arrival<'_>,
        mut judged: Judged,
    ) -> Result<Accept<Peer>, Reject> {
        if self.door.asks_nobody() {
            judged.entry = Entry::Known(counted(self.feed.named(request)?, arrival)?);
        }
        let (session, subprotocol) = self.feed.accept(request, judged);
        let accept = Accept::new(Peer::Feed(session));
        Ok(match subprotocol {
            Some(subprotocol) => accept.subprotocol(subprotocol),
            None => accept,
        })
    }

    fn unknown(&self) -> String {
        match &self.routes.feed {
            Some(feed) => format!("topics are at /ws/<topic>, the feed is at {feed}"),
            None => "topics are at /ws/<topic>".to_owned(),
        }
    }
}
