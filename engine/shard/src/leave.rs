//! How an engine leaves: what it is told, what its handlers are told, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use corecast_hub::Timestamp;
use corecast_wire::CloseCode;

/// How an engine is to leave. What is queued for a connection leaves before its Close in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// Time until all is over: what is not closed by then is cut.
    pub deadline: Duration,
    /// The Closes are spread evenly over so long, with jitter, at most until the deadline: so not
    /// all clients come back at once. Zero: all are closed now.
    pub spread: Duration,
    /// Who had begun to connect is taken in for so long: a client whose `connect` has returned is
    /// answered, and not reset. About the longest round trip of a client.
    pub linger: Duration,
    /// Within which time clients are asked to come back, counted from their Close.
    pub reconnect: Duration,
    /// The code of the Closes: 1001 where the server goes, 1012 where it comes back.
    pub code: CloseCode,
    /// Their reason, in at most 123 bytes.
    pub reason: Box<str>,
    /// Decides who is closed when: the same seed and connections give the same order.
    pub seed: u64,
}

impl Leave {
    /// All are closed at once, with 1001, and have so long to take what is queued for them.
    #[must_use]
    pub fn within(deadline: Duration) -> Self {
        Self {
            deadline,
            spread: Duration::ZERO,
            linger: Duration::ZERO,
            reconnect: Duration::ZERO,
            code: CloseCode::GOING_AWAY,
            reason: "the server is going away".into(),
            seed: 0,
        }
    }
}

/// What a handler is told of a leave, for each connection, before the first of them is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Each connection is closed by then, or cut.
    pub deadline: Duration,
    /// Within which time a client should come back, counted from its Close.
    pub reconnect: Duration,
    /// The code that it will be closed with.
    pub code: CloseCode,
}

/// What came of a leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// WebSocket connections that were told of it.
    pub told: u64,
    /// Connections that got all that was queued for them, and their Close behind it.
    pub closed: u64,
    /// Connections that were dropped with something still queued, or that did not answer.
    pub cut: u64,
    /// Frames that were queued for those, Closes left out.
    pub frames_dropped: u64,
    /// From the order to the end of the last shard.
    pub took: Duration,
}

impl Left {
    pub(crate) fn add(&mut self, other: Self) {
        self.told += other.told;
        self.closed += other.closed;
        self.cut += other.cut;
        self.frames_dropped += other.frames_dropped;
    }
}

/// A leave that was ordered.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) leave: Leave,
    pub(crate) begun: Timestamp,
}

impl Order {
    pub(crate) fn new(leave: Leave, begun: Timestamp) -> Arc<Self> {
        Arc::new(Self { leave, begun })
    }

    /// When the last connection is cut.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.begun.after(self.leave.deadline)
    }

    /// When the last Close is due.
    pub(crate) fn closed_by(&self) -> Timestamp {
        self.begun.after(self.leave.spread.min(self.leave.deadline))
    }

    /// When nobody is taken in any more.
    pub(crate) fn lingers_until(&self) -> Timestamp {
        self.begun.after(self.leave.linger.min(self.leave.deadline))
    }

    pub(crate) fn leaving(&self) -> Leaving {
        let Leave { deadline, reconnect, code, .. } = self.leave;
        Leaving { deadline, reconnect, code }
    }
}
