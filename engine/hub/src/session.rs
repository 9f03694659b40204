//! The life of one connection, from its handshake to its last byte, without a socket and without a
//! clock.
//!
//! ```text
//! Upgrading ──► Open ──► Closing (our Close is out, the peer's awaited) ──► Draining ──► gone
//!                 └────► Replying (the peer's Close is in, ours on its way) ──┘
//! ```

use core::time::Duration;

use corecast_wire::{CloseCode, Event, Frame, Inflation, Input, ProtocolError, Receiver};

use crate::Timestamp;

/// Deadlines and budgets of a session. Shared by all sessions of a shard.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Time for the opening handshake.
    pub handshake_timeout: Duration,
    /// Time for a fragmented or large message to arrive whole.
    pub message_timeout: Duration,
    /// Silence after which the peer is pinged. Zero: never.
    pub ping_interval: Duration,
    /// Time for any sign of life after a ping.
    pub pong_timeout: Duration,
    /// Time without a message after which the session ends. Zero: never.
    pub idle_timeout: Duration,
    /// Time for the closing handshake.
    pub close_timeout: Duration,
    /// Time for the peer to close its side once ours is shut.
    pub drain_timeout: Duration,
    /// Control frames in one second at most.
    pub control_frames_per_second_max: u32,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The opening handshake is not done.
    Upgrading,
    /// Messages flow.
    Open,
    /// Our Close is queued or sent; the peer's is awaited.
    Closing,
    /// Nothing more is read; our Close is on its way out.
    Replying,
    /// Our side of the TCP connection is shut; the peer's end is awaited.
    Draining,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The peer sent a Close.
    Peer,
    /// The handler or a publisher asked for it.
    Handler,
    /// The peer broke the protocol or a limit.
    Violation,
    /// The peer read too slowly for the policy of what it subscribed to.
    Slow,
    /// A deadline passed: handshake, pong, idle, message or closing handshake.
    Timeout,
    /// The engine shuts down.
    Shutdown,
    /// The handler panicked.
    Panic,
    /// The transport failed or ended without a Close.
    Transport,
}

/// How a connection ended: who, with which code, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Who began it.
    pub by: ClosedBy,
    /// The close code; 1005 if the peer gave none, 1006 if no Close was seen (neither is ever
    /// sent).
    pub code: CloseCode,
    /// The reason in words, at most 123 bytes when it came in a Close frame. May be empty.
    pub reason: Box<str>,
}

/// What a session hands up from the bytes that came in.
#[derive(Debug)]
pub enum Inbound<'a> {
    /// A text message, valid UTF-8.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping: the pong with the same payload is to be queued.
    Ping(&'a [u8]),
    /// The peer's Close: `reply` is to be queued behind what is queued already, if there is one.
    Close {
        /// The answering Close, absent where ours went out first.
        reply: Option<Frame>,
    },
    /// Nothing to act on: a pong, or a message behind our own Close.
    Ignored,
}

