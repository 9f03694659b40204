//! What an embedder implements: one handler a shard, typed data a connection.

use std::time::Duration;

use corecast_hub::node::Event;
use corecast_hub::session::Closed;
use corecast_wire::{Frame, Upgrade};

use crate::arrival::Arrival;
use crate::{Context, Leaving, TimerContext};

/// The behaviour of a service, called on the shard that owns the connection.
///
/// Each shard has a handler of its own, made by the factory given to `spawn`, so `&mut self` needs
/// no lock and neither the handler nor its data needs to be `Send`. Calls must not block: a shard
/// is one thread.
///
/// A panic in a call closes that connection with 1011 and nothing else; the handler stays in use,
/// so it must not leave its own state torn. Dropping the data must not panic: that ends the
/// process.
pub trait Handler: 'static {
    /// What the service keeps for each connection.
    type Data: 'static;

    /// A peer asks for a WebSocket. Accept with the connection's data, reject with an HTTP status,
    /// or say [`Reject::later`] and be asked again when the connection is
    /// [woken](Arrival::waker).
    ///
    /// # Errors
    /// The [`Reject`] that the peer is answered with.
    fn on_upgrade(
        &mut self,
        request: &Upgrade<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Accept<Self::Data>, Reject>;

    /// The handshake is answered; messages may flow.
    fn on_open(&mut self, data: &mut Self::Data, context: &mut Context<'_>) {
        let _ = (data, context);
    }

    /// A whole message came in. Its payload is borrowed from the read buffer: copy what is to stay.
    fn on_message(
        &mut self,
        data: &mut Self::Data,
        message: Message<'_>,
        context: &mut Context<'_>,
    ) {
        let _ = (data, message, context);
    }

    /// An answer of the feed that could not be given at once. What came from another shard is
    /// handled before anything else is queued for this connection; what this one answers, by the
    /// end of the turn.
    fn on_event(&mut self, data: &mut Self::Data, event: Event, context: &mut Context<'_>) {
        let _ = (data, event, context);
    }

    /// A [`Waker`](crate::Waker) of the open connection was used, or the instant has come that
    /// [`Context::wake_at`] set. Which of them is not told, and wakes that come close together are
    /// one.
    fn on_wake(&mut self, data: &mut Self::Data, context: &mut Context<'_>) {
        let _ = (data, context);
    }

    /// Called once when the shard starts, and again after the time that it returns, to the
    /// millisecond; `None`: never again.
    fn on_timer(&mut self, context: &mut TimerContext<'_>) -> Option<Duration> {
        let _ = context;
        None
    }

    /// The engine leaves: this connection will be closed, behind what is queued for it until then.
    /// Called once for each connection that is open when the leave begins or that opens while it
    /// lasts, and before it is closed.
    fn on_leaving(&mut self, data: &mut Self::Data, leaving: &Leaving, context: &mut Context<'_>) {
        let _ = (data, leaving, context);
    }

    /// The connection is over: called exactly once for each `on_open`, with who ended it and why;
    /// only a shard that dies of a panic calls nothing any more. The connection has left its
    /// topics; what is published here reaches others.
    fn on_close(&mut self, data: Self::Data, closed: &Closed, context: &mut Context<'_>) {
        let _ = (data, closed, context);
    }
}

/// A message as it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Valid UTF-8.
    Text(&'a str),
    /// Any bytes.
    Binary(&'a [u8]),
}

impl Message<'_> {
    /// The payload.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// A frame of the same kind with the same payload, encoded once, to be published: the one copy
    /// on its way.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        match self {
            Self::Text(text) => Frame::text(text),
            Self::Binary(bytes) => Frame::binary(bytes),
        }
    }
}

/// A handshake accepted, with the connection's data.
#[derive(Debug)]
pub struct Accept<D> {
    pub(crate) data: D,
    pub(crate) subprotocol: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

impl<D> Accept<D> {
    /// Accepts, with the connection's data.
    pub fn new(data: D) -> Self {
        Self { data, subprotocol: None, headers: Vec::new() }
    }

    /// Chooses a subprotocol. It must be one that the peer offered, else the handshake fails with
    /// 500.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// Adds a header to the 101 answer. CR, LF or a reserved name fails the handshake with 500.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// A handshake rejected, or put off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject(Rejection);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rejection {
    Later,
    Now(Refusal),
}

/// What a peer is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Reject {
    /// Rejects with an HTTP status from 400 to 599 and a sentence for the body.
    ///
    /// # Panics
    /// When `status` is outside of 400 to 599.
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        assert!((400..=599).contains(&status), "a rejection has a status from 400 to 599");
        let reason = reason.into();
        Self(Rejection::Now(Refusal { status, reason, headers: Vec::new() }))
    }

    /// Not known yet: the request is kept, and [`Handler::on_upgrade`] is asked again when the
    /// connection's [waker](Arrival::waker) was used. The handshake's deadline goes on; past it the
    /// client is answered 503. Nothing more is read from it meanwhile, and one that goes away is
    /// noticed.
    #[must_use]
    pub fn later() -> Self {
        Self(Rejection::Later)
    }

    /// Adds a header to the answer. CR, LF or a reserved name makes it a 500. What is only put off
    /// has no answer yet, and no header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Rejection::Now(refusal) = &mut self.0 {
            refusal.headers.push((name.into(), value.into()));
        }
        self
    }

    /// Says when to try again (RFC 9110 §10.2.3), in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header("Retry-After", seconds.to_string())
    }

    /// The answer; none where it is put off.
    pub(crate) fn into_refusal(self) -> Option<Refusal> {
        match self.0 {
            Rejection::Later => None,
            Rejection::Now(refusal) => Some(refusal),
        }
    }
}