/// A deadline that passed.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Queue a ping.
    Ping,
    /// Begin the closing handshake with this code and reason.
    Close(CloseCode, &'static str),
    /// Drop the connection; the reason goes to the handler.
    Abort(&'static str),
}

/// One connection's protocol state.
#[derive(Debug)]
pub struct Session {
    receiver: Receiver,
    phase: Phase,
    ping_pending: bool,
    control_frames: u32,
    control_window: Timestamp,
    phase_since: Timestamp,
    heard_at: Timestamp,
    message_at: Timestamp,
    partial_since: Timestamp,
    closed: Option<Box<Closed>>,
}

impl Session {
    /// A session whose handshake begins `now`.
    #[must_use]
    pub fn new(receiver: Receiver, now: Timestamp) -> Self {
        Self {
            receiver,
            phase: Phase::Upgrading,
            ping_pending: false,
            control_frames: 0,
            control_window: now,
            phase_since: now,
            heard_at: now,
            message_at: now,
            partial_since: now,
            closed: None,
        }
    }

    /// Where the session stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How it ended, once it is known.
    #[must_use]
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_deref()
    }

    /// How many bytes the next read should take, for [`Input::room`].
    #[inline]
    #[must_use]
    pub fn expected_bytes(&self) -> usize {
        self.receiver.expected_bytes()
    }

    /// The peer may compress its messages, as was agreed to in the handshake.
    pub fn inflate(&mut self, inflation: Inflation) {
        self.receiver.inflate(inflation);
    }

    /// The handshake is done: messages may flow.
    pub fn open(&mut self, now: Timestamp) {
        assert_eq!(self.phase, Phase::Upgrading, "a session opens once");
        self.enter(Phase::Open, now);
        self.message_at = now;
    }

    /// Bytes came in: the peer lives.
    #[inline]
    pub fn heard(&mut self, now: Timestamp) {
        self.heard_at = now;
        self.ping_pending = false;
    }

    /// The next thing in `input`, or `None` when it is used up or nothing more is to be read.
    ///
    /// # Errors
    /// The violation that ends the session: call [`Session::fail`] and queue its Close at once.
    #[inline]
    pub fn receive<'a>(
        &'a mut self,
        input: &'a mut Input<'_>,
        config: &SessionConfig,
        now: Timestamp,
    ) -> Result<Option<Inbound<'a>>, Violation> {
        if !matches!(self.phase, Phase::Open | Phase::Closing) {
            return Ok(None);
        }
        if !self.receiver.is_partial() {
            // The peer may take its time between messages, not within one.
            self.partial_since = now;
        }
        let Some(event) = self.receiver.receive(input)? else { return Ok(None) };
        let open = self.phase == Phase::Open;
        Ok(Some(match event {
            Event::Text(text) if open => {
                self.message_at = now;
                Inbound::Text(text)
            }
            Event::Binary(bytes) if open => {
                self.message_at = now;
                Inbound::Binary(bytes)
            }
            // Behind our own Close nothing is answered: only the peer's Close counts.
            Event::Text(_) | Event::Binary(_) => Inbound::Ignored,
            Event::Ping(payload) => {
                spend(&mut self.control_frames, &mut self.control_window, config, now)?;
                if open { Inbound::Ping(payload) } else { Inbound::Ignored }
            }
            Event::Pong(_) => {
                spend(&mut self.control_frames, &mut self.control_window, config, now)?;
                Inbound::Ignored
            }
            Event::Close(close) => {
                let (code, reason) = match close {
                    Some(close) => (close.code, close.reason),
                    None => (CloseCode::NO_STATUS, ""),
                };
                // The first to say Close is the one who ended it.
                self.closed.get_or_insert_with(|| {
                    Box::new(Closed { by: ClosedBy::Peer, code, reason: reason.into() })
                });
                self.phase = Phase::Replying;
                self.phase_since = now;
                Inbound::Close { reply: open.then(|| reply_to(code)) }
            }
        }))
    }

    /// Our side begins the closing handshake. Returns the Close to queue, or `None` where one is
    /// out already.
    #[must_use]
    pub fn close(
        &mut self,
        by: ClosedBy,
        code: CloseCode,
        reason: &str,
        now: Timestamp,
    ) -> Option<Frame> {
        if self.phase != Phase::Open {
            return None;
        }
        self.note(by, code, reason);
        self.enter(Phase::Closing, now);
        Some(Frame::close(code, reason))
    }

    /// The outbox queued a Close by itself, for a slow reader.
    pub fn closed_as_slow(&mut self, code: CloseCode, reason: &str, now: Timestamp) {
        if self.phase == Phase::Open {
            self.note(ClosedBy::Slow, code, reason);
            self.enter(Phase::Closing, now);
        }
    }

    /// The connection fails (RFC 6455 §7.1.7): after the Close that this returns, nothing more is
    /// read.
    #[must_use]
    pub fn fail(
        &mut self,
        by: ClosedBy,
        code: CloseCode,
        reason: &str,
        now: Timestamp,
    ) -> Option<Frame> {
        let first = self.phase == Phase::Open;
        self.note(by, code, reason);
        self.enter(Phase::Replying, now);
        first.then(|| Frame::close(code, reason))
    }

    /// The Close that was queued has left. Says whether our side of the TCP connection is to be
    /// shut now.
    #[must_use]
    pub fn close_sent(&mut self, now: Timestamp) -> bool {
        let shut = self.phase == Phase::Replying;
        if shut {
            self.enter(Phase::Draining, now);
        }
        shut
    }

    /// The peer's Close is in and ours had left before it: our side is to be shut.
    pub fn drain(&mut self, now: Timestamp) {
        self.enter(Phase::Draining, now);
    }

    /// The transport ended. The first cause of the end stays.
    pub fn lost(&mut self, by: ClosedBy, reason: &str) {
        self.note(by, CloseCode::ABNORMAL, reason);
    }

    /// Takes how it ended, for the handler.
    #[must_use]
    pub fn take_closed(&mut self) -> Closed {
        self.note(ClosedBy::Transport, CloseCode::ABNORMAL, "");
        *self.closed.take().unwrap_or_else(|| unreachable!("noted above"))
    }

    /// The deadline that has passed by `now`, if any. Asked by the sweep, not by a timer per
    /// connection.
    #[must_use]
    pub fn poll_timeout(&mut self, config: &SessionConfig, now: Timestamp) -> Option<Due> {
        let in_phase = now.since(self.phase_since);
        match self.phase {
            Phase::Upgrading => (in_phase > config.handshake_timeout)
                .then_some(Due::Abort("the opening handshake took too long")),
            Phase::Open => self.open_timeout(config, now),
            Phase::Closing | Phase::Replying => (in_phase > config.close_timeout)
                .then_some(Due::Abort("the closing handshake took too long")),
            Phase::Draining => (in_phase > config.drain_timeout)
                .then_some(Due::Abort("the peer did not close its side")),
        }
    }

    /// When a session has a deadline at the earliest, if nothing happens to it until then; `None`
    /// where that is not known beforehand.
    #[must_use]
    pub fn quiet_until(&self, config: &SessionConfig) -> Option<Timestamp> {
        let is_quiet = self.phase == Phase::Open && !self.ping_pending;
        if !is_quiet || self.receiver.is_partial() {
            return None;
        }
        let ping = (self.heard_at, config.ping_interval);
        let idle = (self.message_at, config.idle_timeout);
        let deadlines = [ping, idle].into_iter().filter(|(_, time)| !time.is_zero());
        Some(deadlines.map(|(since, time)| since.after(time)).min().unwrap_or(Timestamp(u64::MAX)))
    }

    fn open_timeout(&mut self, config: &SessionConfig, now: Timestamp) -> Option<Due> {
        let silent = now.since(self.heard_at);
        if self.receiver.is_partial() && now.since(self.partial_since) > config.message_timeout {
            return Some(Due::Close(
                CloseCode::POLICY_VIOLATION,
                "a message took too long to arrive",
            ));
        }
        if !config.idle_timeout.is_zero() && now.since(self.message_at) > config.idle_timeout {
            return Some(Due::Close(CloseCode::NORMAL, "no message for too long"));
        }
        if config.ping_interval.is_zero() || silent <= config.ping_interval {
            return None;
        }
        if !self.ping_pending {
            self.ping_pending = true;
            return Some(Due::Ping);
        }
        (silent > config.ping_interval + config.pong_timeout)
            .then_some(Due::Abort("no answer to a ping"))
    }

    fn enter(&mut self, phase: Phase, now: Timestamp) {
        self.phase = phase;
        self.phase_since = now;
    }

    fn note(&mut self, by: ClosedBy, code: CloseCode, reason: &str) {
        self.closed.get_or_insert_with(|| Box::new(Closed { by, code, reason: reason.into() }));
    }
}

/// What ends a session from the peer's side: a broken rule, or a spent budget.
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    /// RFC 6455 was broken, or a limit on messages.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// More control frames in a second than the session may send.
    #[error("more than {0} control frames in a second")]
    ControlFrames(u32),
}

impl Violation {
    /// The close code that tells the peer.
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::Protocol(error) => error.close_code(),
            Self::ControlFrames(_) => CloseCode::POLICY_VIOLATION,
        }
    }
}

fn spend(
    frames: &mut u32,
    window: &mut Timestamp,
    config: &SessionConfig,
    now: Timestamp,
) -> Result<(), Violation> {
    if now.since(*window) > Duration::from_secs(1) {
        *window = now;
        *frames = 0;
    }
    *frames += 1;
    if *frames > config.control_frames_per_second_max {
        return Err(Violation::ControlFrames(config.control_frames_per_second_max));
    }
    Ok(())
}

//= RFC 6455 §5.5.1
//# When sending a Close frame in response, the endpoint typically echos the
//# status code it received.
fn reply_to(code: CloseCode) -> Frame {
    let code = if code == CloseCode::NO_STATUS { CloseCode::NORMAL } else { code };
    Frame::close(code, "")
}
